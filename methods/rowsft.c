/*
 * SPruFT, row-based sparse fine-tuning: of each linear module the rows (output neurons) that structured pruning would
 * keep are trained, all others are frozen. They are chosen once, before training.
 *
 *     I = the r rows with the highest importance
 *     per step: W[I] += AdamW(dy[:, I]ᵀ x),   b[I] += AdamW(sum over tokens of dy[:, I])
 *
 * Source: Li, Bhaskara 2025, "An Efficient Sparse Fine-Tuning with Low Quantization Error via Neural Network Pruning",
 * arXiv:2502.11439, and its published code. Rows are trained in place; the code adds a branch, y += S(x Dᵀ + d) with
 * S scattering r columns, whose trajectory is the same when D starts at 0 and neither decays nor is dropped. Differs
 * from the code, whose ways some options restore:
 *
 *   - D starts at 0. (Code, language path: Kaiming-uniform, so that training does not start from the pretrained model;
 *     it fails on layers with biases. `init: kaiming` adds such values to the rows before the first step; a bias's
 *     entry starts at 0.)
 *   - embeddings and LayerNorms are frozen. (Code: embeddings are trained as a whole, LayerNorms by entries of their
 *     own importance: `train_embeddings`, `train_layernorm`.)
 *   - with per_head each head keeps at least round_to rows. (Code: none where rounding leaves nothing.)
 *   - the Wanda score is the one its paper intends; scores by single samples (Hessian) are left out, broken there.
 */
#include <math.h>
#include <stdio.h>

#include "base/rng.h"
#include "methods/importance.h"
#include "methods/method.h"
#include "methods/row_sets.h"
#include "methods/target.h"

enum unit { UNIT_ROW, UNIT_COLUMN };
enum normalizer { NORMALIZER_MEAN, NORMALIZER_NONE };
enum ranking { RANKING_LAYER, RANKING_GLOBAL };
enum init { INIT_ZERO, INIT_KAIMING };

/* Targets first to first + n - 1 train the same rows. */
struct members {
    size_t first, n;
};

struct rowsft {
    struct opt_strings target_modules;
    int unit, ranking, init, normalizer;
    double ratio;
    long long rank, round_to;
    bool bias, per_head, train_layernorm, train_embeddings;
    struct importance how;
    struct importance_target *target; /* [n_targets]                                    */
    struct param **bias_of;           /* [n_targets] trained with the rows; NULL: none  */
    struct row_set *set;              /* [n_sets]                                       */
    struct members *members;          /* [n_sets]                                       */
    size_t n_targets, n_sets;
};

