/* The 3D elastic wave equation on the GPU; the scheme is drawn in elastic3d.h.
 *
 * A thread updates one point; lanes lie along z, so loads are coalesced, neighbours along y and z come from
 * the first cache, those along x from the second, which holds the few planes that a stencil spans. Several
 * events, each with fields and memory variables of its own and one material, go into one launch: events are
 * the slowest dimension. What changes from step to step, its number, lies in the memory of the device, so
 * that a graph of launches can be replayed. Nothing is added by several threads, so the bits do not depend on
 * the order of blocks.
 */
#include "device.h"

#include "elastic3d.h"

#ifndef REAL_BITS
#define REAL_BITS 32
#endif
#if REAL_BITS == 64
typedef double real;
#else
typedef float real;
#endif
#define R ELASTIC3D_HALO
#ifndef LOSS
#define LOSS 0 /* attenuation */
#endif

typedef struct {
    int64_t nx, ny, nz, events;
    int64_t row, plane, array, origin;           /* as in elastic3d_grid */
    int64_t cells, bottom, depth;                /* likewise */
    int64_t state, psi_wide, psi_tall, psi_deep; /* elements of the fields and memory variables of an event */
    real *fields;                                /* (events, FIELDS arrays) */
    const real *material;                        /* RHO to IXZ of elastic3d.h */
    real *psi_x, *psi_y, *psi_z;                 /* (events, ...) as in elastic3d_grid */
    const real *pml_x, *pml_y, *pml_z;           /* likewise */
    int64_t *step;                               /* number of the time step */
    int32_t *bad;                                /* whether a velocity is infinite or not a number */
    int64_t places, signals;                     /* sources: points that something is added to; series */
    const int64_t *begin, *offset;               /* (places + 1) into the entries; (places) in the fields */
    const int64_t *signal;                       /* (entries) */
    const double *weight, *samples;              /* (entries); (steps, signals) */
    int64_t records;                             /* receivers */
    const int64_t *first, *from;                 /* (records + 1) into the entries; (entries) in the fields */
    const double *share;                         /* (entries) */
    double *out;                                 /* (steps, records) */
    int64_t x0, x1, y0, y1, z1;                  /* points that are stored, or nodes of a gradient */
    int64_t sx0, sx1, sy0, sy1, sz1; /* points that are stored, where nodes are those of a gradient */
    real *stored;                    /* (3, x1 - x0, y1 - y0, z1) of one step, of the only event */
    const int64_t *homes;            /* (events) addresses of what is stored of each; null: `stored` */
    int64_t shift;                   /* elements from there to the step */
    real *sums;                      /* (events, SUMS, nodes) */
    const real *phi;     /* strengths of the relaxation: PHI_LAM, PHI_MU; null without attenuation */
    real *relaxed;       /* (events, 6 arrays) memory variables of the stresses */
    const real *relax;   /* decay and gain, by x and y modulo 2 and level: [2][2][2][ELASTIC3D_ALIGN] */
    int32_t after, wide; /* whether the adjoint step is done; not used */
} elastic_work;

/* Rows of the derivatives along z near the surface, for each level: what each of the first levels is times.
 */
struct closures {
    real velocity_half[ELASTIC3D_ROWS][ELASTIC3D_TAPS], velocity_node[ELASTIC3D_ROWS][ELASTIC3D_TAPS];
    real stress_node[ELASTIC3D_ROWS][ELASTIC3D_TAPS], stress_half[ELASTIC3D_ROWS][ELASTIC3D_TAPS];
    real weight_node[ELASTIC3D_ROWS], weight_half[ELASTIC3D_ROWS];
};

__host__ __device__ constexpr double interior(int from) {
    constexpr double stencil[] = ELASTIC3D_STENCIL;
    return from >= 0 && from < R ? stencil[from] : from < 0 && from >= -R ? -stencil[-1 - from] : 0.0;
}

__host__ __device__ constexpr closures make_closures() {
    constexpr double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH;
    constexpr double q1[][ELASTIC3D_TAPS] = ELASTIC3D_Q1, q2[][ELASTIC3D_TAPS] = ELASTIC3D_Q2;
    closures c = {};
    for (int k = 0; k < ELASTIC3D_ROWS; k++) {
        c.weight_node[k] = (real)hi[k];
        c.weight_half[k] = (real)hh[k];
        for (int l = 0; l < ELASTIC3D_TAPS; l++) {
            c.velocity_half[k][l] = (real)(q1[k][l] / hh[k]);
            c.velocity_node[k][l] = (real)(q2[k][l] / hi[k]);
            /* rows of a transpose beyond the closure are those of the interior stencil */
            c.stress_node[k][l] = (real)(l < ELASTIC3D_ROWS ? -q1[l][k] / hi[k] : interior(l - k) / hi[k]);
            c.stress_half[k][l] =
                (real)(l < ELASTIC3D_ROWS ? -q2[l][k] / hh[k] : interior(l - k - 1) / hh[k]);
        }
    }
    return c;
}

