/* Fourier transform of as many series at once as a vector has lanes, for one type. Included twice, with
 *
 *     REAL         float or double
 *     FN(name)     name with a suffix for the type
 *     OUT, STEP    vector of float with as many lanes, and the distance of two of them in the output
 *     TO_OUT(v)    a vector as an OUT
 *
 * Complex number p of a buffer is b[2 p] (real), b[2 p + 1] (imaginary). Every lane is a series of its own,
 * so there are no shuffles. Decimation in frequency forwards, in time backwards: the permuted order in
 * between is the same for data and templates, so it is never undone.
 */
typedef REAL FN(vec) __attribute__((vector_size(VECTOR_BYTES), aligned(VECTOR_BYTES)));
#define V FN(vec)
#define MAX_PASSES 16

/* Passes from the smallest part up: 4, 4, ..., 4 or 8, and 8 at last. */
typedef struct {
    int64_t n, m, passes, radix[MAX_PASSES];
    REAL *twiddle[MAX_PASSES];
} FN(fft);

static void FN(fft_free)(FN(fft) * f) {
    for (int64_t p = 0; f && p < f->passes; p++)
        free(f->twiddle[p]);
    free(f);
}

static FN(fft) * FN(fft_new)(int64_t n) {
    FN(fft) *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->n = n;
    f->m = n / 8;
    for (int64_t rest = f->m; rest > 1; rest /= f->radix[f->passes++])
        f->radix[f->passes] = rest == 8 ? 8 : 4;
    f->radix[f->passes++] = 8;
    int64_t s = 1;
    for (int64_t p = 0; p < f->passes; s *= f->radix[p++]) {
        int64_t r = f->radix[p];
        REAL *t = f->twiddle[p] = allocate(s * (r - 1) * 2 * (int64_t)sizeof(REAL));
        if (!t) {
            FN(fft_free)(f);
            return NULL;
        }
        for (int64_t j = 0; j < s; j++)
            for (int64_t q = 1; q < r; q++, t += 2) {
                double angle = 2 * PI * (double)(j * q) / (double)(r * s);
                t[0] = (REAL)cos(angle);
                t[1] = (REAL)sin(angle);
            }
    }
    return f;
}

/* Declare a + i b = (x + i y)(c + i d). */
#define PRODUCT(a, b, x, y, c, d) V a = (x) * (c) - (y) * (d), b = (x) * (d) + (y) * (c)

/* Inverse butterfly of 4, natural order; outputs may be the inputs. */
static inline __attribute__((always_inline)) void FN(four)(const V *x, const V *y, V *u, V *v) {
    V ar = x[0] + x[2], ai = y[0] + y[2], br = x[0] - x[2], bi = y[0] - y[2];
    V cr = x[1] + x[3], ci = y[1] + y[3], dr = y[3] - y[1], di = x[1] - x[3];
    u[0] = ar + cr, v[0] = ai + ci, u[1] = br + dr, v[1] = bi + di;
    u[2] = ar - cr, v[2] = ai - ci, u[3] = br - dr, v[3] = bi - di;
}

/* Inverse butterfly of 8 in place, natural order. */
static inline __attribute__((always_inline)) void FN(eight)(V *x, V *y) {
    const REAL h = (REAL)0.70710678118654752440;
    V evr[4] = {x[0], x[2], x[4], x[6]}, evi[4] = {y[0], y[2], y[4], y[6]};
    V odr[4] = {x[1], x[3], x[5], x[7]}, odi[4] = {y[1], y[3], y[5], y[7]};
    FN(four)(evr, evi, evr, evi);
    FN(four)(odr, odi, odr, odi);
    V r1 = (odr[1] - odi[1]) * h, i1 = (odr[1] + odi[1]) * h;
    V r3 = -(odr[3] + odi[3]) * h, i3 = (odr[3] - odi[3]) * h;
    x[0] = evr[0] + odr[0], y[0] = evi[0] + odi[0], x[4] = evr[0] - odr[0], y[4] = evi[0] - odi[0];
    x[1] = evr[1] + r1, y[1] = evi[1] + i1, x[5] = evr[1] - r1, y[5] = evi[1] - i1;
    x[2] = evr[2] - odi[2], y[2] = evi[2] + odr[2], x[6] = evr[2] + odi[2], y[6] = evi[2] - odr[2];
    x[3] = evr[3] + r3, y[3] = evi[3] + i3, x[7] = evr[3] - r3, y[7] = evi[3] - i3;
}

/* One butterfly of the inverse transform in place: elements at distance s, twiddles w. */
static inline __attribute__((always_inline)) void FN(turn)(const V *p, int64_t s, int64_t r, const REAL *w,
                                                           V *x, V *y) {
    x[0] = p[0];
    y[0] = p[1];
#pragma GCC unroll 8
    for (int64_t q = 1; q < r; q++) {
        PRODUCT(a, b, p[2 * q * s], p[2 * q * s + 1], w[2 * q - 2], w[2 * q - 1]);
        x[q] = a;
        y[q] = b;
    }
}

