/*
 * Which entries SIFT trains. A selection looks at its targets one after the other, in any order, and keeps of each as
 * many as the tensor's request has room for (ranking: tensor), or of all together as many as there is room for in all
 * (ranking: global). The gradient of one batch is seen tensor by tensor in the probe's scratch; only sums over several
 * batches or examples are held densely, for as long as the selection lasts.
 *
 * Random draws come from streams that are named after tensor (and step, when a mask is drawn again): neither other
 * tensors nor the order they come in can change them.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/clip.h"
#include "methods/entry_mask.h"
#include "methods/entry_ranking.h"
#include "methods/entry_score.h"
#include "methods/head_start.h"
#include "methods/sift.h"
#include "methods/sweep.h"
#include "methods/topk.h"

struct selection {
    const struct sift *s;
    const struct method_env *env;
    struct param **target;         /* [n] those with a choice to make     */
    size_t n;
    struct entry_ranking *ranking; /* NULL: every tensor by itself        */
    real *room;                    /* [largest target] for scores that are not the gradient, else NULL */
    double all, kept;              /* squares of the gradient: of all targets, of what is kept         */
};

bool sift_pools(const struct sift *s) { return s->ranking == SIFT_RANK_GLOBAL || s->select == SIFT_ALLOCATION; }

static enum entry_score score_of(const struct sift *s)
{
    switch ((enum sift_select)s->select) {
    case SIFT_SNIP: return ENTRY_SNIP;
    case SIFT_BOTTOM: return ENTRY_BOTTOM;
    case SIFT_OUTER: return ENTRY_OUTER;
    default: return ENTRY_GRADIENT;
    }
}

/* Is the mask, given each tensor's count, drawn at random? */
static bool is_random(const struct sift *s) { return s->select == SIFT_RANDOM || s->select == SIFT_ALLOCATION; }

static bool needs_gradient(const struct selection *x)
{
    return x->s->select != SIFT_MAGNITUDE && x->s->select != SIFT_RANDOM &&
           (x->s->select != SIFT_ALLOCATION || x->ranking);
}

static bool needs_room(const struct selection *x)
{
    return !entry_score_is_gradient(score_of(x->s)) || (x->s->select == SIFT_RANDOM && x->ranking);
}

static struct rng stream_of(const struct selection *x, const struct param *p)
{
    char name[640];
    if (x->env->step == 0)
        snprintf(name, sizeof name, "method/%s", p->name);
    else
        snprintf(name, sizeof name, "method/%s/%ld", p->name, x->env->step);
    return rng_stream(x->env->seed, name);
}

/* What is left to chance once p has its count, and for `permuted` its entries. */
static bool draw(const struct selection *x, struct param *p, struct err *e)
{
    struct rng r = stream_of(x, p);
    if (p->grad.form != GRAD_ENTRIES)
        return true;
    if (is_random(x->s))
        entry_mask_random(&r, param_size(p), p->grad.n, p->grad.idx);
    if (x->s->select == SIFT_PERMUTED)
        return entry_mask_permute(&r, p->rows, p->cols, p->grad.idx, p->grad.n, x->env->arena, e);
    return true;
}

static void measure_kept(struct selection *x, const struct param *p, const real *g)
{
    for (size_t i = 0; i < p->grad.n; i++)
        x->kept += (double)g[p->grad.idx[i]] * (double)g[p->grad.idx[i]];
}

/* g NULL: by chance. */
static const real *score_entries(const struct selection *x, const struct param *p, const real *g, struct err *e)
{
    if (g)
        return entry_score(score_of(x->s), p, g, x->room, x->env->arena, e);
    struct rng r = stream_of(x, p);
    entry_score_random(&r, param_size(p), x->room);
    return x->room;
}

