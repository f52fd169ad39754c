/*
 * The PAC-Bayes bound that PAC-tuning minimises, without any model: divergence, moment constant K, trade-off gamma.
 *
 * Posterior N(w, e^{2p}) with a log-scale p per weight, prior N(w0, e^{2b}) with a log-scale b per tensor. For tensors
 * i with d_i weights
 *
 *     KL = 1/2 sum_i [ e^{-2 b_i} sum_j (e^{2 p_j} + (w_j - w0_j)²) - 2 sum_j p_j + 2 b_i d_i - d_i ]
 *     dKL/dp_j = e^{2 p_j - 2 b_i} - 1        dKL/dw_j = (w_j - w0_j) e^{-2 b_i}
 *     dKL/db_i = d_i - e^{-2 b_i} sum_j (e^{2 p_j} + (w_j - w0_j)²)
 *
 * and what is added to the training loss is, with m examples, n tensors and C = 10 + 3 n in place of ln(1/delta) and
 * the choice of the prior,
 *
 *     R = 3/2 K² gamma + (KL + C) / (m gamma),    gamma = sqrt(2 (KL + C) / (3 m)) / K within [gamma_min, gamma_max].
 *
 * This gamma minimises R, so that R's gradient needs none of gamma: dR/dKL = 1 / (m gamma), dR/dK = 3 K gamma.
 *
 * K bounds how the loss l of one example at prior noise lambda scatters about the mean mu over examples and models:
 * mean exp(gamma (mu - l)) <= exp(3/2 gamma² K²) for all gamma of the range.
 *
 * Source: Liu, Xue, Zhang, Johnson, Wang 2023, "PAC-tuning", arXiv:2310.17588, and its code.
 */
#ifndef METHODS_PAC_BAYES_H
#define METHODS_PAC_BAYES_H

#include <stdbool.h>
#include <stddef.h>

#include "models/real.h"

/* What KL needs to know of one tensor. */
struct pac_sums {
    size_t n;
    double variance, log_scale, distance; /* sums of e^{2p}, p, (w - w0)² */
};

/* The same for any number of threads. */
struct pac_sums pac_sums(const real *w, const real *w0, const real *p, size_t n);

/* One tensor's share of KL, and its derivative by b. */
double pac_kl(const struct pac_sums *s, double b);
double pac_kl_by_b(const struct pac_sums *s, double b);

struct pac_range {
    double min, max; /* of gamma, 0 < min <= max */
};

struct pac_bound {
    double kl, k, gamma, value; /* value: R                */
    double by_kl, by_k;         /* derivatives of R        */
};

struct pac_bound pac_bound(double kl, double k, size_t tensors, size_t examples, struct pac_range gamma);

/* The smallest K for the losses [n] of all models and examples: max over ten gammas, evenly spaced in the logarithm, of
 * sqrt(2/3 ln mean exp(gamma (mu - l))) / gamma. */
double pac_smallest_k(const double *loss, size_t n, struct pac_range gamma);

/* The same as the published code finds it: from `from` up by factors of 1.5 until the inequality holds, then down by
 * factors of 1.1 until it does not; up to a tenth below the smallest. */
double pac_searched_k(const double *loss, size_t n, struct pac_range gamma, double from);

enum { PAC_KNOTS = 8 };

/* K as a function of the prior's standard deviation: lambda [PAC_KNOTS] ascending, k. */
struct pac_curve {
    double lambda[PAC_KNOTS], k[PAC_KNOTS];
};

/* The knots exp(-6), ..., exp(-2), evenly spaced in the logarithm; k all zero. */
struct pac_curve pac_curve(void);

/* Raises what lies below an earlier knot. */
void pac_make_monotone(struct pac_curve *c);

/* K at lambda, and its derivative there: constant below the first knot, linear between knots, and on beyond the last.
 * `reference`: the published code's, whose slopes are wrong from the third segment on: it forgets that the change of a
 * slope is taken from the slope before, not from the change before. */
double pac_k_at(const struct pac_curve *c, double lambda, bool reference, double *slope);

#endif