#define AT(field) .offset = offsetof(struct rowsft, field)
static const struct opt options[] = {
    {.name = "ratio", .type = OPT_REAL, AT(ratio), .dflt = 0.05, .min = 0, .max = 1, .open_min = true,
     .help = "share of each module's rows that is trained"},
    {.name = "rank", .type = OPT_INT, AT(rank), .dflt = 0, .min = 1, .max = 1 << 24, .nullable = true,
     .help = "rows of each module, in place of ratio and without rounding"},
    {.name = "round_to", .type = OPT_INT, AT(round_to), .dflt = 2, .min = 1, .max = 1 << 24,
     .help = "ratio's number of rows is rounded down to a multiple of this, but at least to one"},
    {.name = "target_modules", .type = OPT_STRINGS, AT(target_modules), .words = "all-linear",
     .help = "linear modules: names, globs or all-linear"},
    {.name = "importance", .type = OPT_ENUM, AT(how.kind), .dflt = IMPORTANCE_TAYLOR, .words = IMPORTANCE_WORDS,
     .help = "score of a row"},
    {.name = "taylor_batches", .type = OPT_INT, AT(how.batches), .dflt = 50, .min = 1, .max = 1e9,
     .help = "training batches that taylor, qmtaylor and wanda look at"},
    {.name = "multivariable", .type = OPT_BOOL, AT(how.multivariable),
     .help = "Taylor scores: modulus of the row's sum, not sum of moduli"},
    {.name = "aggregate", .type = OPT_ENUM, AT(how.aggregate), .dflt = AGGREGATE_QUANTILES, .words = AGGREGATE_WORDS,
     .help = "qmtaylor: over the classes"},
    {.name = "aggregate_top", .type = OPT_INT, AT(how.top), .dflt = 5, .min = 1, .max = 1e9,
     .help = "aggregate: top, top_mean: so many classes"},
    {.name = "n_estimate", .type = OPT_INT, AT(how.spsa.n_estimate), .dflt = 5, .min = 1, .max = 1e9,
     .help = "zotaylor: random directions for each training batch"},
    {.name = "data_split", .type = OPT_INT, AT(how.spsa.data_split), .dflt = 50, .min = 1, .max = 1e9,
     .help = "zotaylor: training batches that directions are tried on"},
    {.name = "zo_eps", .type = OPT_REAL, AT(how.spsa.eps), .dflt = 1e-3, .min = 0, .max = INFINITY, .open_min = true,
     .help = "zotaylor: step along a direction"},
    {.name = "normalizer", .type = OPT_ENUM, AT(normalizer), .dflt = NORMALIZER_MEAN, .words = "mean|none",
     .help = "what a module's scores are divided by"},
    {.name = "ranking", .type = OPT_ENUM, AT(ranking), .dflt = RANKING_LAYER, .words = "layer|global",
     .help = "within each module, or over all with at most as many scalars"},
    {.name = "unit", .type = OPT_ENUM, AT(unit), .dflt = UNIT_ROW, .words = "row|column",
     .help = "rows (outputs) or columns (inputs) of the weights"},
    {.name = "per_head", .type = OPT_BOOL, AT(per_head), .dflt = 1,
     .help = "query, key and value train the same rows, equally many of each head"},
    {.name = "bias", .type = OPT_BOOL, AT(bias), .dflt = 1, .help = "train the rows' bias entries too"},
    {.name = "init", .type = OPT_ENUM, AT(init), .dflt = INIT_ZERO, .words = "zero|kaiming",
     .help = "what is added to the rows before the first step"},
    {.name = "train_layernorm", .type = OPT_BOOL, AT(train_layernorm),
     .help = "train the most important entries of each LayerNorm too"},
    {.name = "train_embeddings", .type = OPT_BOOL, AT(train_embeddings), .help = "train all embeddings too, densely"},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Plan */

/* query, key or value of its layer? */
static bool has_heads(const struct model *m, const struct linear *l)
{
    const struct block *b = &m->block[l->layer];
    return l == &b->query || l == &b->key || l == &b->value;
}

static void add_target(struct rowsft *s, struct param *w, struct linear *site, struct param *bias, bool own_set,
                       size_t heads)
{
    size_t t = s->n_targets++;
    s->target[t] = (struct importance_target){w, site, s->unit == UNIT_COLUMN || !site};
    s->bias_of[t] = bias;
    if (own_set) {
        s->members[s->n_sets] = (struct members){t, 0};
        s->set[s->n_sets++] = (struct row_set){.units = importance_units(&s->target[t]), .heads = heads};
    }
    s->members[s->n_sets - 1].n++;
}

static void add_linears(struct rowsft *s, const struct method_env *env, struct linear *const *found, size_t n)
{
    int joined = -1; /* layer whose query, key and value make the last set */
    for (size_t i = 0; i < n; i++) {
        struct linear *l = found[i];
        bool heads = s->per_head && s->unit == UNIT_ROW && has_heads(env->model, l);
        struct param *bias = s->bias && s->unit == UNIT_ROW ? l->b : NULL;
        add_target(s, l->w, l, bias, !heads || joined != l->layer,
                   heads ? (size_t)env->model->config.num_attention_heads : 1);
        joined = heads ? l->layer : -1;
    }
}

static void add_norms(struct rowsft *s, const struct model *m)
{
    add_target(s, m->embedding_norm.w, NULL, m->embedding_norm.b, true, 1);
    for (int i = 0; i < m->config.num_hidden_layers; i++) {
        add_target(s, m->block[i].attention_norm.w, NULL, m->block[i].attention_norm.b, true, 1);
        add_target(s, m->block[i].output_norm.w, NULL, m->block[i].output_norm.b, true, 1);
    }
}

static const char *noun(const struct importance_target *t)
{
    return !t->site ? "entries" : t->columns ? "columns" : "rows";
}

/* The set can keep what the options say. */
static bool check_set(const struct rowsft *s, size_t i, const struct method_env *env, struct err *e)
{
    const struct row_set *set = &s->set[i];
    const struct importance_target *t = &s->target[s->members[i].first];
    size_t width = set->units / set->heads;
    if (set->units % set->heads)
        return method_wrong(env, "per_head", e,
                            "`%s` has %zu rows, which %zu heads cannot share equally; per_head must be false",
                            t->w->name, set->units, set->heads);
    if (s->rank > (long long)set->units)
        return method_wrong(env, "rank", e, "rank is %lld; `%s` has %zu %s, so rank is at most %zu", s->rank,
                            t->w->name, set->units, noun(t), set->units);
    if (!s->rank && s->round_to > (long long)width && yaml_get(env->at, "round_to"))
        return method_wrong(env, "round_to", e, "round_to is %lld; `%s` has %zu %s%s, so round_to is at most %zu",
                            s->round_to, t->w->name, width, noun(t), set->heads > 1 ? " in each head" : "", width);
    return true;
}

static void request(const struct rowsft *s, struct param *p, enum grad_form form, size_t n)
{
    if (s->ranking == RANKING_GLOBAL)
        param_request_pooled(p, form, n, 0);
    else
        param_request(p, form, n, 0);
}

static void request_set(struct rowsft *s, size_t i)
{
    struct row_set *set = &s->set[i];
    const struct members *m = &s->members[i];
    set->keep = row_set_keep(set->units, set->heads, s->ratio, (size_t)s->rank, (size_t)s->round_to);
    for (size_t t = m->first; t < m->first + m->n; t++) {
        const struct importance_target *x = &s->target[t];
        request(s, x->w, x->columns ? GRAD_COLS : GRAD_ROWS, set->heads * set->keep);
        if (s->bias_of[t])
            request(s, s->bias_of[t], GRAD_ENTRIES, set->heads * set->keep);
        set->cost += set->heads * (param_size(x->w) / set->units + (s->bias_of[t] != NULL));
    }
}

static void request_embeddings(const struct model *m)
{
    for (size_t i = 0; i < m->params.n; i++)
        if (m->params.item[i]->kind == PARAM_EMBEDDING)
            param_request(m->params.item[i], GRAD_DENSE, 0, 0);
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct rowsft *s = self;
    struct linear **found;
    size_t n;
    TRY(target_linears(env->model, &s->target_modules, env->at, env->arena, &found, &n, e));
    if (s->train_layernorm && s->how.kind == IMPORTANCE_WANDA)
        return method_wrong(env, "train_layernorm", e,
                            "wanda scores linear modules alone; train_layernorm must be false");
    size_t most = n + 1 + 2 * (size_t)env->model->config.num_hidden_layers;
    TRY(s->target = ARENA_NEW(env->arena, MEM_METHOD, struct importance_target, most, e));
    TRY(s->bias_of = ARENA_NEW(env->arena, MEM_METHOD, struct param *, most, e));
    TRY(s->set = ARENA_NEW(env->arena, MEM_METHOD, struct row_set, most, e));
    TRY(s->members = ARENA_NEW(env->arena, MEM_METHOD, struct members, most, e));
    s->how.normalize = s->normalizer == NORMALIZER_MEAN;
    add_linears(s, env, found, n);
    if (s->train_layernorm)
        add_norms(s, env->model);
    for (size_t i = 0; i < s->n_sets; i++) {
        TRY(check_set(s, i, env, e));
        request_set(s, i);
    }
    if (s->train_embeddings)
        request_embeddings(env->model);
    env->perturbs = s->how.kind == IMPORTANCE_ZOTAYLOR;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Select */

/* Rows that several tensors share are scored by the mean over them, left in the first one's room. */
static void share_scores(struct rowsft *s, double **score)
{
    for (size_t i = 0; i < s->n_sets; i++) {
        const struct members *m = &s->members[i];
        double *first = score[m->first];
        for (size_t u = 0; u < s->set[i].units; u++) {
            double sum = 0;
            for (size_t t = m->first; t < m->first + m->n; t++)
                sum += score[t][u];
            first[u] = sum / (double)m->n;
        }
        s->set[i].score = first;
    }
}

/* The room of all sets to the best rows of all. */
static bool deal(struct rowsft *s, const struct method_env *env, struct err *e)
{
    struct param_list *list = &env->model->params;
    size_t *n = ARENA_NEW(env->arena, MEM_SCRATCH, size_t, list->n, e);
    TRY(n && row_sets_rank(s->set, s->n_sets, list->pool.size, env->arena, e));
    for (size_t i = 0; i < s->n_sets; i++)
        for (size_t t = s->members[i].first; t < s->members[i].first + s->members[i].n; t++) {
            n[param_number(list, s->target[t].w)] = s->set[i].heads * s->set[i].keep;
            if (s->bias_of[t])
                n[param_number(list, s->bias_of[t])] = s->set[i].heads * s->set[i].keep;
        }
    param_deal(list, n);
    return true;
}

static bool fill_indices(struct rowsft *s, const struct method_env *env, struct err *e)
{
    for (size_t i = 0; i < s->n_sets; i++) {
        const struct members *m = &s->members[i];
        uint32_t *idx = ARENA_NEW(env->arena, MEM_SCRATCH, uint32_t, s->set[i].heads * s->set[i].keep, e);
        TRY(idx && row_set_choose(&s->set[i], idx, env->arena, e));
        for (size_t t = m->first; t < m->first + m->n; t++) {
            param_set_index(s->target[t].w, idx);
            if (s->bias_of[t])
                param_set_index(s->bias_of[t], idx);
        }
    }
    return true;
}

struct noise {
    struct rng rng;
    double bound;
};

static void add_noise(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    struct noise *n = u;
    (void)compact;
    for (size_t i = 0; i < length; i++)
        p->w[at + i] += (real)(n->bound * (2 * (double)rng_uniform(&n->rng) - 1));
}

/* init: kaiming, as the code fills D [r, in] (or [out, r] for columns): uniform in ±1 / sqrt(columns of D). */
static void perturb(const struct rowsft *s, uint64_t seed)
{
    for (size_t t = 0; t < s->n_targets; t++) {
        const struct param *p = s->target[t].w;
        char stream[640];
        if (!s->target[t].site)
            continue;
        snprintf(stream, sizeof stream, "method/init/%s", p->name);
        size_t width = s->target[t].columns ? p->grad.size / (size_t)p->rows : (size_t)p->cols;
        struct noise n = {rng_stream(seed, stream), 1 / sqrt((double)width)};
        param_each_run(p, add_noise, &n);
    }
}

/* Is there nothing to choose? */
static bool keeps_all(const struct rowsft *s)
{
    for (size_t i = 0; i < s->n_sets; i++)
        if (s->set[i].heads * s->set[i].keep < s->set[i].units)
            return false;
    return true;
}

static bool choose_rows(struct rowsft *s, const struct method_env *env, struct err *e)
{
    double **score = importance_scores(env, &s->how, s->target, s->n_targets, env->arena, e);
    TRY(score);
    share_scores(s, score);
    TRY(s->ranking != RANKING_GLOBAL || deal(s, env, e));
    return fill_indices(s, env, e);
}

/* Dense sums of all targets; zotaylor keeps what it moves, too, and goes forward alone, as wanda does. */
static void select_bytes(const void *self, const struct method_env *env, struct select_plan *plan)
{
    const struct rowsft *s = self;
    bool taylor = s->how.kind == IMPORTANCE_TAYLOR || s->how.kind == IMPORTANCE_QMTAYLOR;
    bool moves = s->how.kind == IMPORTANCE_ZOTAYLOR;
    const struct param_list *all = &env->model->params;
    if (keeps_all(s))
        return;
    plan->probes = taylor;
    plan->forward = moves || s->how.kind == IMPORTANCE_WANDA;
    for (size_t i = 0; i < all->n && moves; i++)
        if (!all->item[i]->head && (all->item[i]->layer >= 0 || all->item[i]->kind == PARAM_NORM))
            plan->bytes[MEM_SCRATCH] += mem_round(param_size(all->item[i]) * sizeof(real));
    for (size_t t = 0; t < s->n_targets && (taylor || moves); t++) {
        s->target[t].w->tapped = taylor;
        plan->bytes[MEM_SCRATCH] += mem_round(param_size(s->target[t].w) * sizeof(real));
    }
}

static bool select_rows(void *self, struct method_env *env, struct err *e)
{
    struct rowsft *s = self;
    struct arena_mark mark = arena_mark(env->arena);
    TRY(keeps_all(s) || choose_rows(s, env, e));
    arena_release(env->arena, mark);
    if (s->init == INIT_KAIMING)
        perturb(s, env->seed);
    return true;
}

const struct method method_rowsft = {
    .name = "rowsft",
    .title = "SPruFT",
    .paper = "arXiv:2502.11439",
    .help = "trains the rows of the weights that structured pruning finds most important",
    .about =
        "Of each linear module y = W x + b the most important rows I (output neurons) are chosen once, before "
        "training, and trained in place with their bias entries; all else is frozen: W[I] <- W[I] + AdamW(dy[:, "
        "I]^T x). Only these rows' gradients are computed (2 T r in flops) and stored (r in scalars, twice that "
        "for AdamW). The code adds a branch y += S(x D^T + d) in place of this; with D = 0 at the start, no "
        "decay and no dropout on D both give the same steps. Decay of D is `decay_to: init` here.\n\n"
        "**How many.** frozen = n - int(n ratio), and the n - frozen trained rows are rounded down to a multiple "
        "of `round_to` (at least one multiple, or all rows of a smaller layer: decision of ours). With "
        "`per_head: true` query, key and value of a layer train the same rows (by the mean of their three "
        "scores) and each head equally many: frozen per head = floor(frozen / heads), the rest of the head "
        "rounded down to `round_to` again. So the count can exceed n ratio: 48 instead of 38 of 768 rows at "
        "ratio .05 and 12 heads. `rank` gives the number of rows itself, without rounding; the authors compare r "
        "rows with LoRA of rank r / 2. RoBERTa-base, ratio .05: 4,202,496 with `bias: false, per_head: false`, "
        "4,478,976 with `bias: false`.\n\n"
        "**Which.** The score of a row sums over its weights w, and is divided by the module's mean score "
        "(`normalizer`). `l1` |w|; `l2` w^2; `taylor` |w G|, G the sum of the gradients of `taylor_batches` "
        "training batches at the pretrained weights, without dropout (`multivariable`: |sum w G|); `qmtaylor` "
        "the same with the mean gradient of each class (of each quartile of a regression's labels: decision of "
        "ours), aggregated over classes by the mean of the quantiles 0, .1, ..., 1 (`quantiles`; that it is the "
        "default: decision of ours), of .5, ..., 1 "
        "(`greater_quantiles`), `mean`, `max`, the mean of the `aggregate_top` largest (`top`) or the average of "
        "that and the mean (`top_mean`); `zotaylor` with a gradient estimated from losses, the mean over "
        "directions z of (L(w + eps z) - L(w - eps z)) / (2 eps) z, z normal over all layers at once, "
        "`n_estimate` directions for each of `data_split` training batches (slices and their number are a "
        "decision of ours; the code: 256 slices of its data), "
        "after which every weight has its old bits; `wanda` |w| ||x_j|| with the norm of the j-th input over the "
        "batches (the published score takes one factor for a layer, which cannot rank; the intended formula is "
        "ours); `random`. Of equal scores the first row wins.\n\n"
        "**Ranking.** `layer` ranks within each module. `global` ranks the normalised scores of all modules and "
        "keeps rows in this order as long as they fit into the number of scalars that `layer` would train: at "
        "most that many, without rounding. With per_head what is ranked is one row of every head of query, key "
        "and value at once, the j-th best of each, by its mean score (decision of ours; the code averages by "
        "position in the head).\n\n"
        "**Beyond the rows.** `unit: column` trains columns (input channels) instead, without biases and heads. "
        "`train_layernorm` adds the entries of each LayerNorm that their own scores choose, weight and bias (not "
        "with wanda). `train_embeddings` trains all embeddings densely, as the code does; that is 39 M for "
        "RoBERTa-base, hence off. `init: kaiming` adds uniform values in +-1/sqrt(in) to the rows before the "
        "first step, as the code's language path starts D: training then starts apart from the pretrained model, "
        "and `decay_to: init` would pull to the perturbed rows, so leave decay at 0 with it.",
    .knob = "ratio",
    .options = options,
    .state_size = sizeof(struct rowsft),
    .plan = plan,
    .select_bytes = select_bytes,
    .select = select_rows,
};
