/* The doors of the library: each entry is compiled for several instruction sets, the best that the processor
 * has is taken at run time. LEVELS is 1 where only the plain path is built. */
#include <string.h>

#include "elastic3d.h"

#ifdef _OPENMP
#include <omp.h>
#endif

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
#define CHOOSE(name, bits)                                                                                   \
    (level == 2 ? name##_f##bits##_v4 : level == 1 ? name##_f##bits##_v3 : name##_f##bits##_baseline)
#else
#define CHOOSE(name, bits) name##_f##bits##_baseline
#endif

static const char *const names[] = {"baseline", "v3", "v4"};
static int level = -1;

static int best(void) {
#if LEVELS > 1
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512vl"))
        return 2;
    return 1;
#else
    return 0;
#endif
}

/* The instruction set in use: baseline, or x86-64 v3 (AVX2) or v4 (AVX-512). */
const char *seisflow_simd_level(void) {
    if (level < 0)
        level = best();
    return names[level];
}

/* Use another one, for tests; 0 if that is possible, else -1. */
int64_t seisflow_simd_use(const char *name) {
    for (int i = 0; i <= best(); i++)
        if (!strcmp(name, names[i])) {
            level = i;
            return 0;
        }
    return -1;
}

/* Weights of the closure's integer and half levels; returns their number. */
int64_t elastic3d_weights(double *node, double *half) {
    static const double hi[] = ELASTIC3D_HI, hh[] = ELASTIC3D_HH;
    memcpy(node, hi, sizeof hi);
    memcpy(half, hh, sizeof hh);
    return ELASTIC3D_ROWS;
}

/* 1 if the library was built with OpenMP. */
int64_t seisflow_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

#define DOORS(bits)                                                                                          \
    int64_t elastic3d_advance_f##bits(const elastic3d_grid *g, const elastic3d_sources *forces,              \
                                      const elastic3d_sources *moments,                                      \
                                      const elastic3d_receivers *receivers,                                  \
                                      const elastic3d_snapshots *snapshots, int64_t first, int64_t steps) {  \
        seisflow_simd_level();                                                                               \
        return CHOOSE(elastic3d_advance, bits)(g, forces, moments, receivers, snapshots, first, steps);      \
    }                                                                                                        \
    int64_t elastic3d_correlate_f##bits(const elastic3d_grid *g, const elastic3d_snapshots *s, int64_t slot, \
                                        const elastic3d_gradient *d, int64_t after) {                        \
        seisflow_simd_level();                                                                               \
        return CHOOSE(elastic3d_correlate, bits)(g, s, slot, d, after);                                      \
    }
DOORS(32)
DOORS(64)
