/* Fast marching for the factored eikonal equation, second order where two upwind nodes allow it
 * (Sethian 1999; Treister & Haber 2016). One thread; the order of all sums is fixed. */
#include "eikonal.h"

#include <math.h>
#include <stdlib.h>

enum { FAR = -1, DONE = -2, WAYS = 4 };

typedef struct {
    double time;
    int32_t node;
} entry;

typedef struct {
    const eikonal_problem *p;
    int64_t stride[3], count;
    double *tau;
    int32_t *place; /* FAR, DONE or the position in the heap */
    entry *heap;
} march;

/* dT/dx along one axis is a tau - b; time is that of the upwind node. */
typedef struct {
    double time, a, b;
} term;

/* Sums of a^2, a b and b^2 over terms. */
typedef struct {
    double aa, ab, bb;
} sums;

/* The state of one node: where it is, T0 and its gradient, and what dT/dx is expected to be along axes
 * without an upwind node: 0, or near the source, where none lies between, what the trend of slowness at the
 * source gives. */
typedef struct {
    int64_t node, at[3];
    double t0, slope[3];
    term expected[3];
} point;

static void put(march *m, int64_t position, entry e) {
    m->heap[position] = e;
    m->place[e.node] = (int32_t)position;
}

static void rise(march *m, int64_t position, entry e) {
    while (position > 0) {
        int64_t parent = (position - 1) / WAYS;
        if (m->heap[parent].time <= e.time)
            break;
        put(m, position, m->heap[parent]);
        position = parent;
    }
    put(m, position, e);
}

static void sink(march *m, int64_t position, entry e) {
    for (;;) {
        int64_t child = WAYS * position + 1, end = child + WAYS, least = child;
        if (child >= m->count)
            break;
        if (end > m->count)
            end = m->count;
        for (int64_t i = child + 1; i < end; i++)
            if (m->heap[i].time < m->heap[least].time)
                least = i;
        if (m->heap[least].time >= e.time)
            break;
        put(m, position, m->heap[least]);
        position = least;
    }
    put(m, position, e);
}

static entry take_first(march *m) {
    entry first = m->heap[0], last = m->heap[--m->count];
    if (m->count > 0)
        sink(m, 0, last);
    return first;
}

static void locate(const march *m, int64_t node, point *x) {
    const eikonal_problem *p = m->p;
    x->node = node;
    x->at[0] = node / m->stride[0];
    x->at[1] = node % m->stride[0] / m->stride[1];
    x->at[2] = node % m->stride[1];
    double d[3], square = 0;
    for (int axis = 0; axis < 3; axis++) {
        d[axis] = (double)x->at[axis] * p->spacing[axis] - p->source[axis];
        square += d[axis] * d[axis];
    }
    double distance = sqrt(square), scale = distance > 0 ? p->source_slowness / distance : 0;
    x->t0 = p->source_slowness * distance;
    for (int axis = 0; axis < 3; axis++) {
        x->slope[axis] = scale * d[axis];
        /* both neighbours are later, so |dT/dx| of a spherical wave is below this */
        double b = -x->t0 * p->trend[axis], most = scale * p->spacing[axis];
        x->expected[axis] = fabs(x->slope[axis] - b) < most ? (term){0, x->slope[axis], b} : (term){0, 0, 0};
    }
}

static inline int inside(const march *m, const point *x, int axis, int64_t offset) {
    return (uint64_t)(x->at[axis] + offset) < (uint64_t)m->p->shape[axis];
}

/* Whether the node at an offset along an axis has its final time. */
static inline int done(const march *m, const point *x, int axis, int64_t offset) {
    return inside(m, x, axis, offset) && m->place[x->node + offset * m->stride[axis]] == DONE;
}

/* The difference along an axis from the upwind node at offset -sign, and the next one if it may be used. */
static inline term difference(const march *m, const point *x, int axis, int sign, int second) {
    int64_t step = sign * m->stride[axis], one = x->node - step, two = one - step;
    double ratio = sign * x->t0 / m->p->spacing[axis], slope = x->slope[axis];
    double time = m->p->times[one];
    if (second && done(m, x, axis, -2 * sign) && m->p->times[two] <= time)
        return (term){time, slope + 1.5 * ratio, ratio * (2 * m->tau[one] - 0.5 * m->tau[two])};
    return (term){time, slope + ratio, ratio * m->tau[one]};
}

static inline void add(sums *all, term t) {
    all->aa += t.a * t.a;
    all->ab += t.a * t.b;
    all->bb += t.b * t.b;
}

/* The larger root of sum (a tau - b)^2 = s^2; negative if there is none. */
static double root(const term *terms, int count, sums all, double s) {
    for (int i = 0; i < count; i++)
        add(&all, terms[i]);
    double discriminant = all.ab * all.ab - all.aa * (all.bb - s * s);
    return discriminant < 0 ? -1 : (all.ab + sqrt(discriminant)) / all.aa;
}

/* tau at a smooth node: all axes that have an upwind node, without the latest ones where that is not causal.
 */
