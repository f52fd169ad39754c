/*
 * IA3, "infused adapter by inhibiting and amplifying inner activations": chosen linear modules have their output, or,
 * as feed-forward modules, their input scaled by a trained vector l that starts at 1,
 *
 *     y = (x Wᵀ + b) ⊙ l,   gl = Σ_t dy ⊙ (x Wᵀ + b),   dx = (dy ⊙ l) W      (l [out, 1])
 *     y = (x ⊙ l) Wᵀ + b,   gl = Σ_t x ⊙ (dy W),        dx = (dy W) ⊙ l      (l [1, in]).
 *
 * x Wᵀ + b is kept for backward, or computed again with activation checkpointing; dy W of a feed-forward module is
 * needed for dx in any case.
 *
 * Source: Liu et al. 2022, arXiv:2205.05638. Modules, names and shapes are those of Hugging Face's PEFT
 * for BERT and RoBERTa; the paper scales the keys, the values and the inner activation of the feed-forward network,
 * which is the input of its second layer. Differs from PEFT: nothing. Differs from the paper: as a suffix, output.dense
 * is attention.output.dense too, whose input PEFT then scales as a feed-forward module's.
 */
#include <stdio.h>
#include <string.h>

#include "methods/method.h"
#include "methods/peft_modules.h"
#include "methods/target.h"
#include "models/bf16.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/linear.h"
#include "models/weight_grad.h"

struct ia3 {
    struct opt_strings target_modules, feedforward_modules;
    struct linear **target; /* [n] */
    struct ia3_site *site;  /* [n] */
    size_t n;
};

struct ia3_site {
    struct param *scale;    /* l */
    bool feedforward;
};

static const struct opt options[] = {
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct ia3, target_modules),
     .words = "key,value,output.dense", .help = "linear modules: names, globs or all-linear"},
    {.name = "feedforward_modules", .type = OPT_STRINGS, .offset = offsetof(struct ia3, feedforward_modules),
     .words = "output.dense", .help = "those of them whose input is scaled instead of their output"},
    {0},
};

/* -------------------------------------------------------------------------------------------------------------------
 * The scaled module */

struct ia3_room {
    real *wide; /* [T, out] of an output that is scaled, [T, in] of an input */
    real *row;  /* [out] or [in] */
};

static size_t width(const struct linear *l)
{
    const struct ia3_site *s = l->state;
    return (size_t)(s->feedforward ? l->in : l->out);
}

static struct ia3_room lay_out(const struct linear *l, int tokens, real *scratch)
{
    return (struct ia3_room){scratch, scratch + (size_t)tokens * width(l)};
}

static size_t ia3_scratch(const struct linear *l, int tokens) { return ((size_t)tokens + 1) * width(l); }

/* gl += column sums of a ⊙ b [T, width]. */
static bool scale_grad(const struct linear *l, const struct pass *p, int tokens, const real *a, const real *b,
                       real *panels, real *row, struct err *e)
{
    const struct ia3_site *s = l->state;
    const real one = 1;
    memset(row, 0, width(l) * sizeof *row);
    add_column_dots(tokens, (int)width(l), a, b, row);
    return weight_grad_linear(s->scale, p, 1, s->feedforward ? row : &one, s->feedforward ? &one : row, panels, e);
}

static void ia3_forward(const struct linear *l, struct pass *p, int tokens, const real *x, real *y)
{
    const struct ia3_site *s = l->state;
    struct ia3_room room = lay_out(l, tokens, p->scratch);
    if (s->feedforward) {
        scale_columns(tokens, l->in, x, s->scale->w, NULL, room.wide);
        linear_plain_forward(l, tokens, room.wide, y);
    } else {
        real *plain = linear_kept(l, p) ? linear_kept(l, p) : y;
        linear_plain_forward(l, tokens, x, plain);
        scale_columns(tokens, l->out, plain, s->scale->w, NULL, y);
    }
}

static bool output_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                            real beta, real *panels, struct err *e)
{
    const struct ia3_site *s = l->state;
    struct ia3_room room = lay_out(l, tokens, p->scratch);
    if (weight_grad_wanted(s->scale, p)) {
        const real *plain = linear_kept(l, p);
        if (!plain) {
            linear_plain_forward(l, tokens, x, room.wide);
            plain = room.wide;
        }
        TRY(scale_grad(l, p, tokens, dy, plain, panels, room.row, e));
    }
    scale_columns(tokens, l->out, dy, s->scale->w, NULL, room.wide);
    return linear_plain_backward(l, p, tokens, x, room.wide, dx, beta, panels, e);
}

