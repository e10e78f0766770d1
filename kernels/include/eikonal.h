/* First-arrival times of a point source on a regular grid: |grad T| = s, by fast marching of the factor tau
 * in T = T0 tau, T0 = (slowness at the source) x (distance from the source).
 *
 * Slowness is given per cell; nodes are the corners of cells. Cells reach one beyond the nodes on each side:
 *
 *       cell 0 | cell 1 |  ...  | cell n-1 | cell n          along an axis with n nodes: n + 1 cells
 *            node 0   node 1 ...          node n-1
 *
 * A node is smooth where its eight cells differ little: there its own slowness (their mean) is used. At the
 * other, sharp, nodes each octant is solved with the slowness of its cell, each face and edge with that of
 * the fastest cell that touches it, so that waves run along interfaces with the faster speed (Noble et al.
 * 2014).
 */
#ifndef EIKONAL_H
#define EIKONAL_H

#ifndef __CUDACC_RTC__
#include <stdint.h>
#endif

typedef struct {
    int64_t shape[3];       /* nodes along x, y, z; z fastest in memory */
    double spacing[3];      /* m */
    double source[3];       /* m from node (0, 0, 0) */
    double source_slowness; /* s/m */
    double trend[3];        /* gradient of tau at the source: that of slowness over twice slowness, 1/m */
    double jump; /* relative difference of two cells from which on they are not differenced together */
    const double *cells;  /* s/m, shape + 1 */
    const double *nodes;  /* s/m, shape */
    const uint8_t *sharp; /* shape */
    int64_t seeds;        /* nodes where the march begins, and their times */
    const int64_t *seed;
    const double *seed_time;
    double *times; /* s, shape; out */
} eikonal_problem;

/* 0; -1: no memory; else the number of nodes that were not reached. */
int64_t eikonal_solve(const eikonal_problem *problem);

#endif
