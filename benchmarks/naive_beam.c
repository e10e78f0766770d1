/* What one writes first: shift and stack in tiles with a running maximum. The peer of benchmarks/backprojection.py. */
#include <stdint.h>

enum { TILE = 512 };

void naive_beam(const float *restrict f, const int32_t *restrict delays, int64_t sources, int64_t rows,
                int64_t samples, int64_t times, float *restrict maximum, int32_t *restrict node) {
    float sum[TILE];
    for (int64_t t0 = 0; t0 < times; t0 += TILE) {
        const int64_t m = times - t0 < TILE ? times - t0 : TILE;
        for (int64_t i = 0; i < m; i++) {
            maximum[t0 + i] = -1e30f;
            node[t0 + i] = 0;
        }
        for (int64_t k = 0; k < sources; k++) {
            const int32_t *d = delays + k * rows;
            for (int64_t i = 0; i < m; i++)
                sum[i] = 0;
            for (int64_t r = 0; r + 8 <= rows; r += 8) { /* rows: a multiple of 8 */
                const float *p[8];
                for (int j = 0; j < 8; j++)
                    p[j] = f + (r + j) * samples + t0 + d[r + j];
                const float *a = p[0], *b = p[1], *c = p[2], *e = p[3], *g = p[4], *h = p[5], *q = p[6], *s = p[7];
                for (int64_t i = 0; i < m; i++)
                    sum[i] += a[i] + b[i] + c[i] + e[i] + g[i] + h[i] + q[i] + s[i];
            }
            for (int64_t i = 0; i < m; i++) {
                const int better = sum[i] > maximum[t0 + i];
                maximum[t0 + i] = better ? sum[i] : maximum[t0 + i];
                node[t0 + i] = better ? (int32_t)k : node[t0 + i];
            }
        }
    }
}
