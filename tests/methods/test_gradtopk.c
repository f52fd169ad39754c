/* gradtopk: which gradients of the feed-forward weights are used. labels: unit
 */
#include "tests/methods/fixture.h"
#include "tests/methods/toy.h"

#include <math.h>

#include "methods/mask.h"
#include "methods/topk.h"

static struct err e;

/*
 * By hand, k = 3:
 *
 *         1 -8  2  0
 *     G = 4  4 -3  7      -8, 7 and -6 are kept; SGD with learning rate 0.1 moves these by .8, -.7, .6. The bias's
 *        -4  0  5 -6      gradient 1, 2, 3 is used as it is. Norm: sqrt(64 + 49 + 36 + 1 + 4 + 9) = sqrt(163).
 */
static const real G[TOY] = {1, -8, 2, 0, 4, 4, -3, 7, -4, 0, 5, -6};

static void by_hand(const char *options)
{
    struct toy t;
    struct optim_options sgd = toy_sgd(0.1);
    toy_open(&t, "gradtopk", options, &sgd, NULL, 0);
    toy_step(&t, G, (real[]){1, 2, 3}, 0);
    toy_check(&t, (double[TOY]){[1] = .8, [7] = -.7, [11] = .6}, 1e-6);
    for (int i = 0; i < TOY_ROWS; i++)
        ASSERT_NEAR(t.b->w[i], -.1 * (i + 1), 1e-6);
    ASSERT_NEAR(t.norm, sqrt(163), 1e-5);
    toy_close(&t);
}

TEST(three_by_four_by_hand)
{
    by_hand("{k: 3}");
    by_hand("{density: 0.25}");
    by_hand("{k: 3, state: lazy}");
}

/* Adam with decay, learning rate 0.1: entry 0 is kept in step 1, entry 1 in step 2. The dense optimizer goes on with
 * entry 0 (.67006, as worked out in test_gmt.c) and decays both; the lazy one does neither, and entry 1's first step is
 * .1 sqrt(.001999)/.19 .1/sqrt(.001) = .0744137 in both. */
TEST(a_dense_optimizer_goes_on_with_what_was_kept_once)
{
    static const real first[TOY] = {2, 1}, second[TOY] = {0, 2};
    struct toy t;
    struct optim_options adam = optim_defaults();
    adam.learning_rate = adam.weight_decay = 0.1;
    toy_open(&t, "gradtopk", "{k: 1}", &adam, NULL, 0);
    toy_step(&t, first, NULL, 0);
    toy_step(&t, second, NULL, 0);
    toy_check(&t, (double[TOY]){-.1 * .99 - .067006, -.0744137}, 1e-6);
    toy_close(&t);
    toy_open(&t, "gradtopk", "{k: 1, state: lazy}", &adam, NULL, 0);
    toy_step(&t, first, NULL, 0);
    toy_step(&t, second, NULL, 0);
    toy_check(&t, (double[TOY]){-.1, -.0744137}, 1e-6);
    toy_close(&t);
}

TEST(the_default_is_the_papers_share)
{
    assert_int_equal(mask_count(0.0118679471, 768 * 3072), 28000);
    assert_int_equal(mask_count(0.0118679471, 12), 1);
    assert_int_equal(mask_count(1, 12), 12);
}

/* -------------------------------------------------------------------------------------------------------------------
 * On an encoder */

