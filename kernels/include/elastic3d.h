/* The 3D elastic wave equation on a velocity-stress staggered grid: what C and CUDA share.
 *
 *   node I = (i, j, k); x east, y north, z down; k = 0 lies on the free surface
 *
 *       I ---- vx ---- +            sxx syy szz   (i    , j    , k    )     vx  (i+1/2, j    , k    )
 *       |      |       |            sxy           (i+1/2, j+1/2, k    )     vy  (i    , j+1/2, k    )
 *       vy --- sxy --- vy           sxz           (i+1/2, j    , k+1/2)     vz  (i    , j    , k+1/2)
 *       |      |       |            syz           (i    , j+1/2, k+1/2)
 *       + ---- vx ---- +
 *
 *   v(n+1/2) = v(n-1/2) + dt/rho (div s(n) + f(n)),    s(n+1) = s(n) + dt C D v(n+1/2) - dt m(n+1/2)
 *
 * Interior derivatives are of order 4 or 8. The free surface is a summation-by-parts closure of the levels
 * below it: with diagonal weights H_I (integer levels) and H_H (half levels)
 *
 *   d/dz of vx, vy at half levels    Q1 / H_H          d/dz of vz at integer levels        Q2 / H_I
 *   d/dz of sxz, syz                -Q1' / H_I         d/dz of szz                        -Q2' / H_H
 *
 * so that the discrete operator is skew-symmetric in the product of those weights and the scheme, its reverse
 * in time, is its own adjoint. At k = 0 szz is zero and the moduli are those of plane stress.
 *
 * Media are transversely isotropic with a vertical axis, for thin layers within a cell are (Backus 1962): the
 * nodes have c66, c33 and R = c13 / c33, with c12 = R (2 c66 + c13) and c11 = c12 + 2 c66. 1/c66 of sxy is
 * the mean over four nodes, and 1/c44, which is given at half levels (i, j, k+1/2), that over the two of an
 * edge.
 *
 * The field outside the grid is zero, density, 1/c66 and 1/c44 are infinite there: nothing moves.
 *
 * Attenuation: each point has one mechanism of relaxation, that of its parity (i, j, k modulo 2, so that
 * eight mechanisms share a cell of 2 x 2 x 2 points; Day 1998), and one memory variable r for each stress.
 * With x = dt C e of the unrelaxed moduli C, y the share of the modulus that relaxes and w the mechanism's
 * angular frequency
 *
 *   r(n+1) = decay r(n) + gain y x       s(n+1) = s(n) + x - (r(n+1) + r(n))
 *   decay = (1 - w dt/2) / (1 + w dt/2)  gain = w dt/2 / (1 + w dt/2)
 *
 * r is w dt/2 times the stress of a Maxwell body of modulus y C, advanced by the trapezoidal rule. y is the
 * share of the mechanism times a strength phi of the point, one for the bulk and one for the shear modulus
 * (nodes are isotropic then); at k = 0 that of shear is used for all. On an edge phi is the mean over its
 * four nodes. y does not depend on C, so that a gradient with respect to C needs only s.
 */
#ifndef SEISFLOW_ELASTIC3D_H
#define SEISFLOW_ELASTIC3D_H

#ifdef __CUDACC_RTC__
typedef long long int64_t;
#else
#include <stdint.h>
#endif

#ifndef ELASTIC3D_ORDER
#define ELASTIC3D_ORDER 4 /* of the derivatives in the interior */
#endif
#define ELASTIC3D_HALO (ELASTIC3D_ORDER / 2) /* points that a stencil reaches */

#include "elastic3d_closure.h"

#if ELASTIC3D_ORDER == 8
#define ELASTIC3D_C1 (1225.0 / 1024)
#define ELASTIC3D_C2 (-245.0 / 3072)
#define ELASTIC3D_C3 (49.0 / 5120)
#define ELASTIC3D_C4 (-5.0 / 7168)
#define ELASTIC3D_STENCIL {ELASTIC3D_C1, ELASTIC3D_C2, ELASTIC3D_C3, ELASTIC3D_C4}
#else
#define ELASTIC3D_C1 (9.0 / 8)
#define ELASTIC3D_C2 (-1.0 / 24)
#define ELASTIC3D_STENCIL {ELASTIC3D_C1, ELASTIC3D_C2}
#endif
#define ELASTIC3D_SWEEP 8  /* time steps of one passage through the grid, at most */
#define ELASTIC3D_ALIGN 16 /* elements; rows start on multiples of it */

/* The arrays of the arena, in this order; all hold nx ny nz points. rho is h/dt times density, c33 is
 * dt/h times the modulus, ixy is h/(dt c66), ixz is h/(dt c44) at half levels, infinite at the last one. c66
 * at a node is 1/ixy: a division costs less than an array. At k = 0 c33 is zero, which is plane stress.
 */
