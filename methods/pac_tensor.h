/*
 * One tensor under noise whose scale is learnt: perturbed, restored, and its noise moved down the gradient of loss and
 * PAC-Bayes bound. Noise is made again wherever it is needed, from the streams "method/k/NAME" (before training) and
 * "method/noise/NAME" (tau, clipped to +-2), numbers at their place and step as noise.h gives them.
 */
#ifndef METHODS_PAC_TENSOR_H
#define METHODS_PAC_TENSOR_H

#include "methods/pac_bayes.h"
#include "models/param.h"

/* Of Adam on p and b. */
#define PAC_BETA1 0.9
#define PAC_BETA2 0.999
#define PAC_EPSILON 1e-8

struct pac_tensor {
    struct param *param;
    size_t n;
    real *w0, *w;         /* [n] before training; during a step, without noise  */
    real *p, *m, *v;      /* [n] log-scale of the noise, and Adam's moments     */
    double b[3];          /* log-scale of the prior, and Adam's moments         */
    struct pac_sums sums; /* at w, for pac_learn                                */
};

/* Rates of one step of Adam: `correct` are 1 - beta^t. */
struct pac_adam {
    double rate, correct1, correct2;
};

/* The parameter's weights become w0 + lambda N(0, 1), for the number `model` of the draw. */
void pac_perturb_prior(const struct pac_tensor *t, uint64_t seed, double lambda, uint32_t model);

/* They become w + e^p tau, and w keeps what they were; the way back is a copy. */
void pac_perturb(const struct pac_tensor *t, uint64_t seed, uint32_t step);
void pac_restore(const struct pac_tensor *t);

/* Adds the bound's gradient to that of the weights, which was taken at w + e^p tau, and moves p and b by a step of
 * Adam. by_kl: dR/dKL; by_b: dR/db but for KL. */
void pac_learn(struct pac_tensor *t, uint64_t seed, uint32_t step, double by_kl, double by_b, const struct pac_adam *a);

#endif
