/*
 * LayerNorm tuning: scale and shift of every LayerNorm are trained, y = gamma xhat + beta, with
 *
 *     dgamma = sum over tokens of dy xhat,   dbeta = sum over tokens of dy.
 *
 * Source: Zhao, Tu, Wei, Mei, Xie 2023, "Tuning LayerNorm in Attention", arXiv:2312.11420, whose subject are
 * multi-modal decoders; here on the encoder's LayerNorms. Differs from the code: nothing known.
 */
#include "methods/method.h"
#include "methods/target.h"

struct lntuning {
    struct opt_strings target_modules;
};

static const struct opt options[] = {
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct lntuning, target_modules),
     .words = "LayerNorm", .help = "which LayerNorms: module or parameter names, or globs"},
    {0},
};

static bool is_norm(const struct param *p) { return p->kind == PARAM_NORM; }

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct lntuning *s = self;
    struct param **target;
    size_t n;
    TRY(target_params_of(env->model, &s->target_modules, is_norm, "LayerNorm", env->at, env->arena, &target, &n, e));
    for (size_t i = 0; i < n; i++)
        param_request(target[i], GRAD_DENSE, 0, 0);
    return true;
}

const struct method method_lntuning = {
    .name = "lntuning",
    .title = "LN tuning",
    .paper = "arXiv:2312.11420",
    .help = "trains scale and shift of every LayerNorm",
    .about =
        "Scale and shift of each LayerNorm, y = gamma xhat + beta, are trained, that of the embeddings too: 38,400 "
        "scalars in RoBERTa-base, 100,352 in RoBERTa-large, beside the head. dgamma is the sum over tokens of dy xhat, "
        "dbeta that of dy; no linear module's input is kept.\n\n"
        "`target_modules` narrows it: attention.output.LayerNorm or output.LayerNorm (which takes both halves of a "
        "block), LayerNorm.weight for the scales alone. The paper tunes the decoders of multi-modal models; taking "
        "the encoder's LayerNorms is the natural reading (decision of ours).\n\n",
    .options = options,
    .state_size = sizeof(struct lntuning),
    .plan = plan,
};
