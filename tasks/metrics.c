/*
 * GLUE's metrics (Wang et al., arXiv:1804.07461). Counts are exact integers, sums are doubles over two passes, so that
 * a small variance around a large mean is not lost to cancellation.
 */
#include "tasks/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 0 where a value is undefined. */
static bool undefined(double *value, bool *degenerate)
{
    *value = 0;
    *degenerate = true;
    return true;
}

static bool defined(double *value, bool *degenerate, double v)
{
    *value = v;
    *degenerate = false;
    return true;
}

static bool accuracy(const struct outcome *o, struct arena *scratch, double *value, bool *degenerate, struct err *e)
{
    (void)scratch, (void)e;
    size_t right = 0;
    for (size_t i = 0; i < o->n; i++)
        right += o->label[i] == o->prediction[i];
    return o->n ? defined(value, degenerate, (double)right / (double)o->n) : undefined(value, degenerate);
}

/* F1 = 2 TP / (2 TP + FP + FN) of class 1. */
static bool f1(const struct outcome *o, struct arena *scratch, double *value, bool *degenerate, struct err *e)
{
    (void)scratch, (void)e;
    size_t both = 0, labelled = 0, predicted = 0;
    for (size_t i = 0; i < o->n; i++) {
        labelled += o->label[i] == 1;
        predicted += o->prediction[i] == 1;
        both += o->label[i] == 1 && o->prediction[i] == 1;
    }
    if (labelled + predicted == 0)
        return undefined(value, degenerate);
    return defined(value, degenerate, 2.0 * (double)both / (double)(labelled + predicted));
}

/*
 * Gorodkin 2004 (Comput. Biol. Chem. 28): with s rows, c right ones, t_k rows of class k and p_k predictions of it,
 * R_K = (c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2)). Two classes: Matthews' coefficient.
 */
static bool matthews(const struct outcome *o, struct arena *scratch, double *value, bool *degenerate, struct err *e)
{
    double *t = ARENA_NEW(scratch, MEM_SCRATCH, double, (size_t)o->n_labels, e);
    double *p = ARENA_NEW(scratch, MEM_SCRATCH, double, (size_t)o->n_labels, e);
    TRY(t && p);
    double c = 0, s = (double)o->n, tp = 0, tt = 0, pp = 0;
    for (size_t i = 0; i < o->n; i++) {
        t[o->label[i]]++;
        p[o->prediction[i]]++;
        c += o->label[i] == o->prediction[i];
    }
    for (int k = 0; k < o->n_labels; k++) {
        tp += t[k] * p[k];
        tt += t[k] * t[k];
        pp += p[k] * p[k];
    }
    if (pp == s * s || tt == s * s) /* one class only: exact, the counts are integers */
        return undefined(value, degenerate);
    return defined(value, degenerate, (c * s - tp) / (sqrt(s * s - pp) * sqrt(s * s - tt)));
}

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

/* Pearson's r = sum dx dy / sqrt(sum dx^2 sum dy^2), deviations taken from the means. */
static bool correlation(const double *x, const double *y, size_t n, double *value, bool *degenerate)
{
    double mx = n ? mean_of(x, n) : 0, my = n ? mean_of(y, n) : 0, xy = 0, xx = 0, yy = 0;
    bool finite = true, x_varies = false, y_varies = false;
    for (size_t i = 0; i < n; i++) {
        double dx = x[i] - mx, dy = y[i] - my;
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
        finite = finite && isfinite(x[i]) && isfinite(y[i]);
        x_varies = x_varies || x[i] != x[0];
        y_varies = y_varies || y[i] != y[0];
    }
    if (!finite || !x_varies || !y_varies || !(xx > 0) || !(yy > 0))
        return undefined(value, degenerate);
    double r = xy / (sqrt(xx) * sqrt(yy));
    return defined(value, degenerate, r > 1 ? 1 : r < -1 ? -1 : r);
}

static double *widen(const float *v, size_t n, struct arena *scratch, struct err *e)
{
    double *x = ARENA_NEW(scratch, MEM_SCRATCH, double, n, e);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (double)v[i];
    return x;
}

