/*
 * gradtopk: of the gradient of each feed-forward weight (intermediate and output of every layer) only the k largest
 * entries are used, chosen anew in every step; everything else is trained densely.
 *
 *     S = topk(|gW|, k),   gW_ij = 0 outside S,   W <- W + Opt(gW),   dX = dY W as always
 *
 * Source: Chekalina et al. 2024, "SparseGrad: A Selective Method for Efficient Fine-tuning of MLP Layers",
 * arXiv:2410.07383, where it is the baseline called MeProp, and its published code. meProp proper (Sun et al. 2017,
 * arXiv:1706.06197) cuts the output's gradient and with it what flows on to the layers below; that is another method.
 *
 * Differs from the code: exactly k entries are kept (there `>=` keeps all that equal the k-th), and of the gradient of
 * the whole optimizer step (there of every micro-batch).
 */
#include "methods/lazy_adam.h"
#include "methods/mask.h"
#include "methods/mlp.h"
#include "methods/optim.h"
#include "methods/sparse_step.h"

enum state { STATE_DENSE, STATE_LAZY };

struct gradtopk {
    struct mlp_options mlp;
    int state;
    struct mlp sites;
    struct sparse_step lazy; /* state: lazy */
};

static const struct opt options[] = {
    MLP_OPTIONS(struct gradtopk),
    {.name = "state", .type = OPT_ENUM, .offset = offsetof(struct gradtopk, state), .dflt = STATE_DENSE,
     .words = "dense|lazy", .help = "the training's optimizer on the whole matrix, or SparseAdam on the kept entries"},
    {0},
};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct gradtopk *o = self;
    TRY(mlp_plan(&o->sites, &o->mlp, env, e));
    if (o->state == STATE_LAZY)
        sparse_step_plan(&o->lazy, &o->sites);
    return true;
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct gradtopk *o = self;
    (void)env;
    if (o->state == STATE_LAZY)
        sparse_step_bytes(&o->lazy, bytes);
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct gradtopk *o = self;
    return o->state == STATE_DENSE || sparse_step_attach(&o->lazy, env->arena, e);
}

static bool after_backward(void *self, struct method_env *env, struct err *e)
{
    struct gradtopk *o = self;
    (void)env, (void)e;
    for (size_t i = 0; i < o->sites.n; i++) {
        const struct param *w = o->sites.site[i].l->w;
        if (o->state == STATE_LAZY)
            sparse_step_keep(&o->lazy, i);
        else
            mask_topk(w->grad.v, param_size(w), o->sites.site[i].k, false);
    }
    return true;
}

static bool step(void *self, struct method_env *env, double schedule, struct err *e)
{
    struct gradtopk *o = self;
    optim_step(env->optim, schedule);
    return o->state == STATE_DENSE || sparse_step(&o->lazy, env, schedule, e);
}

static void state(void *self, struct method_env *env,
                  void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    struct gradtopk *o = self;
    (void)env;
    if (o->state == STATE_LAZY)
        lazy_adam_state(o->lazy.adam, tensor, u);
}

const struct method method_gradtopk = {
    .name = "gradtopk",
    .title = "Gradient top-k",
    .paper = "arXiv:2410.07383",
    .help = "trains the feed-forward weights where the step's gradient is largest, all else densely",
    .about =
        "What the SparseGrad paper and its code compare with under the name MeProp: of the gradient gW of each "
        "feed-forward weight the k entries of largest magnitude are kept, the others set to zero, in every step anew; "
        "W <- W + Opt(gW). The gradient that flows on, dX = dY W, is exact. (Real meProp keeps the k largest entries "
        "of dY, token by token, and is the method `meprop`.)\n\n"
        "`k` counts entries per matrix as the papers do (28,000 of 768 x 3072 on base models, 50,000 of 1024 x 4096 on "
        "large ones); without it `density` gives the same share of any shape. Everything else is trained densely, as "
        "in the papers' tables: embeddings, attention, LayerNorms, biases; `train_rest: false` freezes all but the "
        "matrices and their biases. Every weight counts as trained whatever k is, since the kept entries change: there "
        "is no knob for a budget.\n\n"
        "As in the code the optimizer is dense: an entry that was kept once goes on moving by its momentum, decay acts "
        "on all, and no memory is saved. `state: lazy` is the optimizer of SparseGrad in its place: Adam that touches "
        "the k entries alone, without decay (the method is then SparseGrad without its change of basis). Differences "
        "from the code, decisions of ours: exactly k entries (there `>=` the k-th), taken from the gradient of the "
        "whole optimizer step (there of every micro-batch). With `density: 1` the method is full fine-tuning, bit for "
        "bit.\n\n",
    .options = options,
    .state_size = sizeof(struct gradtopk),
    .plan = plan,
    .bytes = bytes,
    .grows = true,
    .attach = attach,
    .after_backward = after_backward,
    .step = step,
    .state = state,
};
