/*
 * meProp: forward is exact; in backward each chosen linear module y = x Wᵀ + b lets through only the k largest entries
 * of each token's output gradient dy_t [out],
 *
 *     dŷ_t = dy_t on topk(|dy_t|, k), 0 elsewhere;   gW = dŷᵀ x,   dx = dŷ W,   gb = sum over tokens of dy_t (full).
 *
 * What is left out does not travel further down either. `unified` takes one index set for the whole batch, the k
 * largest of sum over tokens |dy_tj|, and then multiplies with k columns of dy and k rows of W alone.
 *
 * Source: Sun, Ren, Ma, Wang 2017, "meProp: Sparsified Back Propagation for Accelerated Deep Learning with Reduced
 * Overfitting", arXiv:1706.06197, section 2, and its published code. The code's networks are MLPs and LSTMs; that in an
 * encoder every linear module of every block is meant, and that a token is its example, is a decision of ours. Differs
 * from the code: of equal magnitudes exactly k are kept, the lower-numbered first.
 */
#include <math.h>
#include <string.h>

#include "methods/method.h"
#include "methods/target.h"
#include "methods/topk.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/linear.h"
#include "models/weight_grad.h"

/* One module: linear->state. */
struct meprop_site {
    const struct model *model;
    int k;         /* < out */
    bool unified;
};

struct meprop {
    long long k;
    double density;
    bool unified, train_rest;
    struct opt_strings target_modules;
    struct meprop_site *site;
};

static const struct opt options[] = {
    {.name = "k", .type = OPT_INT, .offset = offsetof(struct meprop, k), .dflt = 0, .min = 0, .max = 1 << 30,
     .help = "entries of an output gradient that are kept; as many as there are, or more: all; 0: see density"},
    {.name = "density", .type = OPT_REAL, .offset = offsetof(struct meprop, density), .dflt = 0.05, .min = 0, .max = 1,
     .open_min = true, .help = "the same as a share of each module's outputs, for k: 0"},
    {.name = "unified", .type = OPT_BOOL, .offset = offsetof(struct meprop, unified),
     .help = "one choice for all tokens of a step's batch, which then runs as one piece"},
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct meprop, target_modules),
     .words = "all-linear", .help = "linear modules whose backward is sparse: names, globs or all-linear"},
    {.name = "train_rest", .type = OPT_BOOL, .offset = offsetof(struct meprop, train_rest), .dflt = true,
     .help = "train all other parameters too, from the gradient that reaches them"},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Per token */

/* kept = dy on the k largest entries of each token; each row is first the room of its selection. */
static void keep_largest(const struct linear *l, int tokens, const real *dy, real *kept)
{
    size_t n = (size_t)l->out, k = (size_t)((const struct meprop_site *)l->state)->k;
#pragma omp parallel for schedule(static)
    for (int t = 0; t < tokens; t++) {
        const real *from = dy + (size_t)t * n;
        real *to = kept + (size_t)t * n;
        struct topk_cut cut = topk_find_row_cut(from, n, k, to);
        memcpy(to, from, n * sizeof *to);
        if (cut.ties == SIZE_MAX) {
            topk_mask(&cut, from, n, to, NULL);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            to[i] = topk_keeps(&cut, from[i]) ? from[i] : 0;
    }
}

static bool per_token_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy,
                               real *dx, real beta, real *panels, struct err *e)
{
    real *kept = p->scratch;
    keep_largest(l, tokens, dy, kept);
    TRY(weight_grad_bias(l->b, p, tokens, dy, e));
    if (weight_grad_wanted(l->w, p))
        TRY(weight_grad_linear(l->w, p, tokens, x, kept, panels, e));
    if (dx)
        blas_gemm(BLAS_N, BLAS_N, tokens, l->in, l->out, 1, kept, l->out, l->w->w, l->in, beta, dx, l->in);
    return true;
}

static size_t per_token_scratch(const struct linear *l, int tokens) { return (size_t)tokens * (size_t)l->out; }

