/* Screening with bytes, part of beam.c: a row of a table holds the sums of a pair of rows in 8 bits, so that
 * it takes half the memory, which is what the screening waits for. Sums of sources stay in 16 bits. Two
 * samples share a 16-bit word: its low byte is one of the first half of a vector pair, its high byte one of
 * the second. */
#ifndef BEAM_BYTES_H
#define BEAM_BYTES_H

enum {
    NB = WIDE / BYTES,    /* vectors of a row of a table */
    NP = NB > 4 ? 4 : NB, /* of them, those that are summed at once: what there are registers for */
    BEAM_TOGETHER = 2,    /* rows of a table whose sum fits in a byte */
    BEAM_LEVELS = 255 / BEAM_TOGETHER,
};

/* Whether sums fit and every chunk has a table. */
static int bytes_fit(const beam_plan *p) {
    if ((p->phases + 1) / 2 * p->stations > 32000 / BEAM_LEVELS)
        return 0;
    for (int64_t c = 0; c < p->chunks; c++)
        if (p->table[c + 1] == p->table[c])
            return 0;
    return 1;
}

/* Quantise the rows of a wide tile to 256ths of a level, from 0 on, so that a pair stays within the levels.
 * If some source leaves out a station all have the same offset, which cancels as denominators are alike.
 * Returns 0 if features are constant, too large or too small. */
static int quantise_bytes(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m) {
    const int64_t rows = p->stations * p->phases, half = (p->phases + 1) / 2;
    double low[rows], high[rows], least = INFINITY, widest = 0;
    const int all = p->first[p->used] == p->used * p->stations * half;
    for (int64_t r = 0; r < rows; r++)
        if (w->pattern[r]) {
            extremes(d->values + r * d->samples + t0 + p->low[r], m + p->high[r] - p->low[r], low + r,
                     high + r);
            least = low[r] < least ? low[r] : least;
        }
    for (int64_t s = 0; s < p->stations; s++)
        for (int64_t h = 0; h < p->phases; h += 2) {
            double sum = 0;
            for (int64_t r = s * p->phases + h; r < s * p->phases + h + 2 && r < (s + 1) * p->phases; r++)
                if (w->pattern[r])
                    sum += d->weights[r] * (high[r] - (all ? low[r] : least));
            widest = sum > widest ? sum : widest;
        }
    if (!(widest > 1e-25 && widest < 1e25))
        return 0;
    w->offset = all ? 0 : least * w->below[0];
    w->levels = (BEAM_LEVELS * 256 - 2) / widest / 256;
    for (int64_t r = 0; r < rows && all; r++)
        if (w->pattern[r])
            w->offset += d->weights[r] * low[r];
    for (int64_t r = 0; r <= rows; r++) {
        uint16_t *q = (uint16_t *)w->quanta + r * p->width;
        int64_t n = 0;
        if (r < rows && w->pattern[r]) {
            const float *f = d->values + r * d->samples + t0 + p->low[r];
            const float shift = (float)(all ? low[r] : least);
            const float scale = (float)(d->weights[r] * (BEAM_LEVELS * 256 - 2) / widest);
            n = m + p->high[r] - p->low[r];
            for (int64_t i = 0; i < n; i++)
                q[i] = (uint16_t)(int32_t)((f[i] - shift) * scale + 0.5f);
        }
        memset(q + n, 0, sizeof *q * (size_t)(p->width - n));
    }
    return 1;
}

static void fill_bytes(const beam_plan *p, work *w, int64_t c) {
    for (int64_t r = p->table[c]; r < p->table[c + 1]; r++) {
        const uint16_t *a = (uint16_t *)w->quanta + p->left[r], *b = (uint16_t *)w->quanta + p->right[r];
        uint16_t *out = (uint16_t *)w->table + (r - p->table[c]) * (WIDE / 2);
#pragma GCC unroll 8
        for (int j = 0; j < NB; j++, a += 2 * NL, b += 2 * NL) {
            const uvec x = *(const uvec *)a + *(const uvec *)b + 128;
            const uvec y = *(const uvec *)(a + NL) + *(const uvec *)(b + NL) + 128;
            *(uvec *)(out + j * NL) = (x >> 8) | (y & 0xff00);
        }
    }
}

