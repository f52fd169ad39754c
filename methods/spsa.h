/*
 * A gradient from losses alone: simultaneous perturbation stochastic approximation (Spall 1992, IEEE Transactions on
 * Automatic Control 37(3)). For directions z_e ~ N(0, 1) over all moved parameters at once,
 *
 *     g = mean over e of  (L_e(w + eps z_e) - L_e(w - eps z_e)) / (2 eps) * z_e,
 *
 * whose expectation is the gradient up to O(eps²) and whose error falls with 1 / sqrt(number of directions).
 */
#ifndef METHODS_SPSA_H
#define METHODS_SPSA_H

#include "methods/method.h"

struct spsa {
    long long n_estimate; /* directions for each slice of the data                  */
    long long data_split; /* slices: training batches 0 to data_split - 1           */
    double eps;           /* length of the step, in standard deviations of a weight's z */
};

/* Estimated gradients of the mean loss: [n] arrays of param_size(target[i]) in scratch, NULL when a probe or memory
 * fails. All of moved [n_moved] is perturbed at once; every target is among them. Each weight has its old bits
 * afterwards, after a failure too. */
real **spsa_gradients(const struct method_env *env, const struct spsa *how, struct param *const *moved,
                      size_t n_moved, struct param *const *target, size_t n, struct arena *a, struct err *e);

#endif
