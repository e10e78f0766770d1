/* Matched filter on the CPU; what is computed is said in matched_filter.h.
 *
 * Time is cut into long segments, one for each lane of a vector, so the Fourier transform needs no shuffles
 * and a moveout is a shift by whole vectors. LANES segments are a sheet; a sheet is worked on in blocks of
 * one transform, of which `valid` lags are whole windows. Per block: two rows share one forward transform;
 * two templates share one inverse (real and imaginary part), whose last butterfly multiplies by 1 / |window|
 * and adds to both outputs.
 *
 * Precision: the error of a transform grows with |block| / |window|. Where that is above `contrast` in a half
 * of the lanes, this half is done in double precision by the same code; where it is above HOPELESS, a window
 * is summed directly. Norms are sums in double precision without any subtraction of running sums: windows are
 * the end of one piece plus the beginning of the next, relative to the sample between, which lies in all of
 * them.
 *
 * Threads go through the same steps: the rows of a chunk of channels in a block, then each pair of templates
 * with them. Rows are made one step ahead by whoever is free; of the pairs a thread takes its own first, as
 * their output is in its cache, then what others have not begun. There is room for three chunks, and no
 * barrier. Every number is made by one thread in a fixed order, so the bits do not depend on threads.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#include <sys/mman.h>
#endif

#include "matched_filter.h"

#define PASTE_(name, level) name##_##level
#define PASTE(name, level) PASTE_(name, level)
#define EXPORT(name) PASTE(name, LEVEL)

#ifdef LEVEL_v4
#define VECTOR_BYTES 64
#elif defined(LEVEL_v3)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16 /* longer vectors than the processor has are ten times slower */
#endif
#define PI 3.14159265358979323846
#define PAD 2
#define HOPELESS 1e10f
#define LONGEST 16384 /* samples of a segment, if moveouts are not longer */
#define LARGE (4 << 20)
#define HUGE_PAGE (2 << 20)
#define ROOM 50 /* squared norms are kept times 4^ROOM, lest the smallest be lost */

