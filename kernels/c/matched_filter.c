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
#define CHUNK 32      /* rows between two barriers: their spectra stay in the cache */

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

/* The frequency at place p of a buffer after the forward transform. */
static int64_t frequency(const fft_f *f, int64_t p) {
    int64_t k = 0, factor = 1, s = f->n;
    for (int64_t q = f->passes - 1; q >= 0; q--) {
        s /= f->radix[q];
        k += factor * (p / s);
        p %= s;
        factor *= f->radix[q];
    }
    return k;
}

/* A row of a chunk in one block. */
typedef struct {
    vf *spectrum;   /* 2 n */
    vd *precise[2]; /* 2 n, of the lower and the upper half of the lanes */
    vf *scale,
        *single; /* valid: 1 / |window| times `gain`; and the same, zero in halves that are done precisely */
    float gain[LANES]; /* power of two by which the data were multiplied */
    float mean[LANES]; /* that was taken from the data before */
    int flagged[2];    /* halves to be done precisely */
    int64_t direct;    /* windows to be summed one by one */
    int32_t *window;   /* their lag * LANES + lane */
} row_block;

/* What one thread works with. */
typedef struct {
    vf *raw[2];   /* n */
    vf *z, *lost; /* 2 n + 8 PAD; valid, output of what does not exist */
    vd *zd;       /* 2 n + 8 PAD */
    double *sums; /* length * 2 * LANES */
} scratch;

typedef struct {
    const matched_filter_problem *p;
    fft_f *single;
    fft_d *precise;
    int64_t pairs, parts, valid, low, span, segment, sheets, blocks, room, used;
    int64_t *base;   /* (templates): taken from its moveouts */
    int64_t *shift;  /* (entries): moveout that is left, from 0 to span */
    int64_t *slot;   /* (pairs, rows): number of a spectrum, or -1 */
    int64_t *mirror; /* (n): place of the negative frequency */
    float *h;        /* (used, n, 2): spectra of pairs of templates */
    double *hd;
    row_block *rows; /* (CHUNK) */
    scratch *own;    /* (threads) */
    vf *out;         /* (templates, room) */
    int64_t counts[3], broken;
} plan;

/* ---- geometry ---- */

static int64_t segment_length(int64_t samples, int64_t span, int64_t *sheets) {
    int64_t longest = most(LONGEST, 4 * span);
    *sheets = (samples + LANES * longest - 1) / (LANES * longest);
    return (samples + *sheets * LANES - 1) / (*sheets * LANES);
}

static void lay_out(plan *s) {
    const matched_filter_problem *p = s->p;
    int64_t high = 0;
    for (int64_t t = 0; t < p->templates; t++) {
        const int64_t *entry = p->entry + t * p->rows;
        int64_t first = INT64_MAX;
        for (int64_t r = 0; r < p->rows; r++)
            if (entry[r] >= 0)
                first = least(first, p->moveout[entry[r]]);
        s->base[t] = first == INT64_MAX ? 0 : most(first, 0);
        for (int64_t r = 0; r < p->rows; r++)
            if (entry[r] >= 0) {
                int64_t shift = s->shift[entry[r]] = p->moveout[entry[r]] - s->base[t];
                s->low = least(s->low, shift);
                high = most(high, shift);
            }
    }
    for (int64_t e = 0; e < p->entries; e++)
        s->shift[e] -= s->low;
    s->span = high - s->low;
    s->pairs = (p->templates + 1) / 2;
    s->parts = least((p->size - p->length + 1) / (p->size / 8), 7);
    s->valid = s->parts * (p->size / 8);
    s->segment = segment_length(p->samples, s->span, &s->sheets);
    s->blocks = (s->segment + s->span + s->valid - 1) / s->valid;
    s->room = s->span + s->blocks * s->valid;
}

/* ---- memory ---- */

