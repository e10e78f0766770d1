/* Backprojection on the GPU; what is computed is said in beam.h, and comes out as on the CPU, bit for bit.
 *
 * A block takes a tile of 32 samples, one for each lane. Sources near each other in delay come in chunks: the
 * rows of the chunk are staged in shared memory times their weights, the sum of the two rows of a station is
 * made once for each different pair of delays, sources add these sums. Every warp keeps the largest and the
 * second largest of its sources in registers, so there never is a beam in memory. Sums in single precision
 * have a bounded error; where the two largest are nearer than that, the sample is doubtful and all sources
 * are summed in double precision (beam_exact); elsewhere the largest alone is. Tiles in which a row starts or
 * stops to be live or leaves the data are doubtful as a whole.
 *
 * With HALF features are IEEE half precision numbers, in memory and on the way; they are what is summed.
 */
#include "device.h"

#ifndef HALF
#define HALF 0
#endif
#if HALF
typedef uint16_t feature;
DEVICE float value_of(feature f) { return from_half(f); }
#else
typedef float feature;
DEVICE float value_of(feature f) { return f; }
#endif

#define TILE 32
#define WARPS 32

typedef struct {
    int64_t samples, sources, used, chunks, tiles, listed;
    const int32_t *delays;       /* (rows, sources) */
    const uint8_t *use;          /* (stations, sources) */
    const int32_t *early, *late; /* (sources) range of the delays of a source */
    const double *weights;       /* (rows) */
    const double *least, *total; /* (sources) live weight needed to compete; weight of all rows */
    const int32_t *order;        /* (used) sources that use any station */
    const int64_t *chunk;        /* (chunks + 1) first source in `order` */
    const int64_t *table;        /* (chunks + 1) first row of the tables */
    const int32_t *left, *right; /* (rows of tables) places in what is staged */
    const int32_t *first;        /* (chunks, rows) earliest delay of a row in a chunk */
    const int32_t *place;        /* (chunks, rows + 1) where a row is staged */
    const int64_t *begin;        /* (chunks + 1) first entry of a chunk */
    const int32_t *slots;        /* (chunks) entries of each of its sources, a multiple of 4 */
    const uint16_t *entry;       /* where in shared memory what a source adds is; 0: nothing */
    const feature *values;       /* (rows, samples) */
    const uint8_t *live;         /* (rows, samples) */
    const int32_t *kind;    /* (tiles) pattern of live rows; -1 where it changes in reach, -2: not wanted */
    const uint8_t *pattern; /* (patterns, rows) */
    double *below;          /* (patterns, used) denominators, 0 if the source does not compete */
    float *scale;           /* (patterns, used) one over that, or 0 */
    int32_t *leader;        /* (patterns) lowest source that competes */
    int32_t *largest;       /* (patterns) largest scale, as the bits of a float */
    float *maximum, *share; /* (samples) */
    int32_t *node;          /* (samples) */
    int32_t *doubtful, *count; /* (samples) to be summed exactly; their number */
    int32_t rows, phases, terms, most, room,
        strict; /* terms: of a source; most: rows of a table; room: staged */
} beam_work;

DEVICE float largest_of_warp(float v) {
    for (int m = WARP / 2; m > 0; m /= 2) {
        const float other = __shfl_xor_sync(ALL_LANES, v, m);
        v = other > v ? other : v;
    }
    return v;
}

/* Denominators and scales of all sources for each pattern of live rows. Grid: sources, patterns. */
KERNEL __launch_bounds__(256) beam_pattern(const beam_work p) {
    const int64_t s = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, b = blockIdx.y;
    if (s >= p.used)
        return;
    const int32_t k = p.order[s];
    double sum = 0;
    for (int r = 0; r < p.rows; r++)
        if (p.use[(int64_t)(r / p.phases) * p.sources + k] && p.pattern[b * p.rows + r])
            sum = __dadd_rn(sum, p.weights[r]);
    const int competes = sum >= p.least[k];
    const float scale = competes ? (float)(1.0 / sum) : 0.0f;
    p.below[b * p.used + s] = competes ? sum : 0.0;
    p.scale[b * p.used + s] = scale;
    if (competes) {
        atomicMin(p.leader + b, k);
        atomicMax(p.largest + b, __float_as_int(scale));
    }
}

/* Rows of a chunk at a tile, times their weights; zero where dead. Returns nothing; `peak` keeps the largest
 * size. */
