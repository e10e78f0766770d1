/* Plan of a matched filter: how time is cut, its memory, the spectra of the templates. Part of
 * matched_filter.c. */
/* The frequency at place p of a buffer after the forward transform. */
static int64_t frequency(const fft_f *f, int64_t p) {
    int64_t k = 0, factor = 1, s = f->n;
    for (int64_t q = f->passes - 1; q >= 0; q--) {
        s /= f->radix[q];
        k += factor * (p / s);
        p %= s;
        factor *= f->radix[q];
    }
    return k;
}

enum { RING = 3 }; /* chunks of rows that there is room for */

/* A row of a chunk in one block. */
typedef struct {
    vf *spectrum;      /* 2 n */
    vd *precise[2];    /* 2 n, of the lower and the upper half of the lanes */
    vf *scale;         /* valid: 1 / |window| over `gain` */
    vf *single;        /* the same, but zero in halves that are done precisely; only where there are such */
    float gain[LANES]; /* power of two by which the data were multiplied */
    float mean[LANES]; /* that was taken from the data before */
    int flagged[2];    /* halves to be done precisely */
    int64_t direct;    /* windows to be summed one by one */
    int32_t *window;   /* their lag * LANES + lane */
} row_block;

/* What one thread works with. */
typedef struct {
    vf *raw[2];   /* n */
    vf *z, *lost; /* 2 n + 8 PAD; valid, output of what does not exist */
    vd *zd;       /* 2 n + 8 PAD */
    double *sums; /* length * 2 * LANES */
} scratch;

typedef struct {
    const matched_filter_problem *p;
    fft_f *single;
    fft_d *precise;
    int64_t pairs, parts, valid, low, span, segment, sheets, blocks, room, used, chunk;
    int64_t chunks, parts_of_chunk, steps; /* of a block; tasks of rows of a chunk; chunks of all blocks */
    int64_t *base;                         /* (templates): taken from its moveouts */
    int64_t *shift;                        /* (templates, channels): moveout that is left, from 0 to span */
    double *mean, *factor; /* (templates, channels): entry = (waveform - first sample - mean) * factor */
    int64_t *slot;         /* (pairs, rows): number of a spectrum, or -1 */
    int64_t *mirror;       /* (n): place of the negative frequency */
    float *h;              /* (used, n, 2): spectra of pairs of templates */
    double *hd;
    row_block *rows;     /* (RING, chunk) */
    scratch *own;        /* (threads) */
    vf *out;             /* (templates, room) */
    int64_t *pair, *row; /* (used): of each spectrum */
    int64_t *start;      /* (pairs + 1): first spectrum of each pair */
    int64_t *ready;      /* (pairs): spectra in double precision are there */
    int64_t counts[3], broken;
    _Atomic int64_t wrong;
    _Atomic int64_t *rows_next; /* (steps): tasks of rows that were taken */
    _Atomic int64_t *rows_done; /* (steps): that have ended */
    _Atomic int64_t *turn;      /* (pairs): 2 k, step k may begin; 2 k + 1, somebody has it */
} plan;

/* ---- geometry ---- */

static int64_t segment_length(int64_t samples, int64_t span, int64_t *sheets) {
    int64_t longest = most(LONGEST, 4 * span);
    *sheets = (samples + LANES * longest - 1) / (LANES * longest);
    return (samples + *sheets * LANES - 1) / (*sheets * LANES);
}

static void lay_out(plan *s) {
    const matched_filter_problem *p = s->p;
    int64_t high = 0;
    for (int64_t t = 0; t < p->templates; t++) {
        const int64_t *entry = p->entry + t * p->rows;
        int64_t first = INT64_MAX;
        for (int64_t r = 0; r < p->rows; r++)
            if (entry[r] >= 0)
                first = least(first, p->moveout[entry[r]]);
        s->base[t] = first == INT64_MAX ? 0 : most(first, 0);
        for (int64_t r = 0; r < p->rows; r++)
            if (entry[r] >= 0) {
                int64_t shift = s->shift[entry[r]] = p->moveout[entry[r]] - s->base[t];
                s->low = least(s->low, shift);
                high = most(high, shift);
            }
    }
    for (int64_t e = 0; e < p->templates * p->channels; e++)
        s->shift[e] -= s->low;
    s->span = high - s->low;
    s->pairs = (p->templates + 1) / 2;
    s->parts = least((p->size - p->length + 1) / (p->size / 8), 7);
    s->valid = s->parts * (p->size / 8);
    s->segment = segment_length(p->samples, s->span, &s->sheets);
    s->blocks = (s->segment + s->span + s->valid - 1) / s->valid;
    s->room = s->span + s->blocks * s->valid;
}

