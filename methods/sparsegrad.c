/*
 * SparseGrad: the gradients of the feed-forward weights (intermediate and output of every layer) are nearly sparse in a
 * basis that all layers share. A higher-order SVD of some first gradients gives it; from then on each step keeps the k
 * largest entries of the gradient in this basis, and moves these.
 *
 *     phase 0:  P, Q = factors of the stack of gradients, per role      (hosvd.h)
 *     step:     R = Pᵀ gW Q,   S = topk(|R|, k),   D = SparseAdam(R[S]),   W <- W + P D Qᵀ
 *
 * Source: Chekalina et al. 2024, "SparseGrad: A Selective Method for Efficient Fine-tuning of MLP Layers",
 * arXiv:2410.07383, and its published code. Differs:
 *
 *   - W stays in its own basis; its gradient is rotated, or what makes it, whichever is cheaper: see `about`.
 *   - the k entries are those of the whole step's gradient. (Code: of each micro-batch; supports add up.)
 *   - the code applies the transpose of Q, rotates the bias's gradient, keeps the steps of phase 0 and freezes
 *     LayerNorm: options, `compat: reference` sets all four.
 *   - SparseAdam's state exists for touched entries alone. (PyTorch: for all. The same numbers.)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/clip.h"
#include "methods/hosvd.h"
#include "methods/optim.h"
#include "methods/rotated_site.h"
#include "methods/sparse_step.h"
#include "methods/warmup.h"

enum basis { BASIS_HOSVD, BASIS_IDENTITY, BASIS_RANDOM };
enum orientation { ORIENT_HOSVD, ORIENT_OFFICIAL };
enum phase0 { PHASE0_FREEZE, PHASE0_UPDATE };
enum bias_grad { BIAS_CORRECT, BIAS_OFFICIAL };
enum compat { COMPAT_PAPER, COMPAT_REFERENCE };
enum { REFERENCE_BATCHES = 11 };

struct sparsegrad {
    struct mlp_options mlp;
    int basis, orientation, phase0, bias_grad, compat;
    long long phase0_batches;
    struct mlp sites;
    struct rotated_site role[MLP_ROLES];
    struct sparse_step sparse;
    real *room;           /* [sites.largest]                                      */
    double captured;      /* share of the rotated gradient's norm that the last step kept */
};

static const struct opt options[] = {
    MLP_OPTIONS(struct sparsegrad),
    {.name = "basis", .type = OPT_ENUM, .offset = offsetof(struct sparsegrad, basis), .dflt = BASIS_HOSVD,
     .words = "hosvd|identity|random", .help = "bases from the first gradients; none, or random ones (controls)"},
    {.name = "orientation", .type = OPT_ENUM, .offset = offsetof(struct sparsegrad, orientation),
     .dflt = ORIENT_HOSVD, .words = "hosvd|official", .help = "input basis as it is, or transposed as in the code"},
    {.name = "phase0", .type = OPT_ENUM, .offset = offsetof(struct sparsegrad, phase0), .dflt = PHASE0_FREEZE,
     .words = "freeze|update", .help = "gradients at fixed weights, or during dense steps whose result is kept"},
    {.name = "phase0_batches", .type = OPT_INT, .offset = offsetof(struct sparsegrad, phase0_batches), .dflt = 30,
     .min = 1, .max = 100000, .help = "training batches whose gradients make the bases"},
    {.name = "bias_grad", .type = OPT_ENUM, .offset = offsetof(struct sparsegrad, bias_grad), .dflt = BIAS_CORRECT,
     .words = "correct|official", .help = "gradient of the feed-forward biases: true, or rotated as in the code"},
    {.name = "compat", .type = OPT_ENUM, .offset = offsetof(struct sparsegrad, compat), .dflt = COMPAT_PAPER,
     .words = "paper|reference", .help = "reference: the code's choice in all that it does differently"},
    {0},
};

static const char *const role_names[] = {[MLP_INTERMEDIATE] = "intermediate", [MLP_OUTPUT] = "output"};

/* -------------------------------------------------------------------------------------------------------------------
 * Plan and memory */

