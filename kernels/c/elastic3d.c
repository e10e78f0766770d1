/* The 3D elastic wave equation on the CPU; the scheme is drawn in elastic3d.h.
 *
 * What makes it fast: several time steps in one sweep over x (each stage, velocity and stress by turns,
 * follows the one before a few planes behind, in y the blocks are skewed by a few rows, so the update stays
 * in place), prefetch of the next plane (fourteen streams are too many for the hardware), averages of the
 * material on the fly, explicit vectors. Threads share the rows of each plane. The bits do not depend on
 * threads, blocks or steps.
 *
 * Compiled once for each order (ELASTIC3D_ORDER), type (REAL_BITS) and instruction set (LEVEL); dispatch.c
 * chooses.
 */
#include <pthread.h>
#include <stdatomic.h>
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

#define PASTE_(name, order, bits, level) name##_o##order##_f##bits##_##level
#define PASTE(name, order, bits, level) PASTE_(name, order, bits, level)
#define EXPORT(name) PASTE(name, ELASTIC3D_ORDER, REAL_BITS, LEVEL)
#define CHECK_EVERY 48 /* a multiple of each number of steps that a sweep may have */

/* Where threads wait for each other, every few ten microseconds: awake for a while, then asleep. */
typedef struct {
    atomic_int arrived, round;
    pthread_mutex_t lock;
    pthread_cond_t next;
} gate;

