/* Backprojection (see beam.h). Time is cut into tiles; what a tile gives depends on nothing else.
 *
 * Screened tiles: no row starts or stops to be live within the tile and the delays after it, so each source
 * has one denominator. Features are quantised, the sums of the rows of a station are made once for each
 * different pair of delays, sources add these. The error of such a sum is bounded, so every source that may
 * be the largest is known; these are summed again in double precision. Where all sources have the same
 * denominator this is first tried with pairs in bytes (beam_bytes.h), then, as for others, in 16 bits, which
 * leave fewer sources where a few features are far larger than the rest. Exact tiles: all sources in
 * double precision; also taken where the screening leaves many sources (features with long equal stretches).
 * Both add the rows of a source in the same order in the same precision, so the result does not depend on the
 * way, the threads or the instruction set. */
#include "beam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "beam_exact.h"

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)

static void *place(char **next, size_t bytes) {
    void *result = *next;
    *next += (bytes + 127) / 128 * 128;
    return result;
}

/* Lay the arrays out from `memory` on; returns the bytes that they take. */
static size_t lay_out(const beam_plan *p, work *w, char *memory) {
    const size_t rows = (size_t)(p->stations * p->phases), width = (size_t)p->width, used = (size_t)p->used;
    const size_t blocks = (used + BEAM_BLOCK - 1) / BEAM_BLOCK;
    size_t most = 0;
    for (int64_t c = 0; c < p->chunks; c++)
        most =
            (size_t)(p->table[c + 1] - p->table[c]) > most ? (size_t)(p->table[c + 1] - p->table[c]) : most;
    char *next = memory;
    w->quanta = place(&next, 2 * (rows + 1) * width);
    w->table = place(&next, 2 * most * T);
    w->top = place(&next, 2 * blocks * WIDE);
    w->second = place(&next, 2 * blocks * WIDE);
    w->who = place(&next, 2 * blocks * WIDE);
    w->value = place(&next, 8 * rows * width);
    w->weight = place(&next, 8 * rows * width);
    w->pattern = place(&next, rows);
    w->below = place(&next, 8 * used);
    w->factor = place(&next, 2 * used);
    return (size_t)(next - memory);
}

/* Denominators and factors of the sources for the rows that are live. */
static void set_pattern(const beam_plan *p, const beam_data *d, work *w, const uint8_t *pattern) {
    const int64_t n = p->stations * p->phases;
    if (w->known && !memcmp(pattern, w->pattern, (size_t)n))
        return;
    memcpy(w->pattern, pattern, (size_t)n);
    w->known = w->even = 1;
    w->leader = -1;
    double smallest = INFINITY, largest = 0;
    for (int64_t s = 0; s < p->used; s++) {
        const int64_t k = p->order[s];
        double sum = 0;
        for (int64_t r = 0; r < n; r++)
            if (p->use[k * p->stations + r / p->phases] && pattern[r])
                sum += d->weights[r];
        w->below[s] = sum >= d->least[k] ? sum : 0;
        w->factor[s] = 0;
        if (!(sum >= d->least[k])) {
            w->even = 0;
            continue;
        }
        smallest = sum < smallest ? sum : smallest;
        largest = sum > largest ? sum : largest;
        if (w->leader < 0 || k < w->leader)
            w->leader = k;
    }
    w->even &= smallest == largest;
    for (int64_t s = 0; s < p->used; s++)
        if (w->below[s] > 0)
            w->factor[s] = (int16_t)fmax(1, rint(32767 * smallest / w->below[s]));
}

/* Whether every row is inside the data and live or dead throughout; then which are live. */
static int constant(const beam_plan *p, const beam_data *d, int64_t t0, int64_t m, uint8_t *pattern) {
    for (int64_t r = 0; r < p->stations * p->phases; r++) {
        const int64_t a = t0 + p->low[r], n = m + p->high[r] - p->low[r];
        if (a < 0 || a + n > d->samples)
            return 0;
        const uint8_t *live = d->live + r * d->samples + a;
        uint8_t other = 0;
        for (int64_t i = 0; i < n; i++)
            other |= live[i] ^ live[0];
        if (other)
            return 0;
        pattern[r] = live[0];
    }
    return 1;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Smallest and largest of some numbers; lane by lane, which compilers turn into vectors. */
static void extremes(const float *f, int64_t n, double *low, double *high) {
    enum { LANES = 16 };
    float a[LANES], b[LANES];
    for (int j = 0; j < LANES; j++)
        a[j] = b[j] = f[0];
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            a[j] = f[i + j] < a[j] ? f[i + j] : a[j];
            b[j] = f[i + j] > b[j] ? f[i + j] : b[j];
        }
    for (; i < n; i++) {
        a[0] = f[i] < a[0] ? f[i] : a[0];
        b[0] = f[i] > b[0] ? f[i] : b[0];
    }
    *low = a[0];
    *high = b[0];
    for (int j = 1; j < LANES; j++) {
        *low = a[j] < *low ? a[j] : *low;
        *high = b[j] > *high ? b[j] : *high;
    }
}

