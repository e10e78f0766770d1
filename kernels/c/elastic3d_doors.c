/* The doors of elastic3d: one for each type, each with the instruction set in use. */
#include <string.h>

#include "dispatch.h"
#include "elastic3d.h"

#define DECLARE(bits, level)                                                                                 \
    int64_t elastic3d_advance_f##bits##_##level(const elastic3d_grid *, const elastic3d_sources *,           \
                                                const elastic3d_sources *, const elastic3d_receivers *,      \
                                                const elastic3d_snapshots *, int64_t, int64_t);              \
    int64_t elastic3d_correlate_f##bits##_##level(const elastic3d_grid *, const elastic3d_snapshots *,       \
                                                  int64_t, const elastic3d_gradient *, int64_t);
DECLARE(32, baseline)
DECLARE(64, baseline)
#if LEVELS > 1
DECLARE(32, v3)
DECLARE(64, v3)
DECLARE(32, v4)
DECLARE(64, v4)
#endif

/* Weights of the closure's integer and half levels; returns their number. */
int64_t elastic3d_weights(double *node, double *half) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH;
    memcpy(node, hi, sizeof hi);
    memcpy(half, hh, sizeof hh);
    return ELASTIC3D_ROWS;
}

#define DOORS(bits)                                                                                          \
    int64_t elastic3d_advance_f##bits(const elastic3d_grid *g, const elastic3d_sources *forces,              \
                                      const elastic3d_sources *moments,                                      \
                                      const elastic3d_receivers *receivers,                                  \
                                      const elastic3d_snapshots *snapshots, int64_t first, int64_t steps) {  \
        return CHOOSE(elastic3d_advance_f##bits)(g, forces, moments, receivers, snapshots, first, steps);    \
    }                                                                                                        \
    int64_t elastic3d_correlate_f##bits(const elastic3d_grid *g, const elastic3d_snapshots *s, int64_t slot, \
                                        const elastic3d_gradient *d, int64_t after) {                        \
        return CHOOSE(elastic3d_correlate_f##bits)(g, s, slot, d, after);                                    \
    }
DOORS(32)
DOORS(64)
