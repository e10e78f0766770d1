/* The 3D elastic wave equation on the CPU; the scheme is drawn in elastic3d.h.
 *
 * What makes it fast: one sweep over x a time step (stress follows velocity two planes behind, in y the
 * blocks are skewed by two rows, so the update stays in place), prefetch of the next plane (thirteen streams
 * are too many for the hardware), averages of the material on the fly, explicit vectors. Threads share x; the
 * stress planes that touch a neighbour's velocity wait for a barrier, so the bits do not depend on threads or
 * blocks.
 *
 * Compiled once for each type (REAL_BITS) and instruction set (LEVEL); dispatch.c chooses.
 */
#include <string.h>

#if REAL_BITS == 64
typedef double real;
#else
typedef float real;
#endif

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "elastic3d_rows.h"

#if __FINITE_MATH_ONLY__
#error "no -ffast-math: outside the grid density is infinite, and the check for NaN would be removed"
#endif

#define PASTE_(name, bits, level) name##_f##bits##_##level
#define PASTE(name, bits, level) PASTE_(name, bits, level)
#define EXPORT(name) PASTE(name, REAL_BITS, LEVEL)
#define CHECK_EVERY 50

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Number of a plane or row in the absorbing slabs of its axis, -1 outside them. */
static int64_t slab(int64_t i, int64_t n, int64_t cells) {
    if (i < cells)
        return i;
    return cells && i >= n - 1 - cells ? i - (n - 1 - 2 * cells) : -1;
}

static void inject(const elastic3d_grid *g, const elastic3d_sources *s, int64_t x, int64_t y0, int64_t y1,
                   int64_t n) {
    real *f = g->fields;
    const double *samples = s->samples + n * s->signals;
    for (int64_t e = s->first[x]; e < s->first[x + 1]; e++)
        if (s->y[e] >= y0 && s->y[e] < y1)
            f[s->offset[e]] += (real)(s->weight[e] * samples[s->signal[e]]);
}

typedef struct {
    const elastic3d_grid *g;
    const surface *top;
    const elastic3d_sources *forces, *moments;
    const elastic3d_receivers *receivers;
    const elastic3d_snapshots *snapshots;
} run;

/* Rows y0 to y1 of plane x: velocity and forces, or stress and moments. Rows outside the grid and planes
 * outside [xa, xb) are left out. */
static void block(const run *r, int stress, int64_t x, int64_t xa, int64_t xb, int64_t y0, int64_t y1,
                  int64_t n) {
    const elastic3d_grid *g = r->g;
    if (y0 < 0)
        y0 = 0;
    y1 = least(y1, g->ny);
    if (x < xa || x >= xb || y0 >= y1)
        return;
    const int64_t slabs = 2 * g->cells + 1, px = slab(x, g->nx, g->cells), height = g->row - g->bottom;
    const real *ax = g->pml_x, *ay = g->pml_y, *az = g->pml_z;
    line l = {.g = g, .top = r->top};
    l.axn = ax[x], l.bxn = ax[g->nx + x], l.axh = ax[2 * g->nx + x], l.bxh = ax[3 * g->nx + x];
    l.azn = az, l.bzn = az + g->row, l.azh = az + 2 * g->row, l.bzh = az + 3 * g->row;
    for (int64_t y = y0; y < y1; y++) {
        const int64_t py = slab(y, g->ny, g->cells);
        l.f = (real *)g->fields + g->origin + x * g->plane + y * g->row;
        l.qx = px < 0 ? 0 : (real *)g->psi_x + (px * g->ny + y) * 6 * g->row;
        l.qy = py < 0 ? 0 : (real *)g->psi_y + (x * slabs + py) * 6 * g->row;
        l.qz = (real *)g->psi_z + (x * g->ny + y) * 6 * height;
        l.ayn = ay[y], l.byn = ay[g->ny + y], l.ayh = ay[2 * g->ny + y], l.byh = ay[3 * g->ny + y];
        (stress ? stress_rows : velocity_rows)[px >= 0][py >= 0](&l);
    }
    inject(g, stress ? r->moments : r->forces, x, y0, y1, n);
}

/* One time step of planes x0 to x1, stress of planes s0 to s1 included. */
static void sweep(const run *r, int64_t x0, int64_t x1, int64_t s0, int64_t s1, int64_t n) {
    const int64_t ny = r->g->ny, lag = ELASTIC3D_HALO,
                  by = r->g->block > 0 ? least(r->g->block, ny + lag) : ny + lag;
    for (int64_t y = 0; y < ny + lag; y += by)
        for (int64_t x = x0; x < x1 + lag; x++) {
            block(r, 0, x, x0, x1, y, y + by, n);
            block(r, 1, x - lag, s0, s1, y - lag, y - lag + by, n);
        }
}

static void record(const run *r, int64_t from, int64_t to, int64_t n) {
    const elastic3d_receivers *c = r->receivers;
    const real *f = r->g->fields;
    for (int64_t i = from; i < to; i++) {
        double sum = 0;
        for (int64_t e = c->first[i]; e < c->first[i + 1]; e++)
            sum += c->weight[e] * (double)f[c->offset[e]];
        c->out[n * c->count + i] = sum;
    }
}

