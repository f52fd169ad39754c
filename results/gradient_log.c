/*
 * Gradient measurements: see gradient_log.h. The share of the norm held by the largest entries needs the k largest |g|,
 * found by quickselect on the bit patterns (for floats without sign the order of the bits is the order of the values,
 * NaN above infinity), so one pass of O(n) on average serves each of the five shares.
 */
#include "results/gradient_log.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const double gradient_top[GRADIENT_TOPS] = {.001, .005, .01, .05, .1};

int gradient_bin(double magnitude)
{
    const double width = (GRADIENT_LOG10_MAX - GRADIENT_LOG10_MIN) / GRADIENT_BINS;
    double at = floor((log10(magnitude) - GRADIENT_LOG10_MIN) / width);
    if (!(at < GRADIENT_BINS)) /* NaN too */
        return GRADIENT_BINS;
    return at < 0 ? -1 : (int)at;
}

double gradient_edge(int i)
{
    return GRADIENT_LOG10_MIN + i * (GRADIENT_LOG10_MAX - GRADIENT_LOG10_MIN) / GRADIENT_BINS;
}

static bool copy_names(struct gradient_log *l, const char *const *names, const uint64_t *sizes, struct err *e)
{
    for (size_t i = 0; i < l->params; i++) {
        TRY(l->name[i] = arena_strdup(l->arena, names[i], e));
        l->size[i] = sizes[i];
    }
    return true;
}

static bool reserve(struct gradient_log *l, size_t steps, struct err *e)
{
    if (steps <= l->step_cap)
        return true;
    int64_t *step = ARENA_NEW(l->arena, MEM_DATA, int64_t, steps, e);
    TRY(step);
    struct gradient_cell *cell = ARENA_NEW(l->arena, MEM_DATA, struct gradient_cell, steps * l->params, e);
    TRY(cell);
    if (l->steps) {
        memcpy(step, l->step, l->steps * sizeof *step);
        memcpy(cell, l->cell, l->steps * l->params * sizeof *cell);
    }
    l->step = step;
    l->cell = cell;
    l->step_cap = steps;
    return true;
}

bool gradient_log_open(struct gradient_log *l, size_t params, const char *const *names, const uint64_t *sizes,
                       size_t steps, struct err *e)
{
    assert(l->steps == 0);
    l->params = params;
    TRY(l->name = ARENA_NEW(l->arena, MEM_DATA, const char *, params, e));
    TRY(l->size = ARENA_NEW(l->arena, MEM_DATA, uint64_t, params, e));
    return copy_names(l, names, sizes, e) && reserve(l, steps, e);
}

struct gradient_cell *gradient_log_step(struct gradient_log *l, int64_t step, struct err *e)
{
    if (l->steps == l->step_cap)
        TRY(reserve(l, l->step_cap ? 2 * l->step_cap : 4, e));
    struct gradient_cell *c = l->cell + l->steps * l->params;
    memset(c, 0, l->params * sizeof *c);
    l->step[l->steps++] = step;
    return c;
}

static uint32_t middle(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

/* Rearranges v so that its k largest values stand first: quickselect, median of three, three-way partition (gradients
 * hold many equal values, zeros above all). */
static void largest_first(uint32_t *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n;
    while (k > lo && k < hi) {
        uint32_t pivot = middle(v[lo], v[lo + (hi - lo) / 2], v[hi - 1]);
        size_t above = lo, i = lo, below = hi; /* [lo, above) > pivot, [above, i) equal, [below, hi) < pivot */
        while (i < below) {
            if (v[i] > pivot)
                swap(&v[above++], &v[i++]);
            else if (v[i] < pivot)
                swap(&v[--below], &v[i]);
            else
                i++;
        }
        if (k <= above)
            hi = above;
        else if (k >= below)
            lo = below;
        else
            return;
    }
}

static double square(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x * x;
}

static void count_entry(struct gradient_cell *cell, float g)
{
    double a = fabs((double)g);
    if (a == 0) {
        cell->zero++;
        return;
    }
    int bin = gradient_bin(a);
    if (bin < 0)
        cell->underflow++;
    else if (bin == GRADIENT_BINS)
        cell->overflow++;
    else
        cell->bin[bin]++;
}

/* Shares from the most inclusive to the least, each selection inside the one before. */
static void top_shares(struct gradient_cell *cell, uint32_t *v, size_t n)
{
    size_t within = n;
    for (int q = GRADIENT_TOPS - 1; q >= 0; q--) {
        size_t k = (size_t)ceil(gradient_top[q] * (double)n - 1e-9);
        if (k > within)
            k = within;
        largest_first(v, within, k);
        double sum = 0;
        for (size_t i = 0; i < k; i++)
            sum += square(v[i]);
        cell->top[q] = cell->norm > 0 ? sqrt(sum) / cell->norm : NAN;
        within = k;
    }
}

static double captured_share(const struct gradient_cell *cell, const float *g, size_t n, const uint32_t *trained,
                             size_t n_trained)
{
    if (!(cell->norm > 0))
        return NAN;
    if (!trained)
        return n_trained == n ? 1 : 0;
    double sum = 0;
    for (size_t i = 0; i < n_trained; i++)
        sum += (double)g[trained[i]] * g[trained[i]];
    return sqrt(sum) / cell->norm;
}

void gradient_measure(struct gradient_cell *cell, const float *g, size_t n, const uint32_t *trained, size_t n_trained,
                      uint32_t *scratch)
{
    double sum = 0;
    *cell = (struct gradient_cell){0};
    for (size_t i = 0; i < n; i++) {
        count_entry(cell, g[i]);
        sum += (double)g[i] * g[i];
        float a = fabsf(g[i]);
        memcpy(&scratch[i], &a, sizeof a);
    }
    cell->norm = sqrt(sum);
    top_shares(cell, scratch, n);
    cell->captured = captured_share(cell, g, n, trained, n_trained);
}
