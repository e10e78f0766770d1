/* Features on the GPU, as seisflow.detection.features makes them: from recordings to what a beam sums. All in
 * double precision; windows are summed sample by sample, nothing is subtracted from a running sum.
 */
#include "device.h"

typedef struct {
    int64_t samples, count, factor; /* of recordings; of features; of one in terms of the other */
    int64_t stations, components;
    int64_t quick, slow;          /* windows ahead and behind, samples of features */
    int64_t window, hop, windows; /* of the running median */
    int64_t most, offset, stride; /* most: windows with a median; where and how rows of the result lie */
    const float *data;            /* (stations, components, samples) */
    const uint8_t *live;          /* likewise */
    const double *quadrature;     /* likewise, Hilbert transforms for envelopes; or null */
    const double *ahead;          /* (quick) weights of the window ahead */
    double *energy;               /* (stations, count) */
    uint8_t *there;               /* (stations, count) */
    double *kurtosis;             /* (stations, components, count) */
    uint8_t *enough;              /* likewise */
    double *raw;                  /* (stations, count) features before they are normalised */
    uint8_t *good;                /* (stations, count) */
    double *median, *deviation;   /* (stations, windows) */
    int32_t *alive;               /* (stations, windows) */
    const int32_t *nodes;         /* (stations) windows that tell something */
    const double *centre, *middle, *scale; /* (stations, most) */
    float *values;                         /* row s begins at offset + s * stride */
    uint8_t *result;                       /* likewise: where a feature is live */
    double floor, ceiling;
    int32_t ratio, normalise; /* whether energy is divided by that behind; by a running median */
} feature_work;

/* Mean energy over components that are live and samples of an interval. Grid: features, stations. */
KERNEL __launch_bounds__(256) feature_energy(const feature_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, s = blockIdx.y;
    if (i >= p.count)
        return;
    double sum = 0;
    int64_t weight = 0;
    for (int64_t k = i * p.factor; k < (i + 1) * p.factor; k++) {
        double all = 0;
        for (int64_t c = 0; c < p.components; c++) {
            const int64_t at = (s * p.components + c) * p.samples + k;
            if (!p.live[at])
                continue;
            const double x = p.data[at], q = p.quadrature ? p.quadrature[at] : 0.0;
            all = __dadd_rn(all, __dadd_rn(__dmul_rn(x, x), __dmul_rn(q, q)));
            weight++;
        }
        sum = __dadd_rn(sum, all);
    }
    p.energy[s * p.count + i] = weight > 0 ? sum / (double)weight : 0.0;
    p.there[s * p.count + i] = weight > 0;
}

/* Logarithm of the energy ahead, over that behind on demand. Grid: features, stations. */
KERNEL __launch_bounds__(256) feature_ratio(const feature_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, s = blockIdx.y;
    if (i >= p.count)
        return;
    const double *energy = p.energy + s * p.count;
    const uint8_t *there = p.there + s * p.count;
    double ahead = 0, ratio = 1;
    int good = i + p.quick <= p.count;
    for (int64_t k = 0; good && k < p.quick; k++) {
        ahead += p.ahead[k] * energy[i + k];
        good = there[i + k];
    }
    if (p.ratio) {
        double behind = 0;
        int64_t counts = 0;
        if (i >= p.slow)
            for (int64_t k = i - p.slow; k < i; k++)
                behind += energy[k], counts += there[k];
        good &= 2 * counts >= p.slow && behind > 0;
        ratio = good ? ahead * (double)counts / behind : 1.0;
        ratio = ratio > p.floor ? ratio : p.floor;
    } else {
        good &= ahead > 0;
        ratio = good ? ahead : 1.0;
    }
    p.raw[s * p.count + i] = log(ratio);
    p.good[s * p.count + i] = (uint8_t)good;
}

/* Kurtosis of the samples behind, taken amid each interval. Grid: features, stations times components. */
KERNEL __launch_bounds__(256) feature_kurtosis(const feature_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (i >= p.count)
        return;
    const float *data = p.data + row * p.samples + p.factor / 2;
    const uint8_t *live = p.live + row * p.samples + p.factor / 2;
    double first = 0, second = 0, third = 0, fourth = 0, result = 3;
    int64_t counts = 0;
    if (i >= p.slow)
        for (int64_t k = i - p.slow; k < i; k++)
            if (live[k * p.factor]) {
                const double x = data[k * p.factor], square = x * x;
                first += x, second += square, third += square * x, fourth += square * square;
                counts++;
            }
    int enough = counts >= 4 && 2 * counts >= p.slow;
    const double n = enough ? (double)counts : 1.0;
    first /= n, second /= n, third /= n, fourth /= n;
    const double variance = second - first * first;
    enough &= variance > 1e-12 * second;
    if (enough)
        result =
            (fourth - 4 * first * third + 6 * first * first * second - 3 * first * first * first * first) /
            (variance * variance);
    p.kurtosis[row * p.count + i] = result;
    p.enough[row * p.count + i] = (uint8_t)enough;
}

