/* Counts, steps and bytes of runs that nobody runs here. */
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

static void expect_counts(const struct run_plan *p, size_t trainable, size_t with_head, size_t total)
{
    assert_int_equal(p->trainable, trainable);
    assert_int_equal(p->trainable_with_head, with_head);
    assert_int_equal(p->total, total);
}

/* The papers' own numbers: LoRA's 0.3 M for query and value at rank 8, SIFT's for 0.8 % of four matrices a layer. */
TEST(counts_of_roberta_base)
{
    enum { TOTAL = 124647170, HEAD = 592130, LORA = 294912, SIFT = 226848 };
    struct run_plan p = roberta("methods=full");
    expect_counts(&p, TOTAL - HEAD, TOTAL, TOTAL);
    p = roberta("methods=lora");
    expect_counts(&p, LORA, LORA + HEAD, TOTAL + LORA);
    p = roberta("methods=sift");
    expect_counts(&p, SIFT, SIFT + HEAD, TOTAL);
    p = roberta("methods=head");
    expect_counts(&p, 0, HEAD, TOTAL);
}

TEST(counts_of_roberta_large)
{
    struct run_plan p = plan_of("model: zoo:roberta-large\ntasks: mrpc\nmethods: sift\n", NULL, 0);
    assert_int_equal(p.trainable, 806208);
    p = plan_of("model: zoo:roberta-large\ntasks: mrpc\nmethods:\n- sift: {ranking: global, refresh_every: 50}\n", NULL,
                0);
    assert_int_equal(p.trainable, 806208);
    ASSERT_NEAR(p.bytes[MEM_METHOD], 96 * (1048576 + 1024) / 8., 64 * 400); /* a bit for what was ever trained */
}

/* A refresh looks at a whole batch beside training's buffers, and has room for one tensor's gradient (two batches: for
 * all of them); random masks need none of that. */
TEST(probes_in_training_are_planned)
{
    struct run_plan never = roberta("methods=sift"), refresh = roberta("methods=[{sift: {refresh_every: 9}}]"),
                    summed = roberta("methods=[{sift: {refresh_every: 9, select_batches: 2}}]"),
                    random = roberta("methods=[{sift: {refresh_every: 9, select: random}}]");
    assert_true(refresh.bytes[MEM_ACTIVATIONS] > never.bytes[MEM_ACTIVATIONS]);
    assert_true(refresh.bytes[MEM_SCRATCH] > never.bytes[MEM_SCRATCH] + 4 * 768 * 768);
    ASSERT_NEAR((double)summed.bytes[MEM_SCRATCH], (double)refresh.bytes[MEM_SCRATCH] + 4. * 48 * (768 * 768 + 768), 1);
    assert_int_equal(random.bytes[MEM_ACTIVATIONS], never.bytes[MEM_ACTIVATIONS]);
    assert_true(random.bytes[MEM_SCRATCH] < never.bytes[MEM_SCRATCH] + 4 * 768 * 768);
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
