/* One vector of points of a row: the arithmetic of velocity and stress on LANES points at once. Included once
 * for each number of lanes; every point sees the same operations in the same order whatever the width of the
 * vectors, the block or the thread. */

#define JOIN_(name, lanes) name##_##lanes
#define JOIN(name, lanes) JOIN_(name, lanes)
#define AT(name) JOIN(name, LANES)
#define vec AT(vec)
#define loose AT(loose)
#define FULL (LANES * REAL_BITS == 512) /* a vector is a cache line: shifts along z need no split load */

#define SPLAT(c) ((vec){0} + (c))
#define TWICE ((real)(2 * (ELASTIC3D_C1)))
#define WEIGHT(k) ((real)(ELASTIC3D_C##k / (ELASTIC3D_C1)))

typedef real vec __attribute__((vector_size(LANES * sizeof(real))));
typedef real loose __attribute__((vector_size(LANES * sizeof(real)), aligned(sizeof(real)), may_alias));

INLINE vec AT(load)(const real *p) { return (vec) * (const loose *)p; }
INLINE void AT(store)(real *p, vec v) { *(loose *)p = (loose)v; }
INLINE void AT(add)(real *p, vec v) { AT(store)(p, AT(load)(p) + v); }
/* x * y + z, rounded once on every instruction set; a call, and slow, where there is no instruction for it.
 */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
INLINE
#else
static __attribute__((noinline))
#endif
vec AT(fma)(vec x, vec y, vec z) {
#if defined(__AVX512F__) && FULL && REAL_BITS == 32
    return (vec)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z);
#elif defined(__AVX512F__) && FULL
    return (vec)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
#elif defined(__FMA__) && LANES * REAL_BITS == 256 && REAL_BITS == 32
    return (vec)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z);
#elif defined(__FMA__) && LANES * REAL_BITS == 256
    return (vec)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
#else
    vec out;
    for (int k = 0; k < LANES; k++)
        out[k] = REAL_BITS == 32 ? __builtin_fmaf(x[k], y[k], z[k]) : __builtin_fma(x[k], y[k], z[k]);
    return out;
#endif
}
INLINE void AT(add_product)(real *p, vec x, vec y) { AT(store)(p, AT(fma)(x, y, AT(load)(p))); }
INLINE void AT(prefetch)(const real *p, int64_t i) {
    if (FULL || i % LINE == 0)
        __builtin_prefetch(p, 0, 2);
}

/* The derivative, divided by the first weight of the stencil: those who use it multiply by that.
 * w holds f from -R to R - 1 points away (half = 0), or from -R + 1 to R (half = 1). */
INLINE vec AT(difference)(const vec *w) {
    vec d = w[R] - w[R - 1];
#if ELASTIC3D_ORDER == 8
    d = AT(fma)(SPLAT(WEIGHT(4)), w[R + 3] - w[R - 4], d);
    d = AT(fma)(SPLAT(WEIGHT(3)), w[R + 2] - w[R - 3], d);
#endif
    return AT(fma)(SPLAT(WEIGHT(2)), w[R + 1] - w[R - 2], d);
}

INLINE vec AT(derivative)(const real *f, int64_t stride, const int half) {
    vec w[2 * R];
    UNROLL for (int k = 0; k < 2 * R; k++) w[k] = AT(load)(f + (k - R + half) * stride);
    return AT(difference)(w);
}

/* The same along z for three fields, row by row from the top: whole lines are loaded once and shifted against
 * each other; w keeps the line before and the one here. */
typedef struct {
    vec before[3], here[3];
} AT(window);

INLINE void AT(open)(AT(window) * w, const real *f0, const real *f1, const real *f2) {
#if LANES == SHIFT_LANES
    w->before[0] = AT(load)(f0 - LANES), w->here[0] = AT(load)(f0);
    w->before[1] = AT(load)(f1 - LANES), w->here[1] = AT(load)(f1);
    w->before[2] = AT(load)(f2 - LANES), w->here[2] = AT(load)(f2);
#endif
    (void)w, (void)f0, (void)f1, (void)f2;
}

