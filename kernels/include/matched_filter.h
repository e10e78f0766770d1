/* Matched filter: normalised correlation of templates with continuous data, summed over channels.
 *
 * For template t and sample i
 *
 *     CC(t, i) = sum over c of w(t, c) a cc(i + m(t, c)) / sum over c of w(t, c)
 *     cc(j)    = sum over k of (x(j + k) - mean) q(k) / sqrt(sum over k of (x(j + k) - mean)^2)
 *
 * q: the template, zero mean and unit norm; mean: of the data in the window; a = 1 if every sample of the
 * window is live and within the data, else 0; cc = 0 where the window is constant. matched_filter_normalise
 * divides by the live share of the weights afterwards, where that is not 1.
 *
 * A row is a channel together with a length of window: the norms of the data depend on both.
 */
#ifndef MATCHED_FILTER_H
#define MATCHED_FILTER_H

#include <stdint.h>

typedef struct {
    int64_t threads, samples, channels, rows, templates;
    int64_t length;             /* of the longest window */
    int64_t size;               /* of a transform: a power of two, at least 128 and above length */
    double contrast;            /* of block norm to window norm, above which double precision is used */
    const float *data;          /* (channels, samples) */
    const uint8_t *live;        /* (channels, samples): 0 or 1 */
    const int64_t *row_channel; /* (rows) */
    const int64_t *row_length;  /* (rows) */
    const int64_t *entry;       /* (templates, rows): place in (templates, channels), or -1 */
    const int64_t *moveout;     /* (templates, channels), samples */
    const double *weight;       /* (templates, channels): shares of the total */
    const float *waveform;      /* (templates, channels, length) */
    float *out;                 /* (templates, samples) */
    int64_t *counts; /* (4): half blocks in all, those in double precision, windows summed one by one; place
                        of a waveform that is constant or not finite */
} matched_filter_problem;

typedef struct {
    int64_t threads, samples, rows, templates;
    int64_t most;           /* room for stretches of constant live share, of each template */
    double least;           /* live share below which CC is 0 */
    const int64_t *weight;  /* (templates, rows): integer weights, 0 where there is no entry */
    const int64_t *total;   /* (templates): sums of all weights, those of channels without data included */
    const int64_t *moveout; /* (templates, rows) */
    const int64_t *first;   /* (rows + 1): first of its dead stretches */
    const int64_t *dead; /* (stretches, 2): first window that is not live, first that is live again; sorted */
    float *out;          /* (templates, samples), or NULL: nothing is multiplied */
    int64_t *count;      /* (templates): stretches of constant live share */
    int64_t *start;      /* (templates, most): their first samples */
    float *share;        /* (templates, most) */
    float *factor;       /* (templates, most): what CC is multiplied with */
} matched_filter_shares;

/* What matched_filter_run and matched_filter_normalise return. */
enum {
    MATCHED_FILTER_DONE = 0,
    MATCHED_FILTER_MEMORY = 1,
    MATCHED_FILTER_NOT_FINITE = 2,
    MATCHED_FILTER_WAVEFORM = 3
};

#endif