/* dx = room.wide ⊙ l + beta dx */
static void input_dx(const struct linear *l, int tokens, real *dx, real beta, const struct ia3_room *room)
{
    const struct ia3_site *s = l->state;
    size_t n = (size_t)tokens * (size_t)l->in;
    if (beta == 0) {
        scale_columns(tokens, l->in, room->wide, s->scale->w, NULL, dx);
        return;
    }
    for (size_t i = 0; i < n && beta != 1; i++)
        dx[i] *= beta;
    add_scaled_columns(tokens, l->in, room->wide, s->scale->w, dx);
}

static bool input_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                           real beta, real *panels, struct err *e)
{
    const struct ia3_site *s = l->state;
    struct ia3_room room = lay_out(l, tokens, p->scratch);
    if (weight_grad_wanted(l->w, p)) { /* a tap's */
        scale_columns(tokens, l->in, x, s->scale->w, NULL, room.wide);
        TRY(weight_grad_linear(l->w, p, tokens, room.wide, dy, panels, e));
    }
    TRY(weight_grad_bias(l->b, p, tokens, dy, e));
    if (!dx && !weight_grad_wanted(s->scale, p))
        return true;
    blas_gemm(BLAS_N, BLAS_N, tokens, l->in, l->out, 1, dy, l->out, param_wide(l->w), l->in, 0, room.wide, l->in);
    if (weight_grad_wanted(s->scale, p))
        TRY(scale_grad(l, p, tokens, x, room.wide, panels, room.row, e));
    if (dx)
        input_dx(l, tokens, dx, beta, &room);
    return true;
}

static bool ia3_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                         real beta, real *panels, struct err *e)
{
    const struct ia3_site *s = l->state;
    return (s->feedforward ? input_backward : output_backward)(l, p, tokens, x, dy, dx, beta, panels, e);
}

/* The output as it is before it is scaled. */
static size_t ia3_kept(const struct linear *l, int tokens)
{
    const struct ia3_site *s = l->state;
    return s->feedforward ? 0 : (size_t)tokens * (size_t)l->out;
}

static const struct linear_ops ops = {
    .forward = ia3_forward, .backward = ia3_backward, .scratch = ia3_scratch, .kept = ia3_kept};

/* -------------------------------------------------------------------------------------------------------------------
 * Plan, attach, fold */

static bool matches(const char *word, const struct linear *l)
{
    return strcmp(word, "all-linear") == 0 || target_matches(word, l->name);
}

static bool is_feedforward(const struct ia3 *o, const struct linear *l)
{
    for (size_t i = 0; i < o->feedforward_modules.n; i++)
        if (matches(o->feedforward_modules.word[i], l))
            return true;
    return false;
}

/* Words that were given must match a target; the default need not. */
static bool check_feedforward(const struct ia3 *o, struct err *e)
{
    const struct opt_strings *f = &o->feedforward_modules;
    const struct yaml *at = f->at && f->at->kind == YAML_LIST ? f->at->child : f->at;
    for (size_t i = 0; f->at && i < f->n; i++) {
        bool hit = false;
        for (size_t k = 0; k < o->n && !hit; k++)
            hit = matches(f->word[i], o->target[k]);
        if (!hit)
            return yaml_err(e, at, "`%s` in feedforward_modules matches none of the modules that target_modules names",
                            f->word[i]);
        at = at->next;
    }
    return true;
}

static bool add_scale(struct ia3_site *s, const struct linear *l, struct method_env *env, struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.ia3_l", l->name);
    struct param like = {.name = name, .kind = PARAM_LINEAR, .ndim = 2, .rows = s->feedforward ? 1 : l->out,
                         .cols = s->feedforward ? l->in : 1, .layer = l->layer, .added = true};
    TRY(s->scale = param_add(&env->model->params, &like, env->arena, e));
    param_request(s->scale, GRAD_DENSE, 0, 0);
    return true;
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct ia3 *o = self;
    TRY(target_linears(env->model, &o->target_modules, env->at, env->arena, &o->target, &o->n, e));
    TRY(check_feedforward(o, e));
    TRY(o->site = ARENA_NEW(env->arena, MEM_METHOD, struct ia3_site, o->n, e));
    for (size_t i = 0; i < o->n; i++) {
        o->site[i].feedforward = is_feedforward(o, o->target[i]);
        TRY(add_scale(&o->site[i], o->target[i], env, e));
        o->target[i]->ops = &ops;
        o->target[i]->state = &o->site[i];
    }
    return true;
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct ia3 *o = self;
    (void)env, (void)e;
    for (size_t i = 0; i < o->n; i++)
        for (size_t k = 0; k < param_size(o->site[i].scale); k++)
            o->site[i].scale->w[k] = 1;
    return true;
}

