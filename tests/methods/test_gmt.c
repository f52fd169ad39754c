/* GMT: which gradients reach the optimizer. labels: unit
 */
#include "tests/methods/fixture.h"
#include "tests/methods/toy.h"

#include <math.h>

#include "methods/mask.h"

static struct err e;

/*
 * By hand, SGD with learning rate 0.1:
 *
 *         1 -8  2  0
 *     G = 4  4 -3  7      k = floor(0.25 * 12) = 3: -8, 7, -6 are kept, W = -0.1 times these.
 *        -4  0  5 -6      k = floor(0.42 * 12) = 5: 5 too, and of the three of magnitude 4 the first; all three if the
 *                         threshold keeps what equals it.
 */
static const real G[TOY] = {1, -8, 2, 0, 4, 4, -3, 7, -4, 0, 5, -6};

static void by_hand(const char *options, const double want[TOY])
{
    struct toy t;
    struct optim_options sgd = toy_sgd(0.1);
    toy_open(&t, "gmt", options, &sgd, NULL, 0);
    toy_step(&t, G, NULL, 0);
    toy_check(&t, want, 1e-6);
    toy_close(&t);
}

TEST(three_by_four_by_hand)
{
    by_hand("{keep_ratio: 0.25}", (double[]){0, .8, 0, 0, 0, 0, 0, -.7, 0, 0, 0, .6});
    by_hand("{keep_ratio: 0.42}", (double[]){0, .8, 0, 0, -.4, 0, 0, -.7, 0, 0, -.5, .6});
    by_hand("{keep_ratio: 0.42, ties: ge}", (double[]){0, .8, 0, 0, -.4, -.4, 0, -.7, .4, 0, -.5, .6});
    by_hand("{keep_ratio: 0.01}", (double[]){0, .8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); /* one at least */
}

/* Of all 31 scalars of the toy 7 are kept: the seven largest of G, since all other gradients are 0. */
TEST(a_global_ranking_takes_entries_where_they_are)
{
    by_hand("{keep_ratio: 0.23, granularity: global}",
            (double[]){0, .8, 0, 0, -.4, -.4, 0, -.7, .4, 0, -.5, .6});
    by_hand("{keep_ratio: 0.23}", (double[]){0, .8, 0, 0, 0, 0, 0, -.7, 0, 0, 0, 0});
}

/* Norm of what is kept, 5; norm of all, sqrt(4² + 3² + 2² + 7 * 1²) = 6. Clipped to 1: 0.8, -0.6 or 4/6, -3/6. */
TEST(clipping_measures_the_masked_or_the_whole_gradient)
{
    static const real g[TOY] = {4, 1, 1, 0, 1, -3, 1, 1, 0, 2, 1, 1};
    struct toy t;
    struct optim_options sgd = toy_sgd(1);
    toy_open(&t, "gmt", "{keep_ratio: 0.2}", &sgd, NULL, 0);
    toy_step(&t, g, NULL, 1);
    ASSERT_NEAR(t.norm, 5, 1e-6);
    toy_check(&t, (double[TOY]){[0] = -.8, [5] = .6}, 1e-6);
    toy_close(&t);
    toy_open(&t, "gmt", "{keep_ratio: 0.2, clip_order: clip_first}", &sgd, NULL, 0);
    toy_step(&t, g, NULL, 1);
    ASSERT_NEAR(t.norm, 6, 1e-6);
    toy_check(&t, (double[TOY]){[0] = -4 / 6., [5] = 3 / 6.}, 1e-6);
    toy_close(&t);
}

/*
 * Two micro-batches whose largest entries differ: 5 at 0 and 4 at 1; -3 at 0 and 4 at 2, k = 1. Together 2, 4, 4: the 4
 * at 1 wins. Masked on the way: 5 alone is left of the first, with the second 2, 0, 4: the 4 at 2 wins.
 */
TEST(masking_the_running_sum_is_another_method)
{
    static const real g1[TOY] = {5, 4}, g2[TOY] = {-3, 0, 4}, both[TOY] = {2, 4, 4};
    struct toy t;
    struct optim_options sgd = toy_sgd(1);
    toy_open(&t, "gmt", "{keep_ratio: 0.1}", &sgd, NULL, 0);
    toy_step_two(&t, g1, g2, 0);
    toy_check(&t, (double[TOY]){[1] = -4}, 0);
    toy_close(&t);
    toy_open(&t, "gmt", "{keep_ratio: 0.1, mask_point: microstep}", &sgd, NULL, 0);
    toy_step_two(&t, g1, g2, 0);
    toy_check(&t, (double[TOY]){[2] = -4}, 0);
    toy_step(&t, both, NULL, 0); /* one micro-batch: no difference */
    toy_check(&t, (double[TOY]){[1] = -4, [2] = -4}, 0);
    toy_close(&t);
}

/*
 * Adam, learning rate 0.1, k = 1. Step 1 keeps entry 0: it moves by -0.1 (m-hat / sqrt(v-hat) = 1). Step 2 keeps entry
 * 1. With the gradient masked entry 0 goes on, m = .09, v = .000999: (.09/.19) / sqrt(.000999/.001999) = .67006, and
 * entry 1 starts in step 2, m = .1, v = .001: (.1/.19) / sqrt(.001/.001999) = .74414. With the update masked entry 0
 * stays, and entry 1 has seen both gradients, 1 and 2: m = .29, v = .004999: (.29/.19) / sqrt(.004999/.001999) =
 * .96518.
 */
TEST(masked_is_not_frozen)
{
    static const real first[TOY] = {2, 1}, second[TOY] = {0, 2};
    struct toy t;
    struct optim_options adam = optim_defaults();
    adam.learning_rate = 0.1;
    toy_open(&t, "gmt", "{keep_ratio: 0.1}", &adam, NULL, 0);
    toy_step(&t, first, NULL, 0);
    toy_check(&t, (double[TOY]){-.1}, 1e-6);
    toy_step(&t, second, NULL, 0);
    toy_check(&t, (double[TOY]){-.167006, -.074414}, 1e-6);
    toy_close(&t);
    toy_open(&t, "gmt", "{keep_ratio: 0.1, mask: update}", &adam, NULL, 0);
    toy_step(&t, first, NULL, 0);
    toy_step(&t, second, NULL, 0);
    toy_check(&t, (double[TOY]){-.1, -.096518}, 1e-6);
    toy_close(&t);
}

/* The cut of a large tensor is handed out by threads in chunks: ties still go to those that come first. */
TEST(ties_go_to_the_first_across_chunks)
{
    enum { N = 200000, K = 150001 };
    real *v;
    ASSERT_OK(v = ARENA_NEW(test_arena(), MEM_DATA, real, N, &e), &e);
    for (size_t i = 0; i < N; i++)
        v[i] = i % 2 ? 1 : i % 4 ? -2 : 2; /* 100,000 of magnitude 2, as many of 1 */
    mask_topk(v, N, K, false);
    for (size_t i = 0, ones = 0; i < N; i++) {
        ones += i % 2;
        assert_true((v[i] != 0) == (i % 2 == 0 || ones <= K - N / 2));
    }
    for (size_t i = 0; i < N; i++)
        v[i] = 1;
    mask_topk(v, N, 10, true);
    for (size_t i = 0; i < N; i++)
        assert_true(v[i] == 1);
}

/* -------------------------------------------------------------------------------------------------------------------
 * On an encoder */

static void open_run(struct run *r, const char *options, struct optim_options optim, double max_norm)
{
    struct run_spec s = run_spec("gmt", options, random_batch(6, 1));
    s.dropout = 0.1;
    s.max_grad_norm = max_norm;
    s.optim = optim;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static void train(struct run *r, int steps)
{
    for (int i = 0; i < steps; i++)
        ASSERT_OK(run_step(r, random_batch(6, 1 + (uint64_t)i), 2, 1, NULL, &e), &e);
}

/* Everything kept, whatever else is said: full fine-tuning, bit for bit. */
static void is_full(const char *options)
{
    struct run r, full;
    struct run_spec s = run_spec("full", NULL, random_batch(6, 1));
    size_t n;
    s.dropout = 0.1;
    s.max_grad_norm = 1;
    s.optim.weight_decay = 0.1;
    ASSERT_OK(run_open(&full, &s, &e), &e);
    open_run(&r, options, s.optim, 1);
    train(&r, 4);
    train(&full, 4);
    const real *a = copy_weights(&r, &n), *b = copy_weights(&full, &n);
    assert_memory_equal(a, b, n * sizeof *a);
    run_close(&r);
    run_close(&full);
}

TEST(keeping_everything_is_full)
{
    is_full("{keep_ratio: 1}");
    is_full("{keep_ratio: 1, mask: update, mask_head: true}");
    is_full("{keep_ratio: 1, granularity: global, clip_order: clip_first}");
    is_full("{keep_ratio: 1, mask_point: microstep, select: random}");
}

static size_t changed(const struct param *p, const real *old)
{
    size_t n = 0;
    for (size_t i = 0; i < param_size(p); i++)
        n += p->w[i] != old[i];
    return n;
}

static bool has_no_gradient(const struct param *p) { return strstr(p->name, "key.bias") != NULL; }

/* With SGD exactly the k = max(1, floor(0.1 n)) largest of the full gradient move. Embedding tables have rows without
 * gradient: fewer may move there. */
TEST(sgd_moves_the_largest_of_each_tensor)
{
    struct run r, full;
    struct run_spec s = run_spec("full", NULL, random_batch(6, 1));
    size_t n, at = 0;
    struct optim_options sgd = toy_sgd(1);
    s.dropout = 0.1;
    ASSERT_OK(run_open(&full, &s, &e), &e);
    open_run(&r, "{keep_ratio: 0.1}", sgd, 0);
    const real *old = copy_weights(&r, &n);
    ASSERT_OK(run_gradients(&full, r.spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_step(&r, r.spec.first, 1, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; at += param_size(r.model.params.item[i++])) {
        const struct param *p = r.model.params.item[i];
        uint32_t want[1024];
        size_t k = param_size(p) / 10 ? param_size(p) / 10 : 1;
        if (p->head || has_no_gradient(p))
            continue;
        assert_true(changed(p, old + at) == k || (p->kind == PARAM_EMBEDDING && changed(p, old + at) <= k));
        topk(full.model.params.item[i]->grad.v, param_size(p), k, want);
        for (size_t j = 0; j < k && p->kind != PARAM_EMBEDDING; j++)
            assert_true(p->w[want[j]] != old[at + want[j]]);
    }
    run_close(&r);
    run_close(&full);
}

/* The control: as many entries, elsewhere, others in each step, the same from the same seed. */
TEST(random_masks_have_the_same_count)
{
    struct run r, again;
    size_t n, at = 0;
    struct optim_options sgd = toy_sgd(1);
    open_run(&r, "{keep_ratio: 0.1, select: random}", sgd, 0);
    open_run(&again, "{keep_ratio: 0.1, select: random}", sgd, 0);
    const struct param *p = r.model.block[1].query.w, *q = again.model.block[1].query.w;
    const real *old = copy_weights(&r, &n);
    for (size_t i = 0; r.model.params.item[i] != p; i++)
        at += param_size(r.model.params.item[i]);
    train(&r, 1);
    assert_int_equal(changed(p, old + at), 25);
    train(&again, 1);
    assert_memory_equal(p->w, q->w, 256 * sizeof(real));
    ASSERT_OK(run_step(&r, r.spec.first, 1, 1, NULL, &e), &e);
    assert_true(changed(p, old + at) > 35); /* 25 + 25 less some 2.4 that were drawn twice */
    run_close(&r);
    run_close(&again);
}

/* Every entry of a tensor is as likely as the next: 4 sigma over 400 steps. */
TEST(random_masks_are_uniform)
{
    static const real ones[TOY] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct toy t;
    struct optim_options sgd = toy_sgd(1);
    toy_open(&t, "gmt", "{keep_ratio: 0.25, select: random}", &sgd, NULL, 0);
    for (int i = 0; i < 400; i++)
        toy_step(&t, ones, NULL, 0);
    double sum = 0;
    for (int i = 0; i < TOY; i++) {
        ASSERT_NEAR(t.w->w[i], -100, 4 * sqrt(400 * 0.25 * 0.75));
        sum += (double)t.w->w[i];
    }
    ASSERT_NEAR(sum, -1200, 0);
    toy_close(&t);
}

/* Head and embeddings: what the options leave out keeps its whole gradient. */
TEST(options_leave_tensors_unmasked)
{
    static const char *const options[] = {"{keep_ratio: 0.1}", "{keep_ratio: 0.1, mask_head: true}",
                                          "{keep_ratio: 0.1, mask_embeddings: false}"};
    for (int i = 0; i < 3; i++) {
        struct run r;
        size_t zeros = 0, row_zeros = 0;
        open_run(&r, options[i], optim_defaults(), 0);
        ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
        const struct param *head = r.model.head_dense.w, *word = r.model.word;
        for (size_t k = 0; k < param_size(head); k++)
            zeros += head->grad.v[k] == 0;
        int32_t id = r.spec.first->ids[0]; /* a row that has a gradient */
        for (int k = 0; k < word->cols; k++)
            row_zeros += word->grad.v[id * word->cols + k] == 0;
        assert_int_equal(zeros, i == 1 ? 256 - 25 : 0);
        assert_true(i == 2 ? row_zeros == 0 : row_zeros > 0);
        run_close(&r);
    }
}

static void refused(const char *options, const char *message)
{
    struct run r;
    struct run_spec s = run_spec("gmt", options, NULL);
    ASSERT_ERR(run_plan(&r, &s, &e), &e, message);
    run_close(&r);
}

TEST(options_that_exclude_each_other)
{
    refused("{mask_point: microstep, mask: update}",
            "test.yaml:1:31: mask_point: microstep masks gradients while they add up; it needs mask: gradient");
    refused("{mask_point: microstep, clip_order: clip_first}",
            "test.yaml:1:37: mask_point: microstep masks before anything can be clipped; it needs clip_order: "
            "mask_first");
}
