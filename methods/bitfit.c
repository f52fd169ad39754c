/*
 * BitFit: the bias vectors alone are trained, those of linear modules, db = sum over tokens of dy, and of LayerNorms.
 * No weight's gradient is computed, so no linear module's input is needed in backward.
 *
 * Source: Ben Zaken, Ravfogel, Goldberg 2022, "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based
 * Masked Language-models", arXiv:2106.10199, section 3, and its published code. Differs from the code: nothing; its
 * random control is another method's option (see `about`).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/method.h"
#include "methods/target.h"

struct bitfit {
    struct opt_strings target_modules;
    struct param **target; /* [n]                                             */
    size_t n, size;        /* biases, and scalars in all of them              */
    real *start;           /* [size] before training, for the change measured */
};

static const struct opt options[] = {
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct bitfit, target_modules), .words = "all",
     .help = "whose biases: module names, globs, all-linear or all"},
    {0},
};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct bitfit *s = self;
    TRY(target_params_of(env->model, &s->target_modules, target_is_bias, "bias", env->at, env->arena, &s->target, &s->n,
                         e));
    for (size_t i = 0; i < s->n; i++) {
        param_request(s->target[i], GRAD_DENSE, 0, 0);
        s->size += param_size(s->target[i]);
    }
    return true;
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    (void)env;
    bytes[MEM_METHOD] += mem_round(((const struct bitfit *)self)->size * sizeof(real));
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct bitfit *s = self;
    TRY(s->start = ARENA_NEW(env->arena, MEM_METHOD, real, s->size, e));
    real *at = s->start;
    for (size_t i = 0; i < s->n; at += param_size(s->target[i++]))
        memcpy(at, s->target[i]->w, param_size(s->target[i]) * sizeof(real));
    return true;
}

/* The paper's groups: name in the report, suffix of the parameters; the first that matches has them. */
static const char *const group[][2] = {
    {"change_query", "query.bias"},
    {"change_key", "key.bias"},
    {"change_value", "value.bias"},
    {"change_attention_output", "attention.output.dense.bias"},
    {"change_attention_layernorm", "attention.output.LayerNorm.bias"},
    {"change_intermediate", "intermediate.dense.bias"},
    {"change_output", "output.dense.bias"},
    {"change_output_layernorm", "output.LayerNorm.bias"},
    {"change_embeddings_layernorm", "embeddings.LayerNorm.bias"},
};
enum { GROUPS = sizeof group / sizeof *group };

static size_t group_of(const struct param *p)
{
    size_t g = 0;
    while (g < GROUPS && !target_matches(group[g][1], p->name))
        g++;
    return g;
}

static void report(void *self, struct method_env *env, struct method_report *report)
{
    const struct bitfit *s = self;
    double moved[GROUPS + 1] = {0}, entries[GROUPS + 1] = {0};
    const real *start = s->start;
    (void)env;
    for (size_t i = 0; i < s->n; start += param_size(s->target[i++])) {
        const struct param *p = s->target[i];
        size_t g = group_of(p);
        for (size_t k = 0; k < param_size(p); k++)
            moved[g] += fabs((double)p->w[k] - (double)start[k]);
        entries[g] += (double)param_size(p);
    }
    for (size_t g = 0; g < GROUPS; g++)
        if (entries[g] > 0)
            report->add(report, group[g][0], moved[g] / entries[g],
                        "mean |b - b0| of these biases, over dimensions and layers");
}

const struct method method_bitfit = {
    .name = "bitfit",
    .title = "BitFit",
    .paper = "arXiv:2106.10199",
    .help = "trains every bias vector, those of LayerNorms too",
    .about =
        "All biases are trained, everything else stays (section 3): b of query, key, value, of the attention's and the "
        "feed-forward network's output, of the intermediate layer, and the b of every LayerNorm, that of the "
        "embeddings too: 102,144 scalars in RoBERTa-base, 271,360 in RoBERTa-large, beside the head. The gradient of a "
        "bias is the sum of its output's gradient over the tokens; no linear module's input is kept for it.\n\n"
        "`target_modules` takes the paper's subsets: [query, intermediate.dense] is the half it recommends (b_q and "
        "b_m2), all-linear leaves the LayerNorms out. As in the published code, `output.dense` takes "
        "`attention.output.dense` as well.\n\n"
        "Reported at each evaluation: how far each group of biases has moved, |b - b0|_1 / dim, the paper's measure, "
        "here as the mean over the layers.\n\n"
        "The paper's random control (as many scalars, drawn uniformly) is `sift` with `select: random`; there the "
        "entries are drawn without replacement, the code draws with. The paper's recipe: constant learning rate "
        "between 1e-4 and 1e-2 (the code: 1e-3), 16 epochs, batch 8, no decay, clipping to 1.\n\n",
    .options = options,
    .state_size = sizeof(struct bitfit),
    .plan = plan,
    .bytes = bytes,
    .attach = attach,
    .report = report,
};
