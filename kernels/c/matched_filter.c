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
 * Threads share the rows of the forward transforms and then the pairs of templates. Every number is made by
 * one thread in a fixed order, so the bits do not depend on threads.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
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
#define ROOM 50       /* squared norms are kept times 4^ROOM, lest the smallest be lost */

typedef float vf __attribute__((vector_size(VECTOR_BYTES), aligned(VECTOR_BYTES)));
typedef double vd __attribute__((vector_size(VECTOR_BYTES), aligned(VECTOR_BYTES)));
typedef float half __attribute__((vector_size(VECTOR_BYTES / 2), aligned(VECTOR_BYTES / 2)));
enum { LANES = VECTOR_BYTES / 4, HALF = LANES / 2 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static void *allocate(int64_t bytes) { return aligned_alloc(64, (size_t)(bytes + 127) / 64 * 64); }

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

static void add_pair(plan *s, scratch *own, int64_t pair, int64_t chunk, int64_t end, int64_t block,
                     int64_t first) {
    const matched_filter_problem *p = s->p;
    int64_t done = block * s->valid;
    for (int64_t row = chunk; row < end; row++) {
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
        const row_block *r = s->rows + (row - chunk);
        if (!r->flagged[0] || !r->flagged[1])
            correlate_f(s->single, s->parts, r->spectrum, s->h + slot * p->size * 2, own->z,
                        r->flagged[0] || r->flagged[1] ? r->single : r->scale, out[0], out[1]);
        for (int h = 0; h < 2; h++)
            if (r->flagged[h])
                correlate_d(s->precise, s->parts, r->precise[h], s->hd + slot * p->size * 2, own->zd,
                            (half *)r->scale + h, (half *)out[0] + h, (half *)out[1] + h);
        for (int i = 0; i < 2; i++)
            if (r->direct && entry[i] >= 0)
                add_direct(s, r, row, entry[i], first, out[i]);
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

static void one_block(plan *s, scratch *own, int64_t block, int64_t first) {
    for (int64_t chunk = 0; chunk < s->p->rows; chunk += s->chunk) {
        int64_t end = least(s->p->rows, chunk + s->chunk);
#pragma omp for schedule(dynamic)
        for (int64_t row = chunk; row < end; row += 2)
            rows_of_block(s, own, chunk, row, first);
        if (s->counts[1] && !s->ready) { /* all threads agree: neither changes before the next barrier */
#pragma omp for schedule(static)
            for (int64_t i = 0; i < s->used; i += HALF / 2)
                template_spectra(s, own->zd, i, 1);
#pragma omp single
            s->ready = 1;
        }
#pragma omp for schedule(dynamic)
        for (int64_t pair = 0; pair < s->pairs; pair++)
            add_pair(s, own, pair, chunk, end, block, first);
    }
}

/* What every thread does. */
static void work(plan *s, scratch *own) {
    const matched_filter_problem *p = s->p;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s->used; i += HALF / 2)
        template_spectra(s, own->zd, i, 0);
    for (int64_t sheet = 0; sheet < s->sheets && !s->wrong; sheet++) {
#pragma omp for schedule(static)
        for (int64_t t = 0; t < p->templates; t++)
            memset(s->out + t * s->room, 0, (size_t)s->room * sizeof(vf));
        for (int64_t block = 0; block < s->blocks; block++)
            one_block(s, own, block, sheet * LANES * s->segment + s->low + block * s->valid);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < p->templates; t++)
            store(s, t, sheet);
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
            work(&s, s.own + me);
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
    float *out = p->out + t * p->samples, *share = p->share + t * p->most;
    double bound = p->least * (double)p->total[t] - (double)p->rows; /* integer weights are rounded */
    for (int64_t a = 0, b, i = 0; a < p->samples; a = b) {
        for (; i < count && events[i].at <= a; i++)
            live += events[i].change;
        b = i < count ? events[i].at : p->samples;
        p->start[t * p->most + stretches] = a;
        share[stretches++] = (float)((double)live / (double)p->total[t]);
        float factor = 0;
        if (live > 0 && (double)live >= bound)
            factor = (float)((double)p->total[t] / (double)live);
        for (int64_t k = a; live < p->total[t] && k < b; k++)
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
