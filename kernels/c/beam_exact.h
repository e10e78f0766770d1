/* Exact tiles of beam.c: all sources in double precision, with rows that start or stop to be live. */
#ifndef BEAM_EXACT_H
#define BEAM_EXACT_H

#include <math.h>
#include <string.h>

#include "beam_vector.h"

/* What a thread works in. */
typedef struct {
    int16_t *quanta, *table;     /* (rows + 1, width), (table rows, T) or as many bytes */
    int16_t *top, *second, *who; /* (blocks, T or WIDE) largest sums of a block, place in it of the first */
    double *value, *weight;      /* (rows, width) features times weights, weights; 0 where dead */
    uint8_t *pattern;            /* (rows) which are live, as of the next three */
    double *below;               /* (used) denominators, 0 if the source does not compete */
    int16_t *factor;             /* (used) what the sums are scaled with, 0 if it does not compete */
    int64_t known, even, leader; /* pattern set; factors all alike; lowest source that competes, or -1 */
    double offset, levels;       /* taken from sums of features, and by what multiplied: the sums of bytes */
    int64_t patience;            /* wide tiles until bytes are tried again */
} work;

/* The best source of each sample of a tile: its mean, its denominator, its number. */
typedef struct {
    double value[WIDE], below[WIDE];
    int64_t node[WIDE];
} best;

/* Features times weights and weights of a tile in double precision; 0 where dead or outside. */
static void lay_values(const beam_plan *p, const beam_data *d, work *w, int64_t t0, int64_t m) {
    for (int64_t r = 0; r < p->stations * p->phases; r++) {
        const int64_t a = t0 + p->low[r], n = m + p->high[r] - p->low[r];
        double *value = w->value + r * p->width, *weight = w->weight + r * p->width;
        for (int64_t i = 0; i < p->width; i++) {
            const int inside = i < n && a + i >= 0 && a + i < d->samples;
            const int live = inside && d->live[r * d->samples + a + i];
            value[i] = live ? d->weights[r] * (double)d->values[r * d->samples + a + i] : 0;
            weight[i] = live ? d->weights[r] : 0;
        }
    }
}

/* All sources at 16 samples from i on, in double precision. */
static void exact_strip(const beam_plan *p, const beam_data *d, const work *w, int64_t t0, int i,
                        best *found) {
    const int64_t rows = p->stations * p->phases;
    const lanes number = {0, 1, 2, 3, 4, 5, 6, 7};
    wide value[2], below[2];
    lanes node[2];
    for (int j = 0; j < 2; j++) {
        value[j] = -INFINITY - (wide){0};
        below[j] = (wide){0};
        node[j] = -1 - (lanes){0};
    }
    for (int64_t k = 0; k < p->sources; k++) {
        const int32_t *delay = p->delays + k * rows;
        const int64_t first = d->strict ? -(int64_t)p->early[k] : 0;
        const int64_t last = d->strict ? d->samples - 1 - p->late[k] : d->samples - 1;
        if (first > t0 + i + 15 || last < t0 + i)
            continue;
        wide sum[2] = {{0}}, weight[2] = {{0}};
        for (int64_t g = 0; g < p->stations; g++)
            if (p->use[k * p->stations + g])
                for (int64_t r = g * p->phases; r < (g + 1) * p->phases; r++) {
                    const int64_t from = r * p->width + delay[r] - p->low[r] + i;
                    for (int j = 0; j < 2; j++) {
                        sum[j] += *(const wide *)(w->value + from + 8 * j);
                        weight[j] += *(const wide *)(w->weight + from + 8 * j);
                    }
                }
        for (int j = 0; j < 2; j++) {
            const lanes t = number + (t0 + i + 8 * j);
            const wide mean = sum[j] / weight[j];
            const lanes k1 = (weight[j] >= d->least[k]) & (mean > value[j]) & (t >= first) & (t <= last);
            value[j] = (wide)((k1 & (lanes)mean) | (~k1 & (lanes)value[j]));
            below[j] = (wide)((k1 & (lanes)weight[j]) | (~k1 & (lanes)below[j]));
            node[j] = (k1 & k) | (~k1 & node[j]);
        }
    }
    memcpy(found->value + i, value, sizeof value);
    memcpy(found->below + i, below, sizeof below);
    memcpy(found->node + i, node, sizeof node);
}

#endif