enum { VX, VY, VZ, XX, YY, ZZ, XY, XZ, YZ, FIELDS, RHO = FIELDS, RATIO, C33, IXY, IXZ, ARRAYS };

/* The arrays of attenuation, as long as those of the arena: dt/h (phi_bulk - phi_shear) kappa, at k = 0 zero;
 * phi_shear; the memory variables of the stresses. */
enum { PHI_LAM, PHI_MU, RXX, RYY, RZZ, RXY, RXZ, RYZ, LOSSES };

typedef struct {
    int64_t nx, ny, nz;                /* points */
    int64_t row, plane, array, origin; /* strides in elements; where point (0, 0, 0) is in an array */
    int64_t cells;                     /* width of the absorbing layer on four sides and at the bottom */
    int64_t bottom; /* first level of the slab of memory variables at the bottom, a multiple of 8 */
    int64_t depth;  /* levels that the slab has room for, to a multiple of 16 */
    int64_t block;  /* rows of a block along y, 0 for whole planes */
    int64_t sweep;  /* time steps of one passage through the grid, at most ELASTIC3D_SWEEP */
    int64_t threads;
    int64_t first,
        total; /* number of plane 0 in the whole grid, and its planes; 0 and nx if this is the whole */
    int64_t low, high; /* planes at either end that belong to a neighbour */
    int64_t slab0;     /* plane of the absorbing layers along x that psi_x begins with */
    void *fields;      /* ARRAYS arrays */
    void *losses;      /* LOSSES arrays; null without attenuation */
    const void
        *relax;  /* decay and gain times share, by first + x and y modulo 2 and level: [2][2][2][ALIGN] */
    void *psi_x; /* memory variables [2 cells + 1][ny][6][row], those of the planes that are here */
    void *psi_y; /* [nx][2 cells + 1][6][row] */
    void *psi_z; /* [nx][ny][6][depth] */
    const void *pml_x; /* a at nodes, b at nodes, a at half nodes, b at half nodes: [4][nx] */
    const void *pml_y; /* [4][ny] */
    const void *pml_z; /* [4][row] */
} elastic3d_grid;

/* What is added to fields: weight[e] samples[step][signal[e]] to element offset[e] of the arena. Entries are
 * sorted by row; first[x ny + y] is the first entry of row (x, y). */
typedef struct {
    int64_t signals;
    const int64_t *first; /* [nx ny + 1] */
    const int64_t *offset;
    const int64_t *signal;
    const double *weight;
    const double *samples;
} elastic3d_sources;

/* What is recorded: out[step][r] = sum of weight[place[e]] times element offset[place[e]], plane by plane (e
 * from piece[p] up to piece[p + 1]) and then over the planes (p from first[r] up to first[r + 1]), so that
 * planes may be in several memories. Offsets and weights are sorted by row, those of velocity before those of
 * stress; row[s][x ny + y] is where those of a row begin. held keeps the terms of a sweep. */
typedef struct {
    int64_t count, entries;
    const int64_t *first;  /* [count + 1] */
    const int64_t *piece;  /* [pieces + 1] */
    const int64_t *place;  /* [entries] */
    const int64_t *offset; /* [entries] */
    const double *weight;
    const int64_t *row[2]; /* velocity, stress: [nx ny + 1] */
    double *held;          /* [ELASTIC3D_SWEEP][entries] */
    double *out;
} elastic3d_receivers;

/* Velocity stored at steps n with n % every == phase in slot n / every - from: [slot][3][x1 - x0][y1 -
 * y0][z1]. */
typedef struct {
    int64_t every, phase, from; /* every 0: nothing is stored */
    int64_t x0, x1, y0, y1, z1;
    void *data;
} elastic3d_snapshots;

/* Sums over snapshots on nodes x0 <= x < x1, y0 <= y < y1, z < z1, each [x1 - x0][y1 - y0][z1]. */
enum { SUM_RATIO, SUM_C33, SUM_C66, SUM_XY, SUM_XZ, SUM_YZ, SUM_RHO, SUM_FORWARD, SUM_ADJOINT, SUMS };

typedef struct {
    int64_t x0, x1, y0, y1, z1;
    int64_t before, after; /* whether the nodes go on, in another memory, before x0 and from x1 on */
    void *sums;            /* SUMS arrays */
} elastic3d_gradient;

/* A part of a passage through the grid: the planes that a sweep of `steps` steps, the first of which is
 * number n, comes to from position `from` up to `to` (of steps (2 halo + 2) - halo - 1 more positions than
 * planes). */
typedef struct {
    int64_t n, steps;
    int64_t backward; /* from the last plane to the first */
    int64_t from, to;
} elastic3d_part;

#endif
