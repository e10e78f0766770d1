/* Matched filter on the GPU; what is computed is said in matched_filter.h.
 *
 * Norms of the windows are made once for each row (a channel and a length), in double precision, for all
 * templates. filter_direct: a block takes 4096 samples of one template, a thread 16 of them, which it keeps
 * in registers over all rows; 16 x 16 products need 16 new samples and 16 of the template. Longer templates
 * go through Fourier transforms, and filter_gather adds what comes back. Windows whose mean square is far
 * above their variance (or whose block of a transform is far louder than they are) have a negative norm; they
 * are left to filter_precise, which sums in double precision. Thresholds and peaks are made here too, so that
 * only detections leave the device.
 */
#include "device.h"

#define LAGS 16                        /* of a thread */
#define THREADS 256                    /* of a block of filter_direct */
#define SPAN (LAGS * THREADS)          /* samples of a block */
#define PADDED(i) ((i) + (i) / 16 * 4) /* so that 8 threads read 16 bytes each from different banks */

typedef struct {
    int64_t samples, windows; /* windows: of the longest row; */
    int64_t templates, rows, channels;
    int64_t length, stored; /* of the longest window; that rounded up to 16 */
    int64_t block, step;    /* of a Fourier transform, samples and whole windows; 0: none is used */
    int64_t blocks, first;  /* of a row; first template of what is in `sums` */
    double contrast;        /* squared: of mean square to variance, above which windows are precise */
    const float *data;      /* (channels, samples) zero where dead, scaled by powers of two */
    const uint8_t *live;    /* (channels, samples) */
    const int64_t *row_channel, *row_length; /* (rows) */
    const int32_t *entry;                    /* (templates, rows): place in (templates, channels), or -1 */
    const int64_t *moveout;                  /* (templates, channels) */
    const double *weight;                    /* (templates, channels): shares of the total */
    const float *waveform;                   /* (templates, channels, length) */
    float *shape;          /* (templates, channels, stored): zero mean, unit norm, zeros behind */
    double *mean, *factor; /* (templates, channels): of the waveform; one over its norm */
    const double *energy;  /* (rows, blocks) of the samples of a transform */
    float *inverse;        /* (rows, samples): one over the norm; negative: precise; 0: does not count */
    const float *sums;     /* (some templates, blocks, block) of one row, from transforms */
    float *out;            /* (templates, samples) */
    int32_t *wrong;        /* lowest entry that is constant or not finite */
    int32_t *flagged;      /* windows that are precise */
    int32_t row;           /* that `sums` are of */
    int32_t broken;        /* not used */
} filter_work;

/* Norms of all windows. Grid: windows, rows. */
KERNEL __launch_bounds__(256) filter_norms(const filter_work p) {
    const int64_t row = blockIdx.y, length = p.row_length[row];
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= p.samples)
        return;
    float result = 0;
    if (j + length <= p.samples) {
        const float *x = p.data + p.row_channel[row] * p.samples + j;
        const uint8_t *live = p.live + p.row_channel[row] * p.samples + j;
        const double first = x[0];
        double sum = 0, square = 0;
        int whole = 1;
        for (int64_t k = 0; k < length; k++) {
            sum += (double)x[k] - first;
            whole &= live[k];
        }
        const double mean = first + sum / (double)length;
        for (int64_t k = 0; k < length; k++) {
            const double d = (double)x[k] - mean;
            square += d * d;
        }
        if (whole && square > 0) {
            const double all = square + mean * mean * (double)length;
            const double louder = p.block ? p.energy[row * p.blocks + j / p.step] : all;
            result = (float)(1.0 / sqrt(square));
            if (all > p.contrast * square || louder > p.contrast * square) {
                result = -result;
                atomicAdd(p.flagged, 1);
            }
        }
    }
    p.inverse[row * p.samples + j] = result;
}

