/* The loops of noise.c, pac_tensor.c and pac_bayes.c for each instruction set: made by noise.simd.c, internal. */
#ifndef METHODS_NOISE_TABLE_H
#define METHODS_NOISE_TABLE_H

#include "methods/noise.h"
#include "models/isa.h"

/* What pac_learn needs beside its arrays; prior: e^{-2b}. */
struct pac_rates {
    real by_kl, prior, one_minus_beta1, beta2, one_minus_beta2, step, root, epsilon;
};

/* Parts of a tensor's arrays; tau: the noise of this step. */
struct pac_run {
    size_t n;
    const real *tau, *w, *w0;
    real *g, *p, *m, *v;
};

struct noise_kernels {
    void (*normal)(struct rng_key key, uint32_t step, size_t at, real *out, size_t n);
    void (*perturb)(size_t n, const real *p, const real *tau, real *w); /* w += e^p tau */
    void (*learn)(const struct pac_rates *r, const struct pac_run *x);
    void (*sums)(const real *w, const real *w0, const real *p, size_t n, double sum[3]); /* as in struct pac_sums */
};

/* Those of this processor. */
const struct noise_kernels *noise_kernels(void);

#endif
