/*
 * SMT, sparse matrix tuning: the weights of attention and feed-forward network are cut into square blocks, the blocks
 * with the largest gradients over some first batches are trained, all else is frozen.
 *
 *     S = sum over warmup_steps batches of dL/dW;   score of a block = mean of |S| over it
 *     per step: W[block] += AdamW(dy[:, rows]ᵀ x[:, columns]) for the n best blocks of each pool
 *
 * Source: He, Li, Jiang, Miller 2024, "Sparse Matrix in Large Language Model Fine-tuning", arXiv:2405.15525, and its
 * published code. Differs from the code:
 *
 *   - S is taken at the pretrained weights. (Code: during warmup_steps steps of full fine-tuning, which all weights
 *     keep: `compat: reference`.)
 *   - a block has mean |S|, as the paper says. (Code's default: |mean S|, `score: mean_abs`; it ignores the option for
 *     attention.)
 *   - n counts blocks of the target matrices alone. (Code: a ratio of all blocks, embeddings included.)
 *   - sides that 256 does not divide get smaller blocks. (Code: not supported.)
 */
#include <math.h>
#include <stdio.h>

#include "methods/block_score.h"
#include "methods/sweep.h"
#include "methods/target.h"
#include "methods/topk.h"

enum { LARGEST_BLOCK = 256 };
enum ranking { RANKING_GLOBAL, RANKING_MATRIX };
enum pools { POOLS_SEPARATE, POOLS_MIXTURE };
enum compat { COMPAT_PAPER, COMPAT_REFERENCE };
enum role { ROLE_QUERY, ROLE_KEY, ROLE_VALUE, ROLE_INTERMEDIATE, ROLE_OUTPUT, ROLES };

struct site {
    struct param *w;
    enum role role;
    int pool;       /* 0, or 1 for the feed-forward network's own */
    size_t blocks;  /* of the matrix                              */
};

/* Matrices that compete for blocks. */
struct block_pool {
    size_t matrices, blocks, keep;
};

struct smt {
    struct opt_strings target_modules;
    double density;
    long long blocks, block, warmup_steps;
    int score, ranking, pools, compat;
    struct site *site;            /* [n] */
    size_t n;
    int side;                     /* of a block */
    struct block_pool pool[2];
};

