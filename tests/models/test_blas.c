/* Thin products, which blas_gemm cuts into strips itself, against sums in double, and with several threads.
 * labels: unit */
#include "tests/test.h"

#include <math.h>

#include "base/rng.h"
#include "models/blas.h"

struct shape {
    int m, n, k;
};

/* LoRA's six for a rank of 8: above 2^18 multiplications, and no multiple of a strip long. */
static const struct shape shapes[] = {{1000, 8, 700}, {1000, 700, 8}, {8, 700, 1000}, {700, 8, 1000}, {15, 150, 150}};

static struct err e;

static real *numbers(int n, const char *name)
{
    struct rng r = rng_stream(5, name);
    real *x = ARENA_NEW(test_arena(), MEM_DATA, real, (size_t)n, &e);
    ASSERT_OK(x, &e);
    for (int i = 0; i < n; i++)
        x[i] = (real)rng_normal(&r);
    return x;
}

static real *product(const struct shape *s, int form, int threads)
{
    enum blas_op ta = form & 1 ? BLAS_T : BLAS_N, tb = form & 2 ? BLAS_T : BLAS_N;
    const real *a = numbers(s->m * s->k, "a"), *b = numbers(s->k * s->n, "b");
    real *c = numbers(s->m * s->n, "c");
    blas_set_threads(threads);
    blas_gemm(ta, tb, s->m, s->n, s->k, (real)0.5, a, form & 1 ? s->m : s->k, b, form & 2 ? s->k : s->n, 1, c, s->n);
    blas_set_threads(1);
    return c;
}

static void check(const struct shape *s, int form)
{
    const real *a = numbers(s->m * s->k, "a"), *b = numbers(s->k * s->n, "b"), *c = numbers(s->m * s->n, "c");
    const real *got = product(s, form, 2);
    for (int i = 0; i < s->m; i++)
        for (int j = 0; j < s->n; j++) {
            double sum = (double)c[i * s->n + j];
            for (int p = 0; p < s->k; p++)
                sum += 0.5 * (double)a[form & 1 ? p * s->m + i : i * s->k + p] *
                       (double)b[form & 2 ? j * s->k + p : p * s->n + j];
            ASSERT_NEAR(got[i * s->n + j], sum, 1e-4);
        }
}

TEST(thin_products_are_right)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 4; form++)
            check(&shapes[i], form);
}

TEST(threads_change_no_bit_of_thin_products)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 4; form++) {
            bool tokens = shapes[i].m <= 16 && !(form & 1); /* few rows of op(A) alone are not thin */
            size_t bytes = (size_t)(shapes[i].m * shapes[i].n) * sizeof(real);
            const real *one = product(&shapes[i], form, 1);
            for (int threads = 2; threads <= 3 && !tokens; threads++)
                assert_memory_equal(one, product(&shapes[i], form, threads), bytes);
        }
}
