/*
 * SIFT, sparse increment fine-tuning: of each target tensor the k = min(floor(density n) + 1, n) entries with the
 * largest gradient in the first batch are trained, all else is frozen. Gradient, optimizer state and increment exist
 * for these entries alone.
 *
 *     I = topk(|g_0|, k);   per step: g_s = (dL/dW)[I],  W[I] += AdamW(g_s)
 *
 * Source: Song, Li, Zhang, Zhao, Du 2024, "Sparse is Enough in Fine-tuning Pre-trained Large Language Models",
 * arXiv:2312.11875, and its published code. Differs from the code, whose quirks `compat: reference` restores
 * (sift_reference.c):
 *
 *   - the selection's gradient is used: step 0 trains on the batch that selected. (Code: dropped.)
 *   - an update is in force from the next forward on. (Code: one step later, and the last one is lost.)
 *   - every target is trained. (Code: all but one, whose gradient still counts for clipping.)
 *   - decay acts on the trained entries. (Code: on the increment, which is 0 whenever the optimizer runs.)
 *
 * Ours are the controls of `select` (sift_select.c), the ranking over all tensors, and `refresh_every`
 * (sift_refresh.c).
 */
#include "methods/sift.h"

#include <math.h>
#include <string.h>

#include "methods/optim.h"
#include "methods/target.h"

enum { MANY = 1000000000 };

static const struct opt options[] = {
    {.name = "density", .type = OPT_REAL, .offset = offsetof(struct sift, density), .dflt = 0.008, .min = 0, .max = 1,
     .open_min = true, .help = "share of each target tensor that is trained"},
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct sift, target_modules),
     .words = "query,key,value,attention.output.dense", .help = "module names, globs, all-linear or all"},
    {.name = "bias", .type = OPT_BOOL, .offset = offsetof(struct sift, bias), .dflt = 1,
     .help = "biases of the targets too, as in the code; false: weights alone"},
    {.name = "select", .type = OPT_ENUM, .offset = offsetof(struct sift, select), .dflt = SIFT_GRADIENT,
     .words = SIFT_SELECT_WORDS, .help = "what decides which entries are trained; all but gradient are controls"},
    {.name = "ranking", .type = OPT_ENUM, .offset = offsetof(struct sift, ranking), .dflt = SIFT_RANK_TENSOR,
     .words = "tensor|global", .help = "the largest of each tensor, or as many of all together (decision of ours)"},
    {.name = "select_batches", .type = OPT_INT, .offset = offsetof(struct sift, select_batches), .dflt = 1, .min = 1,
     .max = MANY, .help = "batches whose mean gradient selects (the code: 1); more than 1 holds it densely meanwhile"},
    {.name = "select_examples", .type = OPT_INT, .offset = offsetof(struct sift, select_examples), .dflt = 256,
     .min = 1, .max = MANY, .help = "select fisher: single examples whose squared gradients are summed"},
    {.name = "select_after", .type = OPT_INT, .offset = offsetof(struct sift, select_after), .dflt = 0, .min = 0,
     .max = MANY, .help = "steps of the head alone before the selection, taken back after it (decision of ours)"},
    {.name = "select_dropout", .type = OPT_BOOL, .offset = offsetof(struct sift, select_dropout), .dflt = 1,
     .help = "dropout in the passes that select, as in the code"},
    {.name = "refresh_every", .type = OPT_INT, .offset = offsetof(struct sift, refresh_every), .dflt = 0, .min = 0,
     .max = MANY, .help = "select again at every such step, on its batch; 0: never, as in the paper"},
    {.name = "compat", .type = OPT_ENUM, .offset = offsetof(struct sift, compat), .dflt = SIFT_PAPER,
     .words = "paper|reference", .help = "the paper's semantics, or the published code's with its delay and losses"},
    {0},
};

/* -------------------------------------------------------------------------------------------------------------------
 * Plan */

/* As the code counts: int(rate * numel) + 1. */
static size_t kept_entries(double density, size_t n)
{
    size_t k = (size_t)floor(density * (double)n) + 1;
    return k < n ? k : n;
}

static bool check_compat(const struct sift *s, const struct method_env *env, struct err *e)
{
    if (s->compat == SIFT_PAPER)
        return true;
    if (s->ranking == SIFT_RANK_GLOBAL)
        return method_wrong(env, "ranking", e,
                            "compat: reference ranks each tensor by itself; write `ranking: tensor`");
    if (s->select == SIFT_ALLOCATION)
        return method_wrong(env, "select", e,
                            "compat: reference has no ranking over all tensors, which allocation needs");
    if (s->refresh_every > 0)
        return method_wrong(env, "refresh_every", e, "compat: reference selects once; write `refresh_every: 0`");
    return true;
}

