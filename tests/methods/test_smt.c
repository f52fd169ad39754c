/* SMT: scores of blocks worked by hand, which are chosen, and that they are trained as full fine-tuning would. */
#include "tests/methods/fixture.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "methods/block_score.h"

static struct err e;

/*
 *      1 -1 |  2  2      block 0: 1 -1  3  1    mean |.| 1.5   |mean| 1     sum 6   root of squares sqrt 12
 *      3  1 | -2 -2      block 1: 2  2 -2 -2             2            0         8                   4
 *     ------+-------     block 2: 0  0  0  4             1            1         4                   4
 *      0  0 | -1 -1      block 3: -1 -1 1 -1            1            .5        4                   2
 *      0  4 |  1 -1
 */
static const real four[16] = {1, -1, 2, 2, 3, 1, -2, -2, 0, 0, -1, -1, 0, 4, 1, -1};

static void check_scores(enum block_score kind, double a, double b, double c, double d)
{
    real score[4];
    const double want[4] = {a, b, c, d};
    block_scores(kind, four, 4, 4, 2, score);
    for (int i = 0; i < 4; i++)
        ASSERT_NEAR(score[i], want[i], 1e-6);
}

TEST(scores_of_blocks)
{
    check_scores(BLOCK_ABS_MEAN, 1.5, 2, 1, 1);
    check_scores(BLOCK_MEAN_ABS, 1, 0, 1, .5);
    check_scores(BLOCK_L1, 6, 8, 4, 4);
    check_scores(BLOCK_L2, sqrt(12), 4, 4, 2);
}

TEST(the_modulus_of_the_mean_is_never_above_the_mean_modulus)
{
    real g[32 * 64], mean_abs[32], abs_mean[32];
    struct rng r = rng_stream(3, "blocks");
    for (size_t i = 0; i < sizeof g / sizeof *g; i++)
        g[i] = (real)rng_normal(&r);
    block_scores(BLOCK_MEAN_ABS, g, 32, 64, 8, mean_abs);
    block_scores(BLOCK_ABS_MEAN, g, 32, 64, 8, abs_mean);
    for (int i = 0; i < 32; i++)
        assert_true(mean_abs[i] < abs_mean[i]);
}

/* ------------------------------------------------------------------------------------------------------------------ */

#define DEFAULT_TARGETS \
    "{target_modules: [query.weight, key.weight, value.weight, intermediate.dense.weight, layer.?.output.dense.weight]}"

TEST(all_blocks_are_full_fine_tuning)
{
    assert_same_training("smt", "{density: 1, warmup_steps: 0}", "full", DEFAULT_TARGETS);
    assert_same_training("smt", "{density: 1, warmup_steps: 3, pools: mixture, block: 2}", "full", DEFAULT_TARGETS);
    assert_same_training("smt", "{density: 1, warmup_steps: 0, ranking: matrix, target_modules: value}",
                         "full", "{target_modules: value.weight}");
}

struct found {
    double score;
    const struct param *p;
    size_t block;
};

static int best_first(const void *x, const void *y)
{
    const struct found *a = x, *b = y;
    return (a->score < b->score) - (a->score > b->score);
}

/* Mean |g| of every block of 4 x 4 of the targets in this pool, best first. */
static size_t all_blocks(const struct run *full, bool feed_forward, struct found *f)
{
    size_t n = 0;
    for (int l = 0; l < 2; l++) {
        const struct block *b = &full->model.block[l];
        const struct linear *attention[] = {&b->query, &b->key, &b->value}, *mlp[] = {&b->intermediate, &b->output};
        for (int s = 0; s < (feed_forward ? 2 : 3); s++) {
            const struct param *p = (feed_forward ? mlp[s] : attention[s])->w;
            for (size_t k = 0; k < param_size(p) / 16; k++, n++) {
                size_t across = (size_t)p->cols / 4, at = k / across * 4 * (size_t)p->cols + k % across * 4;
                f[n] = (struct found){0, p, k};
                for (size_t i = 0; i < 16; i++)
                    f[n].score += fabs((double)p->grad.v[at + i / 4 * (size_t)p->cols + i % 4]) / 16;
            }
        }
    }
    qsort(f, n, sizeof *f, best_first);
    return n;
}

static bool has_block(const struct run *r, const struct found *f)
{
    const struct grad *g = &param_find(&r->model.params, f->p->name)->grad;
    for (size_t i = 0; i < g->n; i++)
        if (g->idx[i] == f->block)
            return true;
    return false;
}

/* 2 (3 · 16) + 2 (2 · 24) = 192 blocks; 40 are shared out evenly to pools of 96. */
TEST(the_best_blocks_of_each_pool_are_chosen)
{
    static struct found f[256];
    struct run r, full;
    open_usual(&r, "smt", "{block: 4, blocks: 40, warmup_steps: 1}");
    open_usual(&full, "full", NULL);
    ASSERT_OK(run_gradients(&full, full.spec.first, 1, NULL, &e), &e); /* with step 0's dropout, as the selection */
    for (int pool = 0; pool < 2; pool++) {
        assert_int_equal(all_blocks(&full, pool, f), 96);
        for (size_t i = 0; i < 96; i++)
            assert_int_equal(has_block(&r, &f[i]), i < 20);
    }
    run_close(&r);
    run_close(&full);
}

