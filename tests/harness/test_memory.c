/*
 * What methods cost in memory beside the weights, by tags, on the shape of bert-base: planned bytes, which the contract
 * suite compares with those taken. A scalar that is trained densely costs 12 bytes (gradient, two moments of AdamW);
 * one of a list of entries 16, its index included.
 */
#include "tests/test.h"

#include <unistd.h>

#include "harness/run.h"

static struct run_plan plan_of(const char *entry)
{
    struct err e = {0};
    struct run_plan plan = {0};
    char text[512];
    assert_int_equal(chdir(test_dir()), 0);
    snprintf(text, sizeof text, "model: zoo:bert-base\ntasks: mrpc\nmethods:\n  - %s\n", entry);
    test_file("x.yaml", text);
    const struct spec *s = spec_read("x.yaml", NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    ASSERT_OK(run_plan(&s->run[0], &plan, &e), &e);
    return plan;
}

/* Gradients with their indices, optimizer state, and what the method keeps for itself. */
static double state_bytes(const char *entry)
{
    struct run_plan p = plan_of(entry);
    return (double)(p.bytes[MEM_GRADIENTS] + p.bytes[MEM_OPTIMIZER] + p.bytes[MEM_METHOD]);
}

/* The same head is trained by all, 7 MB of full fine-tuning's 1,314. A method must stay below the bound with its head
 * over full fine-tuning with its own, and without over without: the head can neither hide a method nor sink it. */
static void expect_share(const char *entry, double bound)
{
    double head = state_bytes("head"), full = state_bytes("full"), own = state_bytes(entry);
    ASSERT_NEAR(head, 12. * 592130, 64 * 20);
    ASSERT_NEAR(full, 12. * 109483778, 64 * 1000);
    assert_true(own / full < bound);
    assert_true((own - head) / (full - head) < bound);
}

TEST(sift_at_0_8_per_cent) { expect_share("sift: {density: 0.008}", .015); }

/* Over all tensors, embeddings too, the claim is the method's alone: 1.07 % without the head, which would add .54. */
TEST(sift_over_every_tensor)
{
    double head = state_bytes("head"), full = state_bytes("full");
    double own = state_bytes("sift: {density: 0.008, target_modules: all}");
    assert_true((own - head) / (full - head) < .011);
}

/* Nothing dense is allocated for training: gradients are the compact ones, the method keeps lists of its targets, and
 * scratch has at most one tensor more than full fine-tuning's. */
static void expect_compact(const char *entry, size_t indices)
{
    enum { LARGEST = 768 * 3072 * 4, LISTS = 1 << 16 };
    struct run_plan p = plan_of(entry), full = plan_of("full");
    ASSERT_NEAR((double)p.bytes[MEM_GRADIENTS], 4. * (double)p.trainable_with_head + 4. * (double)indices, 64 * 600);
    ASSERT_NEAR((double)p.bytes[MEM_OPTIMIZER], 8. * (double)p.trainable_with_head, 1 << 17);
    assert_true(p.bytes[MEM_METHOD] < LISTS);
    assert_true(p.bytes[MEM_SCRATCH] < full.bytes[MEM_SCRATCH] + LARGEST);
    assert_true(p.bytes[MEM_ACTIVATIONS] <= full.bytes[MEM_ACTIVATIONS]);
}

TEST(sift_is_compact) { expect_compact("sift", 226848); }

TEST(rowsft_at_5_per_cent) { expect_share("rowsft: {ratio: 0.05}", .06); }

TEST(rowsft_is_compact) { expect_compact("rowsft: {ratio: 0.05, bias: false, per_head: false}", 12 * (5 * 38 + 152)); }

TEST(smt_is_compact) { expect_compact("smt: {blocks: 13}", 13); }
