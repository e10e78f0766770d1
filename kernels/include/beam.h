/* Backprojection: the largest weighted mean of features along the delays of many sources, per origin time.
 *
 *   beam(k, t) = sum_r w(r) a(r, t + d(k, r)) f(r, t + d(k, r)) / sum_r w(r) a(r, t + d(k, r))
 *
 * r runs over the rows (station s, phase p), r = s * phases + p, of the stations that source k uses; f are
 * features, a is 1 where a row was live. Outside the data a row is not live.
 */
#ifndef BEAM_H
#define BEAM_H

#include <stdint.h>

enum {
    BEAM_TILE = 64,   /* samples that are worked on together */
    BEAM_WIDE = 128,  /* the same where sums of pairs of rows are kept as bytes */
    BEAM_BLOCK = 64,  /* sources of which the screening keeps the two largest sums */
    BEAM_TABLE = 8192 /* rows of a table of shared sums, so that it stays in the cache */
};

/* What depends on the delays alone. A group is one or two rows of a station: rows 2h and 2h + 1 of its
 * phases. Sources near each other in delay are neighbours in `order`. They come in chunks: in one, each
 * different pair of delays of a group is one row of a table that is summed once a tile; or, where few pairs
 * are shared, there is none and the rows are summed as they are. */
typedef struct {
    int64_t sources, stations, phases, used, chunks, most; /* most: rows of the source that has most */
    int64_t width;                                         /* samples of a row of the quantised tile */
    const int32_t *delays;                                 /* (sources, stations * phases) */
    const uint8_t *use;                                    /* (sources, stations) */
    const int32_t *low, *high;                             /* (rows) range of the delays of a row */
    const int32_t *early, *late;                           /* (sources) range of the delays of a source */
    int32_t *order;                                        /* (used) sources that use any station */
    int64_t *first;                                        /* (used + 1) into entry */
    uint16_t *entry;                                       /* row of the table, or group if there is none */
    int64_t *chunk, *table; /* (chunks + 1) first source; first row of tables */
    int32_t *left, *right;  /* places in the quantised tile that make a table row */
} beam_plan;

typedef struct {
    int64_t samples, strict, threads;
    const float *values;         /* (rows, samples) */
    const uint8_t *live;         /* (rows, samples) 0 or 1 */
    const double *weights;       /* (rows) */
    const double *least, *total; /* (sources) live weight needed to compete; weight of all rows */
    float *maximum, *share;      /* (samples) */
    int32_t *node;               /* (samples) */
    int64_t *tiles; /* (5) tiles: screened, screened then exact, exact, silent; of the first, with bytes */
} beam_data;

#endif
