/*
 * Scores of entries: see entry_score.h. topk looks at magnitudes, largest first; where the smallest are wanted, the
 * bits of a number are counted down from infinity's, which reverses the order of non-negative numbers exactly.
 */
#include "methods/entry_score.h"

#include <math.h>
#include <string.h>

#ifdef PEFTLAB_F64
typedef uint64_t real_bits;
#else
typedef uint32_t real_bits;
#endif

static real_bits bits_of(real v)
{
    real_bits b;
    memcpy(&b, &v, sizeof b);
    return b;
}

/* Decreasing in |v|: 0 for infinity and NaN, infinity for 0. */
static real reversed(real v)
{
    real_bits infinity = bits_of((real)INFINITY), magnitude = bits_of(v) & ((real_bits)-1 >> 1);
    real_bits b = magnitude < infinity ? infinity - magnitude : 0;
    real out;
    memcpy(&out, &b, sizeof out);
    return out;
}

static void snip(size_t n, const real *w, const real *g, real *score)
{
    for (size_t i = 0; i < n; i++)
        score[i] = w[i] * g[i];
}

static void bottom(size_t n, const real *g, real *score)
{
    for (size_t i = 0; i < n; i++)
        score[i] = reversed(g[i]);
}

/* c [cols]: squared norms of the columns, then their roots. */
static void outer(size_t rows, size_t cols, const real *g, double *c, real *score)
{
    for (size_t i = 0; i < rows * cols; i++)
        c[i % cols] += (double)g[i] * (double)g[i];
    for (size_t j = 0; j < cols; j++)
        c[j] = sqrt(c[j]);
    for (size_t i = 0; i < rows; i++) {
        double squares = 0;
        for (size_t j = 0; j < cols; j++)
            squares += (double)g[i * cols + j] * (double)g[i * cols + j];
        for (size_t j = 0; j < cols; j++)
            score[i * cols + j] = (real)(sqrt(squares) * c[j]);
    }
}

bool entry_score_is_gradient(enum entry_score what) { return what == ENTRY_GRADIENT; }

const real *entry_score(enum entry_score what, const struct param *p, const real *g, real *room, struct arena *a,
                        struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    switch (what) {
    case ENTRY_GRADIENT: return g;
    case ENTRY_SNIP: snip(param_size(p), p->w, g, room); break;
    case ENTRY_BOTTOM: bottom(param_size(p), g, room); break;
    case ENTRY_OUTER: {
        double *c = ARENA_NEW(a, MEM_SCRATCH, double, (size_t)p->cols, e);
        TRY(c);
        outer((size_t)p->rows, (size_t)p->cols, g, c, room);
        arena_release(a, mark);
        break;
    }
    }
    return room;
}

/* The largest scores decide; they come from the smallest integers, which a real holds to the last bit. */
void entry_score_random(struct rng *r, size_t n, real *score)
{
    for (size_t i = 0; i < n; i++)
        score[i] = reversed((real)rng_u32(r));
}
