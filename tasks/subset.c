/*
 * Subsets of examples. Rows are drawn by walking one random permutation, so that a smaller subset is part of a larger
 * one, and streams are the subset's own: choosing fewer rows moves no other random number of a run.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tasks/dataset.h"

const struct opt subset_options[] = {
    {.name = "train_samples", .type = OPT_INT, .offset = offsetof(struct subset, train_samples), .max = 1000000000,
     .help = "rows of the training set, drawn at random (0: all)"},
    {.name = "per_class", .type = OPT_INT, .offset = offsetof(struct subset, per_class), .max = 1000000000,
     .help = "rows of each class of the training set, drawn at random (0: all)"},
    {.name = "train_holdout", .type = OPT_REAL, .offset = offsetof(struct subset, train_holdout), .max = 1,
     .open_max = true, .help = "share of the training set held out for selection, stratified"},
    {0},
};

void examples_limit(struct examples *x, long long n)
{
    if (n > 0 && (size_t)n < x->n)
        x->n = (size_t)n;
}

static int32_t *permutation(size_t n, const char *stream, uint64_t seed, struct arena *a, struct err *e)
{
    int32_t *order = ARENA_NEW(a, MEM_DATA, int32_t, n, e);
    struct rng r = rng_stream(seed, stream);
    for (size_t i = 0; order && i < n; i++)
        order[i] = (int32_t)i;
    if (order)
        rng_shuffle(&r, order, n);
    return order;
}

/* Keeps the marked rows, in their order. */
static void keep_marked(struct examples *x, const bool *mark)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->n; i++)
        if (mark[i])
            x->item[kept++] = x->item[i];
    x->n = kept;
}

bool examples_sample(struct examples *x, long long n, uint64_t seed, struct arena *a, struct err *e)
{
    assert(n >= 0);
    if ((size_t)n >= x->n)
        return true;
    struct arena_mark m = arena_mark(a);
    const int32_t *order = permutation(x->n, "subset", seed, a, e);
    bool *mark = order ? ARENA_NEW(a, MEM_DATA, bool, x->n, e) : NULL;
    TRY(mark);
    for (long long i = 0; i < n; i++)
        mark[order[i]] = true;
    keep_marked(x, mark);
    arena_release(a, m);
    return true;
}

bool examples_per_class(struct examples *x, long long k, uint64_t seed, struct arena *a, struct err *e)
{
    const struct task *t = x->task;
    if (t->kind == TASK_REGRESSION)
        return err_set(e, ERR_INPUT, "per_class needs classes; task %s is a regression", t->name);
    struct arena_mark m = arena_mark(a);
    const int32_t *order = permutation(x->n, "subset", seed, a, e);
    long long *taken = order ? ARENA_NEW(a, MEM_DATA, long long, (size_t)t->n_labels, e) : NULL;
    bool *mark = taken ? ARENA_NEW(a, MEM_DATA, bool, x->n, e) : NULL;
    TRY(mark);
    for (size_t i = 0; i < x->n; i++) {
        int32_t c = x->item[order[i]].label;
        mark[order[i]] = taken[c] < k;
        taken[c] += taken[c] < k;
    }
    for (int c = 0; c < t->n_labels; c++)
        if (taken[c] < k)
            return err_set(e, ERR_INPUT, "per_class is %lld; class `%s` of task %s has only %lld rows", k, t->label[c],
                           t->name, taken[c]);
    keep_marked(x, mark);
    arena_release(a, m);
    return true;
}

struct scored {
    float score;
    int32_t at;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score) - (x->score < y->score) : (x->at > y->at) - (x->at < y->at);
}

/* Strata of a regression: quarters of the rows sorted by score, equal scores in file order. */
static bool quarters(const struct examples *x, int32_t *stratum, struct arena *a, struct err *e)
{
    struct scored *s = ARENA_NEW(a, MEM_DATA, struct scored, x->n, e);
    TRY(s);
    for (size_t i = 0; i < x->n; i++)
        s[i] = (struct scored){x->item[i].score, (int32_t)i};
    qsort(s, x->n, sizeof *s, by_score);
    for (size_t i = 0; i < x->n; i++)
        stratum[s[i].at] = (int32_t)(4 * i / x->n);
    return true;
}