/* Rows of a chunk, an even number: few, so that their spectra stay in the cache, but more where the outputs
 * of all templates do not, which each chunk goes through; and work for all threads. */
static int64_t chunk_length(int64_t templates, int64_t threads) {
    return most(templates <= 32 ? 4 : 8, least(2 * threads, 64));
}

/* ---- memory ---- */

static void release(plan *s) {
    for (int64_t i = 0; s->rows && i < RING * s->chunk; i++) {
        row_block *r = s->rows + i;
        free(r->spectrum), free(r->precise[0]), free(r->precise[1]);
        free(r->scale), free(r->single), free(r->window);
    }
    for (int64_t i = 0; s->own && i < s->p->threads; i++) {
        scratch *o = s->own + i;
        free(o->raw[0]), free(o->raw[1]), free(o->z), free(o->lost), free(o->zd), free(o->sums);
    }
    free(s->rows), free(s->own), free(s->base), free(s->shift), free(s->mean), free(s->factor), free(s->pair),
        free(s->row), free(s->slot), free(s->mirror), free(s->start), free(s->ready);
    free(s->rows_next), free(s->rows_done), free(s->turn);
    free(s->h), free(s->hd), free(s->out);
    fft_free_f(s->single);
    fft_free_d(s->precise);
}

static int reserve_rows(plan *s) {
    int64_t n = s->p->size, vector = sizeof(vf), good = 1;
    for (int64_t i = 0; i < RING * s->chunk; i++) {
        row_block *r = s->rows + i;
        good &= (r->spectrum = allocate(2 * n * vector)) != NULL;
        for (int h = 0; h < 2; h++)
            good &= (r->precise[h] = allocate(2 * n * vector)) != NULL;
        good &= (r->scale = allocate(s->valid * vector)) != NULL;
        good &= (r->single = allocate(s->valid * vector)) != NULL;
        good &= (r->window = allocate(s->valid * LANES * 4)) != NULL;
    }
    for (int64_t i = 0; i < s->p->threads; i++) {
        scratch *o = s->own + i;
        for (int h = 0; h < 2; h++)
            good &= (o->raw[h] = allocate((n + 1) * vector)) != NULL; /* one is read in vain */
        good &= (o->z = allocate((2 * n + 8 * PAD) * vector)) != NULL;
        good &= (o->zd = allocate((2 * n + 8 * PAD) * vector)) != NULL;
        good &= (o->lost = allocate(s->valid * vector)) != NULL;
        good &= (o->sums = allocate(s->p->length * 2 * LANES * 8)) != NULL;
        if (o->lost)
            memset(o->lost, 0, (size_t)(s->valid * vector));
    }
    return (int)good;
}

static int reserve(plan *s) {
    const matched_filter_problem *p = s->p;
    s->pairs = (p->templates + 1) / 2;
    s->base = allocate(p->templates * 8);
    s->shift = calloc((size_t)(p->templates * p->channels), 8);
    s->mean = allocate(p->templates * p->channels * 8);
    s->factor = allocate(p->templates * p->channels * 8);
    s->slot = allocate(s->pairs * p->rows * 8);
    s->mirror = allocate(p->size * 8);
    s->single = fft_new_f(p->size);
    s->precise = fft_new_d(p->size);
    s->chunk = chunk_length(p->templates, p->threads);
    s->rows = calloc((size_t)(RING * s->chunk), sizeof *s->rows);
    s->own = calloc((size_t)p->threads, sizeof *s->own);
    if (!s->base || !s->shift || !s->mean || !s->factor || !s->slot || !s->mirror || !s->single ||
        !s->precise || !s->rows || !s->own)
        return 0;
    lay_out(s);
    s->chunks = (p->rows + s->chunk - 1) / s->chunk;
    s->parts_of_chunk = s->chunk / 2;
    s->steps = s->sheets * s->blocks * s->chunks;
    s->start = allocate((s->pairs + 1) * 8);
    s->ready = calloc((size_t)s->pairs, 8);
    s->rows_done = calloc((size_t)s->steps, sizeof *s->rows_done);
    s->rows_next = calloc((size_t)s->steps, sizeof *s->rows_next);
    s->turn = calloc((size_t)s->pairs, sizeof *s->turn);
    if (!s->start || !s->ready || !s->rows_done || !s->rows_next || !s->turn)
        return 0;
    for (int64_t pair = 0; pair < s->pairs; pair++) {
        s->start[pair] = s->used;
        for (int64_t r = 0; r < p->rows; r++) {
            const int64_t *entry = p->entry + 2 * pair * p->rows + r;
            int any = entry[0] >= 0 || (2 * pair + 1 < p->templates && entry[p->rows] >= 0);
            s->slot[pair * p->rows + r] = any ? s->used++ : -1;
        }
    }
    s->start[s->pairs] = s->used;
    s->h = allocate(s->used * p->size * 2 * 4);
    s->hd = allocate(s->used * p->size * 2 * 8);
    s->out = allocate(p->templates * s->room * (int64_t)sizeof(vf));
    return s->h && s->hd && s->out && reserve_rows(s);
}