/* Every chosen block moves and nothing else does. */
TEST(exactly_the_chosen_blocks_move)
{
    struct run r;
    size_t n, at = 0, moved = 0;
    open_usual(&r, "smt", "{block: 4, blocks: 12, warmup_steps: 2, pools: mixture}");
    const real *old = copy_weights(&r, &n);
    train_usual(&r, 2);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        size_t cols = (size_t)p->cols;
        for (size_t k = 0; !p->head && k < param_size(p); k++) {
            struct found f = {0, p, k / cols / 4 * (cols / 4) + k % cols / 4};
            assert_int_equal(p->w[k] != old[at + k], p->grad.form == GRAD_BLOCKS && has_block(&r, &f));
            moved += p->w[k] != old[at + k];
        }
        at += param_size(p);
    }
    assert_int_equal(moved, 12 * 16);
    run_close(&r);
}

TEST(gradients_are_blocks_of_the_dense_gradient)
{
    struct run r, full;
    size_t seen = 0;
    open_usual(&r, "smt", "{block: 4, blocks: 60, warmup_steps: 1}");
    open_usual(&full, "full", NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&full, r.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        real *want;
        if (p->grad.form != GRAD_BLOCKS)
            continue;
        ASSERT_OK(want = ARENA_NEW(test_arena(), MEM_DATA, real, p->grad.size, &e), &e);
        param_gather(p, full.model.params.item[i]->grad.v, want);
        for (size_t k = 0; k < p->grad.size; k++)
            ASSERT_NEAR(p->grad.v[k], want[k], 1e-7);
        seen += p->grad.n;
    }
    assert_int_equal(seen, 60);
    run_close(&r);
    run_close(&full);
}

/* The warm-up of the reference code is full fine-tuning, without clipping; gradients summed on the way choose. */
TEST(the_reference_code_moves_all_weights_first)
{
    struct run r, full;
    size_t n, m;
    struct run_spec s = run_spec("full", NULL, random_batch(6, 1));
    s.dropout = 0.1;
    open_usual(&r, "smt", "{blocks: 3, warmup_steps: 1, compat: reference}");
    ASSERT_OK(run_open(&full, &s, &e), &e);
    train_usual(&full, 1);
    const real *a = copy_weights(&r, &n), *b = copy_weights(&full, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n * sizeof *a);
    run_close(&r);
    run_close(&full);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Sides 16 and 24 share 8: 2 (3 · 4 + 2 · 6) = 48 blocks of 64 scalars. */
TEST(counts)
{
    assert_int_equal(planned_scalars("smt", NULL), 64);
    assert_int_equal(planned_scalars("smt", "{density: 0.5}"), 24 * 64);
    assert_int_equal(planned_scalars("smt", "{density: 0.49}"), 23 * 64);
    assert_int_equal(planned_scalars("smt", "{blocks: 13, pools: mixture}"), 13 * 64);
    assert_int_equal(planned_scalars("smt", "{blocks: 7, block: 2}"), 7 * 4);
    assert_int_equal(planned_scalars("smt", "{ranking: matrix}"), 10 * 64);
    assert_int_equal(planned_scalars("smt", "{ranking: matrix, blocks: 39}"),
                     (6 * 3 + 4 * 4) * 64); /* 20 / 6 and 19 / 4 */
    assert_int_equal(planned_scalars("smt", "{density: 1, target_modules: all-linear}"), 48 * 64);
    assert_int_equal(planned_scalars("smt", "{density: 1, target_modules: query}"), 2 * 256); /* side 16 */
    assert_int_equal(planned_scalars("smt", "{density: 0.5, target_modules: query}"), 256);
}

TEST(what_cannot_be_is_said_at_its_place)
{
    expect_refused("smt", "{block: 7}", 9,
                   "block is 7, which does not divide all sides of the target matrices; valid are 1, 2, 4, 8");
    expect_refused("smt", "{block: 16}", 0, "valid are 1, 2, 4, 8");
    expect_refused("smt", "{blocks: 49}", 0, "the target matrices have 48 of 8 x 8, so blocks is at most 48");
    expect_refused("smt", "{blocks: 9, ranking: matrix}", 0, "needs at least 10");
    expect_refused("smt", "{warmup_steps: 0}", 0, "give at least 1, or train all blocks");
    expect_refused("smt", "{target_modules: attention.output.dense}", 0, "leaves attention.output.dense out");
    expect_refused("smt", "{density: 2}", 0, "it must lie in (0, 1]");
}

struct seen {
    struct method_report report;
    double sum;
    int n;
};

static void add_value(struct method_report *self, const char *name, double value, const char *description)
{
    struct seen *s = (struct seen *)self;
    assert_true(strncmp(name, "blocks_", 7) == 0 && *description);
    s->sum += value;
    s->n++;
}

TEST(the_report_counts_the_blocks_of_each_role)
{
    struct run r;
    struct seen seen = {.report = {add_value}};
    open_usual(&r, "smt", "{blocks: 17, warmup_steps: 1}");
    r.method->report(r.self, &r.env, &seen.report);
    assert_int_equal(seen.n, 5);
    assert_true(seen.sum == 17);
    run_close(&r);
}
