/* The doors of beam: plans, which no instruction set matters for, and sums with the one in use. */
#include "beam.h"

#include <stdlib.h>

#include "dispatch.h"

#define DECLARE(level)                                                                                       \
    int64_t beam_maximum_##level(const beam_plan *, const beam_data *);                                      \
    int64_t beam_values_##level(const beam_plan *, const beam_data *, const int64_t *, int64_t, float *);
DECLARE(baseline)
#if LEVELS > 1
DECLARE(v3)
DECLARE(v4)
#endif

/* Maximum over the sources at every sample; 0, or -1 without memory. */
int64_t beam_maximum(const beam_plan *p, const beam_data *d) { return CHOOSE(beam_maximum)(p, d); }

/* The beam of every source at some samples, (times, sources); NaN where a source does not compete. */
int64_t beam_values(const beam_plan *p, const beam_data *d, const int64_t *times, int64_t count, float *out) {
    return CHOOSE(beam_values)(p, d, times, count, out);
}

typedef struct {
    int32_t value, source;
} ranked;

static int by_value(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->source < y->source ? -1 : x->source > y->source;
}

enum { LEAF = 8 };

/* Halve the sources along the row in which their delays differ most, until a few are left. */
static void halve(const beam_plan *p, int32_t *order, int64_t n, ranked *keys) {
    const int64_t rows = p->stations * p->phases;
    while (n > LEAF) {
        int64_t widest = 0, most = -1;
        for (int64_t r = 0; r < rows; r++) {
            int64_t low = INT32_MAX, high = INT32_MIN;
            for (int64_t i = 0; i < n; i++) {
                const int32_t v = p->delays[order[i] * rows + r];
                low = v < low ? v : low;
                high = v > high ? v : high;
            }
            if (high - low > most) {
                most = high - low;
                widest = r;
            }
        }
        for (int64_t i = 0; i < n; i++)
            keys[i] = (ranked){p->delays[order[i] * rows + widest], order[i]};
        qsort(keys, (size_t)n, sizeof *keys, by_value);
        for (int64_t i = 0; i < n; i++)
            order[i] = keys[i].source;
        const int64_t half = (n / 2 + LEAF - 1) / LEAF * LEAF;
        halve(p, order, half, keys);
        order += half;
        n -= half;
    }
}

/* Put sources with like delays beside each other; 0, or -1 without memory. */
int64_t beam_order(const beam_plan *p) {
    ranked *keys = malloc(sizeof *keys * (size_t)(p->used ? p->used : 1));
    if (!keys)
        return -1;
    halve(p, p->order, p->used, keys);
    free(keys);
    return 0;
}

/* Number the table rows of one block of sources, those not yet seen in this chunk from `rows` on. */
static int64_t number(const beam_plan *p, int64_t s0, int64_t s1, const int32_t *ids, int32_t *seen,
                      int32_t *local, int32_t chunk, int64_t start, int64_t rows, int64_t *place) {
    const int64_t half = (p->phases + 1) / 2, groups = p->stations * half, n = p->stations * p->phases;
    for (int64_t s = s0; s < s1; s++) {
        const int64_t k = p->order[s];
        p->first[s] = *place;
        for (int64_t g = 0; g < groups; g++) {
            const int64_t station = g / half, a = station * p->phases + 2 * (g % half);
            if (!p->use[k * p->stations + station])
                continue;
            const int32_t id = ids[k * groups + g];
            if (seen[id] != chunk) {
                const int pair = 2 * (g % half) + 1 < p->phases;
                const int32_t *d = p->delays + k * n;
                seen[id] = chunk;
                local[id] = (int32_t)rows;
                p->left[start + rows] = (int32_t)(a * p->width + d[a] - p->low[a]);
                p->right[start + rows] =
                    (int32_t)(pair ? (a + 1) * p->width + d[a + 1] - p->low[a + 1] : n * p->width);
                rows++;
            }
            p->entry[(*place)++] = (uint16_t)local[id];
        }
    }
    return rows;
}

/* A chunk ends: keep its table if it saves work, else name the groups. Returns rows of the table. */
static int64_t end_chunk(const beam_plan *p, int64_t s0, int64_t s1, int64_t rows) {
    const int64_t half = (p->phases + 1) / 2, groups = p->stations * half;
    int64_t entries = p->first[s1] - p->first[s0], stations = entries / half;
    if (3 * rows <= stations * p->phases - entries)
        return rows;
    for (int64_t s = s0; s < s1; s++) {
        uint16_t *e = p->entry + p->first[s];
        for (int64_t g = 0; g < groups; g++)
            if (p->use[p->order[s] * p->stations + g / half])
                *e++ = (uint16_t)g;
    }
    return 0;
}

/* Cut the ordered sources into chunks; ids (sources, groups) number the different pairs of delays, seen
 * (filled with -1) and local are of their number. Returns the number of chunks. */
int64_t beam_chunks(const beam_plan *p, const int32_t *ids, int32_t *seen, int32_t *local) {
    int64_t chunks = 0, rows = 0, start = 0, place = 0, s0 = 0;
    p->chunk[0] = p->table[0] = p->first[0] = 0;
    for (int64_t s = 0; s < p->used; s += BEAM_BLOCK) {
        const int64_t s1 = s + BEAM_BLOCK < p->used ? s + BEAM_BLOCK : p->used, before = place;
        int64_t now = number(p, s, s1, ids, seen, local, (int32_t)chunks, start, rows, &place);
        if (now > BEAM_TABLE && s > s0) {
            p->first[s] = before;
            start += end_chunk(p, s0, s, rows);
            p->chunk[++chunks] = s0 = s;
            p->table[chunks] = start;
            place = before;
            now = number(p, s, s1, ids, seen, local, (int32_t)chunks, start, 0, &place);
        }
        rows = now;
        p->first[s1] = place;
    }
    if (p->used > s0) {
        start += end_chunk(p, s0, p->used, rows);
        p->chunk[++chunks] = p->used;
        p->table[chunks] = start;
    }
    return chunks;
}