/* Copy planes x0 to x1 of the velocity into the slot of step n, if it has one. */
static void keep(const run *r, int64_t x0, int64_t x1, int64_t n) {
    const elastic3d_snapshots *s = r->snapshots;
    const elastic3d_grid *g = r->g;
    if (!s->every || n % s->every != s->phase)
        return;
    const int64_t nx = s->x1 - s->x0, ny = s->y1 - s->y0;
    real *slot = (real *)s->data + n / s->every * 3 * nx * ny * s->z1;
    for (int k = VX; k <= VZ; k++)
        for (int64_t x = x0 > s->x0 ? x0 : s->x0; x < least(x1, s->x1); x++)
            for (int64_t y = s->y0; y < s->y1; y++)
                memcpy(slot + ((k * nx + x - s->x0) * ny + y - s->y0) * s->z1,
                       (const real *)g->fields + k * g->array + g->origin + x * g->plane + y * g->row,
                       (size_t)s->z1 * sizeof(real));
}

/* Whether the velocity of planes x0 to x1 is finite. */
static int all_finite(const elastic3d_grid *g, int64_t x0, int64_t x1) {
    for (int k = VX; k <= VZ; k++)
        for (int64_t x = x0; x < x1; x++)
            for (int64_t y = 0; y < g->ny; y++) {
                const real *f =
                    (const real *)g->fields + k * g->array + g->origin + x * g->plane + y * g->row;
                real zero = 0;
                for (int64_t z = 0; z < g->nz; z++)
                    zero += f[z] * 0;
                if (!(zero == 0))
                    return 0;
            }
    return 1;
}

static unsigned flush_denormals(void) {
#if defined(__SSE2__)
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040);
    return old;
#else
    return 0;
#endif
}

static void restore_denormals(unsigned old) {
#if defined(__SSE2__)
    _mm_setcsr(old);
#else
    (void)old;
#endif
}

#ifdef _OPENMP
#define BARRIER _Pragma("omp barrier")
#else
#define BARRIER
#endif

/* Steps `first` to `first + steps` of thread t of `threads`; the step after which the field was not finite,
 * plus one. */
static int64_t advance(const run *r, int64_t t, int64_t threads, int64_t first, int64_t steps, int64_t *bad) {
    const elastic3d_grid *g = r->g;
    const int64_t nx = g->nx, x0 = nx * t / threads, x1 = nx * (t + 1) / threads, lag = ELASTIC3D_HALO;
    const int64_t s0 = t ? x0 + lag : 0, s1 = t < threads - 1 ? x1 - lag : nx, count = r->receivers->count;
    /* velocity is complete after the first barrier; who records stress has to wait for the last planes */
    int late = 0;
    for (int64_t e = 0; e < r->receivers->first[count]; e++)
        late |= r->receivers->offset[e] >= XX * g->array;
    /* planes beyond the grid are copied by the threads at the ends */
    const int64_t k0 = t ? x0 : -lag, k1 = t < threads - 1 ? x1 : nx + lag;
    for (int64_t n = first; n < first + steps; n++) {
        sweep(r, x0, x1, s0, s1, n);
        BARRIER
        for (int64_t x = x0; x < x1; x++)
            if (x < s0 || x >= s1)
                block(r, 1, x, x0, x1, 0, g->ny, n);
        if (late) {
            BARRIER
        }
        record(r, count * t / threads, count * (t + 1) / threads, n);
        keep(r, k0, k1, n);
        if ((n % CHECK_EVERY == CHECK_EVERY - 1 || n == first + steps - 1) && !all_finite(g, x0, x1))
            bad[t] = n + 1;
        BARRIER
        for (int64_t i = 0; i < threads; i++)
            if (bad[i])
                return bad[i];
    }
    return 0;
}

/* Advance the fields by `steps` time steps, the first of which is number `first`.
 * Returns 0; n + 1 where the field is found not finite after step n; -1 for a grid that cannot be. */
int64_t EXPORT(elastic3d_advance)(const elastic3d_grid *g, const elastic3d_sources *forces,
                                  const elastic3d_sources *moments, const elastic3d_receivers *receivers,
                                  const elastic3d_snapshots *snapshots, int64_t first, int64_t steps) {
    enum { MOST = 1024 };
    int64_t threads = least(least(g->threads, MOST), g->nx / (4 * ELASTIC3D_HALO)), bad[MOST] = {0},
            result = 0;
    if (threads < 1)
        threads = 1;
    if (g->nx < 2 || g->ny < 2 || g->nz < ELASTIC3D_ALIGN || g->bottom < ELASTIC3D_ALIGN ||
        g->row < g->nz + 2)
        return -1;
    surface top;
    fill_surface(&top);
    const run r = {g, &top, forces, moments, receivers, snapshots};
#ifdef _OPENMP
#pragma omp parallel num_threads((int)threads)
    {
        unsigned old = flush_denormals();
        int64_t t = omp_get_thread_num(), found = advance(&r, t, omp_get_num_threads(), first, steps, bad);
        if (t == 0)
            result = found;
        restore_denormals(old);
    }
#else
    unsigned old = flush_denormals();
    result = advance(&r, 0, 1, first, steps, bad);
    restore_denormals(old);
#endif
    return result;
}

#include "elastic3d_gradient.h"