DEVICE void stage(const beam_work &p, int64_t c, int64_t t0, const uint8_t *pattern, float *staged,
                  float *peak, int warp, int lane) {
    for (int r = warp; r < p.rows; r += WARPS) {
        const int32_t from = p.place[c * (p.rows + 1) + r], width = p.place[c * (p.rows + 1) + r + 1] - from;
        const int64_t start = t0 + p.first[c * p.rows + r];
        const feature *f = p.values + (int64_t)r * p.samples;
        const float weight = pattern[r] ? (float)p.weights[r] : 0.0f;
        float size = 0;
        for (int i = lane; i < width; i += WARP) {
            const int64_t at = start + i;
            /* a dead feature may be anything; what lies behind the data belongs to samples that there are not
             */
            const float v = weight > 0 && at >= 0 && at < p.samples ? weight * value_of(f[at]) : 0.0f;
            staged[from + i] = v;
            size = fmaxf(size, fabsf(v));
        }
        size = largest_of_warp(size);
        if (lane == 0 && size > peak[r])
            peak[r] = size;
    }
}

DEVICE void fill_table(const beam_work &p, int64_t c, const float *staged, float *table, int warp, int lane) {
    const int64_t begin = p.table[c];
    const int rows = (int)(p.table[c + 1] - begin);
    for (int base = warp * WARP; base < rows; base += WARPS * WARP) {
        const int mine = base + lane < rows ? base + lane : rows - 1;
        const int32_t left = p.left[begin + mine], right = p.right[begin + mine];
        const int many = rows - base < WARP ? rows - base : WARP;
        for (int e = 0; e < many; e++) {
            const int32_t a = __shfl_sync(ALL_LANES, left, e), b = __shfl_sync(ALL_LANES, right, e);
            table[(base + e + 1) * TILE + lane] = staged[a + lane] + staged[b + lane];
        }
    }
}

typedef struct {
    float best, second;
    int32_t who;
} leaders;

/* Keep the two largest of what two warps found; which is first does not matter where they differ. */
DEVICE void join(leaders &a, float best, float second, int32_t who) {
    const float lower = a.best > best ? best : a.best;
    a.who = best > a.best ? who : a.who;
    a.best = best > a.best ? best : a.best;
    a.second = fmaxf(fmaxf(a.second, second), lower);
}

DEVICE void sum_sources(const beam_work &p, int64_t c, const float *scale, const float *shared, leaders &top,
                        int warp) {
    const int slots = p.slots[c];
    const uint2 *entries = (const uint2 *)(p.entry + p.begin[c]) - p.chunk[c] * (slots / 4);
    for (int64_t s = p.chunk[c] + warp; s < p.chunk[c + 1]; s += WARPS) {
        const uint2 *entry = entries + s * (slots / 4);
        const float factor = __ldg(scale + s);
        float a = 0, b = 0;
#pragma unroll 5
        for (int g = 0; g < slots / 4; g++) {
            const uint2 e = __ldg(entry + g);
            a += shared[e.x & 0xffff];
            b += shared[e.x >> 16];
            a += shared[e.y & 0xffff];
            b += shared[e.y >> 16];
        }
        const float v = factor > 0 ? (a + b) * factor : -INFINITY;
        const int more = v > top.best;
        top.second = fmaxf(top.second, more ? top.best : v);
        top.who = more ? (int32_t)s : top.who;
        top.best = more ? v : top.best;
    }
}

/* Weighted mean of one source: rows in order, double precision. */
DEVICE double exact(const beam_work &p, int32_t k, int64_t t, const uint8_t *pattern, double below) {
    double sum = 0;
    for (int r = 0; r < p.rows; r++)
        if (pattern[r] && p.use[(int64_t)(r / p.phases) * p.sources + k])
            sum = __dadd_rn(
                sum,
                __dmul_rn(p.weights[r],
                          (double)value_of(
                              p.values[(int64_t)r * p.samples + t + p.delays[(int64_t)r * p.sources + k]])));
    return sum / below;
}

DEVICE void write(const beam_work &p, int64_t t, int32_t k, double value, double below) {
    p.maximum[t] = k < 0 ? 0.0f : (float)value;
    p.share[t] = k < 0 ? 0.0f : (float)(below / p.total[k]);
    p.node[t] = k;
}

/* What a tile gives, by its first warp. */
DEVICE void finish(const beam_work &p, int64_t t, int32_t b, const uint8_t *pattern, const leaders &top,
                   float size) {
    const float scale = __int_as_float(p.largest[b]);
    /* a staged row, a sum of two, and each addition round once; both sums err, and their products with the
     * scale */
    const float margin = 2.0f * (float)(p.terms + 6) * 5.9604645e-8f * size * scale;
    if (t >= p.samples)
        return;
    if (p.leader[b] == 0x7fffffff) {
        write(p, t, -1, 0, 0);
    } else if (size == 0) {
        int64_t s = 0; /* all are zero: the lowest source is the first */
        while (p.order[s] != p.leader[b])
            s++;
        write(p, t, p.leader[b], 0, p.below[(int64_t)b * p.used + s]);
    } else if (top.best - top.second > margin && size > 1e-25f && size < 1e25f) {
        const int32_t k = p.order[top.who];
        const double below = p.below[(int64_t)b * p.used + top.who];
        write(p, t, k, exact(p, k, t, pattern, below), below);
    } else {
        p.doubtful[atomicAdd(p.count, 1)] = (int32_t)t;
    }
}