/* Energy of the samples of each transform. Grid: blocks, rows; a warp each. */
KERNEL __launch_bounds__(32) filter_energy(const filter_work p) {
    const int64_t row = blockIdx.y, from = (int64_t)blockIdx.x * p.step;
    const float *x = p.data + p.row_channel[row] * p.samples;
    double sum = 0;
    for (int64_t i = from + threadIdx.x; i < from + p.block && i < p.samples; i += WARP)
        sum += (double)x[i] * (double)x[i];
    for (int m = WARP / 2; m > 0; m /= 2)
        sum += __shfl_xor_sync(ALL_LANES, sum, m);
    if (threadIdx.x == 0)
        ((double *)p.energy)[row * p.blocks + blockIdx.x] = sum;
}

/* Zero mean and unit norm. Grid: rows, templates; a warp each. */
KERNEL __launch_bounds__(32) filter_shapes(const filter_work p) {
    const int64_t t = blockIdx.y, row = blockIdx.x, length = p.row_length[row];
    const int64_t e = p.entry[t * p.rows + row];
    if (e < 0)
        return;
    const float *x = p.waveform + e * p.length;
    double mean = 0, norm = 0;
    for (int64_t k = threadIdx.x; k < length; k += WARP)
        mean += (double)x[k] - (double)x[0];
    for (int m = WARP / 2; m > 0; m /= 2)
        mean += __shfl_xor_sync(ALL_LANES, mean, m);
    mean = mean / (double)length;
    for (int64_t k = threadIdx.x; k < length; k += WARP) {
        const double d = (double)x[k] - (double)x[0] - mean;
        norm += d * d;
    }
    for (int m = WARP / 2; m > 0; m /= 2)
        norm += __shfl_xor_sync(ALL_LANES, norm, m);
    if (!(norm > 0) || !(norm < 1e300)) {
        if (threadIdx.x == 0)
            atomicMin(p.wrong, (int32_t)e);
        norm = 1;
    }
    const double factor = 1.0 / sqrt(norm);
    if (threadIdx.x == 0) {
        p.mean[e] = (double)x[0] + mean;
        p.factor[e] = factor;
    }
    float *shape = p.shape + e * p.stored;
    for (int64_t k = threadIdx.x; k < p.stored; k += WARP)
        shape[k] = k < length ? (float)(((double)x[k] - (double)x[0] - mean) * factor) : 0.0f;
}

