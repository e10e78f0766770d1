/* Continuous recordings on the GPU, as seisflow.signal.continuous treats them: stretches without gaps are
 * demeaned, interpolated to a common axis, faded and filtered, all in double precision; channels are turned
 * to components.
 *
 * Everything is cut into chunks of 512 samples. A recursive filter runs through all chunks at once: first
 * each from rest, which tells the states that they end in (signal_sections, `keep` 0); then the state at the
 * end of a chunk is that of rest plus what is left of the state before it, a matrix times that
 * (signal_carry); then each chunk runs from its true state. A lane runs a chunk; 32 x 32 samples pass through
 * shared memory, so that loads and stores are those of neighbours.
 */
#include "device.h"

#ifndef SECTIONS
#define SECTIONS 4 /* second-order sections of the filter */
#endif
#define STATES (2 * SECTIONS)
#define CHUNK 512
#define TILE 32

typedef struct {
    int64_t pieces, chunks, samples, settling; /* samples: of the axis; settling: of the filter */
    const int64_t *source, *recorded;          /* (pieces) address of what was recorded; number of samples */
    const int32_t *kind;                       /* (pieces) of the samples: 0 int32, 1 float, 2 double */
    double *mean;                              /* (pieces) */
    const int64_t *place, *inner, *length; /* (pieces) first sample in `work`; samples; with what rings out */
    const int64_t *first, *from, *until; /* (pieces) number of sample 0 on the axis; which samples are live */
    const int32_t *channel;              /* (pieces) */
    const int32_t *up, *down;            /* (pieces) of the ratio of intervals; up 0: any ratio */
    const int32_t *taps;                 /* (pieces) of a kernel */
    const double *centre;                /* (pieces, 2) place of sample 0 in those recorded, and the step */
    const int64_t *base;                 /* (pieces) first of its places in `bases`, or reach of the kernel */
    const int64_t *kernel;               /* (pieces) first of its weights */
    const int64_t *bases;                /* first recorded sample of each phase */
    const double *weights;               /* (phases, taps) */
    const int32_t *piece;                /* (chunks) */
    const int64_t *number;               /* (chunks) of the chunk in its piece */
    const int64_t *begin;                /* (pieces + 1) first chunk of a piece */
    const double *ramp;                  /* (settling) */
    double *work;
    const double *sections; /* (SECTIONS, 6) */
    const double *decay;    /* (STATES, STATES) what a chunk leaves of a state */
    double *ends, *starts;  /* (chunks, STATES) */
    float *rows;            /* (channels, samples) */
    uint8_t *masks;         /* likewise */
    const int32_t *turn;    /* (components + 1) into the next two */
    const int32_t *needed;  /* channels of a component */
    const float *share;
    const int64_t *target;    /* (components) row of the result */
    float *data;              /* (all components, samples) */
    uint8_t *live;            /* likewise */
    int32_t phases;           /* of tabulated kernels */
    int32_t both, back, keep; /* filtered both ways; backwards now; whether samples are written */
} signal_work;

DEVICE double recorded_at(const signal_work &p, int64_t piece, int64_t i) {
    const void *from = (const void *)p.source[piece];
    const int32_t kind = p.kind[piece];
    return kind == 0   ? (double)((const int32_t *)from)[i]
           : kind == 1 ? (double)((const float *)from)[i]
                       : ((const double *)from)[i];
}

/* Means of what was recorded. Grid: pieces. Shared: a double for each thread. */
KERNEL __launch_bounds__(1024) signal_mean(const signal_work p) {
    SHARED_MEMORY(shared);
    double *sums = (double *)shared;
    const int64_t piece = blockIdx.x, count = p.recorded[piece];
    const int me = (int)threadIdx.x;
    double sum = 0;
    for (int64_t i = me; i < count; i += blockDim.x)
        sum += recorded_at(p, piece, i);
    sums[me] = sum;
    for (int half = (int)blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (me < half)
            sums[me] += sums[me + half];
    }
    if (me == 0)
        p.mean[piece] = sums[0] / (double)count;
}

/* Interpolate and fade. Grid: chunks. */
KERNEL __launch_bounds__(256) signal_interpolate(const signal_work p) {
    const int64_t c = blockIdx.x, piece = p.piece[c], inner = p.inner[piece], count = p.recorded[piece];
    const double mean = p.mean[piece];
    const int32_t up = p.up[piece], taps = p.taps[piece];
    for (int64_t k = threadIdx.x; k < CHUNK; k += blockDim.x) {
        const int64_t m = p.number[c] * CHUNK + k;
        if (m >= p.length[piece])
            return;
        double sum = 0;
        if (m < inner) {
            int64_t from, phase;
            if (up > 0) {
                phase = m % up;
                from = p.bases[p.base[piece] + phase] + m / up * p.down[piece];
            } else {
                const double centre =
                    __dadd_rn(p.centre[2 * piece], __dmul_rn(p.centre[2 * piece + 1], (double)m));
                const double whole = floor(centre);
                phase = (int64_t)rint((centre - whole) * (double)p.phases);
                from = (int64_t)whole - p.base[piece];
            }
            const double *weights = p.weights + p.kernel[piece] + phase * taps;
            for (int32_t t = 0; t < taps; t++) /* rounding may set the outermost, which are zero, outside */
                if (from + t >= 0 && from + t < count)
                    sum += weights[t] * (recorded_at(p, piece, from + t) - mean);
            if (m < p.settling)
                sum *= p.ramp[m];
            if (p.both && m >= inner - p.settling)
                sum *= p.ramp[inner - 1 - m];
        }
        p.work[p.place[piece] + m] = sum;
    }
}