static void release(plan *s) {
    for (int64_t i = 0; s->rows && i < CHUNK; i++) {
        row_block *r = s->rows + i;
        free(r->spectrum), free(r->precise[0]), free(r->precise[1]);
        free(r->scale), free(r->single), free(r->window);
    }
    for (int64_t i = 0; s->own && i < s->p->threads; i++) {
        scratch *o = s->own + i;
        free(o->raw[0]), free(o->raw[1]), free(o->z), free(o->lost), free(o->zd), free(o->sums);
    }
    free(s->rows), free(s->own), free(s->base), free(s->shift), free(s->slot), free(s->mirror);
    free(s->h), free(s->hd), free(s->out);
    fft_free_f(s->single);
    fft_free_d(s->precise);
}

static int reserve_rows(plan *s) {
    int64_t n = s->p->size, vector = sizeof(vf), good = 1;
    for (int64_t i = 0; i < CHUNK; i++) {
        row_block *r = s->rows + i;
        good &= (r->spectrum = allocate(2 * n * vector)) != NULL;
        for (int h = 0; h < 2; h++)
            good &= (r->precise[h] = allocate(2 * n * vector)) != NULL;
        good &= (r->scale = allocate(s->valid * vector)) != NULL;
        good &= (r->single = allocate(s->valid * vector)) != NULL;
        good &= (r->window = allocate(s->valid * LANES * 4)) != NULL;
    }
    for (int64_t i = 0; i < s->p->threads; i++) {
        scratch *o = s->own + i;
        for (int h = 0; h < 2; h++)
            good &= (o->raw[h] = allocate((n + 1) * vector)) != NULL; /* one is read in vain */
        good &= (o->z = allocate((2 * n + 8 * PAD) * vector)) != NULL;
        good &= (o->zd = allocate((2 * n + 8 * PAD) * vector)) != NULL;
        good &= (o->lost = allocate(s->valid * vector)) != NULL;
        good &= (o->sums = allocate(s->p->length * 2 * LANES * 8)) != NULL;
        if (o->lost)
            memset(o->lost, 0, (size_t)(s->valid * vector));
    }
    return (int)good;
}

static int reserve(plan *s) {
    const matched_filter_problem *p = s->p;
    s->pairs = (p->templates + 1) / 2;
    s->base = allocate(p->templates * 8);
    s->shift = allocate(p->entries * 8);
    s->slot = allocate(s->pairs * p->rows * 8);
    s->mirror = allocate(p->size * 8);
    s->single = fft_new_f(p->size);
    s->precise = fft_new_d(p->size);
    s->rows = calloc(CHUNK, sizeof *s->rows);
    s->own = calloc((size_t)p->threads, sizeof *s->own);
    if (!s->base || !s->shift || !s->slot || !s->mirror || !s->single || !s->precise || !s->rows || !s->own)
        return 0;
    lay_out(s);
    for (int64_t pair = 0; pair < s->pairs; pair++)
        for (int64_t r = 0; r < p->rows; r++) {
            const int64_t *entry = p->entry + 2 * pair * p->rows + r;
            int any = entry[0] >= 0 || (2 * pair + 1 < p->templates && entry[p->rows] >= 0);
            s->slot[pair * p->rows + r] = any ? s->used++ : -1;
        }
    s->h = allocate(s->used * p->size * 2 * 4);
    s->hd = allocate(s->used * p->size * 2 * 8);
    s->out = allocate(p->templates * s->room * (int64_t)sizeof(vf));
    return s->h && s->hd && s->out && reserve_rows(s);
}

/* Bytes that a run takes beside its arguments: see reserve. */
int64_t EXPORT(matched_filter_bytes)(int64_t samples, int64_t rows, int64_t templates, int64_t size,
                                     int64_t span, int64_t threads) {
    int64_t sheets, segment = segment_length(samples, span, &sheets), vector = sizeof(vf);
    int64_t chunk = CHUNK * (6 * size * vector + 2 * size * vector + size * LANES * 4);
    int64_t spectra = (templates + 1) / 2 * rows * size * 2 * 12;
    return chunk + threads * 8 * size * vector + spectra + templates * (segment + 2 * span + size) * vector;
}

