/*
 * Importance of rows and columns: see importance.h. Scores are those of the SPruFT code (arXiv:2502.11439) where it has
 * them right; its Wanda score takes one factor for a whole layer and has the wrong shape, and is the intended formula
 * here.
 */
#include "methods/importance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "methods/input_norms.h"
#include "methods/sweep.h"

size_t importance_units(const struct importance_target *t)
{
    return (size_t)(t->columns ? t->w->cols : t->w->rows);
}

double **importance_rooms(const struct importance_target *target, size_t n, struct arena *a, struct err *e)
{
    double **score = ARENA_NEW(a, MEM_SCRATCH, double *, n, e);
    TRY(score);
    for (size_t i = 0; i < n; i++)
        TRY(score[i] = ARENA_NEW(a, MEM_SCRATCH, double, importance_units(&target[i]), e));
    return score;
}

/* Of one weight: its gradient g, the norm x of its input. */
static double quantity(const struct importance *how, double w, double g, double x)
{
    switch (how->kind) {
    case IMPORTANCE_L1: return fabs(w);
    case IMPORTANCE_L2: return w * w;
    case IMPORTANCE_WANDA: return fabs(w) * x;
    default: return how->multivariable ? w * g : fabs(w * g);
    }
}

void importance_add(const struct importance *how, const struct importance_target *t, const real *g, const double *norm,
                    double *score)
{
    size_t rows = (size_t)t->w->rows, cols = (size_t)t->w->cols;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) {
            size_t i = r * cols + c;
            score[t->columns ? c : r] += quantity(how, (double)t->w->w[i], g ? (double)g[i] : 0, norm ? norm[c] : 0);
        }
    for (size_t u = 0; how->multivariable && u < importance_units(t); u++)
        score[u] = fabs(score[u]);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Aggregates over classes */

static int ascending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Quantile q of sorted values by linear interpolation. */
static double quantile(const double *value, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    return below + 1 < n ? value[below] + (at - (double)below) * (value[below + 1] - value[below]) : value[n - 1];
}

static double mean_of_quantiles(const double *value, size_t n, int from)
{
    double sum = 0;
    for (int tenth = from; tenth <= 10; tenth++)
        sum += quantile(value, n, tenth / 10.0);
    return sum / (11 - from);
}

/* Of the k last. */
static double mean_of_last(const double *value, size_t n, size_t k)
{
    double sum = 0;
    k = k < n ? k : n;
    for (size_t i = n - k; i < n; i++)
        sum += value[i];
    return sum / (double)k;
}

double importance_aggregate(int aggregate, long long top, double *value, size_t n)
{
    qsort(value, n, sizeof *value, ascending);
    switch (aggregate) {
    case AGGREGATE_QUANTILES: return mean_of_quantiles(value, n, 0);
    case AGGREGATE_GREATER_QUANTILES: return mean_of_quantiles(value, n, 5);
    case AGGREGATE_MEAN: return mean_of_last(value, n, n);
    case AGGREGATE_MAX: return value[n - 1];
    case AGGREGATE_TOP: return mean_of_last(value, n, (size_t)top);
    default: return (mean_of_last(value, n, (size_t)top) + mean_of_last(value, n, n)) / 2;
    }
}