/* Bytes that a run takes beside its arguments: see reserve. */
int64_t EXPORT(matched_filter_bytes)(int64_t samples, int64_t rows, int64_t templates, int64_t size,
                                     int64_t span, int64_t threads) {
    int64_t sheets, segment = segment_length(samples, span, &sheets), vector = sizeof(vf);
    int64_t chunk =
        RING * chunk_length(templates, threads) * (6 * size * vector + 2 * size * vector + size * LANES * 4);
    int64_t spectra = (templates + 1) / 2 * rows * size * 2 * 12;
    return chunk + threads * 8 * size * vector + spectra + templates * (segment + 2 * span + size) * vector;
}

/* ---- templates ---- */

/* What makes an entry of zero mean and unit norm, times its weight. */
static void normalise(plan *s, int64_t entry, int64_t length) {
    const float *x = s->p->waveform + entry * s->p->length;
    double mean = 0, norm = 0;
    for (int64_t k = 0; k < length; k++)
        mean += (double)x[k] - (double)x[0];
    mean /= (double)length;
    for (int64_t k = 0; k < length; k++)
        norm += ((double)x[k] - (double)x[0] - mean) * ((double)x[k] - (double)x[0] - mean);
    if (!(norm > 0) || !isfinite(norm)) {
#pragma omp critical
        s->wrong = most(s->wrong, entry + 1);
    }
    s->mean[entry] = mean;
    s->factor[entry] = s->p->weight[entry] / sqrt(norm);
}

static double sample(const plan *s, int64_t entry, int64_t k) {
    const float *x = s->p->waveform + entry * s->p->length;
    return ((double)x[k] - (double)x[0] - s->mean[entry]) * s->factor[entry];
}

/* Spectra of pairs of templates, conj T1 + i conj T2: HALF / 2 of them before end, transformed in double
 * precision.
 */
static void template_spectra(plan *s, vd *b, int64_t first, int64_t end, int precise) {
    const matched_filter_problem *p = s->p;
    int64_t n = p->size;
    double *z = (double *)b;
    memset(b, 0, (size_t)(2 * n) * sizeof *b);
    for (int64_t l = 0; l < HALF && first + l / 2 < end; l++) {
        int64_t t = 2 * s->pair[first + l / 2] + l % 2, row = s->row[first + l / 2];
        int64_t entry = t < p->templates ? p->entry[t * p->rows + row] : -1;
        if (entry < 0)
            continue;
        if (!precise)
            normalise(s, entry, p->row_length[row]);
        for (int64_t k = 0; k < p->row_length[row]; k++)
            z[2 * k * HALF + l] = sample(s, entry, k) / (double)n;
    }
    forward_d(s->precise, b);
    for (int64_t l = 0; l < HALF && first + l / 2 < end; l += 2) {
        int64_t place = (first + l / 2) * n * 2;
        for (int64_t k = 0; k < n; k++) {
            const double *one = z + 2 * k * HALF + l, *two = one + HALF;
            double re = one[0] + two[1], im = one[1] - two[0];
            if (precise)
                s->hd[place + 2 * k] = re, s->hd[place + 2 * k + 1] = im;
            else
                s->h[place + 2 * k] = (float)re, s->h[place + 2 * k + 1] = (float)im;
        }
    }
}

static int prepare(plan *s) {
    const matched_filter_problem *p = s->p;
    int64_t n = p->size, *place = allocate(n * 8);
    s->pair = allocate(s->used * 8);
    s->row = allocate(s->used * 8);
    int good = place && s->pair && s->row;
    for (int64_t i = 0; good && i < s->pairs * p->rows; i++)
        if (s->slot[i] >= 0) {
            s->pair[s->slot[i]] = i / p->rows;
            s->row[s->slot[i]] = i % p->rows;
        }
    for (int64_t k = 0; good && k < n; k++)
        place[frequency(s->single, k)] = k;
    for (int64_t k = 0; good && k < n; k++)
        s->mirror[k] = place[(n - frequency(s->single, k)) % n];
    free(place);
    return good;
}
