/* The doors of elastic3d: one for each order and type, each with the instruction set in use. */
#include "dispatch.h"
#include "elastic3d.h"

#define DECLARE(order, bits, level)                                                                          \
    int64_t elastic3d_advance_o##order##_f##bits##_##level(                                                  \
        const elastic3d_grid *, const elastic3d_sources *, const elastic3d_sources *,                        \
        const elastic3d_receivers *, const elastic3d_snapshots *, int64_t, int64_t);                         \
    int64_t elastic3d_passage_o##order##_f##bits##_##level(                                                  \
        const elastic3d_grid *, const elastic3d_sources *, const elastic3d_sources *,                        \
        const elastic3d_receivers *, const elastic3d_snapshots *, const elastic3d_part *, int64_t);          \
    int64_t elastic3d_correlate_o##order##_f##bits##_##level(                                                \
        const elastic3d_grid *, const elastic3d_snapshots *, int64_t, const elastic3d_gradient *, int64_t);  \
    int64_t elastic3d_weights_o##order##_f##bits##_##level(double *, double *);                              \
    int64_t elastic3d_stencils_o##order##_f##bits##_##level(double *, double *, double *);
DECLARE(4, 32, baseline)
DECLARE(8, 32, baseline)
DECLARE(4, 64, baseline)
DECLARE(8, 64, baseline)
#if LEVELS > 1
DECLARE(4, 32, v3)
DECLARE(8, 32, v3)
DECLARE(4, 64, v3)
DECLARE(8, 64, v3)
DECLARE(4, 32, v4)
DECLARE(8, 32, v4)
DECLARE(4, 64, v4)
DECLARE(8, 64, v4)
#endif

#define DOORS(order, bits)                                                                                   \
    int64_t elastic3d_advance_o##order##_f##bits(                                                            \
        const elastic3d_grid *g, const elastic3d_sources *forces, const elastic3d_sources *moments,          \
        const elastic3d_receivers *receivers, const elastic3d_snapshots *snapshots, int64_t first,           \
        int64_t steps) {                                                                                     \
        return CHOOSE(elastic3d_advance_o##order##_f##bits)(g, forces, moments, receivers, snapshots, first, \
                                                            steps);                                          \
    }                                                                                                        \
    int64_t elastic3d_passage_o##order##_f##bits(                                                            \
        const elastic3d_grid *g, const elastic3d_sources *forces, const elastic3d_sources *moments,          \
        const elastic3d_receivers *receivers, const elastic3d_snapshots *snapshots,                          \
        const elastic3d_part *part, int64_t last) {                                                          \
        return CHOOSE(elastic3d_passage_o##order##_f##bits)(g, forces, moments, receivers, snapshots, part,  \
                                                            last);                                           \
    }                                                                                                        \
    int64_t elastic3d_correlate_o##order##_f##bits(const elastic3d_grid *g, const elastic3d_snapshots *s,    \
                                                   int64_t slot, const elastic3d_gradient *d,                \
                                                   int64_t after) {                                          \
        return CHOOSE(elastic3d_correlate_o##order##_f##bits)(g, s, slot, d, after);                         \
    }                                                                                                        \
    int64_t elastic3d_weights_o##order##_f##bits(double *node, double *half) {                               \
        return CHOOSE(elastic3d_weights_o##order##_f##bits)(node, half);                                     \
    }                                                                                                        \
    int64_t elastic3d_stencils_o##order##_f##bits(double *half, double *node, double *interior) {            \
        return CHOOSE(elastic3d_stencils_o##order##_f##bits)(half, node, interior);                          \
    }
DOORS(4, 32)
DOORS(4, 64)
DOORS(8, 32)
DOORS(8, 64)