static void FN(pass4)(V *restrict b, int64_t s, const REAL *restrict w) {
    for (int64_t j = 0; j < s; j++, w += 6, b += 2) {
        V x[4], y[4];
        FN(turn)(b, s, 4, w, x, y);
        FN(four)(x, y, x, y);
#pragma GCC unroll 8
        for (int64_t q = 0; q < 4; q++)
            b[2 * q * s] = x[q], b[2 * q * s + 1] = y[q];
    }
}

static void FN(pass8)(V *restrict b, int64_t s, const REAL *restrict w) {
    for (int64_t j = 0; j < s; j++, w += 14, b += 2) {
        V x[8], y[8];
        FN(turn)(b, s, 8, w, x, y);
        FN(eight)(x, y);
#pragma GCC unroll 8
        for (int64_t q = 0; q < 8; q++)
            b[2 * q * s] = x[q], b[2 * q * s + 1] = y[q];
    }
}

/* One butterfly of the forward transform: an inverse one with real and imaginary parts changed over. */
static inline __attribute__((always_inline)) void FN(unturn)(V *p, int64_t s, int64_t r, const REAL *w) {
    V x[8], y[8];
#pragma GCC unroll 8
    for (int64_t q = 0; q < r; q++)
        x[q] = p[2 * q * s + 1], y[q] = p[2 * q * s];
    if (r == 4)
        FN(four)(x, y, x, y);
    else
        FN(eight)(x, y);
    p[1] = x[0];
    p[0] = y[0];
#pragma GCC unroll 8
    for (int64_t q = 1; q < r; q++) {
        PRODUCT(a, c, x[q], y[q], w[2 * q - 2], w[2 * q - 1]);
        p[2 * q * s + 1] = a;
        p[2 * q * s] = c;
    }
}

/* Forward transform (exp(-i ...)) in place, natural order in, permuted order out. */
static void FN(forward)(const FN(fft) * f, V *b) {
    int64_t s = f->n;
    for (int64_t pass = f->passes - 1; pass >= 0; pass--) {
        int64_t r = f->radix[pass];
        s /= r;
        for (int64_t first = 0; first < f->n; first += r * s) {
            const REAL *w = f->twiddle[pass];
            V *p = b + 2 * first;
            if (r == 4)
                for (int64_t j = 0; j < s; j++, w += 6, p += 2)
                    FN(unturn)(p, s, 4, w);
            else
                for (int64_t j = 0; j < s; j++, w += 14, p += 2)
                    FN(unturn)(p, s, 8, w);
        }
    }
}

/* The last pass of the inverse: real parts times scale are added to one output, imaginary parts to another.
 * Of the eight parts of the lags the first `parts` are whole windows. */
static inline __attribute__((always_inline)) void FN(last)(const V *restrict b, int64_t m, int64_t parts,
                                                           const REAL *restrict w, const OUT *restrict scale,
                                                           OUT *restrict one, OUT *restrict two) {
    for (int64_t j = 0; j < m; j++, w += 14) {
        V x[8], y[8];
        FN(turn)(b + 2 * j, m + PAD / 2, 8, w, x, y);
        FN(eight)(x, y);
#pragma GCC unroll 8
        for (int64_t q = 0; q < parts; q++) {
            OUT g = scale[(j + q * m) * STEP];
            one[(j + q * m) * STEP] += g * TO_OUT(x[q]);
            two[(j + q * m) * STEP] += g * TO_OUT(y[q]);
        }
    }
}

/* Multiply a spectrum x (vectors) by h (numbers), transform back, scale, add to two outputs.
 * b is scratch; its eight parts are PAD vectors apart, or they would share their places in the cache. */
static void FN(correlate)(const FN(fft) * f, int64_t parts, const V *restrict x, const REAL *restrict h,
                          V *restrict b, const OUT *restrict scale, OUT *restrict one, OUT *restrict two) {
    int64_t m = f->m;
    for (int64_t part = 0; part < 8; part++) {
        V *c = b + part * (2 * m + PAD);
        for (int64_t p = 0; p < m; p += 4, x += 8, h += 8) {
            V u[4], v[4];
#pragma GCC unroll 8
            for (int64_t q = 0; q < 4; q++) {
                PRODUCT(r, i, x[2 * q], x[2 * q + 1], h[2 * q], h[2 * q + 1]);
                u[q] = r;
                v[q] = i;
            }
            FN(four)(u, v, u, v);
#pragma GCC unroll 8
            for (int64_t q = 0; q < 4; q++)
                c[2 * (p + q)] = u[q], c[2 * (p + q) + 1] = v[q];
        }
        int64_t s = 4;
        for (int64_t pass = 1; pass < f->passes - 1; s *= f->radix[pass++])
            for (int64_t g = 0; g < m; g += f->radix[pass] * s)
                (f->radix[pass] == 4 ? FN(pass4) : FN(pass8))(c + 2 * g, s, f->twiddle[pass]);
    }
    const REAL *w = f->twiddle[f->passes - 1];
#define CASE(count)                                                                                          \
    case count:                                                                                              \
        FN(last)(b, m, count, w, scale, one, two);                                                           \
        break;
    switch (parts) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) }
#undef CASE
}

#undef PRODUCT
#undef V
#undef MAX_PASSES