/* Ranks the entries of target t by g: its gradient, its sum of squares, or its weights; NULL: by chance. */
static bool rank(struct selection *x, size_t t, const real *g, struct err *e)
{
    struct param *p = x->target[t];
    const real *score = score_entries(x, p, g, e);
    TRY(score);
    if (g)
        x->all += sum_of_squares(g, param_size(p));
    if (x->ranking) {
        entry_ranking_add(x->ranking, t, score, param_size(p));
        return true;
    }
    topk(score, param_size(p), p->grad.n, p->grad.idx);
    TRY(draw(x, p, e));
    measure_kept(x, p, g);
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Where gradients come from */

static bool see(void *self, const struct param *p, const real *g, struct err *e)
{
    struct selection *x = self;
    size_t t = 0;
    while (x->target[t] != p)
        t++;
    return rank(x, t, g, e);
}

/* The gradient of one batch, each target's forgotten before the next one's is made. */
static bool rank_one_batch(struct selection *x, struct err *e)
{
    struct tap tap = {.see = see, .self = x};
    struct probe_batch b = {.number = x->env->step, .dropout = x->s->select_dropout};
    for (size_t t = 0; t < x->n; t++)
        x->target[t]->tapped = true;
    bool ok = x->env->probe->gradient(x->env->probe, &b, &tap, NULL, e);
    for (size_t t = 0; t < x->n; t++)
        x->target[t]->tapped = false;
    return ok;
}

static long examples(const struct selection *x)
{
    long most = (long)x->env->train_examples, wanted = (long)x->s->select_examples;
    return wanted < most ? wanted : most;
}

static bool rank_sums(struct selection *x, struct err *e)
{
    bool fisher = x->s->select == SIFT_FISHER;
    struct sweep sweep = {.target = x->target,
                          .n = x->n,
                          .unit = fisher ? SWEEP_EXAMPLES : SWEEP_BATCHES,
                          .first = x->env->step,
                          .count = fisher ? examples(x) : (long)x->s->select_batches,
                          .dropout = x->s->select_dropout,
                          .squares = fisher};
    real **sum = sweep_gradients(x->env, &sweep, x->env->arena, e);
    TRY(sum);
    for (size_t t = 0; t < x->n; t++)
        TRY(rank(x, t, sum[t], e));
    return true;
}

static bool rank_by_gradient(struct selection *x, struct err *e)
{
    return x->s->select == SIFT_FISHER || x->s->select_batches > 1 ? rank_sums(x, e) : rank_one_batch(x, e);
}

static bool rank_after_head_start(struct selection *x, struct err *e)
{
    long steps = x->env->step == 0 ? (long)x->s->select_after : 0;
    if (steps == 0)
        return rank_by_gradient(x, e);
    struct head_start *h = head_start_take(x->env, (long)x->s->select_batches, steps, x->env->arena, e);
    TRY(h && rank_by_gradient(x, e));
    head_start_undo(h);
    return true;
}

static bool rank_all(struct selection *x, struct err *e)
{
    if (needs_gradient(x))
        return rank_after_head_start(x, e);
    for (size_t t = 0; t < x->n; t++) {
        struct param *p = x->target[t];
        bool chance = is_random(x->s);
        TRY(chance && !x->ranking ? draw(x, p, e) : rank(x, t, chance ? NULL : p->w, e));
    }
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * One ranking over all targets */

/* Every target's share of the room becomes what the ranking kept of it. */
static bool deal(const struct selection *x, struct err *e)
{
    struct param_list *list = &x->env->model->params;
    size_t *n = ARENA_NEW(x->env->arena, MEM_SCRATCH, size_t, list->n, e);
    TRY(n);
    for (size_t i = 0, t = 0; i < list->n && t < x->n; i++)
        if (list->item[i] == x->target[t])
            n[i] = entry_ranking_kept(x->ranking, t++).n;
    param_deal(list, n);
    return true;
}

static bool take_ranked(struct selection *x, struct err *e)
{
    TRY(deal(x, e));
    for (size_t t = 0; t < x->n; t++) {
        struct entries_kept kept = entry_ranking_kept(x->ranking, t);
        param_set_index(x->target[t], kept.offset);
        x->kept += sum_of_squares(kept.score, kept.n);
        if (x->s->select != SIFT_RANDOM)
            TRY(draw(x, x->target[t], e));
    }
    return true;
}

static bool open_ranking(struct selection *x, struct err *e)
{
    size_t k = 0;
    for (size_t t = 0; t < x->n; t++)
        k += x->target[t]->grad.size;
    return (x->ranking = entry_ranking_open(x->n, k, x->env->arena, e)) != NULL;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Selection */

/* Targets with a choice to make, in the model's order. Where everything is trained, or nothing, there is none. */
static bool open_targets(struct selection *x, bool pooled, struct err *e)
{
    size_t partial = 0, largest = 0;
    TRY(x->target = ARENA_NEW(x->env->arena, MEM_SCRATCH, struct param *, x->s->n, e));
    for (size_t i = 0; i < x->s->n; i++) {
        struct param *p = x->s->target[i];
        bool choice = p->grad.form == GRAD_ENTRIES;
        partial += choice;
        if (!choice && !pooled)
            continue;
        x->target[x->n++] = p;
        largest = param_size(p) > largest ? param_size(p) : largest;
    }
    x->n = partial ? x->n : 0;
    if (pooled && x->n)
        TRY(open_ranking(x, e));
    return !needs_room(x) || (x->room = ARENA_NEW(x->env->arena, MEM_SCRATCH, real, largest, e));
}

/* The share is known where what was ranked is the gradient, and what was ranked first is kept. */
static double captured(const struct selection *x)
{
    bool seen = needs_gradient(x) && x->s->select != SIFT_FISHER;
    bool known = !x->ranking || x->s->select == SIFT_GRADIENT;
    return seen && known && x->all > 0 ? sqrt(x->kept / x->all) : 0;
}

static bool select_in(struct sift *s, const struct method_env *env, bool pooled, struct err *e)
{
    struct selection x = {.s = s, .env = env};
    TRY(open_targets(&x, pooled, e));
    if (x.n == 0)
        return true;
    TRY(rank_all(&x, e) && (!x.ranking || take_ranked(&x, e)));
    for (size_t t = 0; t < x.n; t++)
        if (x.target[t]->touched)
            param_touch(x.target[t]);
    s->captured = captured(&x);
    return true;
}

bool sift_select(struct sift *s, const struct method_env *env, struct err *e)
{
    struct arena_mark mark = arena_mark(env->arena);
    bool ok = select_in(s, env, sift_pools(s) && env->step == 0, e);
    arena_release(env->arena, mark);
    return ok;
}