__constant__ closures surface = make_closures();

/* Where a thread is: its point, event, and the pointers to it. */
typedef struct {
    int64_t x, y, k, slab_x, slab_y;
    real *f;
    const real *m;
    real *qx, *qy, *qz; /* of memory variable 0; null outside the layer */
} point;

/* Number of a plane or row in the absorbing slabs of its axis, -1 outside them. */
DEVICE int64_t slab(int64_t i, int64_t n, int64_t cells) {
    if (i < cells)
        return i;
    return cells && i >= n - 1 - cells ? i - (n - 1 - 2 * cells) : -1;
}

/* Block: 32 along z, 8 along y. Grid: tiles of z and y, x, events. */
DEVICE bool locate(const elastic_work &p, point &a) {
    const int64_t across = (p.nz + 31) / 32, event = blockIdx.z, slabs = 2 * p.cells + 1;
    a.k = (int64_t)blockIdx.x % across * 32 + threadIdx.x;
    a.y = (int64_t)blockIdx.x / across * 8 + threadIdx.y;
    a.x = blockIdx.y;
    if (a.k >= p.nz || a.y >= p.ny)
        return false;
    const int64_t place = p.origin + a.x * p.plane + a.y * p.row + a.k;
    a.f = p.fields + event * p.state + place;
    a.m = p.material + place;
    a.slab_x = slab(a.x, p.nx, p.cells), a.slab_y = slab(a.y, p.ny, p.cells);
    a.qx = a.slab_x < 0 ? 0 : p.psi_x + event * p.psi_wide + (a.slab_x * p.ny + a.y) * 6 * p.row + a.k;
    a.qy = a.slab_y < 0 ? 0 : p.psi_y + event * p.psi_tall + (a.x * slabs + a.slab_y) * 6 * p.row + a.k;
    a.qz =
        a.k < p.bottom ? 0 : p.psi_z + event * p.psi_deep + (a.x * p.ny + a.y) * 6 * p.depth + a.k - p.bottom;
    return true;
}

/* Derivative along a stride, at the point (half 0) or half a point on (1). */
DEVICE real derivative(const real *s, int64_t stride, int half) {
    s += half * stride;
    real d = (real)ELASTIC3D_C1 * (s[0] - s[-stride]) + (real)ELASTIC3D_C2 * (s[stride] - s[-2 * stride]);
#if ELASTIC3D_ORDER == 8
    d += (real)ELASTIC3D_C3 * (s[2 * stride] - s[-3 * stride]) +
         (real)ELASTIC3D_C4 * (s[3 * stride] - s[-4 * stride]);
#endif
    return d;
}

/* The same along z, by the closure near the surface; s is at level k. */
DEVICE real down(const real *s, int64_t k, const real (*rows)[ELASTIC3D_TAPS], int half) {
    if (k >= ELASTIC3D_ROWS)
        return derivative(s, 1, half);
    real d = 0;
    for (int l = 0; l < ELASTIC3D_TAPS; l++)
        d += rows[k][l] * s[l - k];
    return d;
}

DEVICE real absorb(real d, real *psi, real a, real b) {
    const real m = b * *psi + a * d;
    *psi = m;
    return d + m;
}
/* n is 0 at nodes and 2 at half nodes: rows of the profiles. */
#define ABSORB_X(d, m, n)                                                                                    \
    (a.qx ? absorb(d, a.qx + (m) * p.row, p.pml_x[(n) * p.nx + a.x], p.pml_x[((n) + 1) * p.nx + a.x]) : (d))
#define ABSORB_Y(d, m, n)                                                                                    \
    (a.qy ? absorb(d, a.qy + (m) * p.row, p.pml_y[(n) * p.ny + a.y], p.pml_y[((n) + 1) * p.ny + a.y]) : (d))
#define ABSORB_Z(d, m, n)                                                                                    \
    (a.qz ? absorb(d, a.qz + (m) * p.depth, p.pml_z[(n) * p.row + a.k], p.pml_z[((n) + 1) * p.row + a.k])    \
          : (d))

