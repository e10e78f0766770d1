/* One vector of points of a row: the arithmetic of velocity and stress, for the type `real` and the vectors
 * of the instruction set that this is compiled for. Every point sees the same operations in the same order
 * whatever the width of the vectors, the block or the thread. */
#ifndef SEISFLOW_ELASTIC3D_ROWS_H
#define SEISFLOW_ELASTIC3D_ROWS_H

#include <stddef.h>

#include "elastic3d.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define W ((int64_t)(VECTOR_BYTES / sizeof(real)))
#define LINE ((int64_t)(64 / sizeof(real)))
#define TOP (W < ELASTIC3D_ROWS ? ELASTIC3D_ROWS : W) /* levels that are done with the closure */
#define INLINE static inline __attribute__((always_inline))

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef real loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#define LOAD(p) ((vec) * (const loose *)(p))
#define STORE(p, v) (*(loose *)(p) = (loose)(v))
#define NEXT(p)                                                                                              \
    do {                                                                                                     \
        if (i % LINE == 0)                                                                                   \
            __builtin_prefetch((p), 0, 2);                                                                   \
    } while (0)

/* Closure of the free surface: a derivative is interior times its stencil plus the sum of tap[l] times level
 * l. */
typedef struct {
    real tap[ELASTIC3D_TAPS][ELASTIC3D_ALIGN];
} closure;

typedef struct {
    closure velocity_half, velocity_node; /* d/dz of vx, vy at half levels; of vz at integer levels */
    closure stress_node, stress_half;     /* d/dz of sxz, syz at integer levels; of szz at half levels */
    real interior[ELASTIC3D_ALIGN];       /* 0 where the closure takes over, else 1 */
    real below[ELASTIC3D_ALIGN];          /* 0 at k = 0, else 1 */
} surface;

/* What one row needs beside its fields. */
typedef struct {
    const elastic3d_grid *g;
    const surface *top;
    real *f;                 /* field VX at (x, y, 0) */
    real *qx, *qy, *qz;      /* memory variables of this row, [6][...] */
    real axn, bxn, axh, bxh; /* a, b of the absorbing layer along x at the node and the half node */
    real ayn, byn, ayh, byh;
    const real *azn, *bzn, *azh, *bzh; /* along z, by level */
} line;

INLINE vec forward(const real *f, int64_t s) {
    return (real)ELASTIC3D_C1 * (LOAD(f + s) - LOAD(f)) +
           (real)ELASTIC3D_C2 * (LOAD(f + 2 * s) - LOAD(f - s));
}

INLINE vec backward(const real *f, int64_t s) {
    return (real)ELASTIC3D_C1 * (LOAD(f) - LOAD(f - s)) +
           (real)ELASTIC3D_C2 * (LOAD(f + s) - LOAD(f - 2 * s));
}

INLINE vec close_top(vec d, const real *row, int64_t i, const closure *c, const surface *s) {
    d = d * LOAD(s->interior + i);
    for (int l = 0; l < ELASTIC3D_TAPS; l++)
        d = d + LOAD(c->tap[l] + i) * row[l];
    return d;
}

INLINE vec absorb(vec d, real *psi, vec a, vec b) {
    vec m = b * LOAD(psi) + a * d;
    STORE(psi, m);
    return d + m;
}