typedef float vf __attribute__((vector_size(VECTOR_BYTES), aligned(VECTOR_BYTES)));
typedef double vd __attribute__((vector_size(VECTOR_BYTES), aligned(VECTOR_BYTES)));
typedef float half __attribute__((vector_size(VECTOR_BYTES / 2), aligned(VECTOR_BYTES / 2)));
enum { LANES = VECTOR_BYTES / 4, HALF = LANES / 2 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Large arrays on large pages, where the system has them. */
static void *allocate(int64_t bytes) {
    const size_t page = bytes < LARGE ? 64 : HUGE_PAGE, size = (size_t)(bytes + 64) / page * page + page;
    void *memory = aligned_alloc(page, size);
#ifdef MADV_HUGEPAGE
    if (memory && bytes >= LARGE)
        madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

#define REAL float
#define FN(name) name##_f
#define OUT vf
#define STEP 1
#define TO_OUT(v) (v)
#include "matched_filter_fft.h"
#undef REAL
#undef FN
#undef OUT
#undef STEP
#undef TO_OUT
#define REAL double
#define FN(name) name##_d
#define OUT half
#define STEP 2
#define TO_OUT(v) __builtin_convertvector(v, half)
#include "matched_filter_fft.h"
#undef REAL
#undef FN
#undef OUT
#undef STEP
#undef TO_OUT

#include "matched_filter_plan.h"

#include "matched_filter_data.h"

/* ---- correlations ---- */

/* What a step, a chunk of rows in one block, is about. */
typedef struct {
    int64_t sheet, block, chunk, end, first;
    row_block *rows;
} step;

static step find(const plan *s, int64_t number) {
    step k = {.sheet = number / (s->chunks * s->blocks), .block = number / s->chunks % s->blocks};
    k.chunk = number % s->chunks * s->chunk;
    k.end = least(s->p->rows, k.chunk + s->chunk);
    k.first = k.sheet * LANES * s->segment + s->low + k.block * s->valid;
    k.rows = s->rows + number % RING * s->chunk;
    return k;
}

/* Windows that are too quiet for any transform of their block, one by one. */
static void add_direct(const plan *s, const row_block *r, int64_t row, int64_t entry, int64_t first,
                       vf *out) {
    const matched_filter_problem *p = s->p;
    int64_t length = p->row_length[row];
    for (int64_t i = 0; i < r->direct; i++) {
        int64_t k = r->window[i] / LANES, l = r->window[i] % LANES;
        const float *x = p->data + p->row_channel[row] * p->samples + first + l * s->segment + k;
        double mean = 0, norm = 0, sum = 0;
        for (int64_t j = 0; j < length; j++)
            mean += (double)x[j] - (double)x[0];
        mean = (double)x[0] + mean / (double)length;
        for (int64_t j = 0; j < length; j++) {
            double d = (double)x[j] - mean;
            norm += d * d;
            sum += d * sample(s, entry, j);
        }
        if (norm > 0)
            out[k][l] += (float)(sum / sqrt(norm));
    }
}

static void add_pair(plan *s, scratch *own, int64_t pair, const step *k) {
    const matched_filter_problem *p = s->p;
    int64_t done = k->block * s->valid;
    for (int64_t row = k->chunk; row < k->end; row++) {
        int64_t slot = s->slot[pair * p->rows + row], from = INT64_MAX, to = -1, entry[2];
        vf *out[2] = {own->lost, own->lost};
        if (slot < 0)
            continue;
        for (int64_t i = 0; i < 2; i++) {
            int64_t t = 2 * pair + i;
            entry[i] = t < p->templates ? p->entry[t * p->rows + row] : -1;
            if (entry[i] < 0)
                continue;
            int64_t shift = s->shift[entry[i]];
            from = least(from, shift);
            to = most(to, shift);
            out[i] = s->out + t * s->room + s->span + done - shift;
        }
        if (done + s->valid <= from || done >= s->segment + to)
            continue; /* nothing of it belongs to this sheet */
        const row_block *r = k->rows + (row - k->chunk);
        if (!r->flagged[0] || !r->flagged[1])
            correlate_f(s->single, s->parts, r->spectrum, s->h + slot * p->size * 2, own->z,
                        r->flagged[0] || r->flagged[1] ? r->single : r->scale, out[0], out[1]);
        for (int h = 0; h < 2; h++)
            if (r->flagged[h])
                correlate_d(s->precise, s->parts, r->precise[h], s->hd + slot * p->size * 2, own->zd,
                            (half *)r->scale + h, (half *)out[0] + h, (half *)out[1] + h);
        for (int i = 0; i < 2; i++)
            if (r->direct && entry[i] >= 0)
                add_direct(s, r, row, entry[i], k->first, out[i]);
    }
}

/* Write a finished sheet of one template. */
static void store(const plan *s, int64_t t, int64_t sheet) {
    int64_t n = s->p->samples;
    const float *from = (const float *)(s->out + t * s->room + s->span);
    float *out = s->p->out + t * n;
    for (int64_t k0 = 0; k0 < s->segment; k0 += 32)
        for (int64_t l = 0; l < LANES; l++) {
            int64_t start = (sheet * LANES + l) * s->segment - s->base[t];
            int64_t a = most(k0, -start), b = least(least(k0 + 32, s->segment), n - start);
            for (int64_t k = a; k < b; k++)
                out[start + k] = from[k * LANES + l];
        }
}

/* ---- tasks ---- */

/* Let another thread go on. */
static void give_way(void) {
#if defined(__unix__) || defined(__APPLE__)
    sched_yield();
#endif
}

/* The rows of a step, as far as nobody else has them. Its place in the ring is free: whoever is here has seen
 * all pairs of the step before last end. */
static void rows_of_step(plan *s, scratch *own, int64_t number) {
    const step k = find(s, number);
    for (int64_t part; (part = atomic_fetch_add_explicit(s->rows_next + number, 1, memory_order_relaxed)) <
                       s->parts_of_chunk;) {
        if (k.chunk + 2 * part < k.end)
            rows_of_block(s, own, k.rows + 2 * part, k.chunk + 2 * part, k.first);
        atomic_fetch_add_explicit(s->rows_done + number, 1, memory_order_release);
    }
}

/* Whether a row of the step needs spectra in double precision. */
static int precisely(const step *k) {
    for (int64_t row = k->chunk; row < k->end; row++)
        if (k->rows[row - k->chunk].flagged[0] || k->rows[row - k->chunk].flagged[1])
            return 1;
    return 0;
}

static void pair_spectra(plan *s, scratch *own, int64_t pair, int precise) {
    for (int64_t i = s->start[pair]; i < s->start[pair + 1]; i += HALF / 2)
        template_spectra(s, own->zd, i, s->start[pair + 1], precise);
}

static void pair_task(plan *s, scratch *own, int64_t number, int64_t pair) {
    const step k = find(s, number);
    const int64_t t0 = 2 * pair, t1 = least(t0 + 2, s->p->templates), steps = s->chunks * s->blocks;
    if (number % steps == 0)
        memset(s->out + t0 * s->room, 0, (size_t)((t1 - t0) * s->room) * sizeof(vf));
    if (number == 0)
        pair_spectra(s, own, pair, 0);
    if (!s->ready[pair] && precisely(&k)) {
        pair_spectra(s, own, pair, 1);
        s->ready[pair] = 1;
    }
    add_pair(s, own, pair, &k);
    if (number % steps == steps - 1)
        for (int64_t t = t0; t < t1; t++)
            store(s, t, k.sheet);
}

/* Pairs of a step, from `first` on: those that nobody else has. Returns how many are still in the step
 * before. */
static int64_t pairs_of_step(plan *s, scratch *own, int64_t number, int64_t first) {
    int64_t late = 0;
    for (int64_t i = 0; i < s->pairs; i++) {
        const int64_t pair = (first + i) % s->pairs;
        int64_t turn = atomic_load_explicit(s->turn + pair, memory_order_acquire);
        late += turn < 2 * number;
        if (turn == 2 * number && atomic_compare_exchange_strong(s->turn + pair, &turn, turn + 1)) {
            pair_task(s, own, number, pair);
            atomic_store_explicit(s->turn + pair, turn + 2, memory_order_release);
        }
    }
    return late;
}

/* What every thread does. With one thread rows are not ahead, so that they are still in the cache. If a
 * template is wrong all are looked at, and the rest is left. */
static void work(plan *s, scratch *own, int64_t me) {
    const int64_t ahead = s->p->threads > 1, first = me * s->pairs / s->p->threads;
    if (ahead)
        rows_of_step(s, own, 0);
    for (int64_t number = 0; number < s->steps && !(number > 0 && s->wrong); number++) {
        if (number + ahead < s->steps)
            rows_of_step(s, own, number + ahead);
        while (atomic_load_explicit(s->rows_done + number, memory_order_acquire) < s->parts_of_chunk)
            give_way();
        while (pairs_of_step(s, own, number, first) > 0)
            give_way();
    }
}

int64_t EXPORT(matched_filter_run)(const matched_filter_problem *p) {
    plan s = {.p = p};
    int64_t status = MATCHED_FILTER_MEMORY;
    if (reserve(&s) && prepare(&s)) {
        for (int64_t t = 0; t < p->templates; t++) { /* where windows of all channels begin after the data */
            int64_t rest = least(s.base[t], p->samples);
            memset(p->out + (t + 1) * p->samples - rest, 0, (size_t)rest * sizeof *p->out);
        }
#pragma omp parallel num_threads((int)p->threads)
        {
            int64_t me = 0;
#ifdef _OPENMP
            me = omp_get_thread_num();
#endif
            work(&s, s.own + me, me);
        }
        memcpy(p->counts, s.counts, sizeof s.counts);
        p->counts[3] = s.wrong - 1;
        status = s.wrong    ? MATCHED_FILTER_WAVEFORM
                 : s.broken ? MATCHED_FILTER_NOT_FINITE
                            : MATCHED_FILTER_DONE;
    }
    release(&s);
    return status;
}

/* ---- live share ---- */

typedef struct {
    int64_t at, change;
} event;

static int earlier(const void *a, const void *b) {
    int64_t x = ((const event *)a)->at, y = ((const event *)b)->at;
    return (x > y) - (x < y);
}

/* Live share of one template: stretches where it is constant; divide by it. */
static int share_out(const matched_filter_shares *p, int64_t t) {
    const int64_t *weight = p->weight + t * p->rows, *moveout = p->moveout + t * p->rows;
    event *events = allocate(p->most * (int64_t)sizeof *events);
    if (!events)
        return 0;
    int64_t count = 0, live = 0, stretches = 0;
    for (int64_t r = 0; r < p->rows; r++) {
        live += weight[r];
        for (int64_t i = p->first[r]; weight[r] > 0 && i < p->first[r + 1]; i++)
            for (int64_t e = 0; e < 2; e++)
                events[count++] = (event){most(0, least(p->samples, p->dead[2 * i + e] - moveout[r])),
                                          e ? weight[r] : -weight[r]};
    }
    qsort(events, (size_t)count, sizeof *events, earlier);
    float *out = p->out ? p->out + t * p->samples : NULL;
    float *share = p->share + t * p->most, *factors = p->factor + t * p->most;
    double bound = p->least * (double)p->total[t] - (double)p->rows; /* integer weights are rounded */
    for (int64_t a = 0, b, i = 0; a < p->samples; a = b) {
        for (; i < count && events[i].at <= a; i++)
            live += events[i].change;
        b = i < count ? events[i].at : p->samples;
        p->start[t * p->most + stretches] = a;
        float factor = 0;
        if (live > 0 && (double)live >= bound)
            factor = live < p->total[t] ? (float)((double)p->total[t] / (double)live) : 1;
        factors[stretches] = factor;
        share[stretches++] = (float)((double)live / (double)p->total[t]);
        for (int64_t k = a; out && factor != 1 && k < b; k++)
            out[k] *= factor;
    }
    p->count[t] = stretches;
    free(events);
    return 1;
}

int64_t EXPORT(matched_filter_normalise)(const matched_filter_shares *p) {
    int64_t failed = 0;
#pragma omp parallel for num_threads((int)p->threads) schedule(static) reduction(+ : failed)
    for (int64_t t = 0; t < p->templates; t++)
        failed += !share_out(p, t);
    return failed ? MATCHED_FILTER_MEMORY : MATCHED_FILTER_DONE;
}