/* ---- templates ---- */

/* Spectra of pairs of templates: conj T1 + i conj T2, always made in double precision, HALF entries at a
 * time. */
static void template_spectra(plan *s, vd *b, int64_t first, const int64_t *pair, const int64_t *row) {
    const matched_filter_problem *p = s->p;
    int64_t n = p->size, entry[HALF];
    memset(b, 0, (size_t)(2 * n) * sizeof *b);
    double *z = (double *)b;
    for (int64_t l = 0; l < HALF; l++) {
        int64_t t = 0, i = first + l / 2;
        entry[l] = -1;
        if (i < s->used && (t = 2 * pair[i] + l % 2) < p->templates)
            entry[l] = p->entry[t * p->rows + row[i]];
        for (int64_t k = 0; entry[l] >= 0 && k < p->length; k++)
            z[2 * k * HALF + l] = p->waveform[entry[l] * p->length + k] / (double)n;
    }
    forward_d(s->precise, b);
    for (int64_t l = 0; l < HALF && first + l / 2 < s->used; l += 2) {
        int64_t place = (first + l / 2) * n * 2;
        for (int64_t k = 0; k < n; k++) {
            const double *one = z + 2 * k * HALF + l, *two = one + HALF;
            double re = one[0] + two[1], im = one[1] - two[0];
            s->hd[place + 2 * k] = re;
            s->hd[place + 2 * k + 1] = im;
            s->h[place + 2 * k] = (float)re;
            s->h[place + 2 * k + 1] = (float)im;
        }
    }
}

static int prepare(plan *s) {
    const matched_filter_problem *p = s->p;
    int64_t n = p->size, *pair = allocate(s->used * 8), *row = allocate(s->used * 8);
    int64_t *place = allocate(n * 8);
    int good = pair && row && place;
    for (int64_t i = 0; good && i < s->pairs * p->rows; i++)
        if (s->slot[i] >= 0) {
            pair[s->slot[i]] = i / p->rows;
            row[s->slot[i]] = i % p->rows;
        }
    for (int64_t k = 0; good && k < n; k++)
        place[frequency(s->single, k)] = k;
    for (int64_t k = 0; good && k < n; k++)
        s->mirror[k] = place[(n - frequency(s->single, k)) % n];
    if (good) {
#pragma omp parallel for num_threads((int)p->threads) schedule(static)
        for (int64_t first = 0; first < s->used; first += HALF / 2) {
            int64_t me = 0;
#ifdef _OPENMP
            me = omp_get_thread_num();
#endif
            template_spectra(s, s->own[me].zd, first, pair, row);
        }
    }
    free(pair), free(row), free(place);
    return good;
}

/* ---- data ---- */

/* Samples first ... first + n - 1 of a channel into a lane; zero where not live. Returns whether all are
 * live. */
static int load_lane(const matched_filter_problem *p, int64_t channel, int64_t first, float *lane) {
    const float *x = p->data + channel * p->samples;
    const uint8_t *live = p->live + channel * p->samples;
    int64_t n = p->size, a = most(0, least(n, -first)), b = most(a, least(n, p->samples - first));
    for (int64_t k = 0; k < a; k++)
        lane[k * LANES] = 0;
    for (int64_t k = b; k < n; k++)
        lane[k * LANES] = 0;
    if (b > a && memchr(live + first + a, 0, (size_t)(b - a))) {
        for (int64_t k = a; k < b; k++)
            lane[k * LANES] = live[first + k] ? x[first + k] : 0;
        return 0;
    }
    for (int64_t k = a; k < b; k++)
        lane[k * LANES] = x[first + k];
    return a == 0 && b == n;
}

/* The same for lanes that are all live. */
static void load_whole(const matched_filter_problem *p, int64_t channel, int64_t first, int64_t step,
                       vf *raw) {
    const float *x = p->data + channel * p->samples + first;
    float *out = (float *)raw;
    for (int64_t k = 0; k < p->size; k += 16)
        for (int64_t l = 0; l < LANES; l++)
            for (int64_t i = 0; i < 16; i++)
                out[(k + i) * LANES + l] = x[l * step + k + i];
}

