/* Correlation of a stored forward velocity with the adjoint fields: the sums from which the gradient is made.
 *
 * With q the adjoint stress before an adjoint step, p the adjoint velocity, v the stored velocity, e = D v
 * without the filters of the absorbing layer, E = S q (plane stress at k = 0) and W the z-weight of each
 * field's own level:
 *
 *   SUM_C33 += W (Ezz + R F) (ezz + R f)    SUM_C66 += W 2 (Exx exx + Eyy eyy + R F f)
 *   SUM_RATIO += W (c33 (F (ezz + R f) + f (Ezz + R F)) + 2 c66 F f),  F = Exx + Eyy, f = exx + eyy
 *   SUM_XY  += W Exy gxy (xz, yz alike)    SUM_RHO += W (p after - p before) v, half of it to each of two
 * nodes
 *
 * in the units of the scaled arrays: the strain sums lack the factor (dt/h)^2, that of R dt/h, and all lack
 * the minus sign of the gradient. Included by elastic3d.c.
 */
#ifndef SEISFLOW_ELASTIC3D_GRADIENT_H
#define SEISFLOW_ELASTIC3D_GRADIENT_H

INLINE real d_point(const real *s, int64_t stride, int half) {
    s += half * stride;
    real d = (real)ELASTIC3D_C1 * (s[0] - s[-stride]) + (real)ELASTIC3D_C2 * (s[stride] - s[-2 * stride]);
#if ELASTIC3D_ORDER == 8
    d += (real)ELASTIC3D_C3 * (s[2 * stride] - s[-3 * stride]) +
         (real)ELASTIC3D_C4 * (s[3 * stride] - s[-4 * stride]);
#endif
    return d;
}

/* d/dz by closure near the surface, else interior; s is the start of the row (k = 0). */
INLINE real dz_point(const real *s, int64_t k, const closure *c, int half, int near) {
    if (near) {
        real d = 0;
        for (int l = 0; l < ELASTIC3D_TAPS; l++)
            d += c->tap[l][k] * s[l];
        return d;
    }
    return d_point(s + k, 1, half);
}

typedef struct {
    const elastic3d_grid *g;
    const surface *top;
    const real *f;                 /* adjoint field VX at the row */
    const real *v[3];              /* stored velocity at the row */
    int64_t sx, sy;                /* strides of the stored velocity */
    real *sum;                     /* SUM_RATIO of the row */
    int64_t size;                  /* elements of a sum */
    int64_t last;                  /* levels of the box */
    real left, right, front, back; /* 0 where the half node on that side lies outside the box */
} pair;

INLINE void stress_pair(const pair *c, int64_t k, const real hi, const real hh, const int near) {
    const int64_t sf = c->g->array, plane = c->g->plane, row = c->g->row, sx = c->sx, sy = c->sy;
    const real *vx = c->v[0] + k, *vy = c->v[1] + k, *vz = c->v[2] + k, *f = c->f + k;
    const real exx = d_point(vx, sx, 0), eyy = d_point(vy, sy, 0),
               ezz = dz_point(c->v[2], k, &c->top->velocity_node, 0, near);
    const real gxy = d_point(vy, sx, 1) + d_point(vx, sy, 1);
    const real gxz = d_point(vz, sx, 1) + dz_point(c->v[0], k, &c->top->velocity_half, 1, near);
    const real gyz = d_point(vz, sy, 1) + dz_point(c->v[1], k, &c->top->velocity_half, 1, near);
    const real ratio = f[RATIO * sf], c33 = f[C33 * sf];
    const real *ixy = f + IXY * sf, *ixz = f + IXZ * sf, mu2 = 2 / *ixy;
    const real zz = f[ZZ * sf], more = exx + eyy, down = ezz + ratio * more;
    const real flat = (f[XX * sf] + f[YY * sf] - 2 * ratio * zz) / (mu2 * (1 + 2 * ratio));
    const real apart = (f[XX * sf] - f[YY * sf]) / mu2;
    const real qxx = (real)0.5 * (flat + apart), qyy = (real)0.5 * (flat - apart);
    const real qxy = f[XY * sf] * (real)0.25 * ((ixy[0] + ixy[plane]) + (ixy[row] + ixy[plane + row])),
               qxz = f[XZ * sf] * (real)0.5 * (ixz[0] + ixz[plane]),
               qyz = f[YZ * sf] * (real)0.5 * (ixz[0] + ixz[row]);
    real *s = c->sum + k;
    const real below = k < c->last - 1 ? 1 : 0;
    s[SUM_RATIO * c->size] += hi * (flat * (c33 * down + mu2 * more) + zz * more);
    s[SUM_C33 * c->size] += hi * (near && k == 0 ? 0 : zz / c33 * down);
    s[SUM_C66 * c->size] += hi * 2 * (qxx * exx + qyy * eyy + ratio * flat * more);
    s[SUM_XY * c->size] += c->right * c->back * hi * qxy * gxy;
    s[SUM_XZ * c->size] += below * c->right * hh * qxz * gxz;
    s[SUM_YZ * c->size] += below * c->back * hh * qyz * gyz;
}