INLINE vec AT(along)(const real *f, const int half, AT(window) * z, const int k) {
#if LANES == SHIFT_LANES
    const vec before = z->before[k], here = z->here[k], after = AT(load)(f + LANES);
    z->before[k] = here, z->here[k] = after;
#if ELASTIC3D_ORDER == 4
    const vec far = half ? SHIFT(after, here, 2) : SHIFT(here, before, LANES - 2);
    const vec left = SHIFT(here, before, LANES - 1), right = SHIFT(after, here, 1);
    const vec w[4] = {half ? left : far, half ? here : left, half ? right : here, half ? far : right};
#else
    const vec far = half ? SHIFT(after, here, 4) : SHIFT(here, before, LANES - 4);
    const vec l3 = SHIFT(here, before, LANES - 3), l2 = SHIFT(here, before, LANES - 2),
              l1 = SHIFT(here, before, LANES - 1), r1 = SHIFT(after, here, 1), r2 = SHIFT(after, here, 2),
              r3 = SHIFT(after, here, 3);
    const vec w[8] = {half ? l3 : far,  half ? l2 : l3, half ? l1 : l2, half ? here : l1,
                      half ? r1 : here, half ? r2 : r1, half ? r3 : r2, half ? far : r3};
#endif
    return AT(difference)(w);
#else
    (void)z, (void)k;
    return AT(derivative)(f, 1, half);
#endif
}

/* d, and what the closure of the free surface changes in it at levels from i on of the row f. */
INLINE vec AT(close)(vec d, const real *f, int64_t i, const closure *c) {
    vec near = d;
    UNROLL for (int l = 0; l < ELASTIC3D_TAPS; l++) near =
        AT(fma)(AT(load)(c->change[l] + i), SPLAT(f[l]), near);
#if LANES == 16 /* 0 times what is not finite must not reach the levels below the closure */
    near = (vec)_mm512_mask_mov_ps((__m512)d, (1 << TOP) - 1, (__m512)near);
#endif
    return near;
}

INLINE vec AT(absorb)(vec d, real *psi, vec a, vec b, const int fetch, int64_t far) {
    if (fetch)
        __builtin_prefetch(psi + far, 0, 2);
    vec m = AT(fma)(b, AT(load)(psi), a * d);
    AT(store)(psi, m);
    return d + m;
}

