/* Random streams: the generator's published answers, independence of streams, shapes of the distributions. */
#include "tests/test.h"

#include <math.h>

#include "base/rng.h"

/* Salmon et al.'s known answers for philox4x32-10, as distributed with Random123 (kat_vectors). */
TEST(blocks_are_philox4x32_10)
{
    static const struct {
        uint32_t counter[4];
        struct rng_key key;
        uint32_t out[4];
    } known[] = {
        {{0, 0, 0, 0}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {{0xffffffff, 0xffffffff}},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {{0xa4093822, 0x299f31d0}},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t out[4];
        rng_block(known[i].key, known[i].counter, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* A stream hands out the words of blocks 0, 1, 2, ... under its key, so that its draws can be had without a state. */
TEST(a_stream_is_its_blocks_in_order)
{
    struct rng r = rng_stream(42, "dropout");
    struct rng_key key = rng_key(42, "dropout");
    for (uint32_t block = 0; block < 3; block++) {
        uint32_t out[4];
        rng_block(key, (const uint32_t[4]){block, 0, 0, 0}, out);
        for (int i = 0; i < 4; i++)
            assert_int_equal(rng_u32(&r), out[i]);
    }
}

TEST(the_counter_has_64_bits)
{
    struct rng low = rng_stream(1, "x"), high = low;
    low.block = 7;
    high.block = ((uint64_t)1 << 32) + 7;
    assert_int_not_equal(rng_u32(&low), rng_u32(&high));
}

TEST(a_copy_goes_on_alike)
{
    struct rng a = rng_stream(3, "order");
    for (int i = 0; i < 5; i++)
        rng_u32(&a);
    struct rng b = a;
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_u32(&a), rng_u32(&b));
}

/* 64 equal words at the same place in two streams of 4096 would be the work of a shared key. */
static void assert_apart(uint64_t seed_a, const char *name_a, uint64_t seed_b, const char *name_b)
{
    struct rng a = rng_stream(seed_a, name_a), b = rng_stream(seed_b, name_b);
    int equal = 0;
    for (int i = 0; i < 4096; i++)
        equal += rng_u32(&a) == rng_u32(&b);
    assert_in_range(equal, 0, 2);
}

TEST(streams_differ_by_name_and_by_seed)
{
    assert_apart(42, "head", 42, "order");
    assert_apart(42, "head", 43, "head");
    assert_apart(42, "ab", 42, "ba");
    assert_apart(42, "", 42, "a");
    assert_apart(1, "head", (uint64_t)1 << 32, "head");
    assert_apart(1, "head", 1 | (uint64_t)1 << 32, "head");
}

/* Two streams side by side are uncorrelated: the sample correlation of n pairs has standard deviation 1/sqrt(n). */
TEST(streams_are_uncorrelated)
{
    enum { N = 100000 };
    struct rng a = rng_stream(42, "head"), b = rng_stream(42, "head2");
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += ((double)rng_uniform(&a) - .5) * ((double)rng_uniform(&b) - .5);
    ASSERT_NEAR(12 * sum / N, 0, 5 / sqrt(N));
}

TEST(uniform_lies_in_0_1_with_24_bits)
{
    enum { N = 200000 };
    struct rng r = rng_stream(1, "uniform");
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        float u = rng_uniform(&r);
        assert_true(u >= 0 && u < 1);
        assert_true(u * 0x1p24f == floorf(u * 0x1p24f));
        sum += (double)u;
        squares += (double)u * (double)u;
    }
    ASSERT_NEAR(sum / N, 1. / 2, 5 * sqrt(1. / 12 / N));
    ASSERT_NEAR(squares / N, 1. / 3, 5 * sqrt(4. / 45 / N));
}

/* Moments of N(0, 1) are 0, 1, 0, 3; the variances of their estimates are 1/n, 2/n, 15/n, 96/n. */
TEST(normal_has_the_moments_of_a_normal)
{
    enum { N = 400000 };
    struct rng r = rng_stream(1, "normal");
    double m[5] = {0};
    int beyond_3 = 0;
    for (int i = 0; i < N; i++) {
        double x = rng_normal(&r);
        assert_true(isfinite(x));
        for (int k = 1; k <= 4; k++)
            m[k] += pow(x, k) / N;
        beyond_3 += fabs(x) > 3;
    }
    ASSERT_NEAR(m[1], 0, 5 * sqrt(1. / N));
    ASSERT_NEAR(m[2], 1, 5 * sqrt(2. / N));
    ASSERT_NEAR(m[3], 0, 5 * sqrt(15. / N));
    ASSERT_NEAR(m[4], 3, 5 * sqrt(96. / N));
    ASSERT_NEAR((double)beyond_3 / N, 0.0026998, 5 * sqrt(0.0027 / N));
}

/* Bounds where a plain remainder or multiplication shows its bias: just above a third and a half of 2^32. */
TEST(below_is_uniform)
{
    static const uint32_t bounds[] = {1, 2, 3, 7, 1000, 0x60000000, 0x80000001, 0xc0000000};
    enum { N = 100000 };
    for (size_t b = 0; b < sizeof bounds / sizeof bounds[0]; b++) {
        struct rng r = rng_stream(b, "below");
        int third[3] = {0};
        for (int i = 0; i < N; i++) {
            uint32_t v = rng_below(&r, bounds[b]);
            assert_true(v < bounds[b]);
            third[(uint64_t)v * 3 / bounds[b]]++;
        }
        for (uint32_t t = 0; t < 3; t++) {
            /* the exact share of the numbers v with floor(3v / n) = t */
            uint64_t n = bounds[b], lo = (t * n + 2) / 3, hi = ((t + 1) * n + 2) / 3;
            double p = (double)(hi - lo) / (double)n;
            ASSERT_NEAR((double)third[t] / N, p, 5 * sqrt(p * (1 - p) / N));
        }
    }
}

/* What threads rely on that fill one tensor from one stream, each from its own place. */
TEST(seeking_is_drawing_on)
{
    struct rng all = rng_stream(9, "init/x"), part = all;
    double v[64];
    for (int i = 0; i < 64; i++)
        v[i] = rng_normal(&all);
    rng_u32(&part); /* what is left of a block goes */
    for (int from = 62; from >= 0; from -= 2) {
        rng_seek(&part, 2 * (uint64_t)from);
        assert_true(rng_normal(&part) == v[from]);
        assert_true(rng_normal(&part) == v[from + 1]);
    }
}

TEST(shuffle_keeps_every_element)
{
    enum { N = 1000 };
    int32_t v[N], seen[N] = {0};
    for (int i = 0; i < N; i++)
        v[i] = i;
    struct rng r = rng_stream(5, "order");
    rng_shuffle(&r, v, N);
    int moved = 0;
    for (int i = 0; i < N; i++) {
        seen[v[i]]++;
        moved += v[i] != i;
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    assert_in_range(moved, N - 10, N); /* a random order has one fixed point on average */
    rng_shuffle(&r, v, 0);
    rng_shuffle(&r, v, 1);
}

/* The 24 orders of four elements are equally frequent: chi-square of 23 degrees of freedom, below 60 with p = 4e-5. */
TEST(shuffle_is_uniform_over_orders)
{
    enum { N = 48000, ORDERS = 24 };
    int count[256] = {0};
    struct rng r = rng_stream(6, "order");
    for (int i = 0; i < N; i++) {
        int32_t v[4] = {0, 1, 2, 3};
        rng_shuffle(&r, v, 4);
        count[v[0] << 6 | v[1] << 4 | v[2] << 2 | v[3]]++;
    }
    double chi2 = 0;
    int orders = 0;
    for (int i = 0; i < 256; i++)
        if (count[i]) {
            double d = count[i] - (double)N / ORDERS;
            chi2 += d * d / ((double)N / ORDERS);
            orders++;
        }
    assert_int_equal(orders, ORDERS);
    assert_true(chi2 < 60);
}