/* Which windows of a lane are not whole: set to zero what is there. */
static void drop_dead(const matched_filter_problem *p, int64_t channel, int64_t length, int64_t first,
                      int64_t valid, float *lane) {
    const uint8_t *live = p->live + channel * p->samples;
    int64_t next = INT64_MAX; /* dead sample at or after k */
    for (int64_t k = valid + length - 2; k >= 0; k--) {
        int64_t at = first + k;
        if (at < 0 || at >= p->samples || !live[at])
            next = k;
        if (k < valid && next < k + length)
            lane[k * LANES] = 0;
    }
}

/* Squared norms of all windows, in double precision, divided by `unit` of the lane. */
static void window_norms(const vf *raw, int64_t length, int64_t valid, const double *unit, double *sums,
                         vf *scale) {
    const float *x = (const float *)raw;
    float *out = (float *)scale;
    double share = 1.0 / (double)length;
    for (int64_t m = 0; m < valid; m += length) {
        double a[LANES] = {0}, b[LANES] = {0}, pivot[LANES];
        for (int64_t l = 0; l < LANES; l++)
            pivot[l] = x[(m + length - 1) * LANES + l];
        for (int64_t i = length - 1; i >= 0; i--) {
            double *to = sums + i * 2 * LANES;
            const float *y = x + (m + i) * LANES;
            for (int64_t l = 0; l < LANES; l++) {
                double d = (double)y[l] - pivot[l];
                a[l] += d;
                b[l] += d * d;
                to[l] = a[l];
                to[LANES + l] = b[l];
            }
        }
        for (int64_t l = 0; l < LANES; l++)
            a[l] = b[l] = 0;
        int64_t end = least(length, valid - m);
        for (int64_t i = 0; i < end; i++) {
            const double *from = sums + i * 2 * LANES;
            const float *y = x + (m + length + i) * LANES;
            float *to = out + (m + i) * LANES;
            for (int64_t l = 0; l < LANES; l++) {
                double u = from[l] + a[l], v = from[LANES + l] + b[l], d = (double)y[l] - pivot[l];
                to[l] = (float)((v - u * u * share) * unit[l]);
                a[l] += d;
                b[l] += d * d;
            }
        }
    }
}

/* Mean of the block, and the power of two that makes its norm about 1; zero where it is constant. */
static void block_norms(plan *s, row_block *r, const vf *raw, double *unit) {
    int64_t n = s->p->size;
    const float *x = (const float *)raw;
    double a[LANES] = {0}, b[LANES] = {0};
    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < LANES; l++)
            a[l] += (double)x[k * LANES + l];
    for (int64_t l = 0; l < LANES; l++)
        r->mean[l] = (float)(a[l] / (double)n);
    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < LANES; l++) {
            double d = (double)x[k * LANES + l] - (double)r->mean[l];
            b[l] += d * d;
        }
    for (int64_t l = 0; l < LANES; l++) {
        int power = 0;
        if (!isfinite(b[l])) {
#pragma omp atomic write
            s->broken = 1;
            b[l] = 0;
        }
        if (b[l] > 0)
            frexp(sqrt(b[l]), &power);
        power = power > 126 ? 126 : power < -126 ? -126 : power;
        r->gain[l] = ldexpf(1, -power);
        unit[l] = ldexp(1, 2 * (ROOM - power));
    }
}