/* Mean rise of the kurtosis over the window ahead. Grid: features, stations. */
KERNEL __launch_bounds__(256) feature_rise(const feature_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, s = blockIdx.y;
    if (i >= p.count)
        return;
    double total = 0;
    int share = 0;
    for (int64_t c = 0; c < p.components; c++) {
        const int64_t row = s * p.components + c;
        const double *kurtosis = p.kurtosis + row * p.count;
        const uint8_t *enough = p.enough + row * p.count;
        const uint8_t *live = p.live + row * p.samples + p.factor / 2;
        int good = i + p.quick < p.count && enough[i] && enough[i + p.quick];
        double ahead = 0;
        for (int64_t k = 0; good && k < p.quick; k++) {
            ahead += p.ahead[k] *
                     kurtosis[i + k + 1]; /* the next sample enters the window with the one after it */
            good = live[(i + k) * p.factor];
        }
        if (!good)
            continue;
        const double rise = ahead - kurtosis[i];
        total += rise > 0 ? log1p(rise) : -log1p(-rise);
        share++;
    }
    p.raw[s * p.count + i] = share ? total / (double)share : 0.0;
    p.good[s * p.count + i] = share > 0;
}

/* Numbers in the order of doubles. */
DEVICE uint64_t rank_of(double v) {
    const uint64_t bits = (uint64_t)__double_as_longlong(v), top = (uint64_t)1 << 63;
    return bits & top ? ~bits : bits | top;
}
DEVICE double of_rank(uint64_t r) {
    const uint64_t top = (uint64_t)1 << 63;
    return __longlong_as_double((int64_t)(r & top ? r & ~top : ~r));
}

typedef struct {
    const double *values;
    const uint8_t *good;
    int64_t count;
    double centre;
    int apart; /* whether distances from the centre are meant */
} selection;

DEVICE double chosen(const selection &a, int64_t i) {
    return a.apart ? fabs(a.values[i] - a.centre) : a.values[i];
}

/* The k-th smallest of what is good, byte by byte from the top; all threads of the block take part. */
DEVICE double select_value(const selection &a, int k, int *bins) {
    uint64_t prefix = 0, mask = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
        __syncthreads();
        for (int i = (int)threadIdx.x; i < 256; i += (int)blockDim.x)
            bins[i] = 0;
        __syncthreads();
        for (int64_t i = threadIdx.x; i < a.count; i += blockDim.x) {
            if (!a.good[i])
                continue;
            const uint64_t rank = rank_of(chosen(a, i));
            if ((rank & mask) == prefix)
                atomicAdd(bins + (int)(rank >> shift & 255), 1);
        }
        __syncthreads();
        int bin = 0;
        while (k >= bins[bin])
            k -= bins[bin++];
        prefix |= (uint64_t)bin << shift;
        mask |= (uint64_t)255 << shift;
    }
    return of_rank(prefix);
}

DEVICE double median_of(const selection &a, int n, int *bins) {
    const double high = select_value(a, n / 2, bins);
    return n % 2 ? high : __dmul_rn(__dadd_rn(select_value(a, n / 2 - 1, bins), high), 0.5);
}

/* Median and median absolute deviation of windows. Grid: windows, stations. Shared: 257 words. */
KERNEL __launch_bounds__(256) feature_levels(const feature_work p) {
    SHARED_MEMORY(shared);
    int *bins = (int *)shared, *many = bins + 256;
    const int64_t s = blockIdx.y, last = p.count - p.window;
    const int64_t from = (int64_t)blockIdx.x * p.hop < last ? (int64_t)blockIdx.x * p.hop : last;
    selection a = {p.raw + s * p.count + from, p.good + s * p.count + from, p.window, 0, 0};
    if (threadIdx.x == 0)
        *many = 0;
    __syncthreads();
    int mine = 0;
    for (int64_t i = threadIdx.x; i < a.count; i += blockDim.x)
        mine += a.good[i];
    atomicAdd(many, mine);
    __syncthreads();
    const int n = *many;
    double deviation = 0;
    if (n > 0) {
        a.centre = median_of(a, n, bins);
        a.apart = 1;
        deviation = median_of(a, n, bins);
    }
    if (threadIdx.x == 0) {
        const int64_t w = s * p.windows + blockIdx.x;
        p.alive[w] = n, p.median[w] = a.centre, p.deviation[w] = deviation;
    }
}

/* Between nodes linear, constant beyond. */
DEVICE double between(const double *x, const double *y, int n, double at) {
    if (at <= x[0])
        return y[0];
    if (at >= x[n - 1])
        return y[n - 1];
    int a = 0, b = n - 1;
    while (b - a > 1) {
        const int c = (a + b) / 2;
        if (x[c] <= at)
            a = c;
        else
            b = c;
    }
    return __dadd_rn(__dmul_rn((y[a + 1] - y[a]) / (x[a + 1] - x[a]), at - x[a]), y[a]);
}

/* Normalise, bound, round. Grid: features, stations. */
KERNEL __launch_bounds__(256) feature_finish(const feature_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, s = blockIdx.y;
    if (i >= p.count)
        return;
    const int good = p.good[s * p.count + i];
    double v = p.raw[s * p.count + i];
    if (p.normalise) {
        const int n = p.nodes[s];
        if (n == 0) {
            v = 0;
        } else {
            const double *x = p.centre + s * p.most;
            const double median = between(x, p.middle + s * p.most, n, (double)i);
            v = (v - median) / (1.4826 * between(x, p.scale + s * p.most, n, (double)i));
            v = v > -1 ? v : -1.0;
        }
    }
    v = v > -p.ceiling ? v : -p.ceiling;
    p.values[p.offset + s * p.stride + i] = good ? (float)v : 0.0f;
    p.result[p.offset + s * p.stride + i] = (uint8_t)good;
}