/* ---------------------------------------------------------------------------------------------------------------------
 * Unified: with the k indices S, gW[S] = dy[:, S]ᵀ x and dx = dy[:, S] W[S] */

/* Where things lie in the scratch of a pass. */
struct unified_scratch {
    uint32_t *idx;  /* [k]                                       */
    real *score;    /* [out]                                     */
    real *dy;       /* [T, k] the chosen columns                 */
    real *rows;     /* [k, in] of the gradient, then of W        */
};

_Static_assert(sizeof(uint32_t) <= sizeof(real), "an index takes the room of a real at most");

static struct unified_scratch lay_out(const struct linear *l, int tokens, real *base)
{
    int k = ((const struct meprop_site *)l->state)->k;
    real *score = base + k, *dy = score + l->out;
    return (struct unified_scratch){(uint32_t *)(void *)base, score, dy, dy + (size_t)tokens * (size_t)k};
}

static size_t unified_scratch(const struct linear *l, int tokens)
{
    size_t k = (size_t)((const struct meprop_site *)l->state)->k;
    return k + (size_t)l->out + (size_t)tokens * k + k * (size_t)l->in;
}

/* score[j] = sum over tokens |dy_tj|, each in token order. */
static void score_outputs(int tokens, size_t n, const real *dy, real *score)
{
    enum { STRIP = 64 };
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < n; from += STRIP) {
        size_t to = from + STRIP < n ? from + STRIP : n;
        memset(score + from, 0, (to - from) * sizeof *score);
        for (size_t t = 0; t < (size_t)tokens; t++)
            for (size_t j = from; j < to; j++)
                score[j] += dy[t * n + j] < 0 ? -dy[t * n + j] : dy[t * n + j];
    }
}

/* gW[S] += dy[:, S]ᵀ x for the dense request that plan has made. */
static void add_rows(const struct linear *l, int k, int tokens, const real *x, const struct unified_scratch *s)
{
    size_t in = (size_t)l->in;
    blas_gemm(BLAS_T, BLAS_N, k, l->in, tokens, 1, s->dy, k, x, l->in, 0, s->rows, l->in);
    param_settle_grad(l->w);
    for (int i = 0; i < k; i++)
        add_to(in, s->rows + (size_t)i * in, l->w->grad.v + s->idx[i] * in);
}

static bool unified_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy,
                             real *dx, real beta, struct err *e)
{
    int k = ((const struct meprop_site *)l->state)->k;
    size_t in = (size_t)l->in;
    struct unified_scratch s = lay_out(l, tokens, p->scratch);
    TRY(weight_grad_bias(l->b, p, tokens, dy, e));
    score_outputs(tokens, (size_t)l->out, dy, s.score);
    topk(s.score, (size_t)l->out, (size_t)k, s.idx);
    gather_columns(tokens, l->out, dy, s.idx, (size_t)k, s.dy);
    if (weight_grad_wanted(l->w, p))
        add_rows(l, k, tokens, x, &s);
    for (int i = 0; i < k && dx; i++)
        memcpy(s.rows + (size_t)i * in, l->w->w + s.idx[i] * in, in * sizeof(real));
    if (dx)
        blas_gemm(BLAS_N, BLAS_N, tokens, l->in, k, 1, s.dy, k, s.rows, l->in, beta, dx, l->in);
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The sites */

/* What a probe asks for is the gradient of the loss: nothing is left out there. */
static bool sparse_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                            real beta, real *panels, struct err *e)
{
    const struct meprop_site *s = l->state;
    if (p->probe)
        return linear_plain_backward(l, p, tokens, x, dy, dx, beta, panels, e);
    if (s->unified)
        return unified_backward(l, p, tokens, x, dy, dx, beta, e);
    return per_token_backward(l, p, tokens, x, dy, dx, beta, panels, e);
}

/* Of the lowest layer that backward reaches, query, key and value compute no dx. */
static bool goes_down(const struct linear *l, const struct model *m)
{
    int floor = model_floor(m, false);
    const struct block *b = &m->block[l->layer];
    return l->layer > floor || (l != &b->query && l != &b->key && l != &b->value);
}

