/*
 * The optimizers' arithmetic: see optim.h for the formulas. Adam's four kinds differ in where eps and the bias
 * corrections stand and in when decay acts; elements never depend on each other.
 */
#include "methods/optim_rules.h"

#include <math.h>

static int one_state(const struct optim_options *o)
{
    (void)o;
    return 1;
}

static int two_states(const struct optim_options *o)
{
    (void)o;
    return 2;
}

static struct optim_rates adam_rates(const struct optim_options *o, double lr, double decay)
{
    return (struct optim_rates){.keep = (real)(1 - lr * decay),
                                .decay = (real)(lr * decay),
                                .beta1 = (real)o->adam_beta1,
                                .beta2 = (real)o->adam_beta2,
                                .one_minus_beta1 = (real)(1 - o->adam_beta1),
                                .one_minus_beta2 = (real)(1 - o->adam_beta2),
                                .step = (real)lr,
                                .epsilon = (real)o->adam_epsilon};
}

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

static void adamw_torch_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    *r = adam_rates(o, lr, wd);
    r->step = (real)(lr / (1 - pow(o->adam_beta1, t)));
    r->root = (real)sqrt(1 - pow(o->adam_beta2, t));
}

static void adamw_torch_run(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict g = x->g;
    decay(r, x);
    for (size_t i = 0; i < x->n; i++) {
        m[i] += k.one_minus_beta1 * (g[i] - m[i]);
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g[i] * g[i];
        w[i] -= k.step * m[i] / (root(v[i]) / k.root + k.epsilon);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * adamw_hf and adamw_fairseq: eps beside the root of the uncorrected v, which makes it larger by 1/sqrt(1 - b2^t) than
 * in adamw_torch; both corrections in the step */

static void adamw_hf_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    *r = adam_rates(o, lr, wd);
    r->step = (real)(lr * sqrt(1 - pow(o->adam_beta2, t)) / (1 - pow(o->adam_beta1, t)));
}

/* Adam's step as it stands in both. */
static void uncorrected_step(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict g = x->g;
    for (size_t i = 0; i < x->n; i++) {
        m[i] = m[i] * k.beta1 + k.one_minus_beta1 * g[i];
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g[i] * g[i];
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

static void adam_bert_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    (void)t;
    *r = adam_rates(o, lr, wd);
    r->decay = (real)wd;
}

static void adam_bert_run(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict g = x->g, *restrict init = x->init;
    for (size_t i = 0; i < x->n; i++) {
        m[i] = m[i] * k.beta1 + k.one_minus_beta1 * g[i];
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g[i] * g[i];
        w[i] -= k.step * (m[i] / (root(v[i]) + k.epsilon) + k.decay * (w[i] - (init ? init[i] : 0)));
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * lion: the sign of a mean that weighs the gradient with 1 - b1, while the kept mean forgets with b2 */

static real sign(real x) { return (real)((x > 0) - (x < 0)); }

static void lion_run(const struct optim_rates *r, const struct optim_run *x)
{
    const struct optim_rates k = *r;
    real *restrict w = x->w, *restrict m = x->state[0];
    const real *restrict g = x->g, *restrict init = x->init;
    for (size_t i = 0; i < x->n; i++) {
        real c = m[i] * k.beta1 + k.one_minus_beta1 * g[i];
        w[i] -= k.step * (sign(c) + k.decay * (w[i] - (init ? init[i] : 0)));
        m[i] = m[i] * k.beta2 + k.one_minus_beta2 * g[i];
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * sgd: decay in the gradient, momentum without dampening */

static int sgd_states(const struct optim_options *o) { return o->momentum != 0; }

static void sgd_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    (void)t;
    *r = (struct optim_rates){.step = (real)lr, .decay = (real)wd, .momentum = (real)o->momentum};
}

static void sgd_run(const struct optim_rates *r, const struct optim_run *x)
{
    for (size_t i = 0; i < x->n; i++) {
        real g = x->g[i] + r->decay * (x->w[i] - (x->init ? x->init[i] : 0));
        if (x->state[0])
            g = x->state[0][i] = r->momentum * x->state[0][i] + g;
        x->w[i] -= r->step * g;
    }
}

#define MOMENTS {"exp_avg", "exp_avg_sq"}

const struct optim_rule optim_rules[] = {
    {"adamw_torch", MOMENTS, false, two_states, adamw_torch_rates, adamw_torch_run},
    {"sgd", {"momentum_buffer", NULL}, false, sgd_states, sgd_rates, sgd_run},
    {"adamw_hf", MOMENTS, false, two_states, adamw_hf_rates, adamw_hf_run},
    {"adamw_fairseq", MOMENTS, true, two_states, adamw_hf_rates, adamw_fairseq_run},
    {"adam_bert", MOMENTS, false, two_states, adam_bert_rates, adam_bert_run},
    {"lion", {"exp_avg", NULL}, false, one_state, adam_bert_rates, lion_run},
};