#define ABSORB_X(d, m, at)                                                                                   \
    d = c.px ? AT(absorb)(d, l->qx + (m) * row + i, SPLAT(l->ax##at), SPLAT(l->bx##at), c.fetch, l->far_x) : d
#define ABSORB_Y(d, m, at)                                                                                   \
    d = c.py ? AT(absorb)(d, l->qy + (m) * row + i, SPLAT(l->ay##at), SPLAT(l->by##at), c.fetch, l->far_y) : d
#define ABSORB_Z(d, m, at)                                                                                   \
    d = c.pz ? AT(absorb)(d, l->qz + (m) * l->depth + i - l->bottom, AT(load)(l->az##at + i),                \
                          AT(load)(l->bz##at + i), c.fetch, l->far_z)                                        \
             : d
#define CLOSE(d, field, which) d = c.top ? AT(close)(d, field, i, &l->top->which) : d
#define FETCH(p) (c.fetch ? AT(prefetch)(p, i) : (void)0)
#define FETCH_FIELD(p) (SPREAD ? (void)0 : FETCH(p))
#define SHEAR(s, r, a, b, count, compliance, strain)                                                         \
    t = (real)((count) * (ELASTIC3D_C1)) / (compliance);                                                     \
    if (c.loss) {                                                                                            \
        const vec change = t * (strain);                                                                     \
        AT(relax)(s, r, change, AT(edge)(qm + i, a, b) * change, decay, gain);                               \
    } else                                                                                                   \
        AT(add_product)(s, t, strain)
#define ADD(s, r, x, y) (c.loss ? AT(relax)(s, r, x, y, decay, gain) : AT(add)(s, x))

INLINE void AT(velocity)(const line *l, int64_t i, const cases c, AT(window) * w) {
    const int64_t sx = l->plane, row = l->row, sf = l->array;
    real *vx = l->f, *vy = vx + sf, *vz = vy + sf;
    const real *xx = vz + sf, *yy = xx + sf, *zz = yy + sf, *xy = zz + sf, *xz = xy + sf, *yz = xz + sf,
               *r = yz + sf;
    FETCH_FIELD(vx + i + sx);
    FETCH_FIELD(vy + i + sx);
    FETCH_FIELD(vz + i + sx);
    FETCH_FIELD(r + i + 2 * sx);
    FETCH_FIELD(yy + i + sx);
    FETCH_FIELD(yz + i + sx);
    FETCH_FIELD(zz + i + sx);
    vec r0 = AT(load)(r + i), dx = AT(derivative)(xx + i, sx, 1), dy = AT(derivative)(xy + i, row, 0),
        dz = AT(along)(xz + i, 0, w, 0);
    CLOSE(dz, xz, stress_node);
    ABSORB_X(dx, 0, h);
    ABSORB_Y(dy, 0, n);
    ABSORB_Z(dz, 0, n);
    AT(add_product)(vx + i, TWICE / (r0 + AT(load)(r + i + sx)), dx + dy + dz);
    dx = AT(derivative)(xy + i, sx, 0), dy = AT(derivative)(yy + i, row, 1), dz = AT(along)(yz + i, 0, w, 1);
    CLOSE(dz, yz, stress_node);
    ABSORB_X(dx, 1, n);
    ABSORB_Y(dy, 1, h);
    ABSORB_Z(dz, 1, n);
    AT(add_product)(vy + i, TWICE / (r0 + AT(load)(r + i + row)), dx + dy + dz);
    dx = AT(derivative)(xz + i, sx, 0), dy = AT(derivative)(yz + i, row, 0), dz = AT(along)(zz + i, 1, w, 2);
    CLOSE(dz, zz, stress_half);
    ABSORB_X(dx, 2, n);
    ABSORB_Y(dy, 2, n);
    ABSORB_Z(dz, 2, h);
    AT(add_product)(vz + i, TWICE / (r0 + AT(load)(r + i + 1)), dx + dy + dz);
}

/* Add the change x of a stress to it, less what relaxes; y is the part of x that the mechanism may relax. */
INLINE void AT(relax)(real *s, real *memory, vec x, vec y, vec decay, vec gain) {
    const vec old = AT(load)(memory), r = decay * old + gain * y;
    AT(store)(memory, r);
    AT(add)(s, x - (r + old));
}

/* phi of shear on an edge, times 4: `a` and `b` are the ways to its other nodes. */
INLINE vec AT(edge)(const real *q, int64_t a, int64_t b) {
    return (AT(load)(q) + AT(load)(q + a)) + (AT(load)(q + b) + AT(load)(q + a + b));
}

INLINE void AT(stress)(const line *l, int64_t i, const cases c, AT(window) * w) {
    const int64_t sx = l->plane, row = l->row, sf = l->array, ahead = (2 * R + 2) * sx + R * row;
    const real *vx = l->f, *vy = vx + sf, *vz = vy + sf;
    real *xx = l->f + 3 * sf, *yy = xx + sf, *zz = yy + sf, *xy = zz + sf, *xz = xy + sf, *yz = xz + sf;
    const real *ratio = yz + 2 * sf, *c33 = ratio + sf, *ixy = c33 + sf, *ixz = ixy + sf;
    FETCH_FIELD(ratio + i + sx);
    FETCH_FIELD(c33 + i + sx);
    FETCH_FIELD(ixy + i + 2 * sx);
    FETCH_FIELD(ixz + i + 2 * sx);
    FETCH_FIELD(xx + i + ahead);
    FETCH_FIELD(xy + i + ahead - sx);
    FETCH_FIELD(xz + i + ahead - sx);
    vec dx = AT(derivative)(vx + i, sx, 0), dy = AT(derivative)(vy + i, row, 0),
        dz = AT(along)(vz + i, 0, w, 2);
    CLOSE(dz, vz, velocity_node);
    ABSORB_X(dx, 3, n);
    ABSORB_Y(dy, 3, n);
    ABSORB_Z(dz, 3, n);
    const real *ql = l->q, *qm = ql + sf;
    real *rxx = l->q + RXX * sf, *rxy = rxx + 3 * sf;
    vec decay = {0}, gain = {0}, q = {0};
    dx = SPLAT((real)ELASTIC3D_C1) * dx, dy = SPLAT((real)ELASTIC3D_C1) * dy,
    dz = SPLAT((real)ELASTIC3D_C1) * dz;
    const vec flat = dx + dy, share = AT(load)(ratio + i), m = (real)2 / AT(load)(ixy + i);
    const vec z = AT(load)(c33 + i) * AT(fma)(share, flat, dz), both = share * AT(fma)(m, flat, z);
    const vec x = AT(fma)(m, dx, both), y = AT(fma)(m, dy, both);
    vec t = {0};
    if (c.loss) {
        FETCH(ql + i + sx);
        FETCH(qm + i + 2 * sx);
        for (int k = 0; k < 6; k++)
            FETCH(rxx + k * sf + i + sx);
        decay = AT(load)(l->relax), gain = AT(load)(l->relax + ELASTIC3D_ALIGN);
        t = AT(load)(ql + i) * (flat + dz), q = AT(load)(qm + i);
    }
    ADD(xx + i, rxx + i, x, AT(fma)(q, x, t));
    ADD(yy + i, rxx + sf + i, y, AT(fma)(q, y, t));
    ADD(zz + i, rxx + 2 * sf + i, z, AT(fma)(q, z, t));
    gain = (real)0.25 * gain;
    dx = AT(derivative)(vy + i, sx, 1), dy = AT(derivative)(vx + i, row, 1);
    ABSORB_X(dx, 4, h);
    ABSORB_Y(dy, 4, h);
    SHEAR(xy + i, rxy + i, sx, row, 4,
          (AT(load)(ixy + i) + AT(load)(ixy + i + sx)) +
              (AT(load)(ixy + i + row) + AT(load)(ixy + i + sx + row)),
          dx + dy);
    const vec here = AT(load)(ixz + i);
    dx = AT(derivative)(vz + i, sx, 1), dz = AT(along)(vx + i, 1, w, 0);
    CLOSE(dz, vx, velocity_half);
    ABSORB_X(dx, 5, h);
    ABSORB_Z(dz, 4, h);
    SHEAR(xz + i, rxy + sf + i, sx, 1, 2, here + AT(load)(ixz + i + sx), dx + dz);
    dy = AT(derivative)(vz + i, row, 1), dz = AT(along)(vy + i, 1, w, 1);
    CLOSE(dz, vy, velocity_half);
    ABSORB_Y(dy, 5, h);
    ABSORB_Z(dz, 5, h);
    SHEAR(yz + i, rxy + 2 * sf + i, row, 1, 2, here + AT(load)(ixz + i + row), dy + dz);
}

#undef SPLAT
#undef ABSORB_X
#undef ABSORB_Y
#undef ABSORB_Z
#undef FETCH
#undef FETCH_FIELD
#undef ADD
#undef CLOSE
#undef SHEAR
#undef TWICE
#undef WEIGHT
#undef FULL
#undef vec
#undef loose
#undef AT
#undef JOIN
#undef JOIN_
#undef LANES