static bool pearson(const struct outcome *o, struct arena *scratch, double *value, bool *degenerate, struct err *e)
{
    const double *x = widen(o->score, o->n, scratch, e), *y = widen(o->value, o->n, scratch, e);
    TRY(x && y);
    return correlation(x, y, o->n, value, degenerate);
}

struct ranked {
    float v;
    size_t at;
};

static int by_value(const void *a, const void *b)
{
    float x = ((const struct ranked *)a)->v, y = ((const struct ranked *)b)->v;
    return (x > y) - (x < y);
}

/* Ranks 1..n; equal values share the mean of their ranks. */
static double *ranks(const float *v, size_t n, struct arena *scratch, struct err *e)
{
    struct ranked *order = ARENA_NEW(scratch, MEM_SCRATCH, struct ranked, n, e);
    double *rank = ARENA_NEW(scratch, MEM_SCRATCH, double, n, e);
    TRY(order && rank);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){v[i], i};
    qsort(order, n, sizeof *order, by_value);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && order[j].v == order[i].v; j++)
            ;
        for (size_t k = i; k < j; k++)
            rank[order[k].at] = ((double)i + (double)j + 1) / 2;
    }
    return rank;
}

static bool all_finite(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

/* Spearman's rho: Pearson's r of the ranks. */
static bool spearman(const struct outcome *o, struct arena *scratch, double *value, bool *degenerate, struct err *e)
{
    if (!all_finite(o->score, o->n) || !all_finite(o->value, o->n))
        return undefined(value, degenerate);
    const double *x = ranks(o->score, o->n, scratch, e), *y = ranks(o->value, o->n, scratch, e);
    TRY(x && y);
    return correlation(x, y, o->n, value, degenerate);
}

const struct metric metric_table[] = {
    {"accuracy", "accuracy", "share of rows whose class is predicted", true, false, true, 0, 1, accuracy},
    {"f1", "F1", "harmonic mean of precision and recall of class 1", true, false, true, 0, 1, f1},
    {"matthews_correlation", "Matthews correlation",
     "correlation of classes and predictions; of more than two classes Gorodkin's R_K", true, false, true, -1, 1,
     matthews},
    {"pearson", "Pearson correlation", "linear correlation of scores and predictions", false, true, true, -1, 1,
     pearson},
    {"spearmanr", "Spearman correlation", "correlation of the ranks of scores and predictions, ties averaged", false,
     true, true, -1, 1, spearman},
    {0},
};

const struct metric *metric_find(const char *name)
{
    for (const struct metric *m = metric_table; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

bool metric_compute(const struct metric *m, const struct outcome *o, struct arena *scratch, double *value,
                    bool *degenerate, struct err *e)
{
    assert(o->n == 0 || (m->classification && o->label && o->prediction) || (m->regression && o->score && o->value));
    struct arena_mark mark = arena_mark(scratch);
    bool ok = m->compute(o, scratch, value, degenerate, e);
    arena_release(scratch, mark);
    return ok;
}

int32_t metric_argmax(const float *logits, int n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best] || (isnan(logits[best]) && !isnan(logits[i])))
            best = i;
    return best;
}

static bool varies(const int32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[0])
            return true;
    return false;
}

static double deviation(const float *v, size_t n)
{
    double mean = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)v[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        sum += ((double)v[i] - mean) * ((double)v[i] - mean);
    return n ? sqrt(sum / (double)n) : 0;
}

bool metric_collapsed(const struct outcome *o)
{
    if (o->prediction)
        return varies(o->label, o->n) && !varies(o->prediction, o->n);
    double labels = o->score ? deviation(o->score, o->n) : 0;
    return labels > 0 && !(deviation(o->value, o->n) >= 0.01 * labels); /* NaN counts as collapsed */
}

double metric_majority(const struct outcome *o)
{
    size_t best = 0;
    for (int32_t k = 0; o->label && k < o->n_labels; k++) {
        size_t n = 0;
        for (size_t i = 0; i < o->n; i++)
            n += o->label[i] == k;
        best = n > best ? n : best;
    }
    return o->n ? (double)best / (double)o->n : 0;
}
