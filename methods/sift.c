/*
 * SIFT, sparse increment fine-tuning: of each target tensor the k = min(floor(density n) + 1, n) entries with the
 * largest gradient in the first batch are trained, all else is frozen. Gradient, optimizer state and increment exist
 * for these entries alone.
 *
 *     I = topk(|g_0|, k);   per step: g_s = (dL/dW)[I],  W[I] += AdamW(g_s)
 *
 * Source: Song, Li, Zhang, Zhao, Du 2024, "Sparse is Enough in Fine-tuning Pre-trained Large Language Models",
 * arXiv:2312.11875, and its published code. Differs from the code, whose quirks `compat: reference` restores:
 *
 *   - the selection's gradient is used: step 0 trains on the batch that selected. (Code: dropped; the optimizer skips
 *     the increments in step 0, so that Adam's step count stays one behind the head's.)
 *   - an update is in force from the next forward on. (Code: the increment s is added to W inside the next backward,
 *     after W was used there: every forward runs one update behind, and the last update is lost.)
 *   - every target is trained. (Code: the one whose gradient is finished last, the first in the model's order, never;
 *     but its dense gradient stays in the clipping norm.)
 *   - decay acts on the trained entries. (Code: on s, which is 0 whenever the optimizer runs: nothing happens.)
 *
 * The code decides all this per micro-batch; here, with gradient accumulation, per optimizer step (logical batch).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "methods/clip.h"
#include "methods/method.h"
#include "methods/optim.h"
#include "methods/target.h"
#include "methods/topk.h"

enum select { SELECT_GRADIENT, SELECT_RANDOM, SELECT_MAGNITUDE };
enum compat { COMPAT_PAPER, COMPAT_REFERENCE };

struct sift {
    double density;
    struct opt_strings target_modules;
    int select, compat;
    struct param **target; /* [n] in the model's order; under compat: reference target[0] only counts for clipping */
    size_t n;
    double captured;       /* share of the gradient's norm in the kept entries at selection; 0: not measured */
    real **increment;      /* compat: reference: [n] what the last step left, [0] NULL */
};

static const struct opt options[] = {
    {.name = "density", .type = OPT_REAL, .offset = offsetof(struct sift, density), .dflt = 0.008, .min = 0, .max = 1,
     .open_min = true, .help = "share of each target tensor that is trained"},
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct sift, target_modules),
     .words = "query,key,value,attention.output.dense", .help = "module names, globs, all-linear or all"},
    {.name = "select", .type = OPT_ENUM, .offset = offsetof(struct sift, select), .dflt = SELECT_GRADIENT,
     .words = "gradient|random|magnitude", .help = "what decides which entries are trained"},
    {.name = "compat", .type = OPT_ENUM, .offset = offsetof(struct sift, compat), .dflt = COMPAT_PAPER,
     .words = "paper|reference", .help = "the paper's semantics, or the published code's with its delay and losses"},
    {0},
};

/* The first target that is trained. */
static size_t first_trained(const struct sift *s) { return s->compat == COMPAT_REFERENCE; }

/* As the code counts: int(rate * numel) + 1. */
static size_t kept_entries(double density, size_t n)
{
    size_t k = (size_t)floor(density * (double)n) + 1;
    return k < n ? k : n;
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    TRY(target_params(env->model, &s->target_modules, env->at, env->arena, &s->target, &s->n, e));
    for (size_t i = 0; i < s->n; i++) {
        struct param *p = s->target[i];
        param_request(p, GRAD_ENTRIES, kept_entries(s->density, param_size(p)), 0);
        p->tapped = s->select == SELECT_GRADIENT && p->grad.form == GRAD_ENTRIES;
    }
    if (s->compat == COMPAT_REFERENCE) {
        param_request(s->target[0], GRAD_DENSE, 0, 0);
        s->target[0]->watched = true;
        s->target[0]->tapped = false;
    }
    return true;
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct sift *s = self;
    (void)env;
    if (s->compat != COMPAT_REFERENCE)
        return;
    bytes[MEM_METHOD] += mem_round(s->n * sizeof(real *));
    for (size_t i = first_trained(s); i < s->n; i++)
        bytes[MEM_METHOD] += mem_round(s->target[i]->grad.size * sizeof(real));
}

/* k of n offsets, every set equally likely, in ascending order (Knuth, vol. 2, 3.4.2, algorithm S). */
static void choose_random(struct rng *r, size_t n, size_t k, uint32_t *idx)
{
    for (size_t i = 0, found = 0; found < k; i++)
        if (rng_below(r, (uint32_t)(n - i)) < k - found)
            idx[found++] = (uint32_t)i;
}