/* stratum[i] of each row; *n strata. */
static bool stratify(const struct examples *x, int32_t *stratum, size_t *n, struct arena *a, struct err *e)
{
    *n = x->task->kind == TASK_REGRESSION ? 4 : (size_t)x->task->n_labels;
    if (x->task->kind == TASK_REGRESSION)
        return quarters(x, stratum, a, e);
    for (size_t i = 0; i < x->n; i++)
        stratum[i] = x->item[i].label;
    return true;
}

/* How many of a stratum's rows are held: to nearest, but one on each side where there are two rows. */
static size_t share(size_t rows, double fraction)
{
    size_t n = (size_t)(fraction * (double)rows + 0.5);
    if (rows < 2 || fraction <= 0)
        return 0;
    return n < 1 ? 1 : n > rows - 1 ? rows - 1 : n;
}

/* Marks the held rows: the first ones of each stratum in a random order. */
static bool draw_held(const struct examples *x, double fraction, const char *stream, uint64_t seed, bool *mark,
                      struct arena *a, struct err *e)
{
    size_t strata;
    int32_t *stratum = ARENA_NEW(a, MEM_DATA, int32_t, x->n, e);
    TRY(stratum && stratify(x, stratum, &strata, a, e));
    const int32_t *order = permutation(x->n, stream, seed, a, e);
    size_t *left = order ? ARENA_NEW(a, MEM_DATA, size_t, strata, e) : NULL;
    TRY(left);
    for (size_t i = 0; i < x->n; i++)
        left[stratum[i]]++;
    for (size_t k = 0; k < strata; k++)
        left[k] = share(left[k], fraction);
    for (size_t i = 0; i < x->n; i++) {
        size_t *l = &left[stratum[order[i]]];
        mark[order[i]] = *l > 0;
        *l -= *l > 0;
    }
    return true;
}

bool examples_split(const struct examples *x, double fraction, const char *stream, uint64_t seed,
                    struct examples *rest, struct examples *held, struct arena *a, struct err *e)
{
    struct example *items = ARENA_NEW(a, MEM_DATA, struct example, x->n, e);
    struct arena_mark m = arena_mark(a);
    bool *mark = items ? ARENA_NEW(a, MEM_DATA, bool, x->n, e) : NULL;
    TRY(mark && draw_held(x, fraction, stream, seed, mark, a, e));
    size_t n_rest = 0, r = 0, h = 0;
    for (size_t i = 0; i < x->n; i++)
        n_rest += !mark[i];
    struct examples all = *x; /* rest or held may be x itself */
    *rest = *held = all;
    rest->item = items;
    held->item = items + n_rest;
    for (size_t i = 0; i < all.n; i++)
        *(mark[i] ? &held->item[h++] : &rest->item[r++]) = all.item[i];
    rest->n = r;
    held->n = h;
    arena_release(a, m);
    return true;
}

bool examples_subset(struct examples *x, const struct subset *s, uint64_t seed, struct examples *held, struct arena *a,
                     struct err *e)
{
    *held = (struct examples){.task = x->task};
    if (s->per_class && s->train_samples)
        return err_set(e, ERR_INPUT, "per_class and train_samples exclude each other");
    TRY(!s->per_class || examples_per_class(x, s->per_class, seed, a, e));
    TRY(!s->train_samples || examples_sample(x, s->train_samples, seed, a, e));
    return s->train_holdout <= 0 || examples_split(x, s->train_holdout, "holdout", seed, x, held, a, e);
}

bool examples_load_train(struct examples *x, struct examples *held, const struct task *t, const char *data,
                         const struct subset *s, long long limit, uint64_t seed, struct arena *a, struct err *e)
{
    long long rows = s->train_samples > t->train.rows ? s->train_samples : t->train.rows;
    TRY(examples_train(x, t, data, rows, a, e) && examples_subset(x, s, seed, held, a, e));
    examples_limit(x, limit);
    examples_limit(held, limit);
    return true;
}

double examples_majority(const struct examples *x)
{
    size_t best = 0;
    for (int32_t k = 0; x->task->kind == TASK_CLASSIFICATION && k < x->task->n_labels; k++) {
        size_t n = 0;
        for (size_t i = 0; i < x->n; i++)
            n += x->item[i].label == k;
        best = n > best ? n : best;
    }
    return x->n ? (double)best / (double)x->n : 0;
}