#include "beam_bytes.h"

/* Quantise the rows of a tile, the same offset for all (it cancels in the mean): sums of any source stay
 * within 30,000 quanta. Returns 0 if all features are zero, -1 if they are too large or small for that,
 * else 1. */
static int quantise(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m) {
    const int64_t rows = p->stations * p->phases;
    double low[rows], high[rows], sorted[rows], offset = 0, sum = 0;
    int64_t count = 0;
    for (int64_t r = 0; r < rows; r++) {
        if (!w->pattern[r])
            continue;
        const float *f = d->values + r * d->samples + t0 + p->low[r];
        extremes(f, m + p->high[r] - p->low[r], low + r, high + r);
        sorted[count++] = 0.5 * (low[r] + high[r]);
    }
    if (!count || p->most > 1000)
        return -1;
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    offset = (float)sorted[count / 2];
    count = 0;
    int zero = offset == 0;
    for (int64_t r = 0; r < rows; r++)
        if (w->pattern[r]) {
            zero &= low[r] == 0 && high[r] == 0;
            sorted[count++] = d->weights[r] * fmax(high[r] - offset, offset - low[r]);
        }
    if (zero)
        return 0;
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    for (int64_t i = 0; i < p->most && i < count; i++)
        sum += sorted[count - 1 - i];
    if (!(sum > 1e-25 && sum < 1e25))
        return -1;
    for (int64_t r = 0; r <= rows; r++) {
        int16_t *q = w->quanta + r * p->width;
        int64_t n = 0;
        if (r < rows && w->pattern[r]) {
            const float *f = d->values + r * d->samples + t0 + p->low[r];
            const float shift = (float)offset, scale = (float)(d->weights[r] * 30000 / sum);
            n = m + p->high[r] - p->low[r];
            for (int64_t i = 0; i < n; i++) {
                const float x = (f[i] - shift) * scale;
                q[i] = (int16_t)(int32_t)(x + (x < 0 ? -0.5f : 0.5f));
            }
        }
        memset(q + n, 0, sizeof *q * (size_t)(p->width - n));
    }
    return 1;
}

static void fill_table(const beam_plan *p, work *w, int64_t c) {
    for (int64_t r = p->table[c]; r < p->table[c + 1]; r++) {
        const int16_t *a = w->quanta + p->left[r], *b = w->quanta + p->right[r];
        int16_t *out = w->table + (r - p->table[c]) * T;
        for (int j = 0; j < NV; j++)
            *(vec *)(out + j * NL) = *(const vec *)(a + j * NL) + *(const vec *)(b + j * NL);
    }
}

/* Where in the quantised tile the rows of a group of source k start. */
static inline const int16_t *group(const beam_plan *p, const work *w, int64_t k, int64_t g,
                                   const int16_t **second) {
    const int64_t half = (p->phases + 1) / 2, rows = p->stations * p->phases;
    const int64_t h = 2 * (g % half), a = g / half * p->phases + h;
    const int32_t *d = p->delays + k * rows;
    *second = h + 1 < p->phases ? w->quanta + (a + 1) * p->width + d[a + 1] - p->low[a + 1]
                                : w->quanta + rows * p->width;
    return w->quanta + a * p->width + d[a] - p->low[a];
}

/* 16-bit sums of source s of chunk c at one sample; from the rows themselves, as the table may be another's.
 */
static inline int sum_at(const beam_plan *p, const work *w, int64_t c, int64_t s, int i) {
    const int tabled = p->table[c + 1] > p->table[c];
    const int32_t *left = p->left + p->table[c], *right = p->right + p->table[c];
    int16_t sum = 0;
    for (int64_t e = p->first[s]; e < p->first[s + 1]; e++)
        if (tabled) {
            sum = (int16_t)(sum + w->quanta[left[p->entry[e]] + i] + w->quanta[right[p->entry[e]] + i]);
        } else {
            const int16_t *b, *a = group(p, w, p->order[s], p->entry[e], &b);
            sum = (int16_t)(sum + a[i] + b[i]);
        }
    return w->even ? sum : (sum * w->factor[s]) >> 16;
}