static void follow_reference(struct sparsegrad *o)
{
    o->orientation = ORIENT_OFFICIAL;
    o->bias_grad = BIAS_OFFICIAL;
    o->phase0 = PHASE0_UPDATE;
    o->phase0_batches = REFERENCE_BATCHES;
    o->mlp.train_layernorm = false;
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct sparsegrad *o = self;
    if (o->compat == COMPAT_REFERENCE)
        follow_reference(o);
    TRY(mlp_plan(&o->sites, &o->mlp, env, e));
    sparse_step_plan(&o->sparse, &o->sites);
    for (int r = 0; r < MLP_ROLES; r++) /* the first layer's sites: one of each role */
        o->role[r] = (struct rotated_site){{.out = o->sites.site[r].l->out, .in = o->sites.site[r].l->in}};
    for (int l = 0; l < env->model->config.num_hidden_layers && o->basis != BASIS_IDENTITY; l++) {
        rotated_site_put(&env->model->block[l].intermediate, &o->role[MLP_INTERMEDIATE]);
        rotated_site_put(&env->model->block[l].output, &o->role[MLP_OUTPUT]);
    }
    return true;
}

static size_t square(int n) { return (size_t)n * (size_t)n; }

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct sparsegrad *o = self;
    (void)env;
    sparse_step_bytes(&o->sparse, bytes);
    bytes[MEM_SCRATCH] += mem_round(o->sites.largest * sizeof(real));
    for (int r = 0; r < MLP_ROLES && o->basis != BASIS_IDENTITY; r++)
        bytes[MEM_METHOD] += mem_round(square(o->role[r].rotation.out) * sizeof(real)) +
                             mem_round(square(o->role[r].rotation.in) * sizeof(real));
}

/* Increments in the basis of the site's role are added to its weights. */
static void add(void *self, size_t i, const uint32_t *idx, size_t k, const real *value)
{
    const struct sparsegrad *o = self;
    const struct mlp_site *s = &o->sites.site[i];
    rotate_back(&o->role[s->role].rotation, idx, k, value, s->l->w->w, o->room);
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct sparsegrad *o = self;
    TRY(sparse_step_attach(&o->sparse, env->arena, e));
    o->sparse.add = add;
    o->sparse.self = o;
    TRY(o->room = ARENA_NEW(env->arena, MEM_SCRATCH, real, o->sites.largest, e));
    for (int r = 0; r < MLP_ROLES && o->basis != BASIS_IDENTITY; r++) {
        struct rotation *t = &o->role[r].rotation;
        TRY(t->p = ARENA_NEW(env->arena, MEM_METHOD, real, square(t->out), e));
        TRY(t->q = ARENA_NEW(env->arena, MEM_METHOD, real, square(t->in), e));
    }
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Phase 0 */

struct phase {
    const struct sparsegrad *o;
    struct hosvd stack[MLP_ROLES];
};

/* Takes a matrix into its role's sums; under phase0: update other parameters come by as well. */
static bool see(void *self, const struct param *p, const real *g, struct err *e)
{
    struct phase *phase = self;
    (void)e;
    for (size_t i = 0; i < phase->o->sites.n; i++)
        if (phase->o->sites.site[i].l->w == p)
            hosvd_add(&phase->stack[phase->o->sites.site[i].role], g);
    return true;
}

static bool probe_batches(const struct sparsegrad *o, const struct method_env *env, struct tap *tap, struct err *e)
{
    bool ok = true;
    for (size_t i = 0; i < o->sites.n; i++)
        o->sites.site[i].l->w->tapped = true;
    for (long b = 0; b < o->phase0_batches && ok; b++)
        ok = env->probe->gradient(env->probe, &(struct probe_batch){.number = b, .dropout = true}, tap, NULL, e);
    for (size_t i = 0; i < o->sites.n; i++)
        o->sites.site[i].l->w->tapped = false;
    return ok;
}

/* All that is trained takes ordinary steps, the head too. */
static bool train_batches(const struct sparsegrad *o, const struct method_env *env, struct tap *tap, struct err *e)
{
    const struct param_list *params = &env->model->params;
    struct param **moved = ARENA_NEW(env->arena, MEM_SCRATCH, struct param *, params->n, e);
    size_t n = 0;
    TRY(moved);
    for (size_t i = 0; i < params->n; i++)
        if (params->item[i]->grad.form != GRAD_NONE)
            moved[n++] = params->item[i];
    struct warmup *warmup = warmup_open(env, moved, n, env->arena, e);
    TRY(warmup);
    for (long b = 0; b < o->phase0_batches; b++)
        TRY(warmup_step(warmup, b, true, tap, e));
    return true;
}

static bool find_bases(struct sparsegrad *o, const struct method_env *env, struct err *e)
{
    struct phase phase = {.o = o};
    struct tap tap = {.see = see, .self = &phase};
    for (int r = 0; r < MLP_ROLES; r++)
        TRY(hosvd_open(&phase.stack[r], o->role[r].rotation.out, o->role[r].rotation.in, env->arena, e));
    TRY(o->phase0 == PHASE0_UPDATE ? train_batches(o, env, &tap, e) : probe_batches(o, env, &tap, e));
    for (int r = 0; r < MLP_ROLES; r++)
        TRY(hosvd_bases(&phase.stack[r], o->role[r].rotation.p, o->role[r].rotation.q, env->arena, e));
    return true;
}

static bool draw_bases(struct sparsegrad *o, const struct method_env *env, struct err *e)
{
    for (int r = 0; r < MLP_ROLES; r++) {
        char stream[64];
        snprintf(stream, sizeof stream, "method/basis/%s", role_names[r]);
        struct rng rng = rng_stream(env->seed, stream);
        TRY(random_basis(o->role[r].rotation.out, &rng, o->role[r].rotation.p, env->arena, e));
        TRY(random_basis(o->role[r].rotation.in, &rng, o->role[r].rotation.q, env->arena, e));
    }
    return true;
}

static void transpose_in_place(int n, real *a)
{
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            real x = a[i * n + j];
            a[i * n + j] = a[j * n + i];
            a[j * n + i] = x;
        }
}

