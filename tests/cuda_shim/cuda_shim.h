/* Runs CUDA kernels, unchanged, on the CPU, to test them where no GPU is.
 *
 * Each thread of a block is a fiber with its own stack; a barrier or a shuffle is a switch to the scheduler of
 * the block. Blocks are shared among threads of the CPU. Fibers run one at a time until they wait, in the order of
 * their numbers, in the reversed order, or shuffled: what one order hides, a missing barrier, another shows.
 *
 * Checked: that all threads of a block come to the same barriers and none has left, that all lanes of a warp come
 * to the same shuffles, that nothing is written behind the shared memory asked for. Fresh shared memory is filled with
 * NaN. Limits of launches are those of a GPU.
 */
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct dim3 {
    unsigned x, y, z;
};
inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;
struct alignas(8) float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) double2 { double x, y; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

#define CUDA_SHIM 1
#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define SHARED_MEMORY(name) char *const name = cushim::shared

namespace cushim {
enum { RUNS, AT_BARRIER, AT_SHUFFLE, LEFT };
enum { MOST_THREADS = 1024, LANES = 32, STACK = 1 << 16, MOST_SHARED = 232448, CANARY = 4096 };
struct Fiber {
    void *sp;
    int state, warp, lane, turn;
    dim3 place;
#if !defined(__x86_64__)
    ucontext_t context;
#endif
};
struct Warp {
    unsigned char slot[2][LANES][16];
    uint32_t present;
};
struct Block {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    char *stacks = nullptr, *memory = nullptr;
    void *sp = nullptr;
#if !defined(__x86_64__)
    ucontext_t context;
#endif
    ~Block() { free(stacks), free(memory); }
};
typedef void (*Body)(const void *);
inline thread_local char *shared;
inline thread_local Fiber *current;
inline thread_local Block *here;
inline thread_local Body body;
inline thread_local const void *argument;

[[noreturn]] inline void fail(const char *what) {
    fprintf(stderr, "cuda_shim: %s (block %u %u %u, thread %u %u %u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z,
            threadIdx.x, threadIdx.y, threadIdx.z);
    fflush(stderr);
    abort();
}

#if defined(__x86_64__)
extern "C" void cushim_switch(void **save, void *load);
asm(R"(
.text
.type cushim_switch,@function
cushim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
inline void leave(int state) {
    current->state = state;
    cushim_switch(&current->sp, here->sp);
}
inline void resume(Fiber *f) { cushim_switch(&here->sp, f->sp); }
#else
inline void leave(int state) {
    current->state = state;
    swapcontext(&current->context, &here->context);
}
inline void resume(Fiber *f) { swapcontext(&here->context, &f->context); }
#endif

inline void enter() {
    body(argument);
    leave(LEFT);
    fail("a thread that has left runs again");
}

inline void start(Fiber *f, char *stack) {
    f->state = RUNS, f->turn = 0;
#if defined(__x86_64__)
    void **top = (void **)(((uintptr_t)stack + STACK) / 16 * 16) - 2;
    top[0] = (void *)enter, top[1] = nullptr;
    for (int i = 1; i <= 6; i++)
        top[-i] = nullptr;
    f->sp = top - 6;
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = stack, f->context.uc_stack.ss_size = STACK, f->context.uc_link = nullptr;
    makecontext(&f->context, enter, 0);
#endif
}

/* Who goes on when nobody runs; false if all have left. */
inline bool release(Block &b) {
    bool any = false;
    size_t left = 0, waiting = 0, n = b.fibers.size();
    for (size_t w = 0; w < n; w += LANES) {
        size_t end = w + LANES < n ? w + LANES : n, ready = 0, gone = 0;
        for (size_t i = w; i < end; i++)
            ready += b.fibers[i].state == AT_SHUFFLE, gone += b.fibers[i].state == LEFT;
        if (ready && ready + gone == end - w) {
            any = true;
            if (gone)
                fail("a shuffle after lanes of the warp have left");
            for (size_t i = w; i < end; i++)
                b.fibers[i].state = RUNS;
        }
    }
    if (any)
        return true;
    for (Fiber &f : b.fibers)
        left += f.state == LEFT, waiting += f.state == AT_BARRIER;
    if (left == n)
        return false;
    if (left || waiting != n)
        fail(left ? "threads have left before a barrier that others wait at" : "threads wait in different places");
    for (Fiber &f : b.fibers)
        f.state = RUNS;
    return true;
}

inline void run_block(Block &b, size_t bytes, int order) {
    const size_t n = b.fibers.size();
    memset(b.memory, 0xff, bytes);
    memset(b.memory + bytes, 0xa5, CANARY);
    shared = b.memory, here = &b;
    for (size_t i = 0; i < n; i++) {
        Fiber &f = b.fibers[i];
        f.place = {unsigned(i % blockDim.x), unsigned(i / blockDim.x % blockDim.y),
                   unsigned(i / (blockDim.x * blockDim.y))};
        f.warp = int(i / LANES), f.lane = int(i % LANES);
        start(&f, b.stacks + i * STACK);
    }
    size_t step = n;
    for (size_t s = 7919; order == 2 && n > 2; s++) { /* a step without a common divisor visits all */
        size_t x = s, y = n;
        while (y) { size_t r = x % y; x = y, y = r; }
        if (x == 1) { step = s % n; break; }
    }
    do
        for (size_t w = 0, at = 0; w < n; w++) {
            const size_t i = order == 1 ? n - 1 - w : order == 2 && step < n ? at : w;
            at = (at + step) % n;
            Fiber &f = b.fibers[i];
            if (f.state != RUNS)
                continue;
            current = &f, threadIdx = f.place;
            resume(&f);
        }
    while (release(b));
    for (size_t i = 0; i < CANARY; i++)
        if ((unsigned char)b.memory[bytes + i] != 0xa5)
            fail("written behind the shared memory");
}

/* 0, or what is wrong with the launch: 1 sizes of the grid, 2 of the block, 3 shared memory. */
inline int launch(Body kernel, const void *value, const unsigned *grid, const unsigned *block, size_t bytes, int order) {
    const size_t n = size_t(block[0]) * block[1] * block[2];
    if (!grid[0] || !grid[1] || !grid[2] || grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535)
        return 1;
    if (!n || n > MOST_THREADS || block[2] > 64)
        return 2;
    if (bytes > MOST_SHARED)
        return 3;
    const size_t blocks = size_t(grid[0]) * grid[1] * grid[2];
#pragma omp parallel
    {
        Block b;
        b.fibers.resize(n), b.warps.resize((n + LANES - 1) / LANES);
        b.stacks = (char *)malloc(n * STACK);
        b.memory = (char *)aligned_alloc(128, (bytes + CANARY + 127) / 128 * 128);
        body = kernel, argument = value;
        gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < blocks; i++) {
            const size_t k = order == 1 ? blocks - 1 - i : i;
            blockIdx = {unsigned(k % grid[0]), unsigned(k / grid[0] % grid[1]),
                        unsigned(k / (size_t(grid[0]) * grid[1]))};
            run_block(b, bytes, order);
        }
    }
    return 0;
}

template <class T> inline const T (&exchange(T value))[LANES] {
    static_assert(sizeof(T) <= 16, "values of a shuffle have at most 16 bytes");
    Warp &w = here->warps[size_t(current->warp)];
    Fiber *me = current;
    const int turn = me->turn ^= 1;
    if (sizeof(T) > 8)
        fail("values of a shuffle have at most 8 bytes");
    memcpy((char *)w.slot[turn] + sizeof(T) * size_t(me->lane), &value, sizeof value);
    leave(AT_SHUFFLE);
    return *(const T(*)[LANES])w.slot[turn];
}
} // namespace cushim

inline void __syncthreads() { cushim::leave(cushim::AT_BARRIER); }
inline void __syncwarp(unsigned = ~0u) { cushim::leave(cushim::AT_SHUFFLE); }
inline void __threadfence() {}
template <class T> inline T __shfl_sync(unsigned, T v, int from) {
    const int lane = cushim::current->lane;
    (void)lane;
    return cushim::exchange(v)[from & 31];
}
template <class T> inline T __shfl_xor_sync(unsigned, T v, int mask) {
    const int lane = cushim::current->lane;
    return cushim::exchange(v)[lane ^ mask];
}
template <class T> inline T __shfl_down_sync(unsigned, T v, int by) {
    const int lane = cushim::current->lane;
    return cushim::exchange(v)[lane + by < 32 ? lane + by : lane];
}
template <class T> inline T __shfl_up_sync(unsigned, T v, int by) {
    const int lane = cushim::current->lane;
    return cushim::exchange(v)[lane >= by ? lane - by : lane];
}
inline unsigned __ballot_sync(unsigned, int predicate) {
    const int(&all)[32] = cushim::exchange(predicate);
    unsigned bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= unsigned(all[i] != 0) << i;
    return bits;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == ~0u; }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline float __int_as_float(int v) { float f; memcpy(&f, &v, 4); return f; }
inline int __float_as_int(float v) { int i; memcpy(&i, &v, 4); return i; }
inline unsigned __float_as_uint(float v) { unsigned i; memcpy(&i, &v, 4); return i; }
inline float __uint_as_float(unsigned v) { float f; memcpy(&f, &v, 4); return f; }
inline long long __double_as_longlong(double v) { long long i; memcpy(&i, &v, 8); return i; }
inline double __longlong_as_double(long long v) { double d; memcpy(&d, &v, 8); return d; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1 / a; }
inline double rsqrt(double a) { return 1 / std::sqrt(a); }
template <class T> inline T __ldg(const T *p) { return *p; }
template <class T> inline T __ldcs(const T *p) { return *p; }
template <class T> inline void __stcs(T *p, T v) { *p = v; }
template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }
template <class T> inline T atomicAdd(T *p, T v) {
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(p, &old, T(old + v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
template <> inline float atomicAdd(float *p, float v) {
    float old;
#pragma omp critical(cushim_atomic)
    old = *p, *p = old + v;
    return old;
}
template <class T> inline T atomicMin(T *p, T v) {
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (v < old && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
template <class T> inline T atomicMax(T *p, T v) {
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (old < v && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
template <class T> inline T atomicOr(T *p, T v) { return __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
