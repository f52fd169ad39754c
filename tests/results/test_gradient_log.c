/* Gradient measurements against plain definitions. */
#include "tests/test.h"

#include <math.h>

#include "base/rng.h"
#include "results/gradient_log.h"

enum { N = 2000 };

static int descending(const void *a, const void *b)
{
    double x = fabs((double)*(const float *)a), y = fabs((double)*(const float *)b);
    return (x < y) - (x > y);
}

static double norm_of(const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * v[i];
    return sqrt(sum);
}

TEST(bins_cover_the_range)
{
    assert_int_equal(gradient_bin(1.0000001e-14), 0);
    assert_int_equal(gradient_bin(.9e-14), -1);
    assert_int_equal(gradient_bin(1e2), GRADIENT_BINS);
    assert_int_equal(gradient_bin(99), GRADIENT_BINS - 1);
    assert_int_equal(gradient_bin(INFINITY), GRADIENT_BINS);
    assert_int_equal(gradient_bin(NAN), GRADIENT_BINS);
    ASSERT_NEAR(gradient_edge(0), -14, 0);
    ASSERT_NEAR(gradient_edge(GRADIENT_BINS), 2, 1e-12);
    for (int i = 0; i < GRADIENT_BINS; i++) /* the middle of a bin is in it */
        assert_int_equal(gradient_bin(pow(10, (gradient_edge(i) + gradient_edge(i + 1)) / 2)), i);
}

TEST(counts_norm_and_shares_agree_with_sorting)
{
    float g[N], sorted[N];
    uint32_t scratch[N];
    const uint32_t trained[] = {1, 5, 1999};
    struct gradient_cell c;
    struct rng r = rng_stream(1, "test");
    for (size_t i = 0; i < N; i++)
        g[i] = i % 7 == 0 ? 0 : (float)(rng_normal(&r) * pow(10, -3 * rng_normal(&r)));
    g[1] = 3e2f, g[2] = -1e-20f, g[3] = -1e5f;
    gradient_measure(&c, g, N, trained, 3, scratch);
    memcpy(sorted, g, sizeof g);
    qsort(sorted, N, sizeof *sorted, descending);
    uint64_t total = c.zero + c.underflow + c.overflow;
    for (int i = 0; i < GRADIENT_BINS; i++)
        total += c.bin[i];
    assert_int_equal(total, N);
    assert_int_equal(c.zero, (N + 6) / 7);
    assert_true(c.underflow >= 1 && c.overflow >= 2);
    double norm = norm_of(g, N);
    ASSERT_NEAR(c.norm, norm, 1e-9 * norm);
    for (int q = 0; q < GRADIENT_TOPS; q++) {
        size_t k = (size_t)lround(gradient_top[q] * N);
        ASSERT_NEAR(c.top[q], norm_of(sorted, k) / norm, 1e-12);
    }
    const float kept[] = {g[1], g[5], g[1999]};
    ASSERT_NEAR(c.captured, norm_of(kept, 3) / norm, 1e-12);
}

TEST(zero_and_broken_gradients_have_no_shares)
{
    float g[3] = {0, 0, 0};
    uint32_t scratch[3];
    struct gradient_cell c;
    gradient_measure(&c, g, 3, NULL, 3, scratch);
    assert_int_equal(c.zero, 3);
    assert_true(isnan(c.captured) && isnan(c.top[0]));
    g[1] = NAN;
    gradient_measure(&c, g, 3, NULL, 3, scratch);
    assert_int_equal(c.overflow, 1);
    assert_true(isnan(c.norm) && isnan(c.captured));
    g[1] = 2;
    gradient_measure(&c, g, 3, NULL, 0, scratch);
    ASSERT_NEAR(c.captured, 0, 0);
    gradient_measure(&c, g, 3, NULL, 3, scratch);
    ASSERT_NEAR(c.captured, 1, 0);
    ASSERT_NEAR(c.top[0], 1, 0);
}
