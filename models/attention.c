/* Attention, one (sequence, head) pair per task: see attention.h. BLAS calls inside the parallel region run single
 * threaded, each task writes its own slices, so the result does not depend on which thread takes which task. */
#include "models/attention.h"

#include <math.h>
#include <string.h>

#include <omp.h>

#include "models/blas.h"

/* One task: rows of this sequence, columns of this head. */
struct task {
    int len, d, ld;
    size_t at; /* offset of its first element in q, k, v, ctx */
    struct dropout dropout;
    size_t element; /* of the head's first probability within the sequence */
    real scale;
};

/* Scratch of one thread: probabilities, dropped probabilities, their gradient, one [len, d] slice. */
static size_t scratch_of_thread(int hidden, int heads, int max_len)
{
    size_t square = (size_t)max_len * (size_t)max_len;
    return 3 * square + (size_t)max_len * (size_t)(hidden / heads) + 16;
}

size_t attention_scratch(int hidden, int heads, int max_len, int threads)
{
    return scratch_of_thread(hidden, heads, max_len) * (size_t)threads;
}

static struct task make_task(const struct attention *a, const struct batch *b, int number)
{
    int s = number / a->heads, head = number % a->heads, len = b->start[s + 1] - b->start[s];
    struct task t = {.len = len, .d = a->hidden / a->heads, .ld = a->hidden, .dropout = a->dropout};
    t.at = (size_t)b->start[s] * (size_t)a->hidden + (size_t)(head * t.d);
    t.dropout.row = (uint32_t)b->row[s];
    t.element = (size_t)head * (size_t)len * (size_t)len;
    t.scale = (real)(1 / sqrt((double)t.d));
    return t;
}

static void probabilities(const struct task *t, const real *q, const real *k, real *p)
{
    blas_gemm(BLAS_N, BLAS_T, t->len, t->len, t->d, t->scale, q + t->at, t->ld, k + t->at, t->ld, 0, p, t->len);
    softmax_rows(t->len, t->len, p);
}

static void drop(const struct task *t, real *p)
{
    dropout_range(&t->dropout, t->element, (size_t)t->len * (size_t)t->len, p);
}

void attention_forward(const struct attention *a, const struct batch *b, const real *q, const real *k, const real *v,
                       real *ctx)
{
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < b->n_seq * a->heads; i++) {
        struct task t = make_task(a, b, i);
        real *p = a->scratch + scratch_of_thread(a->hidden, a->heads, a->max_len) * (size_t)omp_get_thread_num();
        probabilities(&t, q, k, p);
        drop(&t, p);
        blas_gemm(BLAS_N, BLAS_N, t.len, t.d, t.len, 1, p, t.len, v + t.at, t.ld, 0, ctx + t.at, t.ld);
    }
}

static void copy_slice(const struct task *t, const real *from, real *to)
{
    for (int r = 0; r < t->len; r++)
        memcpy(to + t->at + (size_t)r * (size_t)t->ld, from + (size_t)r * (size_t)t->d, (size_t)t->d * sizeof(real));
}

/*
 * With P the probabilities, D = dropout(P), S the scores:
 * dV = Dᵀ dctx, dD = dctx Vᵀ, dS = D * dD - P * rowsum(D * dD) (the mask of dD is that of D), dQ = dS K / sqrt(d),
 * dK = dSᵀ Q / sqrt(d). Each is written over what it no longer needs.
 */
static void task_backward(const struct task *t, const real *dctx, real *q, real *k, real *v, real *scratch)
{
    size_t square = (size_t)t->len * (size_t)t->len;
    real *p = scratch, *dropped = p + square, *dp = dropped + square, *slice = dp + square;
    probabilities(t, q, k, p);
    if (t->dropout.p > 0) {
        memcpy(dropped, p, square * sizeof *p);
        drop(t, dropped);
    } else {
        dropped = p;
    }
    blas_gemm(BLAS_N, BLAS_T, t->len, t->len, t->d, 1, dctx + t->at, t->ld, v + t->at, t->ld, 0, dp, t->len);
    blas_gemm(BLAS_T, BLAS_N, t->len, t->d, t->len, 1, dropped, t->len, dctx + t->at, t->ld, 0, v + t->at, t->ld);
    softmax_backward_rows(t->len, t->len, p, dropped, dp, dp);
    blas_gemm(BLAS_N, BLAS_N, t->len, t->d, t->len, t->scale, dp, t->len, k + t->at, t->ld, 0, slice, t->d);
    blas_gemm(BLAS_T, BLAS_N, t->len, t->d, t->len, t->scale, dp, t->len, q + t->at, t->ld, 0, k + t->at, t->ld);
    copy_slice(t, slice, q);
}

void attention_backward(const struct attention *a, const struct batch *b, const real *dctx, real *q, real *k, real *v)
{
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < b->n_seq * a->heads; i++) {
        struct task t = make_task(a, b, i);
        real *mine = a->scratch + scratch_of_thread(a->hidden, a->heads, a->max_len) * (size_t)omp_get_thread_num();
        task_backward(&t, dctx, q, k, v, mine);
    }
}
