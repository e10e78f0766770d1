/* Rows of the 3D elastic grid, for the type `real` and the vectors of the instruction set that this is
 * compiled for.
 */
#ifndef SEISFLOW_ELASTIC3D_ROWS_H
#define SEISFLOW_ELASTIC3D_ROWS_H

#include <stddef.h>
#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

#include "elastic3d.h"

#define R ELASTIC3D_HALO
#define LINE ((int64_t)(64 / sizeof(real)))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* SHIFT_LANES elements of `low` and then `high`, from element k on. */
#if defined(__AVX512F__) && REAL_BITS == 32
#define SHIFT_LANES 16
#define SHIFT(high, low, k)                                                                                  \
    (vec) _mm512_castsi512_ps(                                                                               \
        _mm512_alignr_epi32(_mm512_castps_si512((__m512)(high)), _mm512_castps_si512((__m512)(low)), k))
#elif defined(__AVX512F__)
#define SHIFT_LANES 8
#define SHIFT(high, low, k)                                                                                  \
    (vec) _mm512_castsi512_pd(                                                                               \
        _mm512_alignr_epi64(_mm512_castpd_si512((__m512d)(high)), _mm512_castpd_si512((__m512d)(low)), k))
#else
#define SHIFT_LANES 0 /* split loads are cheap */
#endif

/* Closure of the free surface: the derivative at level k < ELASTIC3D_ROWS is the sum of tap[l][k] times level
 * l; change is tap less the stencil of the interior, and zero below. */
typedef struct {
    real tap[ELASTIC3D_TAPS][ELASTIC3D_ALIGN], change[ELASTIC3D_TAPS][ELASTIC3D_ALIGN];
} closure;

typedef struct {
    closure velocity_half, velocity_node; /* d/dz of vx, vy at half levels; of vz at integer levels */
    closure stress_node, stress_half;     /* d/dz of sxz, syz at integer levels; of szz at half levels */
} surface;

/* What the first step of a sweep reads comes from memory and has to be fetched: at order 4, where that is a
 * large part of the time, by all stages, a few arrays each and a row at a time, so that memory is never idle;
 * at order 8 by the first step itself, a vector at a time. */
#define SPREAD (ELASTIC3D_ORDER == 4)
#define FETCHES ((ARRAYS + 1) / 2)

/* What one row needs beside its fields. */
typedef struct {
    int64_t plane, row, array, nz, bottom, depth; /* of the grid */
    const surface *top;
    real *f, *q;             /* field VX, and PHI_LAM, at (x, y, 0) */
    real *qx, *qy, *qz;      /* memory variables of this row, [6][...] */
    real axn, bxn, axh, bxh; /* a, b of the absorbing layer along x at the node and the half node */
    real ayn, byn, ayh, byh;
    const real *ay;                    /* the same along y for this row and those that follow; [4][ny] */
    int64_t ny, far_x, far_y, far_z;   /* rows of a plane; memory variables from one plane to the next */
    const real *azn, *bzn, *azh, *bzh; /* along z, by level */
    const real *relax, *other;         /* decay and gain by level of this row, and of the next one */
    const real *next[FETCHES];         /* rows to fetch, one more of each with every row */
    int fetches;
} line;

/* Which parts of the arithmetic a piece of a row needs; known when it is compiled. */
typedef struct {
    int top, px, py, pz, fetch, loss;
} cases;

/* Wide vectors for the most, narrow ones (8 levels at most) for the closure. */
#if defined(__AVX512F__) && REAL_BITS == 32
#define WIDE 16
#define NARROW 8
#elif defined(__AVX512F__) || (defined(__AVX__) && REAL_BITS == 32)
#define WIDE 8
#define NARROW 8
#elif defined(__AVX__) || REAL_BITS == 32
#define WIDE 4
#define NARROW 4
#else
#define WIDE 2
#define NARROW 2
#endif
#define TOP 8 /* levels that are done with the closure; ELASTIC3D_ROWS at least */

#define ROW_PASTE_(name, lanes) name##_##lanes
#define ROW_PASTE(name, lanes) ROW_PASTE_(name, lanes)
#if WIDE == 16
#define LANES 8
#include "elastic3d_points.h"
#define LANES 16
#include "elastic3d_points.h"
#elif WIDE == 8
#define LANES 8
#include "elastic3d_points.h"
#elif WIDE == 4
#define LANES 4
#include "elastic3d_points.h"
#else
#define LANES 2
#include "elastic3d_points.h"
#endif

/* A row: what the free surface changes, the middle, the absorbing layer at the bottom. The layer begins
 * at a multiple of 8 and goes on to one of WIDE first, or its end would run into the next row. */
#define PIECE(body, lanes, near, stop, a, b, c, ...)                                                         \
    if (i < (stop)) {                                                                                        \
        ROW_PASTE(window, lanes) w;                                                                          \
        ROW_PASTE(open, lanes)(&w, l.f + i + a * l.array, l.f + i + b * l.array, l.f + i + c * l.array);     \
        for (; near && i < TOP; i += lanes)                                                                  \
            ROW_PASTE(body, lanes)(&l, i, (cases){near, __VA_ARGS__}, &w);                                   \
        for (; i < (stop); i += lanes)                                                                       \
            ROW_PASTE(body, lanes)(&l, i, (cases){0, __VA_ARGS__}, &w);                                      \
    }