static void meet(gate *w, int64_t threads) {
    enum { AWAKE = 2000 };
    const int now = atomic_load(&w->round);
    if (threads == 1)
        return;
    if (atomic_fetch_add(&w->arrived, 1) + 1 == threads) {
        atomic_store(&w->arrived, 0);
        pthread_mutex_lock(&w->lock);
        atomic_fetch_add(&w->round, 1);
        pthread_cond_broadcast(&w->next);
        pthread_mutex_unlock(&w->lock);
        return;
    }
    for (int tries = 0; tries < AWAKE; tries++) {
        if (atomic_load(&w->round) != now)
            return;
#if defined(__SSE2__)
        _mm_pause();
#endif
    }
    pthread_mutex_lock(&w->lock);
    while (atomic_load(&w->round) == now)
        pthread_cond_wait(&w->next, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* How many positions of a sweep a thread has done; alone in its line of the cache. */
typedef struct {
    _Alignas(64) atomic_llong done;
    atomic_int sleepers;
} progress;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Number of a plane or row in the absorbing slabs of its axis, -1 outside them. */
static int64_t slab(int64_t i, int64_t n, int64_t cells) {
    if (i < cells)
        return i;
    return cells && i >= n - 1 - cells ? i - (n - 1 - 2 * cells) : -1;
}

typedef struct {
    const elastic3d_grid *g;
    const surface *top;
    const elastic3d_sources *forces, *moments;
    const elastic3d_receivers *receivers;
    const elastic3d_snapshots *snapshots;
    gate *gate;
    progress *progress; /* of each thread */
} run;

static void tell(const run *r, int64_t t, int64_t done) {
    atomic_store_explicit(&r->progress[t].done, done, memory_order_seq_cst);
    if (atomic_load(&r->progress[t].sleepers)) {
        pthread_mutex_lock(&r->gate->lock);
        pthread_cond_broadcast(&r->gate->next);
        pthread_mutex_unlock(&r->gate->lock);
    }
}

/* Wait until thread t has done so many positions: awake for a while, then asleep. */
static void follow(const run *r, int64_t t, int64_t wanted) {
    enum { AWAKE = 20000 };
    progress *other = &r->progress[t];
    for (int tries = 0; tries < AWAKE; tries++) {
        if (atomic_load_explicit(&other->done, memory_order_acquire) >= wanted)
            return;
#if defined(__SSE2__)
        _mm_pause();
#endif
    }
    pthread_mutex_lock(&r->gate->lock);
    atomic_fetch_add(&other->sleepers, 1);
    while (atomic_load(&other->done) < wanted)
        pthread_cond_wait(&r->gate->next, &r->gate->lock);
    atomic_fetch_sub(&other->sleepers, 1);
    pthread_mutex_unlock(&r->gate->lock);
}

static void inject(const elastic3d_grid *g, const elastic3d_sources *s, int64_t from, int64_t to, int64_t n) {
    real *f = g->fields;
    const double *samples = s->samples + n * s->signals;
    for (int64_t e = s->first[from]; e < s->first[to]; e++)
        f[s->offset[e]] += (real)(s->weight[e] * samples[s->signal[e]]);
}

/* Keep the terms of what is recorded in some rows; they are added later, in an order of their own. */
static void hold(const elastic3d_grid *g, const elastic3d_receivers *c, int stress, int64_t from, int64_t to,
                 int64_t step) {
    const real *f = g->fields;
    double *held = c->held + step * c->entries;
    for (int64_t i = c->row[stress][from]; i < c->row[stress][to]; i++)
        held[i] = c->weight[i] * (double)f[c->offset[i]];
}

/* Copy rows y0 to y1 of the velocity in plane x into the slot of step n; those of the halo go with the edge.
 */
static void keep(const elastic3d_grid *g, const elastic3d_snapshots *s, int64_t x, int64_t y0, int64_t y1,
                 int64_t n) {
    const int64_t nx = s->x1 - s->x0, ny = s->y1 - s->y0;
    const int64_t xa = x ? x : s->x0, xb = x < g->nx - 1 ? x + 1 : s->x1;
    y0 = y0 ? y0 : s->y0, y1 = y1 < g->ny ? y1 : s->y1;
    real *slot = (real *)s->data + (n / s->every - s->from) * 3 * nx * ny * s->z1;
    for (int k = VX; k <= VZ; k++)
        for (x = most(xa, s->x0); x < least(xb, s->x1); x++)
            for (int64_t y = most(y0, s->y0); y < least(y1, s->y1); y++)
                memcpy(slot + ((k * nx + x - s->x0) * ny + y - s->y0) * s->z1,
                       (const real *)g->fields + k * g->array + g->origin + x * g->plane + y * g->row,
                       (size_t)s->z1 * sizeof(real));
}

/* Planes from the first stage of a sweep to the foremost one of each array that its next position reads. */
static const int8_t reach[ARRAYS] = {1, 1, 1, 1 + R, 1, 1, 1 + R, 1 + R, 1, 2, 1 - R, 1 - R, 2 - R, 2 - R};

/* What stage s fetches for that position with row y of plane x: its share of the arrays. */
static void look_ahead(const elastic3d_grid *g, const elastic3d_part *p, int64_t s, int64_t x, int64_t y,
                       line *l) {
    l->fetches = 0;
    for (int64_t k = s; SPREAD && k < ARRAYS; k += 2 * p->steps) {
        const int64_t far = s * R + reach[k], plane = p->backward ? x - far : x + far;
        if (plane >= 0 && plane < g->nx)
            l->next[l->fetches++] = (const real *)g->fields + g->origin + k * g->array + plane * g->plane +
                                    (y + s * R + R) * g->row;
    }
}

/* Stage s of a sweep in rows y0 to y1 of plane x: velocity, or stress. */
static void update(const run *r, const elastic3d_part *p, int64_t s, int64_t x, int64_t y0, int64_t y1) {
    const elastic3d_grid *g = r->g;
    const int stress = s % 2, fetch = s < 2;
    const int64_t slabs = 2 * g->cells + 1, all = slab(x + g->first, g->total, g->cells);
    const int64_t px = all < 0 ? -1 : all - g->slab0;
    const real *ax = g->pml_x, *ay = g->pml_y, *az = g->pml_z;
    line l = {g->plane, g->row, g->array, g->nz, g->bottom, g->depth, .top = r->top};
    l.axn = ax[x], l.bxn = ax[g->nx + x], l.axh = ax[2 * g->nx + x], l.bxh = ax[3 * g->nx + x];
    l.azn = az, l.bzn = az + g->row, l.azh = az + 2 * g->row, l.bzh = az + 3 * g->row;
    l.ny = g->ny, l.far_x = g->ny * 6 * g->row, l.far_y = slabs * 6 * g->row, l.far_z = g->ny * 6 * g->depth;
    const int loss = stress && g->losses, kind = stress + loss;
    for (int64_t y = y0, next; y < y1; y = next) {
        const int64_t py = slab(y, g->ny, g->cells);
        next = y + 1;
        while (next < y1 && (slab(next, g->ny, g->cells) < 0) == (py < 0))
            next++;
        l.f = (real *)g->fields + g->origin + x * g->plane + y * g->row;
        l.qx = px < 0 ? g->psi_x : (real *)g->psi_x + (px * g->ny + y) * 6 * g->row;
        l.qy = py < 0 ? g->psi_y : (real *)g->psi_y + (x * slabs + py) * 6 * g->row;
        l.qz = (real *)g->psi_z + (x * g->ny + y) * 6 * g->depth;
        l.ay = ay + y;
        if (loss) {
            const real *relax = (const real *)g->relax + ((g->first + x) & 1) * 4 * ELASTIC3D_ALIGN;
            l.q = (real *)g->losses + g->origin + x * g->plane + y * g->row;
            l.relax = relax + (y & 1) * 2 * ELASTIC3D_ALIGN, l.other = relax + (~y & 1) * 2 * ELASTIC3D_ALIGN;
        } else
            l.q = l.f, l.relax = l.other = 0;
        look_ahead(g, p, s, x, y, &l);
        rows[kind][px >= 0][py >= 0][fetch](l, next - y);
    }
}

/* Stage s of a sweep in rows y0 to y1 of plane x: velocity and forces, or stress and moments, and what is
 * recorded and stored of them. */
static void stage(const run *r, const elastic3d_part *p, int64_t s, int64_t x, int64_t y0, int64_t y1) {
    const elastic3d_grid *g = r->g;
    const int stress = s % 2;
    const int64_t from = x * g->ny + y0, to = x * g->ny + y1, n = p->n + s / 2;
    update(r, p, s, x, y0, y1);
    inject(g, stress ? r->moments : r->forces, from, to, n);
    hold(g, r->receivers, stress, from, to, s / 2);
    if (!stress && r->snapshots->every && n % r->snapshots->every == r->snapshots->phase)
        keep(g, r->snapshots, x, y0, y1, n);
}

/* Planes that a stage covers which `later` stages of its sweep follow: of those of neighbours so many that
 * all that follows within the own planes finds what it reads. A stage reaches halo - 1/2 points. */
static void extent(const elastic3d_grid *g, int64_t later, int64_t *x0, int64_t *x1) {
    const int64_t reach = (later * (2 * ELASTIC3D_HALO - 1) + 1) / 2;
    *x0 = most(g->low - reach, 0), *x1 = least(g->nx - g->high + reach, g->nx);
}

/* Positions of a sweep; at each, stage s is s halo planes behind the first. */
static int64_t positions(const elastic3d_grid *g, int64_t steps) {
    return g->nx + (2 * steps - 1) * ELASTIC3D_HALO;
}

/* Steps n to n + steps in one passage through the grid: each stage (velocity, stress, velocity, ...) follows
 * the one before so many planes and rows behind that nothing is read after it has been overwritten. Rows are
 * cut into blocks, which the threads take by turns; a block reads what the one before it has done up to the
 * same position, and nothing of the one after it. So a thread waits for one other at most, and never where
 * that one is ahead.
 */
static void sweep(const run *r, const elastic3d_part *p, int64_t t, int64_t threads) {
    const elastic3d_grid *g = r->g;
    const int64_t steps = p->steps, lag = ELASTIC3D_HALO, ny = g->ny + (2 * steps - 1) * lag;
    /* a block reads 2 lag rows of the one before it, and must not reach beyond that */
    const int64_t by = most(g->block > 0 ? least(g->block, ny) : ny, 2 * lag);
    const int64_t turns = most(ny / (by * threads), 1);
    const int64_t blocks = turns * threads, many = p->to - p->from;
    for (int64_t turn = 0; turn < turns; turn++) {
        const int64_t block = turn * threads + t, y = ny * block / blocks, end = ny * (block + 1) / blocks;
        const int64_t before = turn - (t == 0); /* turn of the block before this one */
        for (int64_t x = p->from; x < p->to; x++) {
            if (block > 0 && threads > 1)
                follow(r, (t + threads - 1) % threads, before * many + x - p->from + 1);
            for (int64_t s = 0, x0, x1; s < 2 * steps; s++) {
                const int64_t behind = x - s * lag, plane = p->backward ? g->nx - 1 - behind : behind;
                const int64_t y0 = most(y - s * lag, 0), y1 = least(end - s * lag, g->ny);
                extent(g, 2 * steps - 1 - s, &x0, &x1);
                if (plane >= x0 && plane < x1 && y1 > y0)
                    stage(r, p, s, plane, y0, y1);
            }
            if (threads > 1)
                tell(r, t, turn * many + x - p->from + 1);
        }
    }
}

/* Add up what was recorded in the steps of a sweep. */
static void record(const elastic3d_receivers *c, int64_t from, int64_t to, int64_t n, int64_t steps) {
    for (int64_t step = 0; step < steps; step++)
        for (int64_t i = from; i < to; i++) {
            const double *held = c->held + step * c->entries;
            double sum = 0;
            for (int64_t p = c->first[i]; p < c->first[i + 1]; p++) {
                double plane = 0;
                for (int64_t e = c->piece[p]; e < c->piece[p + 1]; e++)
                    plane += held[c->place[e]];
                sum += plane;
            }
            c->out[(n + step) * c->count + i] = sum;
        }
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

/* A part of a passage; at its end what was recorded is added up, and now and then the field is looked at: the
 * step after which it was not finite, plus one. */
static int64_t passage(const run *r, const elastic3d_part *p, int last, int64_t t, int64_t threads,
                       int64_t *bad) {
    const elastic3d_grid *g = r->g;
    const int64_t nx = g->nx - g->low - g->high, count = r->receivers->count, n = p->n + p->steps;
    sweep(r, p, t, threads);
    if (p->to < positions(g, p->steps))
        return 0;
    meet(r->gate, threads);
    atomic_store(&r->progress[t].done, 0);
    record(r->receivers, count * t / threads, count * (t + 1) / threads, p->n, p->steps);
    if ((n % CHECK_EVERY == 0 || last) &&
        !all_finite(g, g->low + nx * t / threads, g->low + nx * (t + 1) / threads))
        bad[t] = n;
    meet(r->gate, threads);
    for (int64_t i = 0; i < threads; i++)
        if (bad[i])
            return bad[i];
    return 0;
}

/* Steps `first` to `first + steps` of thread t of `threads`. */
static int64_t advance(const run *r, int64_t t, int64_t threads, int64_t first, int64_t steps, int64_t *bad) {
    const int64_t end = first + steps, most_steps = least(most(r->g->sweep, 1), ELASTIC3D_SWEEP);
    int64_t found = 0;
    for (int64_t n = first, many; n < end && !found; n += many) {
        many = least(most_steps - n % most_steps, end - n); /* sweeps end where the field is looked at */
        const elastic3d_part whole = {n, many, 0, 0, positions(r->g, many)};
        found = passage(r, &whole, n + many == end, t, threads, bad);
    }
    return found;
}

/* Steps `first` to `first + steps`, or, if there is one, a part of a passage; with all threads. */
static int64_t work(const elastic3d_grid *g, const elastic3d_sources *forces,
                    const elastic3d_sources *moments, const elastic3d_receivers *receivers,
                    const elastic3d_snapshots *snapshots, const elastic3d_part *part, int64_t first,
                    int64_t steps) {
    enum { MOST = 1024 };
    int64_t threads = least(least(g->threads, MOST), g->ny / 8), bad[MOST] = {0}, result = 0;
    if (threads < 1)
        threads = 1;
    if (g->nx < 2 || g->ny < 2 || g->nz < ELASTIC3D_ALIGN || g->bottom < ELASTIC3D_ALIGN ||
        g->row < g->nz + ELASTIC3D_HALO)
        return -1;
    surface top;
    fill_surface(&top);
    gate door = {.lock = PTHREAD_MUTEX_INITIALIZER, .next = PTHREAD_COND_INITIALIZER};
    progress done[MOST] = {0};
    const run r = {g, &top, forces, moments, receivers, snapshots, &door, done};
#ifdef _OPENMP
#pragma omp parallel num_threads((int)threads)
#endif
    {
        const unsigned old = flush_denormals();
        int64_t t = 0, many = 1;
#ifdef _OPENMP
        t = omp_get_thread_num(), many = omp_get_num_threads();
#endif
        const int64_t found =
            part ? passage(&r, part, (int)steps, t, many, bad) : advance(&r, t, many, first, steps, bad);
        if (t == 0)
            result = found;
        restore_denormals(old);
    }
    return result;
}

/* Advance the fields by `steps` time steps, the first of which is number `first`.
 * Returns 0; n + 1 where the field is found not finite after step n; -1 for a grid that cannot be. */
int64_t EXPORT(elastic3d_advance)(const elastic3d_grid *g, const elastic3d_sources *forces,
                                  const elastic3d_sources *moments, const elastic3d_receivers *receivers,
                                  const elastic3d_snapshots *snapshots, int64_t first, int64_t steps) {
    return work(g, forces, moments, receivers, snapshots, 0, first, steps);
}

/* A part of a passage through the grid; the field is looked at after its last part if `last`. Returns as
 * elastic3d_advance. */
int64_t EXPORT(elastic3d_passage)(const elastic3d_grid *g, const elastic3d_sources *forces,
                                  const elastic3d_sources *moments, const elastic3d_receivers *receivers,
                                  const elastic3d_snapshots *snapshots, const elastic3d_part *part,
                                  int64_t last) {
    return work(g, forces, moments, receivers, snapshots, part, 0, last);
}

/* Weights of the closure's integer and half levels; returns their number. */
int64_t EXPORT(elastic3d_weights)(double *node, double *half) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH;
    memcpy(node, hi, sizeof hi);
    memcpy(half, hh, sizeof hh);
    return ELASTIC3D_ROWS;
}

/* Derivatives of velocity: rows of the closure at half levels (along z, of vx and vy) and at integer levels
 * (of vz), each [ELASTIC3D_ALIGN], and the coefficients of the interior; returns how many rows there are. */
int64_t EXPORT(elastic3d_stencils)(double *half, double *node, double *interior) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH, q1[][ELASTIC3D_TAPS] = ELASTIC3D_Q1,
                        q2[][ELASTIC3D_TAPS] = ELASTIC3D_Q2, stencil[] = ELASTIC3D_STENCIL;
    for (int k = 0; k < ELASTIC3D_ROWS; k++)
        for (int l = 0; l < ELASTIC3D_TAPS; l++) {
            half[k * ELASTIC3D_ALIGN + l] = q1[k][l] / hh[k];
            node[k * ELASTIC3D_ALIGN + l] = q2[k][l] / hi[k];
        }
    memcpy(interior, stencil, sizeof stencil);
    return ELASTIC3D_ROWS;
}

#include "elastic3d_gradient.h"