/* 1 / |window| of a row in a block, with what is too small for single or double precision set apart. */
static void weigh(plan *s, row_block *r, int64_t row, int64_t first, const vf *raw, const int *whole,
                  double *sums) {
    const matched_filter_problem *p = s->p;
    double unit[LANES];
    const float scale_of_norms = (float)(1LL << ROOM);
    float *scale = (float *)r->scale, highest[LANES] = {0};
    block_norms(s, r, raw, unit);
    window_norms(raw, p->row_length[row], s->valid, unit, sums, r->scale);
    for (int64_t l = 0; l < LANES; l++)
        if (!whole[l])
            drop_dead(p, p->row_channel[row], p->row_length[row], first + l * s->segment, s->valid,
                      scale + l);
    for (int64_t k = 0; k < s->valid; k++)
        for (int64_t l = 0; l < LANES; l++) {
            float e = scale[k * LANES + l], g = e > 0 ? scale_of_norms / sqrtf(e) : 0;
            scale[k * LANES + l] = g;
            highest[l] = g > highest[l] ? g : highest[l];
        }
    r->direct = r->flagged[0] = r->flagged[1] = 0;
    for (int64_t l = 0; l < LANES; l++) {
        for (int64_t k = 0; highest[l] > HOPELESS && k < s->valid; k++)
            if (scale[k * LANES + l] > HOPELESS) {
                scale[k * LANES + l] = 0;
                r->window[r->direct++] = (int32_t)(k * LANES + l);
            }
        r->flagged[l / HALF] |= highest[l] > (float)p->contrast;
    }
    memcpy(r->single, r->scale, (size_t)s->valid * sizeof(vf));
    for (int64_t k = 0; (r->flagged[0] || r->flagged[1]) && k < s->valid; k++)
        for (int h = 0; h < 2; h++)
            if (r->flagged[h])
                ((half *)r->single)[2 * k + h] = (half){0};
}

/* Split the transform of x + i y into those of x and y. */
#define SPLIT(z, x, y, number)                                                                               \
    for (int64_t k = 0; k < n; k++) {                                                                        \
        const int64_t q = s->mirror[k];                                                                      \
        (x)[2 * k] = ((z)[2 * k] + (z)[2 * q]) * (number)0.5;                                                \
        (x)[2 * k + 1] = ((z)[2 * k + 1] - (z)[2 * q + 1]) * (number)0.5;                                    \
        if (y) {                                                                                             \
            (y)[2 * k] = ((z)[2 * k + 1] + (z)[2 * q + 1]) * (number)0.5;                                    \
            (y)[2 * k + 1] = ((z)[2 * q] - (z)[2 * k]) * (number)0.5;                                        \
        }                                                                                                    \
    }

static void transform(const plan *s, scratch *own, row_block *one, row_block *two) {
    int64_t n = s->p->size;
    vf mean[2] = {{0}}, gain[2] = {{0}};
    for (int i = 0; i < (two ? 2 : 1); i++) {
        memcpy(mean + i, (i ? two : one)->mean, sizeof(vf));
        memcpy(gain + i, (i ? two : one)->gain, sizeof(vf));
    }
    for (int64_t k = 0; k < n; k++) {
        own->z[2 * k] = (own->raw[0][k] - mean[0]) * gain[0];
        own->z[2 * k + 1] = two ? (own->raw[1][k] - mean[1]) * gain[1] : (vf){0};
    }
    forward_f(s->single, own->z);
    SPLIT(own->z, one->spectrum, two ? two->spectrum : NULL, float)
    for (int h = 0; h < 2; h++) {
        if (!one->flagged[h] && !(two && two->flagged[h]))
            continue;
        for (int64_t k = 0; k < n; k++)
            for (int i = 0; i < 2; i++) {
                vd x = __builtin_convertvector(((half *)(own->raw[two ? i : 0] + k))[h], vd);
                vd m = __builtin_convertvector(((half *)(mean + i))[h], vd);
                vd g = __builtin_convertvector(((half *)(gain + i))[h], vd); /* zero without a second row */
                own->zd[2 * k + i] = (x - m) * g;
            }
        forward_d(s->precise, own->zd);
        SPLIT(own->zd, one->precise[h], two ? two->precise[h] : NULL, double)
    }
}

