/* Products on the matrix unit against products in double: as accurate as SGEMM, the same bits however rows and threads
 * are cut. Skipped where the processor has no unit.
 * labels: unit */
#include "tests/test.h"

#include <math.h>
#include <omp.h>

#include "base/rng.h"
#include "models/split_gemm.h"

struct shape {
    int m, n, k;
};

/* Edges in every dimension, more than one block of k, more columns, and rows too, than one room of panels. */
static const struct shape shapes[] = {{1, 1, 1},     {16, 16, 32},  {32, 32, 128}, {33, 31, 127},  {70, 90, 200},
                                      {129, 65, 300}, {5, 130, 64}, {131, 3, 257}, {4200, 40, 33}, {40, 4200, 33},
                                      {1100, 1060, 33}};

static float *numbers(size_t n, uint64_t seed)
{
    struct err e = {0};
    struct rng r = rng_stream(seed, "split_gemm");
    float *x = ARENA_NEW(test_arena(), MEM_DATA, float, n, &e);
    ASSERT_OK(x, &e);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rng_normal(&r) * exp(3 * rng_normal(&r))); /* of many sizes */
    return x;
}

static void need_the_unit(void)
{
    if (!split_gemm_available()) {
        print_message("skipped: this processor has no bfloat16 matrix unit, or PEFTLAB_GEMM=openblas is set\n");
        skip();
    }
}

/* Largest error of C = alpha op(A) op(B) + beta C0 + bias, each over the sum of its absolute terms. */
static double worst(const struct shape *s, enum blas_op ta, enum blas_op tb, float alpha, float beta, bool with_bias)
{
    size_t m = (size_t)s->m, n = (size_t)s->n, k = (size_t)s->k;
    float *a = numbers(m * k, 1), *b = numbers(k * n, 2), *c = numbers(m * n, 3), *bias = numbers(n, 4);
    const float *before = numbers(m * n, 3);
    split_gemm(ta, tb, s->m, s->n, s->k, alpha, a, ta == BLAS_N ? s->k : s->m, b, tb == BLAS_N ? s->n : s->k, beta,
               with_bias ? bias : NULL, c, s->n);
    double most = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = (double)beta * (double)before[i * n + j] + (with_bias ? (double)bias[j] : 0);
            double size = fabs((double)beta * (double)before[i * n + j]) + (with_bias ? fabs((double)bias[j]) : 0);
            for (size_t p = 0; p < k; p++) {
                double x = (double)(ta == BLAS_N ? a[i * k + p] : a[p * m + i]);
                double term = (double)alpha * x * (double)(tb == BLAS_N ? b[p * n + j] : b[j * k + p]);
                sum += term;
                size += fabs(term);
            }
            most = fmax(most, fabs((double)c[i * n + j] - sum) / size);
        }
    return most;
}

/* Sums of floats are off by a few units in the last place (2^-23 = 1.2e-7) of the sum of their terms; a product left
 * out of the six would leave 2^-16 = 1.5e-5. */
TEST(products_are_as_accurate_as_in_float)
{
    need_the_unit();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int form = 0; form < 4; form++) {
            bool big = shapes[i].m > 1000 || shapes[i].n > 1000;
            if (big && form > 1)
                continue;
            enum blas_op a = form & 1 ? BLAS_T : BLAS_N, b = form & 2 ? BLAS_T : BLAS_N;
            ASSERT_NEAR(worst(&shapes[i], a, b, 1, 0, false), 0, 8e-7);
        }
}

TEST(alpha_beta_and_bias)
{
    need_the_unit();
    const struct shape s = {75, 99, 150};
    ASSERT_NEAR(worst(&s, BLAS_N, BLAS_T, 1, 0, true), 0, 8e-7);
    ASSERT_NEAR(worst(&s, BLAS_T, BLAS_N, 1, 1, false), 0, 8e-7);
    ASSERT_NEAR(worst(&s, BLAS_N, BLAS_N, -.125f, .5f, false), 0, 8e-7);
}

/* A fault in any of the six products would leave an error of 2^-16 at least: with numbers of 24 significant bits and
 * one term in a sum, the product is right to the last bit but two. */
TEST(one_term_is_right_to_float_precision)
{
    need_the_unit();
    const struct shape s = {64, 64, 1};
    ASSERT_NEAR(worst(&s, BLAS_N, BLAS_N, 1, 0, false), 0, 1.5 / 0x1p23);
}

TEST(bits_depend_on_neither_threads_nor_cuts)
{
    need_the_unit();
    enum { M = 200, N = 300, K = 260 };
    float *a = numbers(M * K, 1), *b = numbers(K * N, 2), *whole = numbers(M * N, 3), *other = numbers(M * N, 3);
    int threads = omp_get_max_threads();
    split_gemm(BLAS_N, BLAS_N, M, N, K, 1, a, K, b, N, 0, NULL, whole, N);
    for (int t = 1; t <= 5; t++) {
        omp_set_num_threads(t);
        split_gemm(BLAS_N, BLAS_N, M, N, K, 1, a, K, b, N, 0, NULL, other, N);
        assert_memory_equal(whole, other, M * N * sizeof *whole);
    }
    omp_set_num_threads(threads);
    for (int i = 0; i < M; i += 37)
        split_gemm(BLAS_N, BLAS_N, M - i < 37 ? M - i : 37, N, K, 1, a + i * K, K, b, N, 0, NULL, other + i * N, N);
    assert_memory_equal(whole, other, M * N * sizeof *whole);
}

/* Attention: the threads of a parallel region compute products of their own. */
TEST(threads_of_a_region_do_not_disturb_each_other)
{
    need_the_unit();
    enum { EACH = 8, M = 90, K = 64 };
    float *a = numbers(EACH * M * K, 1), *one = numbers(EACH * M * M, 2), *all = numbers(EACH * M * M, 3);
    for (int i = 0; i < EACH; i++)
        split_gemm(BLAS_N, BLAS_T, M, M, K, 1, a + i * M * K, K, a + i * M * K, K, 0, NULL, one + i * M * M, M);
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < EACH; i++)
        split_gemm(BLAS_N, BLAS_T, M, M, K, 1, a + i * M * K, K, a + i * M * K, K, 0, NULL, all + i * M * M, M);
    assert_memory_equal(one, all, EACH * M * M * sizeof *one);
}

TEST(what_is_not_finite_shows)
{
    need_the_unit();
    enum { N = 40 };
    float *a = numbers(N * N, 1), *b = numbers(N * N, 2), *c = numbers(N * N, 3);
    a[3 * N + 5] = INFINITY;
    split_gemm(BLAS_N, BLAS_N, N, N, N, 1, a, N, b, N, 0, NULL, c, N);
    assert_false(isfinite(c[3 * N + 1]));
    assert_true(isfinite(c[4 * N + 1]));
}