#define ROW(name, body, a, b, c, x, y, fetch, loss)                                                          \
    static __attribute__((noinline)) void name(line l, int64_t count) {                                      \
        const int64_t middle = l.bottom < l.nz ? l.bottom : l.nz, rest = middle % WIDE;                      \
        const int64_t whole = rest && rest <= NARROW ? middle - rest : middle;                               \
        const int64_t even = (middle + WIDE - 1) / WIDE * WIDE, odd = even < l.nz ? even : l.nz;             \
        for (; count > 0; count--) {                                                                         \
            int64_t i = 0;                                                                                   \
            if (y)                                                                                           \
                l.ayn = l.ay[0], l.byn = l.ay[l.ny], l.ayh = l.ay[2 * l.ny], l.byh = l.ay[3 * l.ny];         \
                                                                                                             \
            real *top = l.f + ZZ * l.array, kept = *top;                                                     \
            PIECE(body, WIDE, 1, whole, a, b, c, x, y, 0, fetch, loss)                                       \
            PIECE(body, NARROW, 0, middle, a, b, c, x, y, 0, fetch, loss)                                    \
            if (WIDE > NARROW && middle < l.nz)                                                              \
                PIECE(body, NARROW, 0, odd, a, b, c, x, y, 1, fetch, loss)                                   \
            PIECE(body, WIDE, 0, l.nz, a, b, c, x, y, 1, fetch, loss)                                        \
            *top = kept; /* szz is zero at the surface */                                                    \
            for (int k = 0; k < l.fetches; k++, l.next[k - 1] += l.row)                                      \
                for (int64_t j = 0; j < l.nz; j += LINE)                                                     \
                    __builtin_prefetch(l.next[k] + j, 0, 3);                                                 \
            const real *relax = l.other;                                                                     \
            l.other = l.relax, l.relax = relax;                                                              \
            l.f += l.row, l.q += l.row, l.ay++;                                                              \
            l.qx += x ? 6 * l.row : 0, l.qy += y ? 6 * l.row : 0, l.qz += 6 * l.depth;                       \
        }                                                                                                    \
    }
/* In the layer along x, in the layer along y, first step of a sweep: fetch the next plane. */
#define ROWS(name, body, a, b, c, loss)                                                                      \
    ROW(name##_000, body, a, b, c, 0, 0, 0, loss)                                                            \
    ROW(name##_010, body, a, b, c, 0, 1, 0, loss)                                                            \
    ROW(name##_100, body, a, b, c, 1, 0, 0, loss)                                                            \
    ROW(name##_110, body, a, b, c, 1, 1, 0, loss)                                                            \
    ROW(name##_001, body, a, b, c, 0, 0, 1, loss)                                                            \
    ROW(name##_011, body, a, b, c, 0, 1, 1, loss)                                                            \
    ROW(name##_101, body, a, b, c, 1, 0, 1, loss)                                                            \
    ROW(name##_111, body, a, b, c, 1, 1, 1, loss)
ROWS(velocity, velocity, XZ, YZ, ZZ, 0)
ROWS(stress, stress, VX, VY, VZ, 0)
ROWS(relaxed, stress, VX, VY, VZ, 1)

/* By: velocity, stress, stress with attenuation; then as above. */
typedef void row_kernel(line, int64_t);
#define BY_CASE(name)                                                                                        \
    {                                                                                                        \
        {{name##_000, name##_001}, {name##_010, name##_011}}, {                                              \
            {name##_100, name##_101}, { name##_110, name##_111 }                                             \
        }                                                                                                    \
    }
static row_kernel *const rows[3][2][2][2] = {BY_CASE(velocity), BY_CASE(stress), BY_CASE(relaxed)};

/* The tables of one derivative: at level k, Q[k][l] / h[k], or -Q[l][k] / h[k] of a transpose; the first
 * level ahead of it is k + half. */
static void fill_closure(closure *c, const double q[][ELASTIC3D_TAPS], const double *h, int transposed,
                         int half) {
    static const double stencil[] = ELASTIC3D_STENCIL;
    for (int k = 0; k < ELASTIC3D_ROWS; k++)
        for (int l = 0; l < ELASTIC3D_TAPS; l++) {
            const int from = l - k - half; /* points from the first one ahead */
            const double inside = from >= 0 && from < R    ? stencil[from]
                                  : from < 0 && from >= -R ? -stencil[-1 - from]
                                                           : 0;
            /* rows of a transpose beyond the closure are those of the interior stencil */
            const double tap =
                transposed ? (l < ELASTIC3D_ROWS ? -q[l][k] / h[k] : inside / h[k]) : q[k][l] / h[k];
            c->tap[l][k] = (real)tap;
            c->change[l][k] = (real)((tap - inside) / (ELASTIC3D_C1));
        }
}

static void fill_surface(surface *s) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH, q1[][ELASTIC3D_TAPS] = ELASTIC3D_Q1,
                        q2[][ELASTIC3D_TAPS] = ELASTIC3D_Q2;
    *s = (surface){0};
    fill_closure(&s->velocity_half, q1, hh, 0, 1);
    fill_closure(&s->velocity_node, q2, hi, 0, 0);
    fill_closure(&s->stress_node, q1, hi, 1, 0);
    fill_closure(&s->stress_half, q2, hh, 1, 1);
}

#endif