static bool choose_targets(struct sift *s, struct method_env *env, struct err *e)
{
    size_t n;
    TRY(target_params(env->model, &s->target_modules, env->at, env->arena, &s->target, &n, e));
    for (size_t i = 0; i < n; i++)
        if (s->bias || !target_is_bias(s->target[i]))
            s->target[s->n++] = s->target[i];
    return s->n > 0 || method_wrong(env, "bias", e, "bias is false, and target_modules names nothing but biases");
}

/* compat: reference: the first target is not among those that are trained. */
static void starve_first(struct sift *s)
{
    s->starved = s->target[0];
    param_request(s->starved, GRAD_DENSE, 0, 0);
    s->starved->watched = true;
    s->target++;
    s->n--;
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    s->overlap = NAN;
    TRY(check_compat(s, env, e) && choose_targets(s, env, e));
    if (s->compat == SIFT_REFERENCE)
        starve_first(s);
    env->probes = s->refresh_every > 0 && s->select != SIFT_RANDOM && s->select != SIFT_MAGNITUDE &&
                  s->select != SIFT_ALLOCATION;
    for (size_t i = 0; i < s->n; i++) {
        struct param *p = s->target[i];
        size_t k = kept_entries(s->density, param_size(p));
        if (sift_pools(s))
            param_request_pooled(p, GRAD_ENTRIES, k, 0);
        else
            param_request(p, GRAD_ENTRIES, k, 0);
    }
    return true;
}

/* Its mask may move. */
static bool moves(const struct sift *s, const struct param *p)
{
    return s->refresh_every > 0 && (p->grad.form == GRAD_ENTRIES || p->pooled != GRAD_NONE);
}

/* What a refresh takes while training's own buffers live, by what is large: the old masks, one tensor's gradient and
 * its scores, or the sums of all. */
static size_t refresh_scratch(const struct sift *s, const struct method_env *env)
{
    size_t masks = 0, sums = 0, largest = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t n = param_size(s->target[i]);
        masks += mem_round(s->target[i]->grad.n * sizeof(uint32_t));
        sums += mem_round(n * sizeof(real));
        largest = n > largest ? n : largest;
    }
    bool scores = s->select == SIFT_SNIP || s->select == SIFT_BOTTOM || s->select == SIFT_OUTER;
    bool summed = s->select == SIFT_FISHER || s->select_batches > 1;
    size_t dense = env->probes ? 1 + scores : 0;
    return masks + dense * mem_round(largest * sizeof(real)) + (env->probes && summed ? sums : 0);
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct sift *s = self;
    for (size_t i = 0; i < s->n; i++)
        if (moves(s, s->target[i]))
            bytes[MEM_METHOD] += mem_round(param_touched_bytes(s->target[i]));
    if (s->refresh_every > 0)
        bytes[MEM_SCRATCH] += refresh_scratch(s, env);
    if (s->compat == SIFT_REFERENCE)
        sift_reference_bytes(s, bytes);
}

/* Fisher's examples go through one by one. A head start (select_after) adds what is small. */
static void select_bytes(const void *self, const struct method_env *env, struct select_plan *plan)
{
    const struct sift *s = self;
    bool summed = s->select == SIFT_FISHER || s->select_batches > 1;
    bool scores = s->select == SIFT_SNIP || s->select == SIFT_BOTTOM || s->select == SIFT_OUTER;
    bool blind = s->select == SIFT_MAGNITUDE || s->select == SIFT_RANDOM;
    (void)env;
    plan->probes = !blind && s->select != SIFT_FISHER;
    size_t largest = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t n = param_size(s->target[i]);
        s->target[i]->tapped = !blind;
        largest = n > largest ? n : largest;
        plan->bytes[MEM_SCRATCH] += !blind && summed ? mem_round(n * sizeof(real)) : 0;
        if (sift_pools(s))
            plan->bytes[MEM_SCRATCH] += s->target[i]->grad.size * (sizeof(real) + sizeof(uint32_t));
    }
    plan->bytes[MEM_SCRATCH] += scores ? mem_round(largest * sizeof(real)) : 0;
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    for (size_t i = 0; i < s->n; i++) {
        struct param *p = s->target[i];
        if (moves(s, p))
            TRY(p->touched = ARENA_NEW(env->arena, MEM_METHOD, uint8_t, param_touched_bytes(p), e));
    }
    return s->compat == SIFT_PAPER || sift_reference_attach(s, env, e);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Hooks of a run */

static bool select_entries(void *self, struct method_env *env, struct err *e) { return sift_select(self, env, e); }

static bool before_backward(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    if (s->refresh_every == 0 || env->step == 0 || env->step % s->refresh_every != 0)
        return true;
    return sift_refresh(s, env, e);
}