/* The two largest 16-bit sums of each block of sources, and whose the first is. */
static inline __attribute__((always_inline)) void screen(const beam_plan *p, const work *w, int64_t s0,
                                                         int64_t s1, const int tabled, const int even) {
    for (int64_t b = s0; b < s1; b += BEAM_BLOCK) {
        vec top[NV], second[NV], who[NV];
        for (int j = 0; j < NV; j++) {
            top[j] = second[j] = INT16_MIN - (vec){0};
            who[j] = (vec){0};
        }
        for (int64_t s = b; s < s1 && s < b + BEAM_BLOCK; s++) {
            if (!even && !w->factor[s])
                continue;
            vec sum[NV];
            for (int j = 0; j < NV; j++)
                sum[j] = (vec){0};
            const uint16_t *e = p->entry + p->first[s], *end = p->entry + p->first[s + 1];
#pragma GCC unroll 2
            for (; e < end; e++)
                if (tabled) {
                    const int16_t *a = w->table + (int64_t)*e * T;
#pragma GCC unroll 8
                    for (int j = 0; j < NV; j++)
                        sum[j] += *(const vec *)(a + j * NL);
                } else {
                    const int16_t *c, *a = group(p, w, p->order[s], *e, &c);
#pragma GCC unroll 8
                    for (int j = 0; j < NV; j++)
                        sum[j] += *(const vec *)(a + j * NL) + *(const vec *)(c + j * NL);
                }
            const vec number = (int16_t)(s - b) - (vec){0}, factor = w->factor[s] - (vec){0};
#pragma GCC unroll 8
            for (int j = 0; j < NV; j++) {
                const vec v = even ? sum[j] : upper(sum[j], factor);
                who[j] = where_above(v, top[j], number, who[j]);
                second[j] = larger(second[j], smaller(v, top[j]));
                top[j] = larger(top[j], v);
            }
        }
        const int64_t out = b / BEAM_BLOCK * T;
        for (int j = 0; j < NV; j++) {
            *(vec *)(w->top + out + j * NL) = top[j];
            *(vec *)(w->second + out + j * NL) = second[j];
            *(vec *)(w->who + out + j * NL) = who[j];
        }
    }
}

#include "beam_rescore.h"

/* A tile by screening; 0 if it must be done exactly. */
static int screened(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m, best *found) {
    const int64_t blocks = (p->used + BEAM_BLOCK - 1) / BEAM_BLOCK;
    sieve v = {.samples = T};
    const int state = w->leader < 0 ? 0 : quantise(p, d, w, t0, m);
    if (state < 0)
        return 0;
    if (state == 0) {
        int64_t s = 0;
        while (w->leader >= 0 && p->order[s] != w->leader)
            s++;
        for (int i = 0; i < T; i++) {
            found->value[i] = 0;
            found->node[i] = w->leader;
            found->below[i] = w->leader < 0 ? 0 : w->below[s];
        }
        d->tiles[3]++;
        return 1;
    }
    for (int64_t c = 0; c < p->chunks; c++) {
        const int tabled = p->table[c + 1] > p->table[c];
        const int64_t s0 = p->chunk[c], s1 = p->chunk[c + 1];
        if (tabled)
            fill_table(p, w, c);
        if (tabled && w->even)
            screen(p, w, s0, s1, 1, 1);
        else if (tabled)
            screen(p, w, s0, s1, 1, 0);
        else if (w->even)
            screen(p, w, s0, s1, 0, 1);
        else
            screen(p, w, s0, s1, 0, 0);
    }
    /* a sum of n rows is wrong by n / 2 at most; scaled, by half of that and 1.25 */
    thresholds(w, blocks, (int)(w->even ? p->most + 1 : p->most / 2 + 4), &v);
    if (crowd(w, blocks, &v) > p->used * T / 16) {
        d->tiles[1]++;
        return 0;
    }
    begin(m, found);
    rescore(p, d, w, &v, t0, m, found);
    d->tiles[0]++;
    return 1;
}

