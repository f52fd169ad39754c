/*
 * Class-aware Taylor scores: s_c = sum |w G_c|, with G_c the mean gradient of the examples of class c in the training
 * batches. Classes are taken one after the other, so that one set of dense sums serves all; every example is still
 * visited once. For a regression the classes are the quartiles of its labels (decision of ours).
 */
#include <math.h>
#include <stdlib.h>

#include "methods/importance.h"

struct classes {
    size_t n;
    bool regression;
    double cut[3]; /* quartiles: labels above cut[i] belong to class i + 1 or a later one */
};

static size_t class_of(const struct classes *k, double label)
{
    size_t c = 0;
    if (!k->regression)
        return (size_t)label;
    for (int i = 0; i < 3; i++)
        c += label > k->cut[i];
    return c;
}

static int ascending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* All labels of the batches, sorted; *n of them. */
static double *sorted_labels(struct probe *p, long batches, size_t *n, struct arena *a, struct err *e)
{
    size_t in_batch, at = 0;
    *n = 0;
    for (long b = 0; b < batches; b++) {
        p->examples(p, b, &in_batch);
        *n += in_batch;
    }
    double *label = ARENA_NEW(a, MEM_SCRATCH, double, *n, e);
    TRY(label);
    for (long b = 0; b < batches; b++) {
        const int32_t *example = p->examples(p, b, &in_batch);
        for (size_t i = 0; i < in_batch; i++)
            label[at++] = p->label(p, example[i]);
    }
    qsort(label, *n, sizeof *label, ascending);
    return label;
}

static bool find_classes(struct classes *k, const struct method_env *env, long batches, struct arena *a,
                         struct err *e)
{
    *k = (struct classes){.n = (size_t)env->model->config.num_labels};
    k->regression = k->n == 1;
    if (!k->regression)
        return true;
    size_t n;
    double *label = sorted_labels(env->probe, batches, &n, a, e);
    TRY(label);
    k->n = 4;
    for (size_t i = 0; i < 3; i++)
        k->cut[i] = label[(i + 1) * (n - 1) / 4];
    return true;
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct sums {
    const struct method_env *env;
    const struct importance_target *target; /* [n] */
    size_t n;
    real **sum;    /* [n] over the examples of the class */
    real examples; /* behind the gradient that is seen   */
};

static bool see(void *self, const struct param *p, const real *g, struct err *e)
{
    const struct sums *s = self;
    size_t t = 0;
    (void)e;
    while (s->target[t].w != p)
        t++;
    for (size_t i = 0; i < param_size(p); i++)
        s->sum[t][i] += s->examples * g[i];
    return true;
}

/* The gradients of one batch's examples of class c; *seen grows by their number. */
static bool add_batch(struct sums *s, const struct classes *k, size_t c, long number, size_t *seen, struct arena *a,
                      struct err *e)
{
    struct probe *probe = s->env->probe;
    struct tap tap = {.see = see, .self = s};
    size_t n, found = 0;
    const int32_t *example = probe->examples(probe, number, &n);
    int32_t *rows = ARENA_NEW(a, MEM_SCRATCH, int32_t, n, e);
    TRY(rows);
    for (size_t i = 0; i < n; i++)
        if (class_of(k, probe->label(probe, example[i])) == c)
            rows[found++] = example[i];
    if (found == 0)
        return true;
    *seen += found;
    s->examples = (real)found;
    return probe->gradient(probe, &(struct probe_batch){.number = number, .rows = rows, .n = found}, &tap, NULL, e);
}

static void set_tapped(const struct sums *s, bool tapped)
{
    for (size_t i = 0; i < s->n; i++)
        s->target[i].w->tapped = tapped;
}

static bool add_class(struct sums *s, const struct classes *k, size_t c, long batches, size_t *seen, struct arena *a,
                      struct err *e)
{
    bool ok = true;
    *seen = 0;
    set_tapped(s, true);
    for (long b = 0; ok && b < batches; b++) {
        struct arena_mark mark = arena_mark(a);
        ok = add_batch(s, k, c, b, seen, a, e);
        arena_release(a, mark);
    }
    set_tapped(s, false);
    return ok;
}

/* Dense sums, all zero. */
static bool open_sums(struct sums *s, struct arena *a, struct err *e)
{
    TRY(s->sum = ARENA_NEW(a, MEM_SCRATCH, real *, s->n, e));
    for (size_t i = 0; i < s->n; i++)
        TRY(s->sum[i] = ARENA_NEW(a, MEM_SCRATCH, real, param_size(s->target[i].w), e));
    return true;
}

/* Scores of one class; *seen 0: it has no example. The sums end here. */
static bool score_class(struct sums *s, const struct importance *how, const struct classes *k, size_t c,
                        double **score, size_t *seen, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    bool ok = open_sums(s, a, e) && add_class(s, k, c, (long)how->batches, seen, a, e);
    for (size_t i = 0; ok && *seen && i < s->n; i++) {
        importance_add(how, &s->target[i], s->sum[i], NULL, score[i]);
        for (size_t u = 0; u < importance_units(&s->target[i]); u++)
            score[i][u] /= (double)*seen;
    }
    arena_release(a, mark);
    return ok;
}

double ***importance_by_class(const struct method_env *env, const struct importance *how,
                              const struct importance_target *target, size_t n, size_t *classes, struct arena *a,
                              struct err *e)
{
    struct classes k;
    struct sums s = {.env = env, .target = target, .n = n};
    TRY(find_classes(&k, env, (long)how->batches, a, e));
    double ***score = ARENA_NEW(a, MEM_SCRATCH, double **, k.n, e);
    TRY(score);
    *classes = 0;
    for (size_t c = 0; c < k.n; c++) {
        size_t seen;
        TRY(score[*classes] = importance_rooms(target, n, a, e));
        TRY(score_class(&s, how, &k, c, score[*classes], &seen, a, e));
        *classes += seen > 0;
    }
    return score;
}