static void open_run(struct run *r, const char *method, const char *options)
{
    struct run_spec s = run_spec(method, options, random_batch(6, 1));
    s.dropout = 0.1;
    s.max_grad_norm = 1;
    s.optim.weight_decay = 0.1;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static bool is_mlp_weight(const struct param *p)
{
    return p->kind == PARAM_LINEAR && !strstr(p->name, "attention") &&
           (strstr(p->name, "intermediate.dense.weight") || strstr(p->name, "output.dense.weight"));
}

/* Of four matrices 20 entries of full fine-tuning's gradient are left, exactly the largest; all other gradients are
 * full fine-tuning's, bit for bit: what flows back is exact. */
static void keeps(const char *options)
{
    struct run r, full;
    size_t matrices = 0;
    open_run(&r, "gradtopk", options);
    open_run(&full, "full", NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&full, r.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i], *q = full.model.params.item[i];
        if (is_mlp_weight(p)) {
            uint32_t idx[20];
            topk(q->grad.v, param_size(q), 20, idx);
            for (size_t k = 0, j = 0; k < param_size(p); k++) {
                bool kept = j < 20 && idx[j] == k;
                j += kept;
                assert_true(p->grad.v[k] == (kept ? q->grad.v[k] : 0));
            }
            matrices++;
        } else {
            assert_memory_equal(p->grad.v, q->grad.v, param_size(p) * sizeof(real));
        }
    }
    assert_int_equal(matrices, 4);
    run_close(&r);
    run_close(&full);
}

TEST(the_largest_entries_are_kept_and_all_else_is_exact)
{
    keeps("{k: 20}");
    keeps("{k: 20, state: lazy}");
}

TEST(keeping_everything_is_full)
{
    struct run r, full;
    size_t n;
    open_run(&r, "gradtopk", "{density: 1}");
    open_run(&full, "full", NULL);
    for (int i = 0; i < 4; i++) {
        const struct batch *b = random_batch(6, 1 + (uint64_t)i);
        ASSERT_OK(run_step(&r, b, 1, 1, NULL, &e) && run_step(&full, b, 1, 1, NULL, &e), &e);
    }
    const real *x = copy_weights(&r, &n), *y = copy_weights(&full, &n);
    assert_memory_equal(x, y, n * sizeof *x);
    run_close(&r);
    run_close(&full);
}

/* Lazy steps move k entries of a matrix and not one more, in any step. */
TEST(lazy_steps_touch_k_entries)
{
    struct run r;
    real old[384];
    open_run(&r, "gradtopk", "{k: 20, state: lazy}");
    const struct param *p = r.model.block[0].intermediate.w;
    for (int i = 0; i < 5; i++) {
        size_t moved = 0;
        memcpy(old, p->w, sizeof old);
        ASSERT_OK(run_step(&r, random_batch(6, 1 + (uint64_t)i), 1, 1, NULL, &e), &e);
        for (int k = 0; k < 384; k++) {
            moved += p->w[k] != old[k];
            assert_true(p->w[k] == old[k] || p->grad.v[k] != 0);
        }
        assert_int_equal(moved, 20);
    }
    run_close(&r);
}

static size_t trained(const char *options)
{
    struct run r;
    open_run(&r, "gradtopk", options);
    size_t n = param_trainable(&r.model.params, false);
    run_close(&r);
    return n;
}

/* Weights of the fixture's encoder: embeddings 40 + 24 + 2 rows of 16 and their LayerNorm 32; a layer: attention
 * 4 (256 + 16), LayerNorms 2 * 32, feed-forward 2 * 384 + 24 + 16. */
TEST(what_is_trained)
{
    const size_t mlp = 2 * (2 * 384 + 24 + 16), norms = 5 * 32, rest = 66 * 16 + 2 * 4 * (256 + 16);
    assert_int_equal(trained(NULL), mlp + norms + rest);
    assert_int_equal(trained("{train_layernorm: false}"), mlp + rest);
    assert_int_equal(trained("{train_rest: false}"), mlp);
    assert_int_equal(trained("{k: 1}"), trained("{k: 384}"));
}

TEST(more_entries_than_a_matrix_has)
{
    struct run r;
    struct run_spec s = run_spec("gradtopk", "{k: 385}", NULL);
    ASSERT_ERR(run_plan(&r, &s, &e), &e,
               "test.yaml:1:5: k is 385; `bert.encoder.layer.0.intermediate.dense` has 384 weights");
    run_close(&r);
}
