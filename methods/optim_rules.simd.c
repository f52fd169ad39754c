/*
 * The optimizers' passes over weights: see optim.h for the formulas. Adam's four kinds differ in where eps and the bias
 * corrections stand and in when decay acts; elements never depend on each other. The same bits on every instruction
 * set.
 */
#include "methods/optim_rules.h"

#include <math.h>

#include "models/isa.h"

static real root(real x) { return (real)(sizeof(real) == sizeof(float) ? sqrtf((float)x) : sqrt((double)x)); }

/* Decoupled decay, towards zero or `init`. */
static void decay(const struct optim_rates *r, const struct optim_run *x)
{
    real *restrict w = x->w;
    const real *restrict init = x->init, keep = r->keep, rate = r->decay;
    if (init)
        for (size_t i = 0; i < x->n; i++)
            w[i] -= rate * (w[i] - init[i]);
    else
        for (size_t i = 0; i < x->n; i++)
            w[i] *= keep;
}

/* -------------------------------------------------------------------------------------------------------------------
 * adamw_torch: decay first (Loshchilov & Hutter 2019, algorithm 2, in PyTorch's order of operations) */

static void adamw_torch_run(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    const real scale = x->scale;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict gradient = x->g;
    decay(r, x);
    for (size_t i = 0; i < x->n; i++) {
        real g = scale * gradient[i];
        m[i] += k.one_minus_beta1 * (g - m[i]);
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g * g;
        w[i] -= k.step * m[i] / (root(v[i]) / k.root + k.epsilon);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * adamw_hf and adamw_fairseq: eps beside the root of the uncorrected v, which makes it larger by 1/sqrt(1 - b2^t) than
 * in adamw_torch; both corrections in the step */

/* Adam's step as it stands in both. */
static void uncorrected_step(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    const real scale = x->scale;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict gradient = x->g;
    for (size_t i = 0; i < x->n; i++) {
        real g = scale * gradient[i];
        m[i] = m[i] * k.beta1 + k.one_minus_beta1 * g;
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g * g;
        w[i] -= k.step * m[i] / (root(v[i]) + k.epsilon);
    }
}

static void adamw_hf_run(const struct optim_rates *r, const struct optim_run *x)
{
    uncorrected_step(r, x);
    decay(r, x);
}

static void adamw_fairseq_run(const struct optim_rates *r, const struct optim_run *x)
{
    decay(r, x);
    uncorrected_step(r, x);
}

/* -------------------------------------------------------------------------------------------------------------------
 * adam_bert: nothing corrects the bias; decay is part of the update */

static void adam_bert_run(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    const real scale = x->scale;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict gradient = x->g, *restrict init = x->init;
    for (size_t i = 0; i < x->n; i++) {
        real g = scale * gradient[i];
        m[i] = m[i] * k.beta1 + k.one_minus_beta1 * g;
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g * g;
        w[i] -= k.step * (m[i] / (root(v[i]) + k.epsilon) + k.decay * (w[i] - (init ? init[i] : 0)));
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * lion: the sign of a mean that weighs the gradient with 1 - b1, while the kept mean forgets with b2 */

static real sign(real x) { return (real)((x > 0) - (x < 0)); }

static void lion_run(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    const real scale = x->scale;
    real *restrict w = x->w, *restrict m = x->state[0];
    const real *restrict gradient = x->g, *restrict init = x->init;
    for (size_t i = 0; i < x->n; i++) {
        real g = scale * gradient[i];
        real c = m[i] * k.beta1 + k.one_minus_beta1 * g;
        w[i] -= k.step * (sign(c) + k.decay * (w[i] - (init ? init[i] : 0)));
        m[i] = m[i] * k.beta2 + k.one_minus_beta2 * g;
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * sgd: decay in the gradient, momentum without dampening */

static void sgd_run(const struct optim_rates *r, const struct optim_run *x)
{
    for (size_t i = 0; i < x->n; i++) {
        real g = x->scale * x->g[i] + r->decay * (x->w[i] - (x->init ? x->init[i] : 0));
        if (x->state[0])
            g = x->state[0][i] = r->momentum * x->state[0][i] + g;
        x->w[i] -= r->step * g;
    }
}

/* In the order of OPTIM_WORDS. */
const struct optim_kernels ISA_TABLE(optim_) = {
    {adamw_torch_run, sgd_run, adamw_hf_run, adamw_fairseq_run, adam_bert_run, lion_run}};
