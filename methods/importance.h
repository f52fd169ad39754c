/*
 * How important is a row (or a column) of a weight? Scores that structured pruning uses, here to choose what is
 * trained. A unit's score is a sum over its weights w, with G a sum of gradients over training batches, taken on whole
 * logical batches and without dropout:
 *
 *     l1         |w|
 *     l2         w²
 *     taylor     |w G|, or with `multivariable` the modulus of the sum of w G: Molchanov et al. 2019, arXiv:1906.10771
 *     qmtaylor   taylor for the mean gradient of each class, aggregated over the classes
 *     zotaylor   taylor with a gradient that SPSA estimates from losses
 *     wanda      |w| ||x_j||, x_j the input that meets w: Sun et al. 2024, arXiv:2306.11695
 *     random     uniform in [0, 1), one number for the unit
 */
#ifndef METHODS_IMPORTANCE_H
#define METHODS_IMPORTANCE_H

#include "methods/method.h"
#include "methods/spsa.h"

#define IMPORTANCE_WORDS "taylor|l1|l2|qmtaylor|zotaylor|wanda|random"
enum importance_kind {
    IMPORTANCE_TAYLOR,
    IMPORTANCE_L1,
    IMPORTANCE_L2,
    IMPORTANCE_QMTAYLOR,
    IMPORTANCE_ZOTAYLOR,
    IMPORTANCE_WANDA,
    IMPORTANCE_RANDOM
};

/* Over the scores of the classes: mean of the quantiles 0, .1, ..., 1, or of .5, .6, ..., 1 (both with linear
 * interpolation), of all, of the `top` largest, of the last two; or the largest. */
#define AGGREGATE_WORDS "quantiles|greater_quantiles|mean|max|top|top_mean"
enum aggregate {
    AGGREGATE_QUANTILES,
    AGGREGATE_GREATER_QUANTILES,
    AGGREGATE_MEAN,
    AGGREGATE_MAX,
    AGGREGATE_TOP,
    AGGREGATE_TOP_MEAN
};

struct importance {
    int kind;            /* enum importance_kind                                                */
    long long batches;   /* taylor, qmtaylor, wanda: training batches 0 to batches - 1           */
    bool multivariable;
    int aggregate;       /* qmtaylor: enum aggregate                                             */
    long long top;
    struct spsa spsa;
    bool normalize;      /* divide by the tensor's mean score                                    */
};

/* A tensor whose rows or columns are scored. */
struct importance_target {
    struct param *w;
    struct linear *site; /* its linear site, which wanda needs; NULL: a LayerNorm's weight       */
    bool columns;
};

/* Number of its units. */
size_t importance_units(const struct importance_target *t);

/* The aggregate of n > 0 values, which are sorted in place. */
double importance_aggregate(int aggregate, long long top, double *value, size_t n);

/* Scores of all targets: [n] arrays of importance_units in scratch, larger is more important, never NaN. NULL when a
 * probe or memory fails. */
double **importance_scores(const struct method_env *env, const struct importance *how,
                           const struct importance_target *target, size_t n, struct arena *a, struct err *e);

/* The same for the mean gradient of each class alone (importance_classes.c): [classes][n] arrays as above, classes
 * without an example left out. */
double ***importance_by_class(const struct method_env *env, const struct importance *how,
                              const struct importance_target *target, size_t n, size_t *classes, struct arena *a,
                              struct err *e);

/* Adds the units' sums for one gradient (may be NULL) and norms of inputs (may be NULL); what both files share. */
void importance_add(const struct importance *how, const struct importance_target *t, const real *g, const double *norm,
                    double *score);
double **importance_rooms(const struct importance_target *target, size_t n, struct arena *a, struct err *e);

#endif
