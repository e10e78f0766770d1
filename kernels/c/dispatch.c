/* The instruction set in use: each kernel is compiled for several, the best that the processor has is taken
 * at run time. LEVELS is 1 where only the plain path is built. */
#include "dispatch.h"

#include <stdint.h>
#include <string.h>

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

int dispatch_level(void) {
    if (level < 0)
        level = best();
    return level;
}

/* The instruction set in use: baseline, or x86-64 v3 (AVX2) or v4 (AVX-512). */
const char *seisflow_simd_level(void) { return names[dispatch_level()]; }

/* Use another one, for tests; 0 if that is possible, else -1. */
int64_t seisflow_simd_use(const char *name) {
    for (int i = 0; i <= best(); i++)
        if (!strcmp(name, names[i])) {
            level = i;
            return 0;
        }
    return -1;
}

/* 1 if the library was built with OpenMP. */
int64_t seisflow_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}
