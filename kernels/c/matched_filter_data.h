/* The data of a matched filter: loading a block, norms of its windows, its spectra. Part of matched_filter.c.
 */
/* ---- data ---- */

/* Samples first ... first + n - 1 of a channel into a lane; zero where not live. Returns whether all are
 * live. */
static int load_lane(const matched_filter_problem *p, int64_t channel, int64_t first, float *lane) {
    const float *x = p->data + channel * p->samples;
    const uint8_t *live = p->live + channel * p->samples;
    int64_t n = p->size, a = most(0, least(n, -first)), b = most(a, least(n, p->samples - first));
    for (int64_t k = 0; k < a; k++)
        lane[k * LANES] = 0;
    for (int64_t k = b; k < n; k++)
        lane[k * LANES] = 0;
    if (b > a && memchr(live + first + a, 0, (size_t)(b - a))) {
        for (int64_t k = a; k < b; k++)
            lane[k * LANES] = live[first + k] ? x[first + k] : 0;
        return 0;
    }
    for (int64_t k = a; k < b; k++)
        lane[k * LANES] = x[first + k];
    return a == 0 && b == n;
}

/* The same for lanes that are all live. */
static void load_whole(const matched_filter_problem *p, int64_t channel, int64_t first, int64_t step,
                       vf *raw) {
    const float *x = p->data + channel * p->samples + first;
    float *out = (float *)raw;
    for (int64_t k = 0; k < p->size; k += 16)
        for (int64_t l = 0; l < LANES; l++)
            for (int64_t i = 0; i < 16; i++)
                out[(k + i) * LANES + l] = x[l * step + k + i];
}

/* Which windows of a lane are not whole: set to zero what is there. */
static void drop_dead(const matched_filter_problem *p, int64_t channel, int64_t length, int64_t first,
                      int64_t valid, float *lane) {
    const uint8_t *live = p->live + channel * p->samples;
    int64_t next = INT64_MAX; /* dead sample at or after k */
    for (int64_t k = valid + length - 2; k >= 0; k--) {
        int64_t at = first + k;
        if (at < 0 || at >= p->samples || !live[at])
            next = k;
        if (k < valid && next < k + length)
            lane[k * LANES] = 0;
    }
}

/* Squared norms of all windows, in double precision, divided by `unit` of the lane. */
static void window_norms(const vf *raw, int64_t length, int64_t valid, const double *unit, double *sums,
                         vf *scale) {
    const float *x = (const float *)raw;
    float *out = (float *)scale;
    double share = 1.0 / (double)length;
    for (int64_t m = 0; m < valid; m += length) {
        double a[LANES] = {0}, b[LANES] = {0}, pivot[LANES];
        for (int64_t l = 0; l < LANES; l++)
            pivot[l] = x[(m + length - 1) * LANES + l];
        for (int64_t i = length - 1; i >= 0; i--) {
            double *to = sums + i * 2 * LANES;
            const float *y = x + (m + i) * LANES;
            for (int64_t l = 0; l < LANES; l++) {
                double d = (double)y[l] - pivot[l];
                a[l] += d;
                b[l] += d * d;
                to[l] = a[l];
                to[LANES + l] = b[l];
            }
        }
        for (int64_t l = 0; l < LANES; l++)
            a[l] = b[l] = 0;
        int64_t end = least(length, valid - m);
        for (int64_t i = 0; i < end; i++) {
            const double *from = sums + i * 2 * LANES;
            const float *y = x + (m + length + i) * LANES;
            float *to = out + (m + i) * LANES;
            for (int64_t l = 0; l < LANES; l++) {
                double u = from[l] + a[l], v = from[LANES + l] + b[l], d = (double)y[l] - pivot[l];
                to[l] = (float)((v - u * u * share) * unit[l]);
                a[l] += d;
                b[l] += d * d;
            }
        }
    }
}

/* Mean of the block, and the power of two that makes its norm about 1; zero where it is constant. */
static void block_norms(plan *s, row_block *r, const vf *raw, double *unit) {
    int64_t n = s->p->size;
    const float *x = (const float *)raw;
    double a[LANES] = {0}, b[LANES] = {0};
    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < LANES; l++)
            a[l] += (double)x[k * LANES + l];
    for (int64_t l = 0; l < LANES; l++)
        r->mean[l] = (float)(a[l] / (double)n);
    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < LANES; l++) {
            double d = (double)x[k * LANES + l] - (double)r->mean[l];
            b[l] += d * d;
        }
    for (int64_t l = 0; l < LANES; l++) {
        int power = 0;
        if (!isfinite(b[l])) {
#pragma omp atomic write
            s->broken = 1;
            b[l] = 0;
        }
        if (b[l] > 0)
            frexp(sqrt(b[l]), &power);
        power = power > 126 ? 126 : power < -126 ? -126 : power;
        r->gain[l] = ldexpf(1, -power);
        unit[l] = ldexp(1, 2 * (ROOM - power));
    }
}

