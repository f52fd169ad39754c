/* Kernels against the C library and closed forms.
 * labels: unit */
#include "tests/test.h"

#include <math.h>

#include "models/kernels.h"

TEST(gelu_is_the_exact_one)
{
    real x[400], y[400], d[400], both[400];
    for (int i = 0; i < 400; i++) {
        x[i] = (real)(0.05 * (i - 200));
        d[i] = x[i];
    }
    gelu_forward(400, x, y);
    gelu_and_slope(400, d, both);
    assert_memory_equal(y, both, sizeof y);
    for (int i = 0; i < 400; i++) {
        double v = (double)x[i], phi = 0.5 * erfc(-v / sqrt(2)), density = exp(-v * v / 2) / sqrt(2 * acos(-1));
        ASSERT_NEAR(y[i], v * phi, 1e-6);
        ASSERT_NEAR(d[i], phi + v * density, 2e-6);
    }
}

TEST(dropout_masks_hang_on_counters_alone)
{
    struct dropout d = {.key = rng_key(5, "dropout"), .row = 17, .site = 3, .step = 9, .p = 0.3};
    enum { N = 700 };
    real whole[N], part[N];
    for (int i = 0; i < N; i++)
        whole[i] = part[i] = 1;
    dropout_range(&d, 0, N, whole);
    dropout_range(&d, 0, 101, part);
    dropout_range(&d, 101, N - 101, part + 101);
    assert_memory_equal(whole, part, sizeof whole);
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t counter[4] = {i / 512 * 64 + i % 64, d.row, d.site, d.step}, half = i / 64 % 8;
        uint32_t word[4];
        rng_block(d.key, counter, word);
        uint32_t bits = half % 2 ? word[half / 2] >> 16 : word[half / 2] & 0xffff;
        ASSERT_NEAR(whole[i], bits >= 19661 ? 1 / (1 - 19661 / 0x1p16) : 0, 1e-6);
    }
}

TEST(packed_dropout_equals_one_sequence_at_a_time)
{
    struct dropout d = {.key = rng_key(5, "dropout"), .site = 3, .step = 9, .p = 0.5};
    const int32_t start[] = {0, 3, 50, 61}, row[] = {8, 2, 1000000};
    enum { COLS = 37, N = 61 * COLS };
    static real packed[N], single[N];
    for (int i = 0; i < N; i++)
        packed[i] = single[i] = (real)i;
    dropout_packed(&d, 3, start, row, COLS, packed);
    for (int s = 0; s < 3; s++) {
        d.row = (uint32_t)row[s];
        dropout_range(&d, 0, (size_t)(start[s + 1] - start[s]) * COLS, single + start[s] * COLS);
    }
    assert_memory_equal(packed, single, sizeof packed);
}

TEST(softmax_rows_sum_to_one)
{
    real x[3 * 50];
    for (int i = 0; i < 150; i++)
        x[i] = (real)(i % 7 * 20 - 60);
    softmax_rows(3, 50, x);
    for (int r = 0; r < 3; r++) {
        double sum = 0;
        for (int c = 0; c < 50; c++)
            sum += (double)x[r * 50 + c];
        ASSERT_NEAR(sum, 1, 1e-5);
    }
}

TEST(layernorm_output_repeats_the_forward_bits)
{
    enum { R = 5, C = 19 };
    real x[R * C], w[C], b[C], xhat[R * C], rstd[R], y[R * C], again[R * C];
    for (int i = 0; i < R * C; i++)
        x[i] = (real)sin(i);
    for (int c = 0; c < C; c++) {
        w[c] = (real)(1 + 0.1 * c);
        b[c] = (real)(0.01 * c);
    }
    layernorm_forward(R, C, (real)1e-12, x, w, b, xhat, rstd, y);
    layernorm_output(R, C, xhat, w, b, again);
    assert_memory_equal(y, again, sizeof y);
    double mean = 0, square = 0;
    for (int c = 0; c < C; c++) {
        mean += (double)xhat[c] / C;
        square += (double)xhat[c] * (double)xhat[c] / C;
    }
    ASSERT_NEAR(mean, 0, 1e-6);
    ASSERT_NEAR(square, 1, 1e-5);
}

/* Column c is scaled by c - 1 and moved by 10 c; row r holds r + 1 everywhere. */
TEST(columns_are_scaled)
{
    enum { R = 3, C = 21 };
    real x[R * C], y[R * C], sum[R * C], scale[C], bias[C];
    for (int i = 0; i < R * C; i++) {
        x[i] = (real)(i / C + 1);
        sum[i] = 100;
    }
    for (int c = 0; c < C; c++) {
        scale[c] = (real)(c - 1);
        bias[c] = (real)(10 * c);
    }
    scale_columns(R, C, x, scale, bias, y);
    add_scaled_columns(R, C, x, scale, sum);
    scale_columns(R, C, x, scale, NULL, x);
    for (int i = 0; i < R * C; i++) {
        int r = i / C, c = i % C;
        assert_true(y[i] == (real)((r + 1) * (c - 1) + 10 * c));
        assert_true(x[i] == (real)((r + 1) * (c - 1)));
        assert_true(sum[i] == (real)(100 + (r + 1) * (c - 1)));
    }
}
