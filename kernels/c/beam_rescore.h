/* What the screening leaves is summed again in double precision. Part of beam.c. */
#ifndef BEAM_RESCORE_H
#define BEAM_RESCORE_H

/* What the screening leaves of a tile. */
typedef struct {
    int samples, bytes;  /* T, or WIDE with sums of bytes */
    int16_t least[WIDE]; /* sums below which a source cannot be the largest */
} sieve;

/* Weighted mean of a source at a sample: rows in order, double precision. */
static double exact(const beam_plan *p, const beam_data *d, const work *w, int64_t s, int64_t t) {
    const int64_t k = p->order[s], rows = p->stations * p->phases;
    const int32_t *delay = p->delays + k * rows;
    const uint8_t *use = p->use + k * p->stations;
    const float *f = d->values + t;
    double sum = 0;
    for (int64_t g = 0, r = 0; g < p->stations; g++)
        for (int64_t h = 0; h < p->phases; h++, r++, f += d->samples)
            if (use[g] & w->pattern[r])
                sum += d->weights[r] * (double)f[delay[r]];
    return sum / w->below[s];
}

/* Keep a source if it is the best so far. */
static inline void consider(const beam_plan *p, const beam_data *d, const work *w, int64_t s, int64_t t0,
                            int i, best *found) {
    const double value = exact(p, d, w, s, t0 + i);
    const int64_t k = p->order[s];
    if (value > found->value[i] || (value == found->value[i] && k < found->node[i])) {
        found->value[i] = value;
        found->below[i] = w->below[s];
        found->node[i] = k;
    }
}

static void begin(int64_t m, best *found) {
    for (int i = 0; i < m; i++) {
        found->value[i] = -INFINITY;
        found->node[i] = INT64_MAX;
    }
}

/* Consider the sources of the block of chunk c from s0 on whose sum at sample i is large enough. */
static void consider_block(const beam_plan *p, const beam_data *d, const work *w, const sieve *v, int64_t c,
                           int64_t s0, int64_t s1, int64_t t0, int i, best *found) {
    const int64_t cell = s0 / BEAM_BLOCK * v->samples + i;
    if (w->second[cell] < v->least[i]) {
        consider(p, d, w, s0 + w->who[cell], t0, i, found);
        return;
    }
    for (int64_t s = s0; s < s1; s++)
        if (w->factor[s] && (v->bytes ? bytes_at(p, w, c, s, i) : sum_at(p, w, c, s, i)) >= v->least[i])
            consider(p, d, w, s, t0, i, found);
}

/* Sums below which a source cannot be the largest, by sample. */
static void thresholds(const work *w, int64_t blocks, int margin, sieve *v) {
    for (int j = 0; j < v->samples; j += NL) {
        vec top = INT16_MIN - (vec){0};
        for (int64_t b = 0; b < blocks; b++)
            top = larger(top, *(const vec *)(w->top + b * v->samples + j));
        *(vec *)(v->least + j) = top - (int16_t)margin;
    }
}

static inline int any(vec a) {
    uint64_t words[BYTES / 8], all = 0;
    memcpy(words, &a, BYTES);
    for (int i = 0; i < BYTES / 8; i++)
        all |= words[i];
    return all != 0;
}

/* Blocks and samples with a sum that is large enough. */
static int64_t count_cells(const int16_t *sums, int64_t blocks, const sieve *v) {
    int64_t cells = 0;
    for (int j = 0; j < v->samples; j += NL) {
        const vec bound = *(const vec *)(v->least + j);
        for (int64_t b0 = 0; b0 < blocks; b0 += INT16_MAX) {
            vec count = {0};
            for (int64_t b = b0; b < blocks && b < b0 + INT16_MAX; b++)
                count -= *(const vec *)(sums + b * v->samples + j) >= bound;
            for (int i = 0; i < NL; i++)
                cells += count[i];
        }
    }
    return cells;
}

/* What it costs to sum those sources again that may be the largest: how many, with guessed factors. */
static int64_t crowd(const work *w, int64_t blocks, const sieve *v) {
    return count_cells(w->top, blocks, v) + (v->bytes ? 32 : 8) * count_cells(w->second, blocks, v);
}

/* Sum every source that may be the largest again. */
static void rescore(const beam_plan *p, const beam_data *d, const work *w, const sieve *v, int64_t t0,
                    int64_t m, best *found) {
    for (int64_t c = 0; c < p->chunks; c++) {
        for (int64_t s = p->chunk[c]; s < p->chunk[c + 1]; s += BEAM_BLOCK) {
            const int16_t *top = w->top + s / BEAM_BLOCK * v->samples;
            const int64_t end = s + BEAM_BLOCK < p->chunk[c + 1] ? s + BEAM_BLOCK : p->chunk[c + 1];
            for (int j = 0; j < m; j += NL) {
                if (!any(*(const vec *)(top + j) >= *(const vec *)(v->least + j)))
                    continue;
                for (int i = j; i < j + NL && i < m; i++)
                    if (top[i] >= v->least[i])
                        consider_block(p, d, w, v, c, s, end, t0, i, found);
            }
        }
    }
}

/* Consider the source with the largest sum of bytes at each sample: its sum in double precision bounds those
 * that may be larger more closely than the bytes do. */
static void tighten(const beam_plan *p, const beam_data *d, const work *w, int64_t blocks, int64_t t0,
                    int64_t m, sieve *v, best *found) {
    const double room = 0.505 * (double)((p->phases + 1) / 2 * p->stations) + 0.1;
    int16_t top[WIDE];
    int32_t first[WIDE];
    for (int i = 0; i < WIDE; i++)
        top[i] = -1, first[i] = 0;
    for (int64_t b = 0; b < blocks; b++)
        for (int i = 0; i < WIDE; i++)
            if (w->top[b * WIDE + i] > top[i])
                top[i] = w->top[b * WIDE + i], first[i] = (int32_t)b;
    for (int i = 0; i < WIDE; i++) {
        v->least[i] = INT16_MAX;
        if (i >= m)
            continue;
        const int64_t s = (int64_t)first[i] * BEAM_BLOCK + w->who[first[i] * WIDE + i];
        consider(p, d, w, s, t0, i, found);
        v->least[i] = (int16_t)ceil((found->value[i] * w->below[s] - w->offset) * w->levels - room);
    }
}

#endif