/* Norms and spectra of two rows of a chunk in a block. */
static void rows_of_block(plan *s, scratch *own, int64_t chunk, int64_t row, int64_t first) {
    const matched_filter_problem *p = s->p;
    int64_t count = least(2, p->rows - row), direct = 0, flagged = 0;
    row_block *r = s->rows + (row - chunk);
    for (int64_t i = 0; i < count; i++) {
        int64_t channel = p->row_channel[row + i], last = first + (LANES - 1) * s->segment + p->size;
        int whole[LANES], all = first >= 0 && last <= p->samples;
        for (int64_t l = 0; l < LANES; l++) {
            int64_t at = channel * p->samples + first + l * s->segment;
            all = all && !memchr(p->live + at, 0, (size_t)p->size);
            whole[l] = 1;
        }
        if (all)
            load_whole(p, channel, first, s->segment, own->raw[i]);
        else
            for (int64_t l = 0; l < LANES; l++)
                whole[l] = load_lane(p, channel, first + l * s->segment, (float *)own->raw[i] + l);
        weigh(s, r + i, row + i, first, own->raw[i], whole, own->sums);
        direct += r[i].direct;
        flagged += r[i].flagged[0] + r[i].flagged[1];
    }
    transform(s, own, r, count > 1 ? r + 1 : NULL);
#pragma omp atomic
    s->counts[0] += 2 * count;
#pragma omp atomic
    s->counts[1] += flagged;
#pragma omp atomic
    s->counts[2] += direct;
}

/* ---- correlations ---- */

/* Windows that are too quiet for any transform of their block, one by one. */
static void add_direct(const plan *s, const row_block *r, int64_t row, int64_t entry, int64_t first,
                       vf *out) {
    const matched_filter_problem *p = s->p;
    const double *q = p->waveform + entry * p->length;
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
            sum += d * q[j];
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
            correlate_f(s->single, s->parts, r->spectrum, s->h + slot * p->size * 2, own->z, r->single,
                        out[0], out[1]);
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

static void one_sheet(plan *s, scratch *own, int64_t sheet) {
    const matched_filter_problem *p = s->p;
#pragma omp for schedule(static)
    for (int64_t t = 0; t < p->templates; t++)
        memset(s->out + t * s->room, 0, (size_t)s->room * sizeof(vf));
    for (int64_t block = 0; block < s->blocks; block++) {
        int64_t first = sheet * LANES * s->segment + s->low + block * s->valid;
        for (int64_t chunk = 0; chunk < p->rows; chunk += CHUNK) {
            int64_t end = least(p->rows, chunk + CHUNK);
#pragma omp for schedule(dynamic)
            for (int64_t row = chunk; row < end; row += 2)
                rows_of_block(s, own, chunk, row, first);
#pragma omp for schedule(dynamic)
            for (int64_t pair = 0; pair < s->pairs; pair++)
                add_pair(s, own, pair, chunk, end, block, first);
        }
    }
#pragma omp for schedule(static)
    for (int64_t t = 0; t < p->templates; t++)
        store(s, t, sheet);
}

int64_t EXPORT(matched_filter_run)(const matched_filter_problem *p) {
    plan s = {.p = p};
    int64_t status = MATCHED_FILTER_MEMORY;
    if (reserve(&s) && prepare(&s)) {
        for (int64_t t = 0; t < p->templates; t++)
            if (s.base[t] > 0) { /* windows of all channels begin after the data */
                int64_t rest = least(s.base[t], p->samples);
                memset(p->out + (t + 1) * p->samples - rest, 0, (size_t)rest * 4);
            }
#pragma omp parallel num_threads((int)p->threads)
        {
            int64_t me = 0;
#ifdef _OPENMP
            me = omp_get_thread_num();
#endif
            for (int64_t sheet = 0; sheet < s.sheets; sheet++)
                one_sheet(&s, s.own + me, sheet);
        }
        memcpy(p->counts, s.counts, sizeof s.counts);
        status = s.broken ? MATCHED_FILTER_NOT_FINITE : MATCHED_FILTER_DONE;
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