#define AT(field) .offset = offsetof(struct smt, field)
static const struct opt options[] = {
    {.name = "density", .type = OPT_REAL, AT(density), .dflt = 0.0084, .min = 0, .max = 1, .open_min = true,
     .help = "share of the target matrices' blocks that is trained, rounded down, but at least one block"},
    {.name = "blocks", .type = OPT_INT, AT(blocks), .dflt = 0, .min = 1, .max = 1e9, .nullable = true,
     .help = "number of blocks, in place of density"},
    {.name = "block", .type = OPT_INT, AT(block), .dflt = 0, .min = 1, .max = 65536, .nullable = true,
     .help = "side of a block; none: the largest up to 256 that divides all sides"},
    {.name = "warmup_steps", .type = OPT_INT, AT(warmup_steps), .dflt = 100, .min = 0, .max = 1e9,
     .help = "training batches whose gradients are summed for the scores"},
    {.name = "score", .type = OPT_ENUM, AT(score), .dflt = BLOCK_ABS_MEAN, .words = BLOCK_SCORE_WORDS,
     .help = "of a block of summed gradients"},
    {.name = "ranking", .type = OPT_ENUM, AT(ranking), .dflt = RANKING_GLOBAL, .words = "global|matrix",
     .help = "over all matrices of a pool, or equally many blocks of each"},
    {.name = "pools", .type = OPT_ENUM, AT(pools), .dflt = POOLS_SEPARATE, .words = "separate|mixture",
     .help = "query, key, value and the feed-forward network apart, or together"},
    {.name = "target_modules", .type = OPT_STRINGS, AT(target_modules),
     .words = "query,key,value,intermediate.dense,output.dense",
     .help = "linear modules: names, globs or all-linear; attention.output.dense is always left out"},
    {.name = "compat", .type = OPT_ENUM, AT(compat), .dflt = COMPAT_PAPER, .words = "paper|reference",
     .help = "gradients at fixed weights, or during dense steps of all weights whose result is kept"},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Plan */

/* ROLES for attention.output.dense. */
static enum role role_of(const struct model *m, const struct linear *l)
{
    const struct block *b = &m->block[l->layer];
    const struct linear *of[ROLES] = {&b->query, &b->key, &b->value, &b->intermediate, &b->output};
    int r = 0;
    while (r < ROLES && of[r] != l)
        r++;
    return (enum role)r;
}

static void add_site(struct smt *s, struct linear *l, enum role role)
{
    int pool = s->pools == POOLS_SEPARATE && role >= ROLE_INTERMEDIATE;
    s->site[s->n++] = (struct site){.w = l->w, .role = role, .pool = pool};
    s->pool[pool].matrices++;
}

static bool find_sites(struct smt *s, const struct method_env *env, struct err *e)
{
    struct linear **found;
    size_t n;
    TRY(target_linears(env->model, &s->target_modules, env->at, env->arena, &found, &n, e));
    TRY(s->site = ARENA_NEW(env->arena, MEM_METHOD, struct site, n, e));
    for (size_t i = 0; i < n; i++)
        if (role_of(env->model, found[i]) != ROLES)
            add_site(s, found[i], role_of(env->model, found[i]));
    if (s->n == 0)
        return method_wrong(env, "target_modules", e, "smt leaves attention.output.dense out, and target_modules names "
                            "nothing else; valid are query, key, value, intermediate.dense, output.dense");
    return true;
}

static int common_divisor(int a, int b)
{
    while (b) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* "1, 2, 4, 8" */
static const char *divisors(int n, struct arena *a, struct err *e)
{
    const char *text = "1";
    for (int d = 2; text && d <= n; d++)
        if (n % d == 0)
            text = arena_printf(a, e, "%s, %d", text, d);
    return text;
}

static bool choose_side(struct smt *s, const struct method_env *env, struct err *e)
{
    int common = 0;
    for (size_t i = 0; i < s->n; i++)
        common = common_divisor(common_divisor(common, s->site[i].w->rows), s->site[i].w->cols);
    s->side = s->block ? (int)s->block : common < LARGEST_BLOCK ? common : LARGEST_BLOCK;
    while (!s->block && common % s->side)
        s->side--;
    if (common % s->side == 0)
        return true;
    const char *valid = divisors(common, env->arena, e);
    TRY(valid);
    return method_wrong(env, "block", e, "block is %lld, which does not divide all sides of the target matrices; valid "
                        "are %s", s->block, valid);
}

static void count_blocks(struct smt *s)
{
    for (size_t i = 0; i < s->n; i++) {
        s->site[i].blocks = param_units(s->site[i].w, GRAD_BLOCKS, s->side);
        s->pool[s->site[i].pool].blocks += s->site[i].blocks;
    }
}

/* Blocks that are trained: to each pool its share of them, rounded to the nearest number. */
static bool share_out(struct smt *s, const struct method_env *env, struct err *e)
{
    size_t all = s->pool[0].blocks + s->pool[1].blocks, n = (size_t)s->blocks;
    if (n > all)
        return method_wrong(env, "blocks", e, "blocks is %zu; the target matrices have %zu of %d x %d, so blocks is at "
                            "most %zu", n, all, s->side, s->side, all);
    if (n == 0)
        n = (size_t)floor(s->density * (double)all);
    n = n ? n : 1;
    s->pool[0].keep = (2 * n * s->pool[0].blocks + all) / (2 * all);
    s->pool[1].keep = n - s->pool[0].keep;
    return true;
}

/* ranking: matrix. Equally many blocks of each matrix of a pool. */
static bool per_matrix(struct smt *s, const struct method_env *env, struct err *e)
{
    for (int i = 0; i < 2; i++) {
        struct block_pool *p = &s->pool[i];
        if (s->blocks && p->keep < p->matrices)
            return method_wrong(env, "blocks", e, "blocks is %lld, less than one for each of %zu matrices; ranking: "
                                "matrix needs at least %zu", s->blocks, s->n, s->n);
        p->keep = !p->matrices ? 0 : p->keep < p->matrices ? 1 : p->keep / p->matrices;
    }
    for (size_t i = 0; i < s->n; i++) {
        size_t keep = s->pool[s->site[i].pool].keep;
        param_request(s->site[i].w, GRAD_BLOCKS, keep < s->site[i].blocks ? keep : s->site[i].blocks, s->side);
    }
    return true;
}

/* ranking: global. Until the probes have spoken, blocks are spread evenly. */
static size_t share(const struct block_pool *p, size_t of) { return (p->keep * of + p->blocks - 1) / p->blocks; }

static void per_pool(struct smt *s)
{
    size_t before[2] = {0};
    for (size_t i = 0; i < s->n; i++) {
        const struct block_pool *p = &s->pool[s->site[i].pool];
        size_t *at = &before[s->site[i].pool], end = *at + s->site[i].blocks;
        param_request_pooled(s->site[i].w, GRAD_BLOCKS, share(p, end) - share(p, *at), s->side);
        *at = end;
    }
}

/* Is every block trained? */
static bool keeps_all(const struct smt *s)
{
    bool all = true;
    for (size_t i = 0; i < s->n; i++)
        all &= s->site[i].w->grad.form == GRAD_DENSE;
    return all;
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct smt *s = self;
    TRY(find_sites(s, env, e) && choose_side(s, env, e));
    count_blocks(s);
    TRY(share_out(s, env, e));
    if (s->ranking == RANKING_MATRIX)
        TRY(per_matrix(s, env, e));
    else
        per_pool(s);
    if (s->warmup_steps == 0 && !keeps_all(s))
        return method_wrong(env, "warmup_steps", e, "warmup_steps is 0; without a gradient blocks cannot be ranked: "
                            "give at least 1, or train all blocks");
    for (size_t i = 0; s->compat == COMPAT_REFERENCE && i < env->model->params.n; i++)
        env->model->params.item[i]->moved = s->warmup_steps > 0;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Select */

static struct param **weights(const struct smt *s, struct arena *a, struct err *e)
{
    struct param **w = ARENA_NEW(a, MEM_SCRATCH, struct param *, s->n, e);
    for (size_t i = 0; w && i < s->n; i++)
        w[i] = s->site[i].w;
    return w;
}

/* compat: reference. All weights, the head's too, take the steps of full fine-tuning meanwhile. */
static real **gradient_sums(const struct smt *s, const struct method_env *env, struct err *e)
{
    const struct param_list *all = &env->model->params;
    struct sweep sweep = {.target = weights(s, env->arena, e), .n = s->n, .unit = SWEEP_BATCHES,
                          .count = (long)s->warmup_steps, .dropout = true};
    TRY(sweep.target);
    if (s->compat == COMPAT_REFERENCE)
        TRY(sweep.warmup = warmup_open(env, all->item, all->n, env->arena, e));
    return sweep_gradients(env, &sweep, env->arena, e);
}

/* What was chosen of each matrix. */
struct choice {
    const real *score; /* [blocks]                     */
    uint32_t *idx;     /* [blocks] room, n are filled  */
    size_t n;
};

static bool score_all(const struct smt *s, const struct method_env *env, real **sum, struct choice *c, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct site *x = &s->site[i];
        real *score = ARENA_NEW(env->arena, MEM_SCRATCH, real, x->blocks, e);
        TRY(score && (c[i].idx = ARENA_NEW(env->arena, MEM_SCRATCH, uint32_t, x->blocks, e)));
        block_scores((enum block_score)s->score, sum[i], x->w->rows, x->w->cols, s->side, score);
        c[i].score = score;
    }
    return true;
}

/* The best blocks of a pool over all its matrices. */
static bool rank_pool(const struct smt *s, int pool, struct choice *c, struct arena *a, struct err *e)
{
    struct topk_span *span = ARENA_NEW(a, MEM_SCRATCH, struct topk_span, s->n, e);
    size_t n = 0;
    TRY(span);
    for (size_t i = 0; i < s->n; i++)
        if (s->site[i].pool == pool)
            span[n++] = (struct topk_span){c[i].score, s->site[i].blocks};
    struct topk_cut cut = topk_find_cut(span, n, s->pool[pool].keep);
    for (size_t i = 0; i < s->n; i++)
        for (size_t b = 0; s->site[i].pool == pool && b < s->site[i].blocks; b++)
            if (topk_keeps(&cut, c[i].score[b]))
                c[i].idx[c[i].n++] = (uint32_t)b;
    return true;
}

static bool deal(const struct smt *s, const struct method_env *env, const struct choice *c, struct err *e)
{
    struct param_list *list = &env->model->params;
    size_t *n = ARENA_NEW(env->arena, MEM_SCRATCH, size_t, list->n, e);
    TRY(n);
    for (size_t i = 0; i < s->n; i++)
        n[param_number(list, s->site[i].w)] = c[i].n;
    param_deal(list, n);
    return true;
}

static bool choose_blocks(const struct smt *s, const struct method_env *env, real **sum, struct err *e)
{
    struct choice *c = ARENA_NEW(env->arena, MEM_SCRATCH, struct choice, s->n, e);
    TRY(c && score_all(s, env, sum, c, e));
    if (s->ranking == RANKING_GLOBAL) {
        TRY(rank_pool(s, 0, c, env->arena, e) && rank_pool(s, 1, c, env->arena, e));
        TRY(deal(s, env, c, e));
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->ranking == RANKING_MATRIX)
            topk(c[i].score, s->site[i].blocks, s->site[i].w->grad.n, c[i].idx);
        param_set_index(s->site[i].w, c[i].idx);
    }
    return true;
}

/* compat: reference warms up the whole model. */
static void select_bytes(const void *self, const struct method_env *env, struct select_plan *plan)
{
    const struct smt *s = self;
    const struct param_list *all = &env->model->params;
    bool reference = s->compat == COMPAT_REFERENCE;
    if (s->warmup_steps == 0 || (!reference && keeps_all(s)))
        return;
    plan->probes = true;
    for (size_t i = 0; i < all->n && reference; i++) {
        all->item[i]->tapped = true;
        plan->warm += param_size(all->item[i]);
    }
    for (size_t i = 0; i < s->n; i++) {
        s->site[i].w->tapped = true;
        plan->bytes[MEM_SCRATCH] += mem_round(param_size(s->site[i].w) * sizeof(real));
    }
}

static bool select_blocks(void *self, struct method_env *env, struct err *e)
{
    const struct smt *s = self;
    struct arena_mark mark = arena_mark(env->arena);
    if (s->warmup_steps == 0 || (s->compat == COMPAT_PAPER && keeps_all(s)))
        return true;
    real **sum = gradient_sums(s, env, e);
    TRY(sum && choose_blocks(s, env, sum, e));
    arena_release(env->arena, mark);
    return true;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void report(void *self, struct method_env *env, struct method_report *report)
{
    static const char *const word[ROLES] = {"query", "key", "value", "intermediate", "output"};
    const struct smt *s = self;
    (void)env;
    for (int role = 0; role < ROLES; role++) {
        size_t kept = 0, all = 0;
        char name[32];
        for (size_t i = 0; i < s->n; i++)
            if ((int)s->site[i].role == role) {
                all += s->site[i].blocks;
                kept += s->site[i].w->grad.form == GRAD_DENSE ? s->site[i].blocks : s->site[i].w->grad.n;
            }
        snprintf(name, sizeof name, "blocks_%s", word[role]);
        if (all)
            report->add(report, name, (double)kept, "trained blocks in these matrices of all layers");
    }
}

const struct method method_smt = {
    .name = "smt",
    .title = "SMT",
    .paper = "arXiv:2405.15525",
    .help = "trains the square blocks of the weights whose summed gradient is largest",
    .about =
        "The weights of query, key, value and the feed-forward network are cut into blocks of 256 x 256; "
        "attention.output.dense, embeddings, LayerNorms and biases stay as they are. The gradients of the first "
        "`warmup_steps` training batches (100, with dropout) are summed, S = sum of dL/dW, a block's score is "
        "the mean of |S| over it, and the blocks with the highest scores are trained: W[block] <- W[block] + "
        "AdamW(dy[:, rows]^T x[:, columns]). Gradients and optimizer state exist for these blocks alone; the "
        "sums are dense scratch that ends with the selection. Of equal scores the block that comes first "
        "wins.\n\n"
        "**How many.** `density` is the share of the target matrices' blocks (rounded down, at least one); "
        "`blocks` the number itself. (The code takes a share of all blocks of the model, embeddings included: "
        ".0084 of LLaMA-7B.) With `pools: separate` they are shared out to attention (query, key, value) and "
        "feed-forward network in proportion to their blocks (decision of ours), rounded to the nearest, and ranked "
        "within each; `mixture` ranks all together. `ranking: matrix` gives each matrix of a pool equally many, the "
        "pool's number divided by its matrices and rounded down, but at least one. RoBERTa-base has 9 blocks in "
        "a 768 x 768 matrix and 36 in a 768 x 3072 one; 13 blocks are 851,968 scalars.\n\n"
        "**Block.** 256 where it divides all sides, else the largest divisor below it that they share (decision "
        "of ours: 192 for widths of 384 and 1536); a given `block` must divide them.\n\n"
        "**Score.** `abs_mean` the mean of |S|, the paper's; `mean_abs` the modulus of the mean of S, the code's "
        "default; `l1` the sum of |S| (ranks as abs_mean does); `l2` the root of the sum of S^2.\n\n"
        "**Warm-up.** By default weights do not move while S is summed (decision of ours: methods are compared "
        "from the same start). `compat: reference` does as the code: warmup_steps steps of full fine-tuning of "
        "all weights at the peak learning rate, on the batches that training then begins with again; what they "
        "moved stays, the optimizer starts anew, and the result holds every weight.",
    .knob = "density",
    .options = options,
    .state_size = sizeof(struct smt),
    .plan = plan,
    .select_bytes = select_bytes,
    .select = select_blocks,
    .report = report,
};