KERNEL __launch_bounds__(256) elastic_velocity(const elastic_work p) {
    point a;
    if (!locate(p, a))
        return;
    const int64_t sx = p.plane, sy = p.row, n = p.array;
    const real *r = a.m, r0 = *r;
    const real *xx = a.f + XX * n, *yy = a.f + YY * n, *zz = a.f + ZZ * n;
    const real *xy = a.f + XY * n, *xz = a.f + XZ * n, *yz = a.f + YZ * n;
    real dx = ABSORB_X(derivative(xx, sx, 1), 0, 2);
    real dy = ABSORB_Y(derivative(xy, sy, 0), 0, 0);
    real dz = ABSORB_Z(down(xz, a.k, surface.stress_node, 0), 0, 0);
    a.f[VX * n] += (real)2 / (r0 + r[sx]) * (dx + dy + dz);
    dx = ABSORB_X(derivative(xy, sx, 0), 1, 0);
    dy = ABSORB_Y(derivative(yy, sy, 1), 1, 2);
    dz = ABSORB_Z(down(yz, a.k, surface.stress_node, 0), 1, 0);
    a.f[VY * n] += (real)2 / (r0 + r[sy]) * (dx + dy + dz);
    dx = ABSORB_X(derivative(xz, sx, 0), 2, 0);
    dy = ABSORB_Y(derivative(yz, sy, 0), 2, 0);
    dz = ABSORB_Z(down(zz, a.k, surface.stress_half, 1), 2, 2);
    a.f[VZ * n] += (real)2 / (r0 + r[1]) * (dx + dy + dz);
}

/* What relaxes at a point: its decay, its gain, and the memory variable of the first stress. */
typedef struct {
    real decay, gain, *memory;
} relaxing;

/* Add the change x of a stress to it, less what relaxes; y is the part of x that the mechanism may relax. */
DEVICE void add(real *stress, const relaxing &w, int64_t field, real x, real y) {
#if LOSS
    const real old = w.memory[field], now = w.decay * old + w.gain * y;
    w.memory[field] = now;
    x -= now + old;
#endif
    *stress += x;
}

/* Strength of shear on an edge, times 4: `a` and `b` are the ways to its other nodes. */
DEVICE real edge(const real *q, int64_t a, int64_t b) {
#if LOSS
    return (q[0] + q[a]) + (q[b] + q[a + b]);
#else
    return 0;
#endif
}

KERNEL __launch_bounds__(256) elastic_stress(const elastic_work p) {
    point a;
    if (!locate(p, a))
        return;
    const int64_t sx = p.plane, sy = p.row, n = p.array;
    const real *vx = a.f + VX * n, *vy = a.f + VY * n, *vz = a.f + VZ * n;
    real dx = ABSORB_X(derivative(vx, sx, 0), 3, 0);
    real dy = ABSORB_Y(derivative(vy, sy, 0), 3, 0);
    real dz = ABSORB_Z(down(vz, a.k, surface.velocity_node, 0), 3, 0);
    const real *ixy = a.m + (IXY - RHO) * n, *ixz = a.m + (IXZ - RHO) * n;
    const real ratio = a.m[(RATIO - RHO) * n], mu2 = 2 / *ixy;
    const real change_z = a.m[(C33 - RHO) * n] * (dz + ratio * (dx + dy));
    relaxing w = {};
#if LOSS
    const real *relax = p.relax + ((a.x & 1) * 2 + (a.y & 1)) * 2 * ELASTIC3D_ALIGN + a.k % ELASTIC3D_ALIGN;
    const int64_t place = p.origin + a.x * p.plane + a.y * p.row + a.k;
    const real *strong = p.phi + place + n, q = *strong, loss = p.phi[place] * (dx + dy + dz);
    w.decay = relax[0], w.gain = relax[ELASTIC3D_ALIGN];
    w.memory = p.relaxed + (int64_t)blockIdx.z * 6 * n + place;
#else
    const real *strong = 0, q = 0, loss = 0;
#endif
    if (a.k > 0) /* szz is zero at the surface */
        add(a.f + ZZ * n, w, 2 * n, change_z, loss + q * change_z);
    const real both = ratio * (change_z + mu2 * (dx + dy));
    const real change_x = both + mu2 * dx, change_y = both + mu2 * dy;
    add(a.f + XX * n, w, 0, change_x, loss + q * change_x);
    add(a.f + YY * n, w, n, change_y, loss + q * change_y);
    w.gain *= (real)0.25;
    dx = ABSORB_X(derivative(vy, sx, 1), 4, 2);
    dy = ABSORB_Y(derivative(vx, sy, 1), 4, 2);
    const real change_xy = (real)4 / ((ixy[0] + ixy[sx]) + (ixy[sy] + ixy[sx + sy])) * (dx + dy);
    add(a.f + XY * n, w, 3 * n, change_xy, edge(strong, sx, sy) * change_xy);
    dx = ABSORB_X(derivative(vz, sx, 1), 5, 2);
    dz = ABSORB_Z(down(vx, a.k, surface.velocity_half, 1), 4, 2);
    const real change_xz = (real)2 / (ixz[0] + ixz[sx]) * (dx + dz);
    add(a.f + XZ * n, w, 4 * n, change_xz, edge(strong, sx, 1) * change_xz);
    dy = ABSORB_Y(derivative(vz, sy, 1), 5, 2);
    dz = ABSORB_Z(down(vy, a.k, surface.velocity_half, 1), 5, 2);
    const real change_yz = (real)2 / (ixz[0] + ixz[sy]) * (dy + dz);
    add(a.f + YZ * n, w, 5 * n, change_yz, edge(strong, sy, 1) * change_yz);
}

