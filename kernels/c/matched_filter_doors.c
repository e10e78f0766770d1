/* The doors of the matched filter, each with the instruction set in use. */
#include "dispatch.h"
#include "matched_filter.h"

#define DECLARE(level)                                                                                       \
    int64_t matched_filter_run_##level(const matched_filter_problem *);                                      \
    int64_t matched_filter_normalise_##level(const matched_filter_shares *);                                 \
    int64_t matched_filter_bytes_##level(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
DECLARE(baseline)
#if LEVELS > 1
DECLARE(v3)
DECLARE(v4)
#endif

int64_t matched_filter_run(const matched_filter_problem *p) { return CHOOSE(matched_filter_run)(p); }

int64_t matched_filter_normalise(const matched_filter_shares *p) {
    return CHOOSE(matched_filter_normalise)(p);
}

/* Bytes that a run takes beside its arguments. */
int64_t matched_filter_bytes(int64_t samples, int64_t rows, int64_t templates, int64_t size, int64_t span,
                             int64_t threads) {
    return CHOOSE(matched_filter_bytes)(samples, rows, templates, size, span, threads);
}
