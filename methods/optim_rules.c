/* The optimizers' names, states and the numbers of a step, in double: see optim.h for the formulas. What they do with
 * these is in optim_rules.simd.c. */
#include "methods/optim_rules.h"

#include <math.h>

#include "models/isa.h"

ISA_DECLARE(struct optim_kernels, optim_);

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

static void adamw_torch_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    *r = adam_rates(o, lr, wd);
    r->step = (real)(lr / (1 - pow(o->adam_beta1, t)));
    r->root = (real)sqrt(1 - pow(o->adam_beta2, t));
}

/* And fairseq's. */
static void adamw_hf_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    *r = adam_rates(o, lr, wd);
    r->step = (real)(lr * sqrt(1 - pow(o->adam_beta2, t)) / (1 - pow(o->adam_beta1, t)));
}

/* And lion's. */
static void adam_bert_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    (void)t;
    *r = adam_rates(o, lr, wd);
    r->decay = (real)wd;
}

static int sgd_states(const struct optim_options *o) { return o->momentum != 0; }

static void sgd_rates(const struct optim_options *o, double lr, double wd, double t, struct optim_rates *r)
{
    (void)t;
    *r = (struct optim_rates){.step = (real)lr, .decay = (real)wd, .momentum = (real)o->momentum};
}

#define MOMENTS {"exp_avg", "exp_avg_sq"}

const struct optim_rule optim_rules[] = {
    {"adamw_torch", MOMENTS, false, two_states, adamw_torch_rates},
    {"sgd", {"momentum_buffer", NULL}, false, sgd_states, sgd_rates},
    {"adamw_hf", MOMENTS, false, two_states, adamw_hf_rates},
    {"adamw_fairseq", MOMENTS, true, two_states, adamw_hf_rates},
    {"adam_bert", MOMENTS, false, two_states, adam_bert_rates},
    {"lion", {"exp_avg", NULL}, false, one_state, adam_bert_rates},
};

void optim_rule_run(int optim, const struct optim_rates *r, const struct optim_run *x)
{
    ISA_CHOOSE(optim_)->run[optim](r, x);
}