/* Add what sources give at this step; each point by one thread, its entries in order. Grid: places. */
KERNEL __launch_bounds__(128) elastic_inject(const elastic_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= p.places)
        return;
    const double *samples = p.samples + *p.step * p.signals;
    real value = p.fields[p.offset[i]];
    for (int64_t e = p.begin[i]; e < p.begin[i + 1]; e++)
        value += (real)(p.weight[e] * samples[p.signal[e]]);
    p.fields[p.offset[i]] = value;
}

/* Record this step: a warp for each receiver. Grid: records. */
KERNEL __launch_bounds__(32) elastic_record(const elastic_work p) {
    const int64_t r = blockIdx.x;
    double sum = 0;
    for (int64_t e = p.first[r] + threadIdx.x; e < p.first[r + 1]; e += 32)
        sum += p.share[e] * (double)p.fields[p.from[e]];
    for (int m = 16; m > 0; m /= 2)
        sum += __shfl_xor_sync(ALL_LANES, sum, m);
    if (threadIdx.x == 0)
        p.out[*p.step * p.records + r] = sum;
}

/* The step is done. Grid: one thread. */
KERNEL __launch_bounds__(32) elastic_tick(const elastic_work p) {
    if (threadIdx.x == 0)
        *p.step += 1;
}

/* Look at the velocity. Block and grid as of elastic_velocity. */
KERNEL __launch_bounds__(256) elastic_look(const elastic_work p) {
    point a;
    if (!locate(p, a))
        return;
    const real x = a.f[VX * p.array], y = a.f[VY * p.array], z = a.f[VZ * p.array];
    if (!(x - x == 0 && y - y == 0 && z - z == 0))
        *p.bad = 1; /* all that write write the same */
}

DEVICE real *stored_of(const elastic_work &p, int64_t event) {
    return p.homes ? (real *)p.homes[event] + p.shift : p.stored;
}

/* Store the velocity. Block: 32 along z, 8 along y. Grid: tiles of z and y, x, events times 3. */
KERNEL __launch_bounds__(256) elastic_keep(const elastic_work p) {
    const int64_t nx = p.x1 - p.x0, ny = p.y1 - p.y0, across = (p.z1 + 31) / 32;
    const int64_t k = (int64_t)blockIdx.x % across * 32 + threadIdx.x, x = blockIdx.y;
    const int64_t y = (int64_t)blockIdx.x / across * 8 + threadIdx.y, event = blockIdx.z / 3,
                  field = blockIdx.z % 3;
    if (k >= p.z1 || y >= ny)
        return;
    stored_of(p, event)[((field * nx + x) * ny + y) * p.z1 + k] =
        p.fields[event * p.state + field * p.array + p.origin + (p.x0 + x) * p.plane + (p.y0 + y) * p.row +
                 k];
}

/* Correlation of a stored velocity with the adjoint fields; see c/elastic3d_gradient.h.
 * Block: 32 along z, 8 along y. Grid: tiles of z and y of the nodes, x, events. */