/* sign times W p v at the six half nodes around a node, half of each. */
INLINE void density_pair(const pair *c, int64_t k, const real sign, const real hi, const real hh,
                         const real above) {
    const int64_t sf = c->g->array, plane = c->g->plane, row = c->g->row;
    const real *p = c->f + k, *q = p + sf, *r = q + sf, *u = c->v[0] + k, *v = c->v[1] + k, *w = c->v[2] + k;
    const real x = c->right * (p[0] * u[0]) + c->left * (p[-plane] * u[-c->sx]);
    const real y = c->back * (q[0] * v[0]) + c->front * (q[-row] * v[-c->sy]);
    real z = k < c->last - 1 ? hh * (r[0] * w[0]) : 0;
    if (k > 0)
        z += above * (r[-1] * w[-1]);
    c->sum[SUM_RHO * c->size + k] += sign * (real)0.5 * (hi * (x + y) + z);
}

/* Squares of the velocities, averaged from the half nodes to the node. */
INLINE void light_pair(const pair *c, int64_t k) {
    const int64_t sf = c->g->array, plane = c->g->plane, row = c->g->row, up = k > 0;
    const real *p = c->f + k, *q = p + sf, *r = q + sf, *u = c->v[0] + k, *v = c->v[1] + k, *w = c->v[2] + k;
    c->sum[SUM_FORWARD * c->size + k] += (real)0.5 * (u[0] * u[0] + u[-c->sx] * u[-c->sx] + v[0] * v[0] +
                                                      v[-c->sy] * v[-c->sy] + w[0] * w[0] + w[-up] * w[-up]);
    c->sum[SUM_ADJOINT * c->size + k] += (real)0.5 * (p[0] * p[0] + p[-plane] * p[-plane] + q[0] * q[0] +
                                                      q[-row] * q[-row] + r[0] * r[0] + r[-up] * r[-up]);
}

static void pair_row(const pair *c, int after) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH;
    for (int64_t k = 0; k < c->last; k++) {
        const real wi = (real)(k < ELASTIC3D_ROWS ? hi[k] : 1), wh = (real)(k < ELASTIC3D_ROWS ? hh[k] : 1);
        const real above = (real)(k > 0 && k <= ELASTIC3D_ROWS ? hh[k - 1] : 1);
        density_pair(c, k, after ? 1 : -1, wi, wh, above);
    }
    if (after)
        return;
    for (int64_t k = 0; k < ELASTIC3D_ROWS; k++)
        stress_pair(c, k, (real)hi[k], (real)hh[k], 1);
#pragma GCC ivdep
    for (int64_t k = ELASTIC3D_ROWS; k < c->last; k++)
        stress_pair(c, k, 1, 1, 0);
#pragma GCC ivdep
    for (int64_t k = 0; k < c->last; k++)
        light_pair(c, k);
}

/* Add slot `slot` of the snapshots, correlated with the fields of g, to the sums: before the adjoint step
 * (after = 0: stress, illumination, minus the density term) and after it (after = 1: the density term).
 * Returns 0, or -1. */
int64_t EXPORT(elastic3d_correlate)(const elastic3d_grid *g, const elastic3d_snapshots *s, int64_t slot,
                                    const elastic3d_gradient *d, int64_t after) {
    const int64_t ny = s->y1 - s->y0, nz = s->z1, nx = s->x1 - s->x0, halo = ELASTIC3D_HALO;
    if (d->x0 < s->x0 + halo || d->x1 + halo > s->x1 || d->y0 < s->y0 + halo || d->y1 + halo > s->y1 ||
        d->z1 + halo > s->z1 || d->z1 < 2 * ELASTIC3D_ROWS)
        return -1;
    surface top;
    fill_surface(&top);
    const real *data = (const real *)s->data + slot * 3 * nx * ny * nz;
    const int64_t wide = d->y1 - d->y0, size = (d->x1 - d->x0) * wide * d->z1;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads((int)(g->threads > 0 ? g->threads : 1))
#endif
    for (int64_t x = d->x0; x < d->x1; x++) {
        unsigned old = flush_denormals();
        for (int64_t y = d->y0; y < d->y1; y++) {
            pair c = {.g = g, .top = &top, .sx = ny * nz, .sy = nz, .size = size, .last = d->z1};
            c.f = (const real *)g->fields + g->origin + x * g->plane + y * g->row;
            for (int k = 0; k < 3; k++)
                c.v[k] = data + ((k * nx + x - s->x0) * ny + y - s->y0) * nz;
            c.sum = (real *)d->sums + ((x - d->x0) * wide + y - d->y0) * d->z1;
            c.left = x > d->x0 || d->before, c.right = x < d->x1 - 1 || d->after;
            c.front = y > d->y0, c.back = y < d->y1 - 1;
            pair_row(&c, (int)after);
        }
        restore_denormals(old);
    }
    return 0;
}

#endif