/* 16 x 16 products of a thread: sum[l] += sum over k of q[k] x[l + k], x in two halves of 16. */
DEVICE void products(float *sum, const float *near, const float *far, const float *shape) {
#pragma unroll
    for (int k4 = 0; k4 < LAGS; k4 += 4) {
        const float4 q = *(const float4 *)(shape + k4);
        const float part[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
        for (int k = 0; k < 4; k++)
#pragma unroll
            for (int l = 0; l < LAGS; l++)
                sum[l] +=
                    part[k] * (l + k4 + k < LAGS ? near[(l + k4 + k) % LAGS] : far[(l + k4 + k) % LAGS]);
    }
}

DEVICE void fetch(float *x, const float *from) {
#pragma unroll
    for (int i = 0; i < LAGS; i += 4) {
        const float4 v = *(const float4 *)(from + i);
        x[i] = v.x, x[i + 1] = v.y, x[i + 2] = v.z, x[i + 3] = v.w;
    }
}

/* Grid: stretches of SPAN samples, templates. Shared: PADDED(SPAN + stored) samples, `stored` of the
 * template. */
KERNEL __launch_bounds__(256, 2) filter_direct(const filter_work p) {
    SHARED_MEMORY(shared);
    float *x = (float *)shared, *q = x + PADDED(SPAN + p.stored);
    const int64_t t = blockIdx.y, i0 = (int64_t)blockIdx.x * SPAN;
    const int me = (int)threadIdx.x;
    float total[LAGS];
#pragma unroll
    for (int l = 0; l < LAGS; l++)
        total[l] = 0;
    for (int64_t row = 0; row < p.rows; row++) {
        const int64_t e = p.entry[t * p.rows + row];
        if (e < 0)
            continue;
        const int64_t length = p.row_length[row], from = i0 + p.moveout[e];
        if (from + SPAN <= 0 || from > p.samples - length)
            continue;
        const int many = (int)((length + LAGS - 1) / LAGS * LAGS);
        const float *data = p.data + p.row_channel[row] * p.samples, *shape = p.shape + e * p.stored;
        __syncthreads();
        for (int i = me; i < SPAN + many; i += THREADS)
            x[PADDED(i)] = from + i >= 0 && from + i < p.samples ? data[from + i] : 0.0f;
        for (int i = me; i < many; i += THREADS)
            q[i] = shape[i];
        __syncthreads();
        float sum[LAGS], near[LAGS], far[LAGS];
#pragma unroll
        for (int l = 0; l < LAGS; l++)
            sum[l] = 0;
        const float *mine = x + PADDED(me * LAGS);
        fetch(near, mine);
        int k = 0;
        for (; k + LAGS < many; k += 2 * LAGS) {
            fetch(far, mine + PADDED(k + LAGS));
            products(sum, near, far, q + k);
            fetch(near, mine + PADDED(k + 2 * LAGS));
            products(sum, far, near, q + k + LAGS);
        }
        if (k < many) {
            fetch(far, mine + PADDED(k + LAGS));
            products(sum, near, far, q + k);
        }
        const float weight = (float)p.weight[e];
        const float *inverse = p.inverse + row * p.samples + from + me * LAGS;
#pragma unroll
        for (int l = 0; l < LAGS; l++) {
            const int64_t j = from + me * LAGS + l;
            if (j >= 0 && j < p.samples && inverse[l] > 0)
                total[l] += weight * (sum[l] * inverse[l]);
        }
    }
#pragma unroll
    for (int l = 0; l < LAGS; l++)
        if (i0 + me * LAGS + l < p.samples)
            p.out[t * p.samples + i0 + me * LAGS + l] = total[l];
}

/* Add what the transforms of one row gave. Grid: samples, templates of the batch. */
KERNEL __launch_bounds__(256) filter_gather(const filter_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y, t = p.first + part;
    const int64_t e = p.entry[t * p.rows + p.row];
    if (i >= p.samples || e < 0)
        return;
    const int64_t j = i + p.moveout[e];
    if (j < 0 || j >= p.samples)
        return;
    const float inverse = p.inverse[(int64_t)p.row * p.samples + j];
    if (inverse > 0)
        p.out[t * p.samples + i] +=
            (float)p.weight[e] * (p.sums[(part * p.blocks + j / p.step) * p.block + j % p.step] * inverse);
}

/* Add the windows that are precise. Grid: samples, templates. */
KERNEL __launch_bounds__(256) filter_precise(const filter_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (i >= p.samples)
        return;
    double total = 0;
    for (int64_t row = 0; row < p.rows; row++) {
        const int64_t e = p.entry[t * p.rows + row];
        if (e < 0)
            continue;
        const int64_t j = i + p.moveout[e], length = p.row_length[row];
        if (j < 0 || j >= p.samples || !(p.inverse[row * p.samples + j] < 0))
            continue;
        const float *x = p.data + p.row_channel[row] * p.samples + j, *y = p.waveform + e * p.length;
        const double first = x[0], mean = p.mean[e];
        double sum = 0, offset = 0, square = 0;
        for (int64_t k = 0; k < length; k++)
            offset += (double)x[k] - first;
        offset /= (double)length;
        for (int64_t k = 0; k < length; k++) {
            const double d = (double)x[k] - first - offset;
            sum += d * ((double)y[k] - mean);
            square += d * d;
        }
        total += p.weight[e] * (sum * p.factor[e] / sqrt(square));
    }
    if (total != 0)
        p.out[t * p.samples + i] += (float)total;
}

typedef struct {
    int64_t samples, templates, most; /* most: room for stretches of constant live share, of each template */
    int64_t window, hop, stride;      /* of the medians, in samples of every stride-th */
    int64_t windows, room;            /* of a template; for peaks */
    const int64_t *count, *start;     /* (templates), (templates, most): stretches */
    const float *share, *factor;  /* (templates, most) live share; what the correlation is multiplied with */
    float *out;                   /* (templates, samples) */
    float *median, *deviation;    /* (templates, windows) */
    int32_t *alive;               /* (templates, windows) samples that count */
    const int32_t *levels;        /* (templates) how many of the next two */
    const double *centre, *level; /* (templates, windows) */
    const float *lowest;          /* (templates) no limit is lower */
    int64_t *place;               /* (room) template times samples, plus the sample */
    float *found;                 /* (room, 4) value, limit, value before, value after */
    int32_t *peaks;               /* their number, also if above `room` */
    float least, part;            /* live share that counts; part of the threshold */
} peak_work;

/* Number of the stretch of a sample. */
DEVICE int64_t stretch(const peak_work &p, int64_t t, int64_t i) {
    const int64_t *start = p.start + t * p.most;
    int64_t a = 0, b = p.count[t];
    while (b - a > 1) {
        const int64_t c = (a + b) / 2;
        if (start[c] <= i)
            a = c;
        else
            b = c;
    }
    return t * p.most + a;
}

/* Divide by the live share. Grid: samples, templates. */
KERNEL __launch_bounds__(256) filter_share(const peak_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (i >= p.samples)
        return;
    const float factor = p.factor[stretch(p, t, i)];
    if (factor != 1.0f)
        p.out[t * p.samples + i] *= factor;
}

/* Numbers in the order of floats. */
DEVICE uint32_t rank_of(float v) {
    const uint32_t bits = __float_as_uint(v);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
DEVICE float of_rank(uint32_t r) { return __uint_as_float(r & 0x80000000u ? r & 0x7fffffffu : ~r); }

/* The k-th smallest of n ranks, byte by byte from the top; all threads of the block take part. */
DEVICE uint32_t select_rank(const uint32_t *ranks, int n, int k, int *bins) {
    uint32_t prefix = 0, mask = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        __syncthreads();
        for (int i = (int)threadIdx.x; i < 256; i += (int)blockDim.x)
            bins[i] = 0;
        __syncthreads();
        for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
            if ((ranks[i] & mask) == prefix)
                atomicAdd(bins + (ranks[i] >> shift & 255), 1);
        __syncthreads();
        int bin = 0;
        while (k >= bins[bin])
            k -= bins[bin++];
        prefix |= (uint32_t)bin << shift;
        mask |= 255u << shift;
    }
    return prefix;
}

DEVICE float median_of(const uint32_t *ranks, int n, int *bins) {
    const float high = of_rank(select_rank(ranks, n, n / 2, bins));
    if (n % 2)
        return high;
    const float low = of_rank(select_rank(ranks, n, n / 2 - 1, bins));
    return __fmul_rn(__fadd_rn(low, high), 0.5f);
}

/* Median and median absolute deviation of windows. Grid: windows, templates. Shared: window + 257 words. */
KERNEL __launch_bounds__(256) filter_levels(const peak_work p) {
    SHARED_MEMORY(shared);
    uint32_t *ranks = (uint32_t *)shared;
    int *bins = (int *)(ranks + p.window), *count = bins + 256;
    const int64_t t = blockIdx.y, coarse = (p.samples + p.stride - 1) / p.stride;
    const int64_t last = coarse - p.window,
                  from = (int64_t)blockIdx.x * p.hop < last ? (int64_t)blockIdx.x * p.hop : last;
    const float *cc = p.out + t * p.samples;
    if (threadIdx.x == 0)
        *count = 0;
    __syncthreads();
    for (int64_t k = threadIdx.x; k < p.window; k += blockDim.x) {
        const int64_t i = (from + k) * p.stride;
        const float share = p.share[stretch(p, t, i)];
        if (share >= p.least && share > 0)
            ranks[atomicAdd(count, 1)] = rank_of(cc[i]); /* in any order: medians do not depend on it */
    }
    __syncthreads();
    const int n = *count;
    const int64_t w = t * p.windows + blockIdx.x;
    float median = 0, deviation = 0;
    if (n > 0) {
        median = median_of(ranks, n, bins);
        __syncthreads();
        for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
            ranks[i] = rank_of(fabsf(of_rank(ranks[i]) - median));
        deviation = median_of(ranks, n, bins);
    }
    if (threadIdx.x == 0) {
        p.alive[w] = n;
        p.median[w] = median;
        p.deviation[w] = deviation;
    }
}

/* Threshold of a template at one of every stride-th samples. */
DEVICE float coarse_level(const peak_work &p, int64_t t, int64_t j) {
    const double *x = p.centre + t * p.windows, *y = p.level + t * p.windows, at = (double)j;
    const int n = p.levels[t];
    if (n == 0)
        return INFINITY;
    if (at <= x[0])
        return (float)y[0];
    if (at >= x[n - 1])
        return (float)y[n - 1];
    int a = 0, b = n - 1;
    while (b - a > 1) {
        const int c = (a + b) / 2;
        if (x[c] <= at)
            a = c;
        else
            b = c;
    }
    const double slope = (y[a + 1] - y[a]) / (x[a + 1] - x[a]);
    return (float)__dadd_rn(__dmul_rn(slope, at - x[a]), y[a]);
}

/* What a peak must be above at a sample; infinite where too little is live. */
DEVICE float limit_at(const peak_work &p, int64_t t, int64_t i) {
    const float share = p.share[stretch(p, t, i)];
    if (!(share >= p.least && share > 0))
        return INFINITY;
    const int64_t coarse = (p.samples + p.stride - 1) / p.stride, j = i / p.stride;
    float level = coarse_level(p, t, j);
    if (i % p.stride && j + 1 < coarse) {
        const double low = level, high = coarse_level(p, t, j + 1);
        level = low == high
                    ? level
                    : (float)__dadd_rn(__dmul_rn(high - low, (double)i / (double)p.stride - (double)j), low);
    }
    return __fmul_rn(level, p.part) / sqrtf(share);
}

DEVICE float series(const peak_work &p, int64_t t, int64_t i) {
    const float v = p.out[t * p.samples + i];
    if (v == 0)
        return 0.0f;
    const float share = p.share[stretch(p, t, i)];
    return share >= p.least && share > 0 ? v : 0.0f;
}

/* Local maxima above the threshold; a flat top counts once, in its middle. Grid: samples, templates. */
KERNEL __launch_bounds__(256) filter_peaks(const peak_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y, n = p.samples;
    if (i >= n)
        return;
    const float *cc = p.out + t * n;
    if (!(cc[i] > p.lowest[t]) && !(p.lowest[t] < 0))
        return;
    const float v = series(p, t, i);
    if (i > 0 && !(series(p, t, i - 1) < v))
        return;
    int64_t end = i;
    while (end + 1 < n && series(p, t, end + 1) == v)
        end++;
    if (end + 1 < n && series(p, t, end + 1) > v)
        return;
    const int64_t middle = (i + end) / 2;
    const float limit = limit_at(p, t, middle);
    if (!(v > limit))
        return;
    const int32_t slot = atomicAdd(p.peaks, 1);
    if (slot >= p.room)
        return;
    p.place[slot] = t * n + middle;
    float *found = p.found + 4 * (int64_t)slot;
    found[0] = v;
    found[1] = limit;
    found[2] = middle > 0 ? series(p, t, middle - 1) : v;
    found[3] = middle + 1 < n ? series(p, t, middle + 1) : v;
}