/* A wide tile by screening with bytes; 0 if it must be done otherwise. */
static int screened_bytes(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m,
                          best *found) {
    const int64_t blocks = (p->used + BEAM_BLOCK - 1) / BEAM_BLOCK;
    sieve v = {.samples = WIDE, .bytes = 1};
    if (!w->even || !bytes_fit(p) || !quantise_bytes(p, d, w, t0, m))
        return 0;
    for (int64_t c = 0; c < p->chunks; c++) {
        fill_bytes(p, w, c);
        screen_bytes(p, w, p->chunk[c], p->chunk[c + 1]);
    }
    begin(m, found);
    tighten(p, d, w, blocks, t0, m, &v, found);
    if (crowd(w, blocks, &v) > p->used + 4 * WIDE) /* so many take longer than 16 bits do */
        return 0;
    rescore(p, d, w, &v, t0, m, found);
    d->tiles[0] += (m + T - 1) / T;
    d->tiles[4] += (m + T - 1) / T;
    return 1;
}

static void write(const beam_data *d, int64_t t0, int64_t m, const best *found) {
    for (int i = 0; i < m; i++) {
        const int64_t k = found->node[i];
        d->maximum[t0 + i] = k < 0 ? 0 : (float)found->value[i];
        d->share[t0 + i] = k < 0 ? 0 : (float)(found->below[i] / d->total[k]);
        d->node[t0 + i] = (int32_t)k;
    }
}

static void tile(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m, uint8_t *pattern) {
    best found;
    int done = 0;
    if (constant(p, d, t0, m, pattern)) {
        set_pattern(p, d, w, pattern);
        done = screened(p, d, w, t0, m, &found);
    } else {
        d->tiles[2]++;
    }
    if (!done) {
        lay_values(p, d, w, t0, m);
        for (int i = 0; i < m; i += 16)
            exact_strip(p, d, w, t0, i, &found);
    }
    write(d, t0, m, &found);
}

/* As bytes if that goes, else as two tiles. Where bytes are too coarse they are not tried again for a while.
 */
static void wide_tile(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m,
                      uint8_t *pattern) {
    best found;
    if (w->patience > 0) {
        w->patience--;
    } else if (constant(p, d, t0, m, pattern)) {
        set_pattern(p, d, w, pattern);
        if (w->leader >= 0 && screened_bytes(p, d, w, t0, m, &found)) {
            write(d, t0, m, &found);
            return;
        }
        w->patience = 3;
    }
    for (int64_t i = 0; i < m; i += T)
        tile(p, d, w, t0 + i, m - i < T ? m - i : T, pattern);
}

/* Maximum over the sources at every sample; 0, or -1 without memory. */
int64_t JOIN(beam_maximum, LEVEL)(const beam_plan *p, const beam_data *d) {
    int failed = 0;
    int64_t counts[5] = {0};
#pragma omp parallel num_threads((int)d->threads) reduction(| : failed) reduction(+ : counts[ : 5])
    {
        work w = {0};
        beam_data mine = *d;
        mine.tiles = counts;
        char *memory = aligned_alloc(128, lay_out(p, &w, NULL) + 128);
        uint8_t *pattern = malloc((size_t)(p->stations * p->phases));
        failed = !memory || !pattern;
        if (!failed)
            lay_out(p, &w, memory);
#pragma omp for schedule(dynamic, 1)
        for (int64_t t0 = 0; t0 < d->samples; t0 += WIDE)
            if (!failed)
                wide_tile(p, &mine, &w, t0, d->samples - t0 < WIDE ? d->samples - t0 : WIDE, pattern);
        free(memory);
        free(pattern);
    }
    for (int i = 0; i < 5; i++)
        d->tiles[i] = counts[i];
    return failed ? -1 : 0;
}

/* Weighted mean of source k at sample t, or NaN if it does not compete. */
static float value_at(const beam_plan *p, const beam_data *d, int64_t k, int64_t t) {
    const int64_t rows = p->stations * p->phases;
    double sum = 0, weight = 0;
    if (d->strict && (t + p->early[k] < 0 || t + p->late[k] >= d->samples))
        return NAN;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = t + p->delays[k * rows + r];
        if (!p->use[k * p->stations + r / p->phases] || at < 0 || at >= d->samples ||
            !d->live[r * d->samples + at])
            continue;
        sum += d->weights[r] * (double)d->values[r * d->samples + at];
        weight += d->weights[r];
    }
    return weight >= d->least[k] ? (float)(sum / weight) : NAN;
}

/* The beam of every source at some samples, (times, sources). */
int64_t JOIN(beam_values, LEVEL)(const beam_plan *p, const beam_data *d, const int64_t *times, int64_t count,
                                 float *out) {
#pragma omp parallel for schedule(static) num_threads((int)d->threads)
    for (int64_t k = 0; k < p->sources; k++)
        for (int64_t i = 0; i < count; i++)
            out[i * p->sources + k] = value_at(p, d, k, times[i]);
    return 0;
}