static bool class_aware(const struct method_env *env, const struct importance *how,
                        const struct importance_target *target, size_t n, double **score, struct arena *a,
                        struct err *e)
{
    size_t classes;
    double ***by_class = importance_by_class(env, how, target, n, &classes, a, e);
    double *value = by_class ? ARENA_NEW(a, MEM_SCRATCH, double, classes, e) : NULL;
    TRY(value);
    for (size_t i = 0; i < n; i++)
        for (size_t u = 0; u < importance_units(&target[i]); u++) {
            for (size_t c = 0; c < classes; c++)
                value[c] = by_class[c][i][u];
            score[i][u] = importance_aggregate(how->aggregate, how->top, value, classes);
        }
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * What the scores are made from */

static void draw(const struct method_env *env, const struct importance_target *t, double *score)
{
    char stream[640];
    snprintf(stream, sizeof stream, "method/%s", t->w->name);
    struct rng r = rng_stream(env->seed, stream);
    for (size_t u = 0; u < importance_units(t); u++)
        score[u] = (double)rng_uniform(&r);
}

static struct param **params_of(const struct importance_target *target, size_t n, struct arena *a, struct err *e)
{
    struct param **p = ARENA_NEW(a, MEM_SCRATCH, struct param *, n, e);
    for (size_t i = 0; p && i < n; i++)
        p[i] = target[i].w;
    return p;
}

/* What a random direction moves: all of the layers and the LayerNorms; neither embeddings nor head. */
static bool is_perturbed(const struct param *p)
{
    return !p->head && !p->added && (p->layer >= 0 || p->kind == PARAM_NORM);
}

static real **zeroth_order(const struct method_env *env, const struct importance *how, struct param *const *p,
                           size_t n, struct arena *a, struct err *e)
{
    const struct param_list *all = &env->model->params;
    struct param **moved = ARENA_NEW(a, MEM_SCRATCH, struct param *, all->n, e);
    size_t n_moved = 0;
    TRY(moved);
    for (size_t i = 0; i < all->n; i++)
        if (is_perturbed(all->item[i]))
            moved[n_moved++] = all->item[i];
    return spsa_gradients(env, &how->spsa, moved, n_moved, p, n, a, e);
}

static real **gradients(const struct method_env *env, const struct importance *how,
                        const struct importance_target *target, size_t n, struct arena *a, struct err *e)
{
    struct param **p = params_of(target, n, a, e);
    TRY(p);
    if (how->kind == IMPORTANCE_ZOTAYLOR)
        return zeroth_order(env, how, p, n, a, e);
    struct sweep s = {.target = p, .n = n, .unit = SWEEP_BATCHES, .count = (long)how->batches};
    return sweep_gradients(env, &s, a, e);
}

static double **norms(const struct method_env *env, const struct importance *how,
                      const struct importance_target *target, size_t n, struct arena *a, struct err *e)
{
    struct linear **site = ARENA_NEW(a, MEM_SCRATCH, struct linear *, n, e);
    TRY(site);
    for (size_t i = 0; i < n; i++)
        site[i] = target[i].site;
    return input_norms(env, site, n, (long)how->batches, a, e);
}

/* The sums before any normalisation. */
static bool measure(const struct method_env *env, const struct importance *how,
                    const struct importance_target *target, size_t n, double **score, struct arena *a, struct err *e)
{
    real **g = NULL;
    double **norm = NULL;
    switch (how->kind) {
    case IMPORTANCE_QMTAYLOR: return class_aware(env, how, target, n, score, a, e);
    case IMPORTANCE_TAYLOR:
    case IMPORTANCE_ZOTAYLOR: TRY(g = gradients(env, how, target, n, a, e)); break;
    case IMPORTANCE_WANDA: TRY(norm = norms(env, how, target, n, a, e)); break;
    default: break;
    }
    for (size_t i = 0; i < n; i++) {
        if (how->kind == IMPORTANCE_RANDOM)
            draw(env, &target[i], score[i]);
        else
            importance_add(how, &target[i], g ? g[i] : NULL, norm ? norm[i] : NULL, score[i]);
    }
    return true;
}

/* Divided by their mean; a broken score counts as the largest, so that the ranking is defined. */
static void normalize(double *score, size_t n, bool divide)
{
    double sum = 0;
    for (size_t u = 0; u < n; u++)
        sum += score[u];
    for (size_t u = 0; u < n; u++) {
        if (divide && sum > 0)
            score[u] /= sum / (double)n;
        if (isnan(score[u]))
            score[u] = INFINITY;
    }
}

double **importance_scores(const struct method_env *env, const struct importance *how,
                           const struct importance_target *target, size_t n, struct arena *a, struct err *e)
{
    double **score = importance_rooms(target, n, a, e);
    TRY(score && measure(env, how, target, n, score, a, e));
    for (size_t i = 0; i < n; i++)
        normalize(score[i], importance_units(&target[i]), how->normalize);
    return score;
}