#define SPLAT(c) ((vec){0} + (c))
#define ABSORB_X(d, m, at) d = px ? absorb(d, l->qx + (m) * row + i, SPLAT(l->ax##at), SPLAT(l->bx##at)) : d
#define ABSORB_Y(d, m, at) d = py ? absorb(d, l->qy + (m) * row + i, SPLAT(l->ay##at), SPLAT(l->by##at)) : d
#define ABSORB_Z(d, m, at)                                                                                   \
    d = pz ? absorb(d, l->qz + (m) * (row - g->bottom) + i - g->bottom, LOAD(l->az##at + i),                 \
                    LOAD(l->bz##at + i))                                                                     \
           : d
#define CLOSE(d, f, c) d = top ? close_top(d, f, i, &l->top->c, l->top) : d
#define ADD(p, v) STORE(p, LOAD(p) + (v))

INLINE void velocity_at(const line *l, int64_t i, const int top, const int px, const int py, const int pz) {
    const elastic3d_grid *g = l->g;
    const int64_t sx = g->plane, row = g->row, sf = g->array;
    real *vx = l->f, *vy = vx + sf, *vz = vy + sf;
    const real *xx = vz + sf, *yy = xx + sf, *zz = yy + sf, *xy = zz + sf, *xz = xy + sf, *yz = xz + sf,
               *r = yz + sf;
    NEXT(vx + i + sx);
    NEXT(vy + i + sx);
    NEXT(vz + i + sx);
    NEXT(r + i + 2 * sx);
    NEXT(yy + i + sx);
    NEXT(yz + i + sx);
    NEXT(zz + i + sx);
    vec r0 = LOAD(r + i), dx = forward(xx + i, sx), dy = backward(xy + i, row), dz = backward(xz + i, 1);
    CLOSE(dz, xz, stress_node);
    ABSORB_X(dx, 0, h);
    ABSORB_Y(dy, 0, n);
    ABSORB_Z(dz, 0, n);
    ADD(vx + i, (real)2 / (r0 + LOAD(r + i + sx)) * (dx + dy + dz));
    dx = backward(xy + i, sx), dy = forward(yy + i, row), dz = backward(yz + i, 1);
    CLOSE(dz, yz, stress_node);
    ABSORB_X(dx, 1, n);
    ABSORB_Y(dy, 1, h);
    ABSORB_Z(dz, 1, n);
    ADD(vy + i, (real)2 / (r0 + LOAD(r + i + row)) * (dx + dy + dz));
    dx = backward(xz + i, sx), dy = backward(yz + i, row), dz = forward(zz + i, 1);
    CLOSE(dz, zz, stress_half);
    ABSORB_X(dx, 2, n);
    ABSORB_Y(dy, 2, n);
    ABSORB_Z(dz, 2, h);
    ADD(vz + i, (real)2 / (r0 + LOAD(r + i + 1)) * (dx + dy + dz));
}

INLINE void stress_at(const line *l, int64_t i, const int top, const int px, const int py, const int pz) {
    const elastic3d_grid *g = l->g;
    const int64_t sx = g->plane, row = g->row, sf = g->array, ahead = 5 * sx + 2 * row;
    const real *vx = l->f, *vy = vx + sf, *vz = vy + sf;
    real *xx = l->f + 3 * sf, *yy = xx + sf, *zz = yy + sf, *xy = zz + sf, *xz = xy + sf, *yz = xz + sf;
    const real *lam = yz + 2 * sf, *mu2 = lam + sf, *im = mu2 + sf;
    NEXT(lam + i + sx);
    NEXT(mu2 + i + sx);
    NEXT(im + i + 2 * sx);
    NEXT(xx + i + ahead);
    NEXT(xy + i + ahead - sx);
    NEXT(xz + i + ahead - sx);
    vec dx = backward(vx + i, sx), dy = backward(vy + i, row), dz = backward(vz + i, 1), m = LOAD(mu2 + i);
    CLOSE(dz, vz, velocity_node);
    ABSORB_X(dx, 3, n);
    ABSORB_Y(dy, 3, n);
    ABSORB_Z(dz, 3, n);
    vec t = LOAD(lam + i) * (dx + dy + dz), tz = t + m * dz;
    ADD(xx + i, t + m * dx);
    ADD(yy + i, t + m * dy);
    ADD(zz + i, top ? tz * LOAD(l->top->below + i) : tz);
    vec m0 = LOAD(im + i), mx = m0 + LOAD(im + i + sx), my = LOAD(im + i + row), mz = LOAD(im + i + 1);
    dx = forward(vy + i, sx), dy = forward(vx + i, row);
    ABSORB_X(dx, 4, h);
    ABSORB_Y(dy, 4, h);
    ADD(xy + i, (real)4 / (mx + (my + LOAD(im + i + sx + row))) * (dx + dy));
    dx = forward(vz + i, sx), dz = forward(vx + i, 1);
    CLOSE(dz, vx, velocity_half);
    ABSORB_X(dx, 5, h);
    ABSORB_Z(dz, 4, h);
    ADD(xz + i, (real)4 / (mx + (mz + LOAD(im + i + sx + 1))) * (dx + dz));
    dy = forward(vz + i, row), dz = forward(vy + i, 1);
    CLOSE(dz, vy, velocity_half);
    ABSORB_Y(dy, 5, h);
    ABSORB_Z(dz, 5, h);
    ADD(yz + i, (real)4 / ((m0 + my) + (mz + LOAD(im + i + row + 1))) * (dy + dz));
}

/* A row in three parts: under the free surface, the middle, the absorbing layer at the bottom. */
#define ROW(name, body, px, py)                                                                              \
    static __attribute__((noinline)) void name(const line *l) {                                              \
        int64_t i = 0, bottom = l->g->bottom, end = l->g->nz;                                                \
        int64_t middle = bottom < end ? bottom : end;                                                        \
        for (; i < TOP; i += W)                                                                              \
            body(l, i, 1, px, py, 0);                                                                        \
        for (; i < middle; i += W)                                                                           \
            body(l, i, 0, px, py, 0);                                                                        \
        for (; i < end; i += W)                                                                              \
            body(l, i, 0, px, py, 1);                                                                        \
    }
ROW(velocity_00, velocity_at, 0, 0)
ROW(velocity_01, velocity_at, 0, 1)
ROW(velocity_10, velocity_at, 1, 0)
ROW(velocity_11, velocity_at, 1, 1)
ROW(stress_00, stress_at, 0, 0)
ROW(stress_01, stress_at, 0, 1)
ROW(stress_10, stress_at, 1, 0)
ROW(stress_11, stress_at, 1, 1)

typedef void row_kernel(const line *);
static row_kernel *const velocity_rows[2][2] = {{velocity_00, velocity_01}, {velocity_10, velocity_11}};
static row_kernel *const stress_rows[2][2] = {{stress_00, stress_01}, {stress_10, stress_11}};

/* The tables of the closure from those of the header. */
static void fill_surface(surface *s) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH, q1[][ELASTIC3D_TAPS] = ELASTIC3D_Q1,
                        q2[][ELASTIC3D_TAPS] = ELASTIC3D_Q2;
    *s = (surface){0};
    for (int k = 0; k < ELASTIC3D_ALIGN; k++) {
        s->interior[k] = k >= ELASTIC3D_ROWS;
        s->below[k] = k > 0;
    }
    for (int k = 0; k < ELASTIC3D_ROWS; k++)
        for (int l = 0; l < ELASTIC3D_TAPS; l++) {
            /* rows of Q' beyond the closure are those of the interior stencil */
            double q1t = l < ELASTIC3D_ROWS ? q1[l][k] : (l == k + 1 ? -ELASTIC3D_C2 : 0);
            double q2t = l < ELASTIC3D_ROWS ? q2[l][k]
                         : l == k + 1       ? -ELASTIC3D_C1
                         : l == k + 2       ? -ELASTIC3D_C2
                                            : 0;
            s->velocity_half.tap[l][k] = (real)(q1[k][l] / hh[k]);
            s->velocity_node.tap[l][k] = (real)(q2[k][l] / hi[k]);
            s->stress_node.tap[l][k] = (real)(-q1t / hi[k]);
            s->stress_half.tap[l][k] = (real)(-q2t / hh[k]);
        }
}

#endif