/* W <- W diag(l), or W <- diag(l) W and b <- l ⊙ b. */
static void fold_site(struct linear *l)
{
    const struct ia3_site *s = l->state;
    const real *v = s->scale->w;
    for (size_t i = 0; i < (size_t)l->out; i++)
        for (size_t j = 0; j < (size_t)l->in; j++)
            l->w->w[i * (size_t)l->in + j] *= v[s->feedforward ? j : i];
    for (size_t i = 0; !s->feedforward && i < (size_t)l->out; i++)
        l->b->w[i] *= v[i];
    l->ops = NULL;
    l->state = NULL;
}

static bool fold(void *self, struct method_env *env, struct err *e)
{
    struct ia3 *o = self;
    (void)env, (void)e;
    for (size_t i = 0; i < o->n; i++)
        fold_site(o->target[i]);
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * PEFT */

/* It demands that the feed-forward words are among the targets' words. */
static bool words_suffice(const struct ia3 *o, const struct model *m)
{
    for (size_t i = 0; i < o->feedforward_modules.n; i++) {
        bool found = false;
        for (size_t k = 0; k < o->target_modules.n && !found; k++)
            found = strcmp(o->feedforward_modules.word[i], o->target_modules.word[k]) == 0;
        if (!found)
            return false;
    }
    return peft_reads(&o->target_modules, m);
}

static bool peft(const void *self, const struct method_env *env, struct peft_config *c, struct err *e)
{
    const struct ia3 *o = self;
    bool words = words_suffice(o, env->model);
    size_t n = 0;
    struct linear **feedforward = ARENA_NEW(env->arena, MEM_DATA, struct linear *, o->n, e);
    TRY(feedforward);
    for (size_t i = 0; i < o->n; i++)
        if (o->site[i].feedforward)
            feedforward[n++] = o->target[i];
    const char *target = peft_modules(words ? &o->target_modules : NULL, o->target, o->n, env->arena, e);
    const char *f = peft_modules(words ? &o->feedforward_modules : NULL, feedforward, n, env->arena, e);
    TRY(target && f);
    c->type = "IA3";
    return (c->members = arena_printf(env->arena, e,
                                      "\"target_modules\": %s, \"feedforward_modules\": %s, "
                                      "\"fan_in_fan_out\": false", target, f)) != NULL;
}

const struct method method_ia3 = {
    .name = "ia3",
    .title = "IA3",
    .paper = "arXiv:2205.05638",
    .help = "trains vectors that scale the outputs or inputs of frozen linear modules",
    .about = "Each chosen module gets a vector l that starts at 1: y = (x W^T + b) * l, the bias scaled "
             "too, or for the modules of `feedforward_modules` y = (x * l) W^T + b. Gradients: gl = sum over tokens of "
             "dy * (x W^T + b), and of x * (dy W). Folding multiplies the rows of W and b, or the columns of W.\n\n"
             "The paper scales keys, values and the inner activation of the feed-forward network. The defaults are "
             "PEFT's for BERT and RoBERTa, key, value and output.dense, the last as a feed-forward module; as a suffix "
             "it takes attention.output.dense too. The paper's set is `target_modules: [key, value, "
             "layer.?.output.dense]`, from ten layers on with layer.??.output.dense. Every word of "
             "`feedforward_modules` that is given must match a target.\n\n"
             "64,512 scalars on RoBERTa-base and 172,032 on RoBERTa-large; there is nothing to set for a budget but "
             "the modules. Learning rates are large, 5e-3 to 1e-2. Weight decay pulls l towards 0 as it does in PEFT "
             "under the Hugging Face Trainer; `train.decay_to: init` pulls it to 1.\n\n"
             "Differs from PEFT: nothing.\n\n",
    .options = options,
    .state_size = sizeof(struct ia3),
    .plan = plan,
    .attach = attach,
    .fold = fold,
    .peft = peft,
};