/* Filter all chunks, each from rest or from its state. Grid: 32 chunks each; a warp. */
KERNEL __launch_bounds__(32) signal_sections(const signal_work p) {
    SHARED_MEMORY(shared);
    double (*tile)[TILE + 1] = (double (*)[TILE + 1]) shared;
    const int lane = (int)threadIdx.x;
    const int64_t c = (int64_t)blockIdx.x * WARP + lane;
    const bool mine = c < p.chunks;
    const int64_t piece = mine ? p.piece[c] : 0, start = mine ? p.number[c] * CHUNK : 0;
    const int64_t left = mine ? p.length[piece] - start : 0;
    const int count = (int)(left < CHUNK ? left : CHUNK), step = p.back ? -1 : 1;
    const int64_t at = mine ? p.place[piece] + (p.back ? p.length[piece] - 1 - start : start) : 0;
    double z[STATES];
#pragma unroll
    for (int s = 0; s < STATES; s++)
        z[s] = p.keep && mine ? p.starts[c * STATES + s] : 0;
    for (int i0 = 0; i0 < CHUNK; i0 += TILE) {
        for (int r = 0; r < WARP; r++) {
            const int64_t from = __shfl_sync(ALL_LANES, at, r);
            const int many = __shfl_sync(ALL_LANES, count, r);
            tile[r][lane] = i0 + lane < many ? p.work[from + step * (i0 + lane)] : 0.0;
        }
        __syncwarp();
        for (int i = 0; i < TILE; i++) {
            double x = tile[lane][i];
#pragma unroll
            for (int s = 0; s < SECTIONS; s++) {
                const double *b = p.sections + 6 * s;
                const double y = __ldg(b) * x + z[2 * s];
                z[2 * s] = __ldg(b + 1) * x - __ldg(b + 4) * y + z[2 * s + 1];
                z[2 * s + 1] = __ldg(b + 2) * x - __ldg(b + 5) * y;
                x = y;
            }
            tile[lane][i] = x;
        }
        __syncwarp();
        for (int r = 0; r < WARP; r++) {
            const int64_t to = __shfl_sync(ALL_LANES, at, r);
            const int many = __shfl_sync(ALL_LANES, count, r);
            if (p.keep && i0 + lane < many)
                p.work[to + step * (i0 + lane)] = tile[r][lane];
        }
        __syncwarp();
    }
    if (!p.keep && mine)
#pragma unroll
        for (int s = 0; s < STATES; s++)
            p.ends[c * STATES + s] = z[s];
}

/* The states that chunks begin with, one after the other. Grid: pieces; a warp each, a lane for each state.
 */
KERNEL __launch_bounds__(32) signal_carry(const signal_work p) {
    const int64_t piece = blockIdx.x;
    const int lane = (int)threadIdx.x, row = lane < STATES ? lane : 0;
    double decay[STATES], state = 0;
#pragma unroll
    for (int s = 0; s < STATES; s++)
        decay[s] = p.decay[row * STATES + s];
    for (int64_t c = p.begin[piece]; c < p.begin[piece + 1]; c++) {
        if (lane < STATES)
            p.starts[c * STATES + lane] = state;
        double sum = p.ends[c * STATES + row];
#pragma unroll
        for (int s = 0; s < STATES; s++)
            sum += decay[s] * __shfl_sync(ALL_LANES, state, s);
        state = sum;
    }
}

/* Live samples of pieces to their channels. Grid: chunks. */
KERNEL __launch_bounds__(256) signal_place(const signal_work p) {
    const int64_t c = blockIdx.x, piece = p.piece[c], row = p.channel[piece];
    for (int64_t k = threadIdx.x; k < CHUNK; k += blockDim.x) {
        const int64_t m = p.number[c] * CHUNK + k, to = p.first[piece] + m;
        if (m < p.from[piece] || m >= p.until[piece] || to < 0 || to >= p.samples)
            continue;
        p.rows[row * p.samples + to] = (float)p.work[p.place[piece] + m];
        p.masks[row * p.samples + to] = 1;
    }
}

/* Channels to components; one is live where all that it needs is. Grid: samples, components. */
KERNEL __launch_bounds__(256) signal_turn(const signal_work p) {
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, component = blockIdx.y;
    if (i >= p.samples)
        return;
    float sum = 0;
    int live = p.turn[component + 1] > p.turn[component];
    for (int32_t e = p.turn[component]; e < p.turn[component + 1]; e++) {
        const int64_t at = (int64_t)p.needed[e] * p.samples + i;
        sum = __fadd_rn(sum, __fmul_rn(p.share[e], p.rows[at]));
        live &= p.masks[at];
    }
    p.data[p.target[component] * p.samples + i] = live ? sum : 0.0f;
    p.live[p.target[component] * p.samples + i] = (uint8_t)live;
}