static bool choose_bases(struct sparsegrad *o, const struct method_env *env, struct err *e)
{
    if (o->basis == BASIS_HOSVD)
        TRY(find_bases(o, env, e));
    else if (o->phase0 == PHASE0_UPDATE)
        TRY(train_batches(o, env, NULL, e));
    if (o->basis == BASIS_RANDOM)
        TRY(draw_bases(o, env, e));
    for (int r = 0; r < MLP_ROLES && o->basis == BASIS_HOSVD && o->orientation == ORIENT_OFFICIAL; r++)
        transpose_in_place(o->role[r].rotation.in, o->role[r].rotation.q);
    return true;
}

/* The sums of gᵀg and ggᵀ of each role, and the eigenproblems that follow; attach has taken the room and the places of
 * the optimizer's groups. */
static void select_bytes(const void *self, const struct method_env *env, struct select_plan *plan)
{
    const struct sparsegrad *o = self;
    const struct param_list *all = &env->model->params;
    bool update = o->phase0 == PHASE0_UPDATE;
    if (o->basis != BASIS_HOSVD && !update)
        return;
    plan->probes = true;
    for (size_t i = 0; i < o->sites.n; i++)
        o->sites.site[i].l->w->tapped = true;
    plan->bytes[MEM_SCRATCH] += mem_round(o->sites.largest * sizeof(real));
    for (size_t i = 0; i < o->sites.n; i++)
        plan->bytes[MEM_OPTIMIZER] += param_size(o->sites.site[i].l->w) / 8 * sizeof(uint32_t);
    for (size_t i = 0; i < all->n && update; i++) {
        all->item[i]->tapped = all->item[i]->grad.form != GRAD_NONE;
        plan->warm += all->item[i]->tapped ? param_size(all->item[i]) : 0;
    }
    for (int r = 0; r < MLP_ROLES && o->basis == BASIS_HOSVD; r++) {
        int out = o->role[r].rotation.out, in = o->role[r].rotation.in;
        plan->bytes[MEM_SCRATCH] += (square(out) + square(in)) * sizeof(real);
        plan->later = hosvd_bytes((size_t)(out > in ? out : in));
    }
}