/* Unified: out - k of out columns are spared in both products. */
static double unified_flops(const struct linear *l, int tokens, bool backward)
{
    const struct meprop_site *s = l->state;
    double products = (l->w->grad.form != GRAD_NONE) + goes_down(l, s->model);
    return backward ? -2.0 * products * tokens * l->in * (l->out - s->k) : 0;
}

static const struct linear_ops per_token = {.backward = sparse_backward, .scratch = per_token_scratch};
static const struct linear_ops unified = {
    .backward = sparse_backward, .scratch = unified_scratch, .flops = unified_flops};

/* k as given, or the nearest whole number to the share of n, one at least. */
static size_t kept_outputs(const struct meprop *o, int n)
{
    double k = o->k > 0 ? (double)o->k : floor(o->density * n + 0.5);
    return k < 1 ? 1 : k < n ? (size_t)k : (size_t)n;
}

static void train_dense(struct param *p) { param_request(p, GRAD_DENSE, 0, 0); }

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct meprop *o = self;
    struct linear **target;
    size_t n;
    TRY(target_linears(env->model, &o->target_modules, env->at, env->arena, &target, &n, e));
    TRY(o->site = ARENA_NEW(env->arena, MEM_METHOD, struct meprop_site, n, e));
    for (size_t i = 0; i < n; i++) {
        struct linear *l = target[i];
        size_t k = kept_outputs(o, l->out);
        train_dense(l->w);
        train_dense(l->b);
        if (k == (size_t)l->out)
            continue;
        o->site[i] = (struct meprop_site){.model = env->model, .k = (int)k, .unified = o->unified};
        l->state = &o->site[i];
        l->ops = o->unified ? &unified : &per_token;
        env->unsplit |= o->unified;
    }
    for (size_t i = 0; i < env->model->params.n && o->train_rest; i++)
        if (!env->model->params.item[i]->head)
            train_dense(env->model->params.item[i]);
    return true;
}

const struct method method_meprop = {
    .name = "meprop",
    .title = "meProp",
    .paper = "arXiv:1706.06197",
    .help = "trains every weight, but lets only the largest entries of each output gradient through in backward",
    .about =
        "Forward is exact. In the backward of a linear module y = x W' + b each token's output gradient dy keeps its k "
        "entries of largest magnitude, the others are taken as 0 (section 2.1): gW = dy^' x and dx = dy^ W with what "
        "was kept, dy^; what is left out does not reach the layers below either. The bias gets the full sum of dy, as "
        "in the published code. Everything is trained densely, so memory is that of full fine-tuning; k at or above a "
        "module's number of outputs is plain backward, bit for bit.\n\n"
        "`k` is the paper's number of entries (20 to 80 of 500), `density` the same as a share of each module's "
        "outputs, rounded, one at least: `k: 0` leaves it to `density`. `unified: true` takes one set for all tokens "
        "of a step's batch, the k outputs with the largest sum of |dy| over the tokens (section 2.2 calls it unified "
        "top-k): then gW and dx are products with k columns of dy and k rows of W, and gW is 0 in all other rows. Such "
        "a batch runs as one piece, with activation checkpointing, since the choice is the batch's.\n\n"
        "Decisions of ours: every linear module of the encoder is sparse (`target_modules`), a token is an example, "
        "embeddings, LayerNorms and the other parameters are trained from the gradient that reaches them "
        "(`train_rest: false` trains the target modules alone), the head is never sparse, and probes see the exact "
        "gradient.\n\n"
        "Per token the kept entries are copied into an otherwise empty matrix that is multiplied densely: it saves no "
        "multiplication, and flops are counted so. Products over lists of entries were tried: they multiply 20 to 30 "
        "times more slowly than dense ones, so that they lose above 2 to 3 % density. `unified` saves all but k of out "
        "columns in both products of backward, for a second forward (the recomputation). The paper's factors are "
        "against unblocked products of small layers.\n\n",
    .options = options,
    .state_size = sizeof(struct meprop),
    .plan = plan,
};
