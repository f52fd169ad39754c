/*
 * What the optimizers of optim.h compute, one row each. A rule sees runs of neighbouring values, whatever the form of
 * the request they come from, and numbers worked out once a step and parameter in double.
 */
#ifndef METHODS_OPTIM_RULES_H
#define METHODS_OPTIM_RULES_H

#include "methods/optim.h"

enum { OPTIM_STATES = 2, OPTIM_RULES = 6 }; /* states: at most, of one trained scalar */

/* Numbers of one step of one parameter. */
struct optim_rates {
    real keep;          /* factor of p by decay to zero, 1 - lr wd                               */
    real decay;         /* lr wd; sgd, adam_bert, lion: wd, which the step multiplies by lr       */
    real beta1, beta2, one_minus_beta1, one_minus_beta2;
    real step;          /* factor of the update: lr with what corrects the bias of m (and of v)   */
    real root;          /* adamw_torch: sqrt(1 - b2^t)                                           */
    real epsilon, momentum;
};

/* One run: everything [n]. Gradients are multiplied by `scale` as they are read. `init` is what decay pulls to, NULL:
 * zero; state that the options do not need is NULL. */
struct optim_run {
    size_t n;
    real *w;
    const real *g, *init;
    real scale;
    real *state[OPTIM_STATES];
};

struct optim_rule {
    const char *name;
    const char *state[OPTIM_STATES]; /* names as in PyTorch's state_dict                                  */
    bool decays_all;                 /* biases and LayerNorms too                                         */
    int (*n_state)(const struct optim_options *o);
    void (*rates)(const struct optim_options *o, double lr, double decay, double t, struct optim_rates *r);
};

/* In the order of OPTIM_WORDS. */
extern const struct optim_rule optim_rules[];

/* What a rule does with a run; `optim` is its place in that order. */
void optim_rule_run(int optim, const struct optim_rates *r, const struct optim_run *x);

/* The same for each instruction set: made by optim_rules.simd.c. */
struct optim_kernels {
    void (*run[OPTIM_RULES])(const struct optim_rates *r, const struct optim_run *x);
};

#endif
