/* Vectors of beam.c: 16-bit integers as wide as the instruction set, and 8 doubles. */
#ifndef BEAM_VECTOR_H
#define BEAM_VECTOR_H

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "beam.h"

#define T BEAM_TILE
#define WIDE BEAM_WIDE

#if defined(LEVEL_v4)
enum { BYTES = 64 };
#elif defined(LEVEL_v3)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { NV = 2 * T / BYTES, NL = BYTES / 2 };
typedef int16_t vec __attribute__((vector_size(BYTES), aligned(2), may_alias));
typedef uint16_t uvec __attribute__((vector_size(BYTES), aligned(2), may_alias));
typedef double wide __attribute__((vector_size(64), aligned(8), may_alias));
typedef int64_t lanes __attribute__((vector_size(64), aligned(8), may_alias));

/* The few operations that vector extensions have no word for. */
#if defined(LEVEL_v4)
static inline vec larger(vec a, vec b) { return (vec)_mm512_max_epi16((__m512i)a, (__m512i)b); }
static inline vec smaller(vec a, vec b) { return (vec)_mm512_min_epi16((__m512i)a, (__m512i)b); }
static inline vec upper(vec a, vec b) { return (vec)_mm512_mulhi_epi16((__m512i)a, (__m512i)b); }
static inline vec where_above(vec a, vec b, vec yes, vec no) {
    const __mmask32 k = _mm512_cmpgt_epi16_mask((__m512i)a, (__m512i)b);
    return (vec)_mm512_mask_mov_epi16((__m512i)no, k, (__m512i)yes);
}
#elif defined(LEVEL_v3)
static inline vec larger(vec a, vec b) { return (vec)_mm256_max_epi16((__m256i)a, (__m256i)b); }
static inline vec smaller(vec a, vec b) { return (vec)_mm256_min_epi16((__m256i)a, (__m256i)b); }
static inline vec upper(vec a, vec b) { return (vec)_mm256_mulhi_epi16((__m256i)a, (__m256i)b); }
static inline vec where_above(vec a, vec b, vec yes, vec no) {
    return (vec)_mm256_blendv_epi8((__m256i)no, (__m256i)yes, (__m256i)(a > b));
}
#else
static inline vec where_above(vec a, vec b, vec yes, vec no) {
    const vec k = a > b;
    return (yes & k) | (no & ~k);
}
#if defined(__SSE2__)
static inline vec larger(vec a, vec b) { return (vec)_mm_max_epi16((__m128i)a, (__m128i)b); }
static inline vec smaller(vec a, vec b) { return (vec)_mm_min_epi16((__m128i)a, (__m128i)b); }
static inline vec upper(vec a, vec b) { return (vec)_mm_mulhi_epi16((__m128i)a, (__m128i)b); }
#else
static inline vec larger(vec a, vec b) { return where_above(a, b, a, b); }
static inline vec smaller(vec a, vec b) { return where_above(a, b, b, a); }
static inline vec upper(vec a, vec b) {
    vec c;
    for (int i = 0; i < NL; i++)
        c[i] = (int16_t)(((int32_t)a[i] * b[i]) >> 16);
    return c;
}
#endif
#endif

#endif