static bool select_bases(void *self, struct method_env *env, struct err *e)
{
    struct arena_mark mark = arena_mark(env->arena);
    bool ok = choose_bases(self, env, e);
    arena_release(env->arena, mark);
    return ok;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Steps */

static bool before_backward(void *self, struct method_env *env, struct err *e)
{
    struct sparsegrad *o = self;
    (void)e;
    for (int r = 0; r < MLP_ROLES && o->basis != BASIS_IDENTITY; r++)
        rotated_site_choose(&o->role[r], env->step_tokens);
    return true;
}

/* Gradients become what the optimizer is to see, so that clipping measures that. */
static bool after_backward(void *self, struct method_env *env, struct err *e)
{
    struct sparsegrad *o = self;
    double all = 0, kept = 0;
    (void)env, (void)e;
    for (size_t i = 0; i < o->sites.n; i++) {
        const struct mlp_site *s = &o->sites.site[i];
        rotated_site_finish(&o->role[s->role], s->l->w->grad.v, o->room);
        all += sum_of_squares(s->l->w->grad.v, s->l->w->grad.size);
        sparse_step_keep(&o->sparse, i);
        kept += sum_of_squares(s->l->w->grad.v, s->l->w->grad.size);
        if (o->bias_grad == BIAS_OFFICIAL)
            rotate_out(&o->role[s->role].rotation, s->l->b->grad.v, o->room);
    }
    o->captured = all > 0 ? sqrt(kept / all) : 0;
    return true;
}

static bool step(void *self, struct method_env *env, double schedule, struct err *e)
{
    struct sparsegrad *o = self;
    optim_step(env->optim, schedule);
    return sparse_step(&o->sparse, env, schedule, e);
}

static double step_flops(const void *self, const struct method_env *env)
{
    const struct sparsegrad *o = self;
    double sum = 0;
    for (size_t i = 0; i < o->sites.n && o->basis != BASIS_IDENTITY; i++) {
        const struct mlp_site *s = &o->sites.site[i];
        sum += rotated_site_flops(&o->role[s->role], (double)env->step_tokens) +
               rotation_back_flops(&o->role[s->role].rotation, s->k);
    }
    return sum;
}

static void report(void *self, struct method_env *env, struct method_report *report)
{
    const struct sparsegrad *o = self;
    size_t all = 0;
    (void)env;
    for (size_t i = 0; i < o->sites.n; i++)
        all += o->sites.size[i];
    if (o->captured > 0)
        report->add(report, "captured_norm", o->captured,
                    "norm of the last step's kept entries, as a share of the feed-forward weights' gradient norm");
    report->add(report, "state_share", (double)lazy_adam_entries(o->sparse.adam) / (double)all,
                "share of the feed-forward weights' entries that optimizer state is stored for");
}

static void state(void *self, struct method_env *env,
                  void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    struct sparsegrad *o = self;
    char name[64];
    (void)env;
    tensor(u, "captured_norm", &o->captured, sizeof o->captured);
    for (int r = 0; r < MLP_ROLES && o->basis != BASIS_IDENTITY; r++) {
        const struct rotation *t = &o->role[r].rotation;
        snprintf(name, sizeof name, "basis/%s/out", role_names[r]);
        tensor(u, name, t->p, square(t->out) * sizeof(real));
        snprintf(name, sizeof name, "basis/%s/in", role_names[r]);
        tensor(u, name, t->q, square(t->in) * sizeof(real));
    }
    lazy_adam_state(o->sparse.adam, tensor, u);
}

const struct method method_sparsegrad = {
    .name = "sparsegrad",
    .title = "SparseGrad",
    .paper = "arXiv:2410.07383",
    .help = "trains the feed-forward weights where the step's gradient is largest in a basis found from the first "
            "gradients, all else densely",
    .about =
        "Phase 0 stacks the gradients of the feed-forward weights of all layers over `phase0_batches` batches, one "
        "stack for the intermediate and one for the output matrices, and takes the two orthogonal factors of its "
        "higher-order SVD: P, the eigenvectors of sum G G^T, and Q, those of sum G^T G, the strongest first. Matrices "
        "are added to the two sums as a tap shows them; the stack never exists. From then on each step takes "
        "R = P^T gW Q, keeps its k entries of largest magnitude, S = topk(|R|, k), gives them to SparseAdam "
        "(m += (1-b1)(g-m), v += (1-b2)(g^2-v), D = -lr sqrt(1-b2^t)/(1-b1^t) m/(sqrt(v)+eps) on S alone, t counted "
        "per matrix, no decay) and moves W <- W + P D Q^T. Everything else is trained densely by the training's "
        "optimizer, the matrices' biases included; with `train_rest: false` all but the matrices and their biases is "
        "frozen. Every weight counts as trained whatever k is: there is no knob for a budget. Betas, eps and learning "
        "rate are the training's; where its optimizer is SGD, the k entries take plain SGD steps.\n\n"
        "`k` counts entries per matrix (28,000 of 768 x 3072 on base models, 50,000 of 1024 x 4096 on large ones); "
        "without it `density` gives the former share of any shape. Phase 0 takes 30 batches as the paper says (the "
        "code: 11) at fixed weights, training batches 0 to 29 with their dropout; `phase0: update` takes full "
        "fine-tuning steps at the peak learning rate meanwhile, whose result is kept, as the code does. `basis: "
        "identity` (no change of basis) and `basis: random` are controls.\n\n"
        "Where the published code differs: it applies the transpose of Q, which is orthogonal but not the basis that "
        "was found (`orientation: official`); it rotates the gradient of the bias, which lives in the output's own "
        "basis (`bias_grad: official`); it keeps the steps of phase 0; its optimizer groups leave LayerNorm out, "
        "which freezes it (`train_layernorm: false`; the paper trains everything else, and so does the default). "
        "`compat: reference` sets all four and 11 batches, whatever these options say. The signs of eigenvectors, "
        "which LAPACK is free to choose, do not matter: they change signs of rows and columns of R, and top-k and Adam "
        "do not mind. With the code's orientation, or its bias gradient, they do, and the largest component of each is "
        "made positive. Decisions of ours: exactly k entries (there `>=` the k-th), of the gradient of the whole "
        "optimizer step (there of every micro-batch); what is frozen afterwards does not move in phase 0.\n\n"
        "Cost. The paper rotates activations: 2 T (in^2 + out^2) operations more in forward and again in backward for "
        "T tokens. Here W stays as it is, forward and dX cost nothing more, and each side of the gradient is rotated "
        "where that is cheaper: P on dY (2 T out^2) if T < in, else on gW (2 out^2 in); Q on X (2 T in^2) if T < out, "
        "else on gW (2 out in^2), with T the tokens of the step. The increment comes back through the larger basis "
        "first, 2 k max(in, out) + 2 in out min(in, out). The same numbers, without any drift of W. For bert-base and "
        "a step of T = 4096 tokens, which takes 2.15 TFLOP in full fine-tuning, that is .44 + .09 TFLOP for the 24 "
        "matrices against 3.9 TFLOP on activations; at T = 128 it is .06 + .09 against .12. "
        "Memory: the matrices' gradients are dense (a step "
        "adds up over pieces), the bases take in^2 + out^2 numbers per role (80 MB for bert-base), the optimizer keeps "
        "m and v in groups of eight neighbours where a gradient was ever kept: `plan` states what all groups would "
        "need, a run reports `state_share`.\n\n",
    .options = options,
    .state_size = sizeof(struct sparsegrad),
    .plan = plan,
    .bytes = bytes,
    .grows = true,
    .step_flops = step_flops,
    .attach = attach,
    .select_bytes = select_bytes,
    .select = select_bases,
    .before_backward = before_backward,
    .after_backward = after_backward,
    .step = step,
    .report = report,
    .state = state,
};