/* Sum of source s of chunk c at one sample; from the rows themselves, as the table may be another's. */
static inline int bytes_at(const beam_plan *p, const work *w, int64_t c, int64_t s, int i) {
    const int32_t *left = p->left + p->table[c], *right = p->right + p->table[c];
    const uint16_t *quanta = (const uint16_t *)w->quanta;
    int sum = 0;
    for (int64_t e = p->first[s]; e < p->first[s + 1]; e++)
        sum += (quanta[left[p->entry[e]] + i] + quanta[right[p->entry[e]] + i] + 128) >> 8;
    return sum;
}

/* Sums of one source at 2 NP NL samples. */
static inline __attribute__((always_inline)) void sum_bytes(const uint8_t *table, const uint16_t *e,
                                                            const uint16_t *end, uvec *low, uvec *high) {
    typedef uint8_t bytes __attribute__((vector_size(BYTES), aligned(1), may_alias));
    uvec both[NP];
    for (int j = 0; j < NP; j++)
        both[j] = high[j] = (uvec){0};
    for (; e + BEAM_TOGETHER <= end; e += BEAM_TOGETHER) {
#pragma GCC unroll 8
        for (int j = 0; j < NP; j++) {
            bytes x = *(const bytes *)(table + (int64_t)e[0] * WIDE + j * BYTES);
#pragma GCC unroll 4
            for (int k = 1; k < BEAM_TOGETHER; k++)
                x += *(const bytes *)(table + (int64_t)e[k] * WIDE + j * BYTES);
            both[j] += (uvec)x;
            high[j] += (uvec)x >> 8;
        }
    }
    for (; e < end; e++)
#pragma GCC unroll 8
        for (int j = 0; j < NP; j++) {
            const uvec x = *(const uvec *)(table + (int64_t)e[0] * WIDE + j * BYTES);
            both[j] += x;
            high[j] += x >> 8;
        }
#pragma GCC unroll 8
    for (int j = 0; j < NP; j++)
        low[j] = both[j] - (high[j] << 8);
}

/* The two largest sums of each block of sources, and whose the first is. */
static void screen_bytes(const beam_plan *p, const work *w, int64_t s0, int64_t s1) {
    const uint8_t *table = (const uint8_t *)w->table;
    for (int64_t b = s0; b < s1; b += BEAM_BLOCK)
        for (int part = 0; part < NB / NP; part++) {
            vec top[2 * NP], second[2 * NP], who[2 * NP];
            for (int j = 0; j < 2 * NP; j++) {
                top[j] = second[j] = INT16_MIN - (vec){0};
                who[j] = (vec){0};
            }
            for (int64_t s = b; s < s1 && s < b + BEAM_BLOCK; s++) {
                uvec low[NP], high[NP];
                sum_bytes(table + part * NP * BYTES, p->entry + p->first[s], p->entry + p->first[s + 1], low,
                          high);
                const vec number = (int16_t)(s - b) - (vec){0};
#pragma GCC unroll 8
                for (int j = 0; j < 2 * NP; j++) {
                    const vec v = (vec)(j % 2 ? high[j / 2] : low[j / 2]);
                    who[j] = where_above(v, top[j], number, who[j]);
                    second[j] = larger(second[j], smaller(v, top[j]));
                    top[j] = larger(top[j], v);
                }
            }
            const int64_t out = b / BEAM_BLOCK * WIDE + part * 2 * NP * NL;
            for (int j = 0; j < 2 * NP; j++) {
                *(vec *)(w->top + out + j * NL) = top[j];
                *(vec *)(w->second + out + j * NL) = second[j];
                *(vec *)(w->who + out + j * NL) = who[j];
            }
        }
}

#endif