/* Grid: tiles. Shared: (most + 1) x 32 sums, `room` staged, rows; at least 3 x 32 x 32 floats. */
KERNEL __launch_bounds__(1024, 1) beam_screen(const beam_work p) {
    SHARED_MEMORY(shared);
    const int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    float *table = (float *)shared, *staged = table + (p.most + 1) * TILE, *peak = staged + p.room;
    const int64_t tile = blockIdx.x, t0 = tile * TILE;
    const int32_t b = p.kind[tile];
    if (b < 0) {
        if (b == -1 && threadIdx.x < TILE && t0 + threadIdx.x < p.samples)
            p.doubtful[atomicAdd(p.count, 1)] = (int32_t)(t0 + threadIdx.x);
        return;
    }
    const uint8_t *pattern = p.pattern + (int64_t)b * p.rows;
    leaders top = {-INFINITY, -INFINITY, 0};
    if (warp == 0)
        table[lane] = 0;
    for (int i = (int)threadIdx.x; i < TILE; i += (int)blockDim.x)
        staged[p.room - TILE + i] = 0; /* where the second row of a group is that has none */
    for (int r = (int)threadIdx.x; r < p.rows; r += (int)blockDim.x)
        peak[r] = 0;
    for (int64_t c = 0; c < p.chunks; c++) {
        __syncthreads();
        stage(p, c, t0, pattern, staged, peak, warp, lane);
        __syncthreads();
        fill_table(p, c, staged, table, warp, lane);
        __syncthreads();
        sum_sources(p, c, p.scale + (int64_t)b * p.used, table + lane, top, warp);
    }
    float size = 0;
    for (int r = lane; r < p.rows; r += WARP)
        size += peak[r];
    for (int m = WARP / 2; m > 0; m /= 2)
        size += __shfl_xor_sync(ALL_LANES, size, m);
    __syncthreads();
    float *best = (float *)shared, *second = best + WARPS * TILE;
    int32_t *who = (int32_t *)(second + WARPS * TILE);
    best[warp * TILE + lane] = top.best;
    second[warp * TILE + lane] = top.second;
    who[warp * TILE + lane] = top.who;
    __syncthreads();
    if (warp > 0)
        return;
    for (int w = 1; w < WARPS; w++)
        join(top, best[w * TILE + lane], second[w * TILE + lane], who[w * TILE + lane]);
    finish(p, t0 + lane, b, pattern, top, size);
}

/* All sources at each listed sample in double precision. Grid: samples of the list. Shared: 512 x 20 bytes.
 */
KERNEL __launch_bounds__(512) beam_exact(const beam_work p) {
    SHARED_MEMORY(shared);
    double *values = (double *)shared, *weights = values + blockDim.x;
    int32_t *nodes = (int32_t *)(weights + blockDim.x);
    const int me = (int)threadIdx.x;
    const int64_t t = p.doubtful[blockIdx.x];
    double best = -INFINITY, below = 0;
    int32_t node = -1;
    for (int64_t k = me; k < p.sources; k += blockDim.x) {
        if (p.strict && (t + p.early[k] < 0 || t + p.late[k] >= p.samples))
            continue;
        double sum = 0, weight = 0;
        for (int r = 0; r < p.rows; r++) {
            if (!p.use[(int64_t)(r / p.phases) * p.sources + k])
                continue;
            const int64_t at = t + p.delays[(int64_t)r * p.sources + k];
            if (at < 0 || at >= p.samples || !p.live[(int64_t)r * p.samples + at])
                continue;
            sum = __dadd_rn(sum,
                            __dmul_rn(p.weights[r], (double)value_of(p.values[(int64_t)r * p.samples + at])));
            weight = __dadd_rn(weight, p.weights[r]);
        }
        const double mean = sum / weight;
        if (weight >= p.least[k] && mean > best)
            best = mean, below = weight, node = (int32_t)k;
    }
    values[me] = best, weights[me] = below, nodes[me] = node;
    __syncthreads();
    for (int half = (int)blockDim.x / 2; half > 0; half /= 2) {
        if (me < half && nodes[me + half] >= 0 &&
            (nodes[me] < 0 || values[me + half] > values[me] ||
             (values[me + half] == values[me] && nodes[me + half] < nodes[me])))
            values[me] = values[me + half], weights[me] = weights[me + half], nodes[me] = nodes[me + half];
        __syncthreads();
    }
    if (me == 0)
        write(p, t, nodes[0], values[0], weights[0]);
}
