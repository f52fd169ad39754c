/* Steps and bytes of runs that nobody runs here (counts: test_counts.c). */
#include "tests/test.h"

#include <unistd.h>

#include "harness/run.h"

static struct run_plan plan_of(const char *text, const char *const *overrides, size_t n)
{
    struct err e = {0};
    struct run_plan plan = {0};
    assert_int_equal(chdir(test_dir()), 0);
    test_file("x.yaml", text);
    const struct spec *s = spec_read("x.yaml", overrides, n, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    ASSERT_OK(run_plan(&s->run[0], &plan, &e), &e);
    return plan;
}

static struct run_plan roberta(const char *method)
{
    const char *const overrides[] = {method};
    return plan_of("model: zoo:roberta-base\ntasks: mrpc\nmethods: full\n", overrides, 1);
}

/* Full: a gradient and two moments beside each weight. Compact methods pay for what they train. */
TEST(bytes_follow_requests)
{
    struct run_plan full = roberta("methods=full"), sift = roberta("methods=sift"), head = roberta("methods=head");
    double scalars = 124647170;
    ASSERT_NEAR(full.bytes[MEM_WEIGHTS] + full.bytes[MEM_MAPPED], 4 * scalars, 64 * 210);
    ASSERT_NEAR(full.bytes[MEM_GRADIENTS], 4 * scalars, 64 * 210);
    ASSERT_NEAR(full.bytes[MEM_OPTIMIZER], 8 * scalars, 1 << 20);
    ASSERT_NEAR(sift.bytes[MEM_GRADIENTS], 8. * 226848 + 4 * 592130, 64 * 300);
    assert_true(head.bytes[MEM_ACTIVATIONS] < full.bytes[MEM_ACTIVATIONS] / 10);
    size_t sum = 0;
    for (int t = 0; t < MEM_TAGS; t++)
        sum += full.bytes[t];
    assert_int_equal(full.bytes_total, sum);
}

static long long steps_of(const char *override)
{
    return plan_of("model: zoo:mini\ntasks: cola\nmethods: head\ntrain: {select_on: dev}\n", &override,
                   override != NULL).steps;
}

TEST(steps)
{
    assert_int_equal(steps_of(NULL), 3 * 268);                        /* ceil(8551 / 32) = 268 */
    assert_int_equal(steps_of("train.select_on=train_holdout"), 3 * 241); /* 8551 - 855 = 7696 */
    assert_int_equal(steps_of("train.num_train_epochs=0.5"), 134);
    assert_int_equal(steps_of("train.max_steps=7"), 7);
    assert_int_equal(steps_of("train.train_samples=100"), 3 * 4);
    assert_int_equal(steps_of("train.per_class=10"), 3);
    assert_int_equal(steps_of("train.batch_size=8551"), 3);
}

/* Larger pieces need more for activations; a piece is never longer than its batch. */
TEST(activations_follow_pieces)
{
    const char *text = "model: zoo:mini\ntasks: cola\nmethods: full\n";
    const char *small = "train.piece_tokens=256", *none = "train.micro_batch=none", *huge = "train.piece_tokens=65536";
    size_t a = plan_of(text, &small, 1).bytes[MEM_ACTIVATIONS], b = plan_of(text, NULL, 0).bytes[MEM_ACTIVATIONS];
    size_t whole = plan_of(text, &none, 1).bytes[MEM_ACTIVATIONS], c = plan_of(text, &huge, 1).bytes[MEM_ACTIVATIONS];
    assert_true(a < b && b < whole);
    assert_int_equal(c, whole);
    const char *const halves[] = {none, "train.gradient_accumulation_steps=2"};
    ASSERT_NEAR((double)plan_of(text, halves, 2).bytes[MEM_ACTIVATIONS], .5 * (double)whole, .01 * (double)whole);
}