static bool keep(struct param *p, const real *score, uint64_t seed, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    uint32_t *idx = ARENA_NEW(a, MEM_SCRATCH, uint32_t, p->grad.n, e);
    TRY(idx);
    if (score) {
        topk(score, param_size(p), p->grad.n, idx);
    } else {
        char stream[640];
        snprintf(stream, sizeof stream, "method/%s", p->name);
        struct rng r = rng_stream(seed, stream);
        choose_random(&r, param_size(p), p->grad.n, idx);
    }
    param_set_index(p, idx);
    arena_release(a, mark);
    return true;
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    if (s->compat == COMPAT_REFERENCE) {
        TRY(s->increment = ARENA_NEW(env->arena, MEM_METHOD, real *, s->n, e));
        for (size_t i = first_trained(s); i < s->n; i++)
            TRY(s->increment[i] = ARENA_NEW(env->arena, MEM_METHOD, real, s->target[i]->grad.size, e));
    }
    for (size_t i = 0; i < s->n && s->select != SELECT_GRADIENT; i++) {
        struct param *p = s->target[i];
        if (p->grad.form == GRAD_ENTRIES)
            TRY(keep(p, s->select == SELECT_MAGNITUDE ? p->w : NULL, env->seed, env->arena, e));
    }
    return true;
}

struct selection {
    struct arena *arena;
    double all, kept; /* sums of squares of the targets' gradients */
};

/* Sees the dense gradient of one target: takes the largest entries and forgets the rest. */
static bool see(void *self, const struct param *seen, const real *g, struct err *e)
{
    struct selection *sel = self;
    struct param *p = (struct param *)seen; /* one of ours: tapped by plan */
    TRY(keep(p, g, 0, sel->arena, e));
    sel->all += sum_of_squares(g, param_size(p));
    for (size_t i = 0; i < p->grad.n; i++)
        sel->kept += (double)g[p->grad.idx[i]] * (double)g[p->grad.idx[i]];
    return true;
}

static bool select_entries(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    struct selection sel = {.arena = env->arena};
    struct tap tap = {.see = see, .self = &sel};
    bool wanted = false;
    for (size_t i = 0; i < s->n; i++)
        wanted |= s->target[i]->tapped;
    if (!wanted)
        return true;
    TRY(env->probe->gradient(env->probe, &(struct probe_batch){.number = 0, .dropout = true}, &tap, NULL, e));
    for (size_t i = 0; i < s->n; i++)
        s->target[i]->tapped = false;
    s->captured = sel.all > 0 ? sqrt(sel.kept / sel.all) : 0;
    return true;
}

static void add_entry_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    real *s = (real *)u + compact;
    for (size_t i = 0; i < length; i++)
        p->w[at + i] += s[i];
}

/* compat: reference. Backward is where the code moves the last increments into the weights; in step 0 it drops the
 * gradients instead. */
static bool after_backward(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    (void)e;
    for (size_t i = first_trained(s); i < s->n && s->compat == COMPAT_REFERENCE; i++) {
        struct param *p = s->target[i];
        size_t size = p->grad.size * sizeof(real);
        if (env->step == 0)
            memset(p->grad.v, 0, size);
        param_each_run(p, add_entry_run, s->increment[i]);
        memset(s->increment[i], 0, size);
    }
    return true;
}

static bool is_target(const struct sift *s, const struct param *p)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->target[i] == p)
            return true;
    return false;
}

/* compat: reference. AdamW moves the increments, which are 0 at this point, in place of the weights. */
static bool step(void *self, struct method_env *env, double schedule, struct err *e)
{
    struct sift *s = self;
    (void)e;
    if (s->compat == COMPAT_PAPER) {
        optim_step(env->optim, schedule);
        return true;
    }
    for (size_t i = 0; i < env->model->params.n; i++)
        if (!is_target(s, env->model->params.item[i]))
            optim_step_param(env->optim, env->model->params.item[i], schedule);
    for (size_t i = first_trained(s); i < s->n && env->step > 0; i++)
        optim_step_compact(env->optim, s->target[i], s->increment[i], schedule);
    return true;
}

static void report(void *self, struct method_env *env, struct method_report *report)
{
    const struct sift *s = self;
    (void)env;
    if (s->captured > 0)
        report->add(report, "captured_norm", s->captured,
                    "norm of the kept entries' gradient at selection, as a share of the target tensors' gradient norm");
}

static void state(void *self, struct method_env *env,
                  void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    struct sift *s = self;
    char name[640];
    (void)env;
    tensor(u, "captured_norm", &s->captured, sizeof s->captured);
    for (size_t i = first_trained(s); i < s->n && s->compat == COMPAT_REFERENCE; i++) {
        snprintf(name, sizeof name, "%s/increment", s->target[i]->name);
        tensor(u, name, s->increment[i], s->target[i]->grad.size * sizeof(real));
    }
}

const struct method method_sift = {
    .name = "sift",
    .title = "SIFT",
    .knob = "density",
    .paper = "arXiv:2312.11875",
    .help = "trains the entries of the weights whose gradient is largest in the first batch",
    .options = options,
    .state_size = sizeof(struct sift),
    .plan = plan,
    .bytes = bytes,
    .attach = attach,
    .select = select_entries,
    .after_backward = after_backward,
    .step = step,
    .report = report,
    .state = state,
};
