/* What all CUDA kernels share. NVRTC has no headers of the host; tests compile the same sources for the CPU.
 */
#ifndef SEISFLOW_DEVICE_H
#define SEISFLOW_DEVICE_H

#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define INFINITY __int_as_float(0x7f800000)
#else
#include <math.h>
#include <stdint.h>
#endif

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define ALL_LANES 0xffffffffu
#define WARP 32

/* Shared memory whose size is said at the launch, aligned to 16 bytes. */
#ifndef SHARED_MEMORY
#define SHARED_MEMORY(name)                                                                                  \
    extern __shared__ float4 name##_memory[];                                                                \
    char *const name = (char *)name##_memory
#endif

/* IEEE half precision in 16 bits, as float. */
DEVICE float from_half(uint16_t h) {
#if defined(__CUDA_ARCH__) && !defined(PLAIN)
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
#else
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff);
    if (rest >= 0x7c00) /* infinite or not a number */
        return __int_as_float((int)(sign | 0x7f800000 | rest << 13));
    if (rest < 0x0400) /* without a leading one */
        return (sign ? -1.0f : 1.0f) * (float)rest * 5.9604644775390625e-8f;
    return __int_as_float((int)(sign | ((rest << 13) + 0x38000000)));
#endif
}

#endif