/* 1 / |window| of a row in a block, with what is too small for single or double precision set apart. */
static void weigh(plan *s, row_block *r, int64_t row, int64_t first, const vf *raw, const int *whole,
                  double *sums) {
    const matched_filter_problem *p = s->p;
    double unit[LANES];
    const float scale_of_norms = (float)(1LL << ROOM);
    float *scale = (float *)r->scale, highest[LANES] = {0};
    block_norms(s, r, raw, unit);
    window_norms(raw, p->row_length[row], s->valid, unit, sums, r->scale);
    for (int64_t l = 0; l < LANES; l++)
        if (!whole[l])
            drop_dead(p, p->row_channel[row], p->row_length[row], first + l * s->segment, s->valid,
                      scale + l);
    for (int64_t k = 0; k < s->valid; k++)
        for (int64_t l = 0; l < LANES; l++) {
            float e = scale[k * LANES + l], g = e > 0 ? scale_of_norms / sqrtf(e) : 0;
            scale[k * LANES + l] = g;
            highest[l] = g > highest[l] ? g : highest[l];
        }
    r->direct = r->flagged[0] = r->flagged[1] = 0;
    for (int64_t l = 0; l < LANES; l++) {
        for (int64_t k = 0; highest[l] > HOPELESS && k < s->valid; k++)
            if (scale[k * LANES + l] > HOPELESS) {
                scale[k * LANES + l] = 0;
                r->window[r->direct++] = (int32_t)(k * LANES + l);
            }
        r->flagged[l / HALF] |= highest[l] > (float)p->contrast;
    }
    if (r->flagged[0] || r->flagged[1])
        memcpy(r->single, r->scale, (size_t)s->valid * sizeof(vf));
    for (int64_t k = 0; (r->flagged[0] || r->flagged[1]) && k < s->valid; k++)
        for (int h = 0; h < 2; h++)
            if (r->flagged[h])
                ((half *)r->single)[2 * k + h] = (half){0};
}

/* Split the transform of x + i y into those of x and y. */
#define SPLIT(z, x, y, number)                                                                               \
    for (int64_t k = 0; k < n; k++) {                                                                        \
        const int64_t q = s->mirror[k];                                                                      \
        (x)[2 * k] = ((z)[2 * k] + (z)[2 * q]) * (number)0.5;                                                \
        (x)[2 * k + 1] = ((z)[2 * k + 1] - (z)[2 * q + 1]) * (number)0.5;                                    \
        if (y) {                                                                                             \
            (y)[2 * k] = ((z)[2 * k + 1] + (z)[2 * q + 1]) * (number)0.5;                                    \
            (y)[2 * k + 1] = ((z)[2 * q] - (z)[2 * k]) * (number)0.5;                                        \
        }                                                                                                    \
    }

static void transform(const plan *s, scratch *own, row_block *one, row_block *two) {
    int64_t n = s->p->size;
    vf mean[2] = {{0}}, gain[2] = {{0}};
    for (int i = 0; i < (two ? 2 : 1); i++) {
        memcpy(mean + i, (i ? two : one)->mean, sizeof(vf));
        memcpy(gain + i, (i ? two : one)->gain, sizeof(vf));
    }
    for (int64_t k = 0; k < n; k++) {
        own->z[2 * k] = (own->raw[0][k] - mean[0]) * gain[0];
        own->z[2 * k + 1] = two ? (own->raw[1][k] - mean[1]) * gain[1] : (vf){0};
    }
    forward_f(s->single, own->z);
    SPLIT(own->z, one->spectrum, two ? two->spectrum : NULL, float)
    for (int h = 0; h < 2; h++) {
        if (!one->flagged[h] && !(two && two->flagged[h]))
            continue;
        for (int64_t k = 0; k < n; k++)
            for (int i = 0; i < 2; i++) {
                vd x = __builtin_convertvector(((half *)(own->raw[two ? i : 0] + k))[h], vd);
                vd m = __builtin_convertvector(((half *)(mean + i))[h], vd);
                vd g = __builtin_convertvector(((half *)(gain + i))[h], vd); /* zero without a second row */
                own->zd[2 * k + i] = (x - m) * g;
            }
        forward_d(s->precise, own->zd);
        SPLIT(own->zd, one->precise[h], two ? two->precise[h] : NULL, double)
    }
}

/* Norms and spectra of two rows of a chunk in a block. */
static void rows_of_block(plan *s, scratch *own, row_block *r, int64_t row, int64_t first) {
    const matched_filter_problem *p = s->p;
    int64_t count = least(2, p->rows - row), direct = 0, flagged = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t channel = p->row_channel[row + i], last = first + (LANES - 1) * s->segment + p->size;
        int whole[LANES], all = first >= 0 && last <= p->samples;
        for (int64_t l = 0; l < LANES; l++) {
            int64_t at = channel * p->samples + first + l * s->segment;
            all = all && !memchr(p->live + at, 0, (size_t)p->size);
            whole[l] = 1;
        }
        if (all)
            load_whole(p, channel, first, s->segment, own->raw[i]);
        else
            for (int64_t l = 0; l < LANES; l++)
                whole[l] = load_lane(p, channel, first + l * s->segment, (float *)own->raw[i] + l);
        weigh(s, r + i, row + i, first, own->raw[i], whole, own->sums);
        direct += r[i].direct;
        flagged += r[i].flagged[0] + r[i].flagged[1];
    }
    transform(s, own, r, count > 1 ? r + 1 : NULL);
#pragma omp atomic
    s->counts[0] += 2 * count;
#pragma omp atomic
    s->counts[1] += flagged;
#pragma omp atomic
    s->counts[2] += direct;
}
