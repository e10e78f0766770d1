/* The instruction set in use, for the doors of the kernels (c/<stem>_doors.c). */
#ifndef DISPATCH_H
#define DISPATCH_H

/* 0 baseline, 1 x86-64 v3 (AVX2), 2 x86-64 v4 (AVX-512). */
int dispatch_level(void);

#if LEVELS > 1
#define CHOOSE(name) (dispatch_level() == 2 ? name##_v4 : dispatch_level() == 1 ? name##_v3 : name##_baseline)
#else
#define CHOOSE(name) name##_baseline
#endif

#endif