static double smooth(const march *m, const point *x) {
    const eikonal_problem *p = m->p;
    term terms[3];
    int count = 0;
    double nearest = INFINITY;
    sums expected = {0, 0, 0};
    for (int axis = 0; axis < 3; axis++) {
        int64_t stride = m->stride[axis];
        double before = done(m, x, axis, -1) ? p->times[x->node - stride] : INFINITY;
        double after = done(m, x, axis, 1) ? p->times[x->node + stride] : INFINITY;
        if (before == INFINITY && after == INFINITY) {
            add(&expected, x->expected[axis]);
            continue;
        }
        int sign = before <= after ? 1 : -1, i = count++;
        term t = difference(m, x, axis, sign, !p->sharp[x->node - sign * stride]);
        for (; i > 0 && terms[i - 1].time < t.time; i--)
            terms[i] = terms[i - 1];
        terms[i] = t;
        nearest = fmin(nearest, t.time + p->spacing[axis] * p->nodes[x->node]);
    }
    for (int first = 0; first < count; first++) {
        double tau = root(terms + first, count - first, expected, p->nodes[x->node]);
        if (tau * x->t0 >= terms[first].time)
            return tau;
    }
    return nearest / x->t0;
}

/* Slowness of the fastest cell on the given sides of a node: sign 1 before it, -1 after it, 0 both. */
static double fastest(const march *m, const int64_t *at, const int *sign) {
    const eikonal_problem *p = m->p;
    int64_t row = p->shape[2] + 1, plane = row * (p->shape[1] + 1);
    double least = INFINITY;
    for (int64_t i = at[0] + (sign[0] < 0); i <= at[0] + (sign[0] <= 0); i++)
        for (int64_t j = at[1] + (sign[1] < 0); j <= at[1] + (sign[1] <= 0); j++)
            for (int64_t k = at[2] + (sign[2] < 0); k <= at[2] + (sign[2] <= 0); k++)
                least = fmin(least, p->cells[i * plane + j * row + k]);
    return least;
}

/* Time by one octant, face or edge, or infinity. */
static double by_stencil(const march *m, const point *x, const int *sign) {
    term terms[3];
    int count = 0;
    double latest = 0, s = fastest(m, x->at, sign);
    sums expected = {0, 0, 0};
    for (int axis = 0; axis < 3; axis++) {
        if (!sign[axis]) {
            add(&expected, x->expected[axis]);
            continue;
        }
        if (!done(m, x, axis, -sign[axis]))
            return INFINITY;
        int second = inside(m, x, axis, -2 * sign[axis]);
        if (second) {
            int64_t at[3] = {x->at[0], x->at[1], x->at[2]};
            at[axis] -= sign[axis];
            second = fabs(fastest(m, at, sign) - s) <= m->p->jump * s;
        }
        terms[count] = difference(m, x, axis, sign[axis], second);
        latest = fmax(latest, terms[count++].time);
    }
    double time = root(terms, count, expected, s) * x->t0;
    return time >= latest ? time : INFINITY;
}

/* tau at a sharp node: the earliest of the 8 octants, 12 faces and 6 edges around it. */
static double sharp(const march *m, const point *x) {
    double least = INFINITY;
    for (int number = 0; number < 27; number++) {
        int sign[3] = {number / 9 - 1, number / 3 % 3 - 1, number % 3 - 1};
        if (sign[0] || sign[1] || sign[2])
            least = fmin(least, by_stencil(m, x, sign));
    }
    return least / x->t0;
}

static void update(march *m, int64_t node) {
    point x;
    locate(m, node, &x);
    double tau = m->p->sharp[node] ? sharp(m, &x) : smooth(m, &x), time = tau * x.t0;
    double before = m->p->times[node];
    if (time == before || !(time < INFINITY))
        return;
    m->tau[node] = tau;
    m->p->times[node] = time;
    entry e = {time, (int32_t)node};
    if (time < before)
        rise(m, m->place[node] == FAR ? m->count++ : m->place[node], e);
    else
        sink(m, m->place[node], e);
}

/* Times of the seeds are final; the march goes on from their neighbours. */
static void begin(march *m, int64_t size) {
    const eikonal_problem *p = m->p;
    for (int64_t i = 0; i < size; i++) {
        p->times[i] = INFINITY;
        m->place[i] = FAR;
    }
    for (int64_t i = 0; i < p->seeds; i++) {
        point x;
        locate(m, p->seed[i], &x);
        p->times[x.node] = p->seed_time[i];
        m->tau[x.node] = x.t0 > 0 ? p->seed_time[i] / x.t0 : 1;
        m->place[x.node] = DONE;
    }
}

static void update_neighbours(march *m, int64_t node) {
    point x;
    locate(m, node, &x);
    for (int axis = 0; axis < 3; axis++)
        for (int sign = -1; sign <= 1; sign += 2)
            if (inside(m, &x, axis, sign) && !done(m, &x, axis, sign))
                update(m, node + sign * m->stride[axis]);
}

int64_t eikonal_solve(const eikonal_problem *p) {
    int64_t size = p->shape[0] * p->shape[1] * p->shape[2], left = size - p->seeds;
    march m = {.p = p, .stride = {p->shape[1] * p->shape[2], p->shape[2], 1}};
    m.tau = malloc((size_t)size * sizeof *m.tau);
    m.place = malloc((size_t)size * sizeof *m.place);
    m.heap = malloc((size_t)size * sizeof *m.heap);
    if (m.tau && m.place && m.heap) {
        begin(&m, size);
        for (int64_t i = 0; i < p->seeds; i++)
            update_neighbours(&m, p->seed[i]);
        for (; m.count; left--) {
            int32_t node = take_first(&m).node;
            m.place[node] = DONE;
            update_neighbours(&m, node);
        }
    } else
        left = -1;
    free(m.tau);
    free(m.place);
    free(m.heap);
    return left;
}
