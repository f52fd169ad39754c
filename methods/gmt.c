/*
 * GMT, gradient-mask tuning: every optimizer step the k = max(1, floor(keep_ratio n)) entries of each tensor with the
 * largest accumulated gradient take part, the gradient of all others is set to zero before the optimizer sees it.
 *
 *     G = sum over the micro-batches of dL/dW,   G_ij = 0 where |G_ij| < the k-th largest |G|,   W <- W + Opt(G)
 *
 * Source: Li et al. 2024, "Enhancing Large Language Model Performance with
 * Gradient-Based Parameter Selection", arXiv:2406.15330. There is no published code. What the abstract and the formula
 * leave open is an option here; the defaults are decisions of ours, given in `about`.
 *
 * Masked is not frozen: with Adam an entry that was kept once goes on moving by its decaying momentum, and weight decay
 * acts on every entry. Gradients and optimizer state are dense: nothing is saved.
 */
#include <stdio.h>
#include <string.h>

#include "methods/mask.h"
#include "methods/method.h"
#include "methods/optim.h"
#include "methods/target.h"

enum granularity { PER_TENSOR, GLOBAL };
enum masked { MASK_GRADIENT, MASK_UPDATE };
enum mask_point { ACCUMULATED, MICROSTEP };
enum clip_order { MASK_FIRST, CLIP_FIRST };
enum ties { TIES_EXACT, TIES_GE };
enum choice { BY_GRADIENT, AT_RANDOM };

struct gmt {
    double keep_ratio;
    struct opt_strings target_modules;
    int granularity, mask, mask_point, clip_order, ties, select;
    bool mask_embeddings, mask_head;
    struct param **masked;   /* [n] in the model's order                                */
    struct topk_span *span;  /* [n] their gradients                                     */
    size_t n, total, largest; /* scalars in all, in the largest                         */
    real *before;            /* mask: update: [largest] weights as they were            */
};

static const struct opt options[] = {
    {.name = "keep_ratio", .type = OPT_REAL, .offset = offsetof(struct gmt, keep_ratio), .dflt = 0.2, .min = 0,
     .max = 1, .open_min = true, .help = "share of the entries whose gradient is kept in each step"},
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct gmt, target_modules), .words = "all",
     .help = "what is trained: module names, globs, all-linear or all"},
    {.name = "granularity", .type = OPT_ENUM, .offset = offsetof(struct gmt, granularity), .dflt = PER_TENSOR,
     .words = "tensor|global", .help = "rank the entries of each tensor, or of all together"},
    {.name = "mask", .type = OPT_ENUM, .offset = offsetof(struct gmt, mask), .dflt = MASK_GRADIENT,
     .words = "gradient|update", .help = "mask what the optimizer sees, or only which weights it moves"},
    {.name = "mask_point", .type = OPT_ENUM, .offset = offsetof(struct gmt, mask_point), .dflt = ACCUMULATED,
     .words = "accumulated|microstep", .help = "mask the step's gradient, or the running sum after every micro-batch"},
    {.name = "clip_order", .type = OPT_ENUM, .offset = offsetof(struct gmt, clip_order), .dflt = MASK_FIRST,
     .words = "mask_first|clip_first", .help = "clip by the norm of the masked or of the whole gradient"},
    {.name = "ties", .type = OPT_ENUM, .offset = offsetof(struct gmt, ties), .dflt = TIES_EXACT, .words = "exact|ge",
     .help = "keep exactly k, or all that equal the k-th"},
    {.name = "select", .type = OPT_ENUM, .offset = offsetof(struct gmt, select), .dflt = BY_GRADIENT,
     .words = "gradient|random", .help = "keep the largest gradients, or as many entries at random (a control)"},
    {.name = "mask_embeddings", .type = OPT_BOOL, .offset = offsetof(struct gmt, mask_embeddings), .dflt = true,
     .help = "mask the embedding tables too; else they are trained densely"},
    {.name = "mask_head", .type = OPT_BOOL, .offset = offsetof(struct gmt, mask_head), .dflt = false,
     .help = "mask the head too"},
    {0},
};

/* -------------------------------------------------------------------------------------------------------------------
 * Plan */

