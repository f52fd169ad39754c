/*
 * labels: cli
 * What the number of threads changes: nothing from one repetition to the next, and nothing at all where products are
 * computed on the matrix unit. OpenBLAS and LAPACK split their sums by threads: there, losses agree to rounding.
 */
#include "tests/test.h"

#include <math.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "models/blas.h"
#include "tests/harness/small_run.h"

static struct err e;

/* Three steps of a method on the small encoder, large enough that products and sums are shared among threads. */
static struct run_record trained(const char *entry, int threads, const char *out)
{
    char text[512], runs[64];
    const struct run_env env = {.out = out, .threads = threads};
    snprintf(runs, sizeof runs, "%s/runs", out);
    ASSERT_OK(io_mkdirs(runs, &e), &e);
    snprintf(text, sizeof text,
             "model: zoo:mini\ntasks: [synth_sentiment]\nmethods:\n  - %s\nkeep: none\n"
             "train: {max_steps: 3, batch_size: 16, max_seq_length: 32, learning_rate: 1.0e-3, eval_strategy: no}\n",
             entry);
    const struct run_spec *r = small_prepared(text, &env);
    ASSERT_OK(run_execute(r, &env, &e), &e);
    return small_record(r, &env);
}

static double loss(const struct run_record *r, size_t step) { return series_get(&r->train, "loss", step); }

static void expect_same(const struct run_record *a, const struct run_record *b, double tolerance)
{
    assert_int_equal(a->train.rows, 3);
    assert_int_equal(b->train.rows, 3);
    for (size_t i = 0; i < 3; i++)
        ASSERT_NEAR(loss(a, i), loss(b, i), tolerance);
}

/* `others`: sums that are not the program's own (eigenvectors) come from LAPACK. */
static void check(const char *entry, bool others)
{
    log_set_level(LOG_QUIET);
    assert_int_equal(chdir(test_dir()), 0);
    struct run_record one = trained(entry, 1, "one"), two = trained(entry, 2, "two");
    struct run_record again = trained(entry, 2, "again"), three = trained(entry, 3, "three");
    assert_true(fabs(loss(&one, 2) - loss(&one, 0)) > 1e-4);
    expect_same(&two, &again, 0);
    double apart = strcmp(blas_gemm_name(), "amx") == 0 && !others ? 0 : 1e-4;
    expect_same(&one, &two, apart);
    expect_same(&one, &three, apart);
}

TEST(full_fine_tuning) { check("full", false); }
TEST(lora) { check("lora: {r: 8}", false); }
TEST(entries_of_the_gradient) { check("sift: {density: 0.01}", false); }
TEST(rotated_gradients) { check("sparsegrad: {phase0_batches: 1}", true); }
TEST(masked_gradients) { check("gmt", false); }