KERNEL __launch_bounds__(256) elastic_correlate(const elastic_work p) {
    const int64_t nx = p.x1 - p.x0, ny = p.y1 - p.y0, nz = p.z1, across = (nz + 31) / 32, event = blockIdx.z;
    const int64_t k = (int64_t)blockIdx.x % across * 32 + threadIdx.x, i = blockIdx.y;
    const int64_t j = (int64_t)blockIdx.x / across * 8 + threadIdx.y;
    if (k >= nz || j >= ny)
        return;
    const int64_t place = p.origin + (p.x0 + i) * p.plane + (p.y0 + j) * p.row + k, n = p.array;
    const int64_t fx = p.plane, fy = p.row, sy = p.sz1, sx = (p.sy1 - p.sy0) * sy, sn = (p.sx1 - p.sx0) * sx;
    const real *f = p.fields + event * p.state + place, *m = p.material + place;
    const real *u = stored_of(p, event) + (p.x0 + i - p.sx0) * sx + (p.y0 + j - p.sy0) * sy + k;
    const real *v = u + sn, *w = v + sn;
    const int64_t size = nx * ny * nz;
    real *s = p.sums + event * SUMS * size + (i * ny + j) * nz + k;
    const real left = i > 0, right = i < nx - 1, front = j > 0, back = j < ny - 1, below = k < nz - 1;
    const real hi = k < ELASTIC3D_ROWS ? surface.weight_node[k] : (real)1;
    const real hh = k < ELASTIC3D_ROWS ? surface.weight_half[k] : (real)1;
    const real above = k == 0 ? (real)0 : k <= ELASTIC3D_ROWS ? surface.weight_half[k - 1] : (real)1;
    const real *px = f + VX * n, *py = f + VY * n, *pz = f + VZ * n;
    const int64_t up = k > 0;
    const real rx = right * (px[0] * u[0]) + left * (px[-fx] * u[-sx]);
    const real ry = back * (py[0] * v[0]) + front * (py[-fy] * v[-sy]);
    const real rz = below * hh * (pz[0] * w[0]) + above * (pz[-up] * w[-up]);
    s[SUM_RHO * size] += (p.after ? (real)0.5 : (real)-0.5) * (hi * (rx + ry) + rz);
    if (p.after)
        return;
    const real exx = derivative(u, sx, 0), eyy = derivative(v, sy, 0),
               ezz = down(w, k, surface.velocity_node, 0);
    const real gxy = derivative(v, sx, 1) + derivative(u, sy, 1);
    const real gxz = derivative(w, sx, 1) + down(u, k, surface.velocity_half, 1);
    const real gyz = derivative(w, sy, 1) + down(v, k, surface.velocity_half, 1);
    const real ratio = m[(RATIO - RHO) * n], c33 = m[(C33 - RHO) * n];
    const real *ixy = m + (IXY - RHO) * n, *ixz = m + (IXZ - RHO) * n, mu2 = 2 / *ixy;
    const real xx = f[XX * n], yy = f[YY * n], zz = f[ZZ * n], apart = (xx - yy) / mu2;
    const real more = exx + eyy, deep = ezz + ratio * more;
    const real flat = (xx + yy - 2 * ratio * zz) / (mu2 * (1 + 2 * ratio));
    const real qxx = (real)0.5 * (flat + apart), qyy = (real)0.5 * (flat - apart);
    const real qxy = f[XY * n] * (real)0.25 * ((ixy[0] + ixy[fx]) + (ixy[fy] + ixy[fx + fy]));
    const real qxz = f[XZ * n] * (real)0.5 * (ixz[0] + ixz[fx]);
    const real qyz = f[YZ * n] * (real)0.5 * (ixz[0] + ixz[fy]);
    s[SUM_RATIO * size] += hi * (flat * (c33 * deep + mu2 * more) + zz * more);
    s[SUM_C33 * size] += hi * (k == 0 ? (real)0 : zz / c33 * deep);
    s[SUM_C66 * size] += hi * 2 * (qxx * exx + qyy * eyy + ratio * flat * more);
    s[SUM_XY * size] += right * back * hi * qxy * gxy;
    s[SUM_XZ * size] += below * right * hh * qxz * gxz;
    s[SUM_YZ * size] += below * back * hh * qyz * gyz;
    s[SUM_FORWARD * size] += (real)0.5 * (u[0] * u[0] + u[-sx] * u[-sx] + v[0] * v[0] + v[-sy] * v[-sy] +
                                          w[0] * w[0] + w[-up] * w[-up]);
    s[SUM_ADJOINT * size] += (real)0.5 * (px[0] * px[0] + px[-fx] * px[-fx] + py[0] * py[0] +
                                          py[-fy] * py[-fy] + pz[0] * pz[0] + pz[-up] * pz[-up]);
}