static bool check(const struct gmt *o, const struct method_env *env, struct err *e)
{
    if (o->mask_point == MICROSTEP && o->mask == MASK_UPDATE)
        return method_wrong(env, "mask", e, "mask_point: microstep masks gradients while they add up; it needs mask: "
                            "gradient");
    if (o->mask_point == MICROSTEP && o->clip_order == CLIP_FIRST)
        return method_wrong(env, "clip_order", e, "mask_point: microstep masks before anything can be clipped; it "
                            "needs clip_order: mask_first");
    return true;
}

static void add_masked(struct gmt *o, struct param *p)
{
    o->masked[o->n++] = p;
    o->total += param_size(p);
    if (param_size(p) > o->largest)
        o->largest = param_size(p);
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct gmt *o = self;
    struct param **target;
    size_t n;
    TRY(check(o, env, e) &&
        target_params(env->model, &o->target_modules, env->at, env->arena, &target, &n, e));
    TRY(o->masked = ARENA_NEW(env->arena, MEM_METHOD, struct param *, env->model->params.n, e));
    TRY(o->span = ARENA_NEW(env->arena, MEM_METHOD, struct topk_span, env->model->params.n, e));
    for (size_t i = 0; i < n; i++) {
        param_request(target[i], GRAD_DENSE, 0, 0);
        if (o->mask_embeddings || target[i]->kind != PARAM_EMBEDDING)
            add_masked(o, target[i]);
    }
    for (size_t i = 0; i < env->model->params.n && o->mask_head; i++)
        if (env->model->params.item[i]->head && env->model->params.item[i]->grad.form == GRAD_DENSE)
            add_masked(o, env->model->params.item[i]);
    return true;
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct gmt *o = self;
    (void)env;
    if (o->mask == MASK_UPDATE)
        bytes[MEM_METHOD] += mem_round(o->largest * sizeof(real));
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct gmt *o = self;
    if (o->mask == MASK_UPDATE)
        TRY(o->before = ARENA_NEW(env->arena, MEM_METHOD, real, o->largest, e));
    for (size_t i = 0; i < o->n; i++)
        o->span[i] = (struct topk_span){o->masked[i]->grad.v, param_size(o->masked[i])};
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Masks of one step, asked for tensor by tensor in their order */

struct masker {
    const struct gmt *o;
    const struct method_env *env;
    struct topk_cut cut;
    struct mask_draw draw;
};

/* A stream of the tensor and the step: all micro-batches of a step draw the same entries. */
static struct mask_draw draw(const struct method_env *env, const char *what, size_t n, size_t kept)
{
    char stream[700];
    snprintf(stream, sizeof stream, "method/%s/%ld", what, env->step);
    return (struct mask_draw){rng_stream(env->seed, stream), n, kept};
}

static struct topk_cut find_cut(const struct gmt *o, const struct topk_span *span, size_t n_spans, size_t k)
{
    struct topk_cut cut = topk_find_cut(span, n_spans, k);
    if (o->ties == TIES_GE)
        cut.ties = SIZE_MAX;
    return cut;
}

static struct masker masker(const struct gmt *o, const struct method_env *env)
{
    struct masker m = {.o = o, .env = env};
    if (o->granularity == GLOBAL && o->select == AT_RANDOM)
        m.draw = draw(env, "all", o->total, mask_count(o->keep_ratio, o->total));
    else if (o->granularity == GLOBAL)
        m.cut = find_cut(o, o->span, o->n, mask_count(o->keep_ratio, o->total));
    return m;
}

/* v = other (NULL: 0) in the entries of tensor i that are not kept. */
static void mask(struct masker *m, size_t i, real *v, const real *other)
{
    const struct gmt *o = m->o;
    const struct topk_span *span = &o->span[i];
    size_t k = mask_count(o->keep_ratio, span->n);
    if (o->select == AT_RANDOM) {
        if (o->granularity == PER_TENSOR)
            m->draw = draw(m->env, o->masked[i]->name, span->n, k);
        mask_undrawn(&m->draw, span->n, v, other);
        return;
    }
    if (o->granularity == PER_TENSOR)
        m->cut = find_cut(o, span, 1, k);
    mask_below(span->v, span->n, &m->cut, v, other);
}

static void mask_gradients(const struct gmt *o, const struct method_env *env)
{
    if (o->keep_ratio == 1)
        return;
    struct masker m = masker(o, env);
    for (size_t i = 0; i < o->n; i++)
        mask(&m, i, o->masked[i]->grad.v, NULL);
}

/* The optimizer's step with the whole gradient; entries that are not kept go back to where they were. */
static void step_masked_update(const struct gmt *o, const struct method_env *env, double schedule)
{
    struct masker m = masker(o, env);
    for (size_t i = 0, k = 0; i < env->model->params.n; i++) {
        struct param *p = env->model->params.item[i];
        bool is_masked = k < o->n && o->masked[k] == p;
        if (is_masked)
            memcpy(o->before, p->w, param_size(p) * sizeof *p->w);
        optim_step_param(env->optim, p, schedule);
        if (is_masked)
            mask(&m, k++, p->w, o->before);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * Hooks of a step */

static bool after_micro_batch(void *self, struct method_env *env, struct err *e)
{
    const struct gmt *o = self;
    (void)e;
    if (o->mask_point == MICROSTEP)
        mask_gradients(o, env);
    return true;
}

static bool after_backward(void *self, struct method_env *env, struct err *e)
{
    const struct gmt *o = self;
    (void)e;
    if (o->mask_point == ACCUMULATED && o->mask == MASK_GRADIENT && o->clip_order == MASK_FIRST)
        mask_gradients(o, env);
    return true;
}

/* Between after_backward and this the gradients were clipped. */
static bool step(void *self, struct method_env *env, double schedule, struct err *e)
{
    const struct gmt *o = self;
    (void)e;
    if (o->mask == MASK_UPDATE) {
        step_masked_update(o, env, schedule);
        return true;
    }
    if (o->clip_order == CLIP_FIRST)
        mask_gradients(o, env);
    optim_step(env->optim, schedule);
    return true;
}

const struct method method_gmt = {
    .name = "gmt",
    .title = "GMT",
    .paper = "arXiv:2406.15330",
    .help = "trains every parameter, in each step only where the gradient is largest",
    .about =
        "The gradient accumulated over the micro-batches of an optimizer step, G = sum_n dL_n/dW, is masked: "
        "M(G, k)_ij = G_ij where |G_ij| >= T_k, else 0, with T_k the k-th largest |G|; then W <- W + Opt(M(G, k)) "
        "(algorithm 1). The mask is taken anew in every step, so that in the course of training every parameter may "
        "move; gradients and optimizer state are dense, and every weight counts as trained whatever keep_ratio is: "
        "there is no knob for a budget.\n\n"
        "No code was published. Decisions of ours, where the paper's formula leaves room: `keep_ratio` is always the "
        "share that is kept (users of the method write 0.2 kept as well as 0.3 masked; the default is the former), "
        "k = max(1, floor(keep_ratio n)) so that a tensor of few entries keeps one; ranking within each tensor "
        "(`granularity: global` ranks all together); the gradient is masked, then clipped by the norm of what is left "
        "(`clip_order: clip_first` clips by the whole norm, then masks); exactly k entries are kept, of equal ones the "
        "first (`ties: ge` keeps all that equal the k-th); embeddings, LayerNorms and biases are masked like matrices "
        "(`mask_embeddings: false` trains the embedding tables densely). The paper masks every parameter; the head, "
        "which starts at random, is trained here as in every other method, densely, unless `mask_head` is set.\n\n"
        "Masked is not frozen: Adam's momentum moves an entry in the steps after the one that kept it, and weight "
        "decay acts on all. `mask: update` is the ablation: the optimizer's state sees the whole gradient (clipped by "
        "its whole norm) and only the kept entries' weights move. `mask_point: microstep` masks the running sum after "
        "every micro-batch of gradient accumulation, as one port of the method does; with one micro-batch it is the "
        "default. `select: random` keeps as many entries at random, drawn anew in every step: the control. With "
        "`keep_ratio: 1` the method is full fine-tuning, bit for bit.\n\n",
    .options = options,
    .state_size = sizeof(struct gmt),
    .plan = plan,
    .bytes = bytes,
    .attach = attach,
    .after_micro_batch = after_micro_batch,
    .after_backward = after_backward,
    .step = step,
};
