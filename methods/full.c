/*
 * Full fine-tuning: every parameter is trained, embeddings, LayerNorms and biases included (Devlin et al. 2019,
 * arXiv:1810.04805, section 3.2). `target_modules` narrows it to named modules, for comparing a sparse method with
 * dense training of the same tensors.
 */
#include "methods/method.h"
#include "methods/target.h"

struct full {
    struct opt_strings target_modules;
};

static const struct opt options[] = {
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct full, target_modules), .words = "all",
     .help = "what to train: module names, globs, all-linear or all"},
    {0},
};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct full *f = self;
    struct param **target;
    size_t n;
    TRY(target_params(env->model, &f->target_modules, env->at, env->arena, &target, &n, e));
    for (size_t i = 0; i < n; i++)
        param_request(target[i], GRAD_DENSE, 0, 0);
    return true;
}

const struct method method_full = {
    .name = "full",
    .title = "Full",
    .paper = "arXiv:1810.04805",
    .help = "trains every parameter",
    .about = "All weights, biases, LayerNorms and embeddings move: W <- W + Opt(dL/dW), the base line of every table. "
             "The papers' recipes are settings of `train:` (RoBERTa's: adamw_fairseq, betas .9 and .98, eps 1e-6, "
             "decay 0.1, no clipping, linear schedule with 6 % warm-up).\n\n"
             "With `target_modules` only what it names is trained, densely: the tensors a sparse method has chosen its "
             "entries from. A sparse method at full budget gives the same bits as this one on the same tensors.",
    .options = options,
    .state_size = sizeof(struct full),
    .plan = plan,
};