static bool after_backward(void *self, struct method_env *env, struct err *e)
{
    struct sift *s = self;
    (void)e;
    if (s->compat == SIFT_REFERENCE)
        sift_reference_after_backward(s, env);
    return true;
}

static bool step(void *self, struct method_env *env, double schedule, struct err *e)
{
    struct sift *s = self;
    (void)e;
    if (s->compat == SIFT_REFERENCE)
        sift_reference_step(s, env, schedule);
    else
        optim_step(env->optim, schedule);
    return true;
}

static void report(void *self, struct method_env *env, struct method_report *report)
{
    const struct sift *s = self;
    (void)env;
    if (s->captured > 0)
        report->add(report, "captured_norm", s->captured,
                    "norm of the kept entries' gradient at selection, as a share of the target tensors' gradient norm");
    if (!isnan(s->overlap))
        report->add(report, "mask_overlap", s->overlap, "share of the trained entries that the last refresh kept");
}

static void state(void *self, struct method_env *env,
                  void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    struct sift *s = self;
    (void)env;
    tensor(u, "captured_norm", &s->captured, sizeof s->captured);
    tensor(u, "mask_overlap", &s->overlap, sizeof s->overlap);
    if (s->compat == SIFT_REFERENCE)
        sift_reference_state(s, tensor, u);
}

static const char about[] =
    "Of each target tensor with n entries the k = min(floor(density n) + 1, n) with the largest gradient in the first "
    "batch are trained, all else is frozen:\n\n"
    "    I = topk(|g_0|, k)      once, before step 0\n"
    "    g_s = (dL/dW)[I]        every step: gradient, clipping and optimizer know these entries alone\n"
    "    W[I] <- W[I] + AdamW(g_s)\n\n"
    "A module stands for its weight and its bias, as in the code; `bias: false` leaves biases out. Step 0 trains on "
    "the batch that selected.\n\n"
    "`select` replaces the gradient by a control with the same budget: `fisher`, the sum of g² over `select_examples` "
    "single examples with their own labels (the mask of Sung, Nair and Raffel 2021, arXiv:2111.09839); `snip`, |w g| "
    "(Lee, Ajanthan and Torr 2019, arXiv:1810.02340); `magnitude`, |w|; `random`; `bottom`, the smallest |g|; "
    "`outer`, the product of the norms of g's row and column, what a rank-1 gradient would have there; `permuted`, "
    "the gradient's mask with its rows and columns in random order; `allocation`, for each tensor as many entries as "
    "the global ranking of |g| gives it, at random places. Of equal scores the smaller offset wins. Decisions of "
    "ours: which controls there are; that several batches (`select_batches`) are ranked by the magnitude of their "
    "summed gradient; the default of `select_examples`, of which no more are taken than the training set has; that "
    "`outer` and `permuted` take 1-D tensors as one row.\n\n"
    "`ranking: global` (decision of ours) spends the same number of entries on the largest scores of all targets "
    "together; a tensor may come out frozen. `select_after: N` (decision of ours) selects with a head that has taken "
    "N steps of its own, on the batches that follow `select_batches`, at the run's peak learning rate; it is then put "
    "back, so that only the mask differs. `select_dropout: false` selects without dropout.\n\n"
    "`refresh_every: N` selects again at steps N, 2N, ... on that step's batch, before its gradients (decisions of "
    "ours: entries in both masks keep their optimizer state, new ones start at zero, those that leave keep the value "
    "they have reached, every tensor keeps the count of the first selection, random masks are drawn anew, and the "
    "head start is not repeated).\n\n"
    "The published code differs; `compat: reference` does as it does. It drops the selection's gradient; every "
    "forward runs one update behind, and the last update is lost; the tensor whose gradient comes last is never "
    "trained, though its dense gradient counts for clipping; weight decay acts on an increment that is 0 when the "
    "optimizer runs, so it does nothing. The code takes the first micro-batch for all this; with gradient "
    "accumulation we take the whole step's batch (decision of ours).\n\n"
    "Reported: `captured_norm`, the share of the gradient's norm in the kept entries at selection (where the gradient "
    "itself was seen), and `mask_overlap`, the share of entries that the last refresh kept.\n\n";

const struct method method_sift = {
    .name = "sift",
    .title = "SIFT",
    .paper = "arXiv:2312.11875",
    .help = "trains the entries of the weights whose gradient is largest in the first batch",
    .about = about,
    .knob = "density",
    .options = options,
    .state_size = sizeof(struct sift),
    .plan = plan,
    .bytes = bytes,
    .select_bytes = select_bytes,
    .attach = attach,
    .select = select_entries,
    .before_backward = before_backward,
    .after_backward = after_backward,
    .step = step,
    .report = report,
    .state = state,
};
