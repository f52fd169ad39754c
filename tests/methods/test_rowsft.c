/* SPruFT: which rows are trained, how many, and that they are trained as full fine-tuning would. */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"

static struct err e;

TEST(all_rows_are_full_fine_tuning)
{
    assert_same_training("rowsft", "{ratio: 1}", "full", "{target_modules: all-linear}");
    assert_same_training("rowsft", "{ratio: 1, bias: false, target_modules: [query, intermediate.dense]}",
                         "full", "{target_modules: [query.weight, intermediate.dense.weight]}");
    assert_same_training("rowsft", "{ratio: 1, unit: column, ranking: global, target_modules: value}",
                         "full", "{target_modules: value.weight}");
    assert_same_training("rowsft", "{rank: 16, target_modules: [query, output.dense]}",
                         "full", "{target_modules: [query, output.dense]}");
    assert_same_training("rowsft", "{ratio: 1, train_layernorm: true, train_embeddings: true, importance: l1}",
                         "full", NULL);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* The gradient of a row is that row of the dense gradient. */
TEST(gradients_are_rows_of_the_dense_gradient)
{
    struct run r, full;
    open_usual(&r, "rowsft", "{ratio: 0.4, taylor_batches: 2, train_layernorm: true}");
    open_usual(&full, "full", NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&full, r.spec.first, 1, NULL, &e), &e);
    size_t seen = 0;
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i], *q = full.model.params.item[i];
        double largest = 0;
        if (p->grad.form == GRAD_NONE || p->head)
            continue;
        real *want;
        ASSERT_OK(want = ARENA_NEW(test_arena(), MEM_DATA, real, p->grad.size, &e), &e);
        param_gather(p, q->grad.v, want);
        for (size_t k = 0; k < q->grad.size; k++)
            largest = fmax(largest, fabs((double)q->grad.v[k]));
        for (size_t k = 0; k < p->grad.size; k++)
            ASSERT_NEAR(p->grad.v[k], want[k], 1e-6 * largest + 1e-9);
        seen++;
    }
    assert_int_equal(seen, 2 * 12 + 2 * 5);
    run_close(&r);
    run_close(&full);
}

static bool row_differs(const struct param *p, const real *old, size_t row)
{
    size_t cols = (size_t)p->cols;
    return memcmp(p->w + row * cols, old + row * cols, cols * sizeof *old) != 0;
}

static bool is_kept(const struct param *p, size_t row)
{
    for (size_t i = 0; i < p->grad.n; i++)
        if (p->grad.idx[i] == row)
            return true;
    return false;
}

static double backward_flops(const char *options)
{
    static const int32_t lengths[] = {5, 7, 8};
    struct run r;
    struct run_spec s = run_spec("rowsft", options, NULL);
    ASSERT_OK(run_plan(&r, &s, &e), &e);
    double flops = model_flops(&r.model, lengths, 3, true);
    run_close(&r);
    return flops;
}

/* 2 T in multiply-adds for each row: 20 tokens, 16 inputs, 4 rows more in each of 2 layers. */
TEST(a_row_costs_its_own_products)
{
    double four = backward_flops("{rank: 4, target_modules: value, per_head: false}");
    assert_true(backward_flops("{rank: 8, target_modules: value, per_head: false}") - four == 2 * 20 * 16. * 4 * 2);
}

/* Every chosen row moves and no other does. */
TEST(exactly_the_chosen_rows_move)
{
    struct run r;
    size_t n, at = 0, rows = 0;
    open_usual(&r, "rowsft", "{ratio: 0.3, taylor_batches: 2}");
    const real *old = copy_weights(&r, &n);
    train_usual(&r, 3);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        for (size_t row = 0; p->kind == PARAM_LINEAR && !p->head && row < (size_t)p->rows; row++) {
            assert_int_equal(row_differs(p, old + at, row), is_kept(p, row));
            rows += is_kept(p, row);
        }
        at += param_size(p);
    }
    /* Of 16 rows 4; in q, k, v 12 / 4 = 3 of a head's are frozen, 1 is left, at least 2: 8. Of 24 int(7.2), rounded 6.
     */
    assert_int_equal(rows, 2 * (3 * 8 + 4 + 6 + 4));
    run_close(&r);
}

TEST(query_key_and_value_share_balanced_rows)
{
    struct run r;
    open_usual(&r, "rowsft", "{rank: 6, taylor_batches: 2}"); /* 10 frozen, 2 of a head's 4, 2 rows a head */
    for (int l = 0; l < 2; l++) {
        const struct block *b = &r.model.block[l];
        const struct grad *q = &b->query.w->grad;
        int of_head[4] = {0};
        assert_int_equal(q->n, 8);
        assert_memory_equal(q->idx, b->key.w->grad.idx, 8 * sizeof *q->idx);
        assert_memory_equal(q->idx, b->value.w->grad.idx, 8 * sizeof *q->idx);
        assert_memory_equal(q->idx, b->value.b->grad.idx, 8 * sizeof *q->idx);
        for (size_t i = 0; i < 8; i++)
            of_head[q->idx[i] / 4]++;
        for (int h = 0; h < 4; h++)
            assert_int_equal(of_head[h], 2);
        assert_int_equal(b->output.w->grad.n, 6);
    }
    run_close(&r);
}

/* l1, one matrix: the rows with the largest sums of |w|. Shared rows: largest mean of the three, each over its mean. */
TEST(rows_are_those_of_the_largest_scores)
{
    struct run r;
    open_usual(&r, "rowsft", "{importance: l1, rank: 1, per_head: true, bias: false}");
    for (int head = 0; head < 4; head++) {
        const struct block *b = &r.model.block[1];
        const struct linear *site[3] = {&b->query, &b->key, &b->value};
        double score[16] = {0};
        for (int s = 0; s < 3; s++) {
            double row[16] = {0}, all = 0;
            for (int i = 0; i < 256; i++) {
                row[i / 16] += fabs((double)site[s]->w->w[i]);
                all += fabs((double)site[s]->w->w[i]);
            }
            for (int i = 0; i < 16; i++)
                score[i] += row[i] / all;
        }
        int best = 4 * head;
        for (int i = 4 * head; i < 4 * head + 4; i++)
            best = score[i] > score[best] ? i : best;
        assert_int_equal(b->key.w->grad.idx[head], best);
    }
    run_close(&r);
}

TEST(scoring_leaves_the_weights)
{
    static const char *const options[] = {"{importance: zotaylor, n_estimate: 2, data_split: 3}",
                                          "{importance: wanda, taylor_batches: 2}",
                                          "{importance: qmtaylor, taylor_batches: 2}", "{taylor_batches: 2}"};
    struct run base;
    size_t n, m;
    open_usual(&base, "head", NULL);
    const real *want = copy_weights(&base, &n);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct run r;
        open_usual(&r, "rowsft", options[i]);
        const real *w = copy_weights(&r, &m);
        assert_memory_equal(w, want, n * sizeof *w);
        for (int s = 0; s < r.model.n_sites; s++)
            assert_true(!r.model.site[s]->ops && !r.model.site[s]->w->tapped);
        run_close(&r);
    }
    run_close(&base);
}

/* What is added lies within ±1 / sqrt(in) = .25 and in the chosen rows alone; biases start as they are. */
TEST(kaiming_moves_the_rows_before_the_first_step)
{
    struct run r, base;
    double largest = 0;
    open_usual(&r, "rowsft", "{init: kaiming, ratio: 0.4, importance: l2, target_modules: value}");
    open_usual(&base, "head", NULL);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i], *q = base.model.params.item[i];
        for (size_t k = 0; k < param_size(p); k++) {
            bool moved = p->kind == PARAM_LINEAR && p->grad.form == GRAD_ROWS && is_kept(p, k / (size_t)p->cols);
            largest = fmax(largest, fabs((double)p->w[k] - (double)q->w[k]));
            assert_true(moved || p->w[k] == q->w[k]);
        }
    }
    assert_true(largest > .24 && largest <= .2500001);
    run_close(&r);
    run_close(&base);
}

/* ------------------------------------------------------------------------------------------------------------------ */

TEST(counts)
{
    /* 4 of 16 rows, 6 of 24; inputs 16 and, into the last, 24. */
    assert_int_equal(planned_scalars("rowsft", "{ratio: 0.25, per_head: false, bias: false}"),
                     2 * (4 * 4 * 16 + 6 * 16 + 4 * 24));
    assert_int_equal(planned_scalars("rowsft", "{ratio: 0.25, per_head: false}"), 2 * (4 * 4 * 17 + 6 * 17 + 4 * 25));
    assert_int_equal(planned_scalars("rowsft", "{ratio: 0.25, unit: column}"), 2 * (4 * 4 * 16 + 4 * 24 + 6 * 16));
    assert_int_equal(planned_scalars("rowsft", "{rank: 3, bias: false, target_modules: intermediate.dense}"),
                     2 * 3 * 16);
    assert_int_equal(planned_scalars("rowsft", "{ratio: 0.25, bias: false, target_modules: query, "
                                               "train_layernorm: true}"), 2 * 8 * 16 + 5 * 4 * 2);
    assert_int_equal(planned_scalars("rowsft", "{target_modules: query, train_embeddings: true}"),
                     2 * 8 * 17 + (40 + 24 + 2) * 16);
}

/* Over all modules at most as many scalars as within each, and less than one row of every head is left over. */
TEST(a_global_ranking_fills_the_same_room)
{
    static const char *const options[] = {"ratio: 0.3, importance: l1",
                                          "ratio: 0.3, taylor_batches: 1, per_head: false",
                                          "ratio: 0.6, unit: column, importance: random"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct run r;
        char text[128];
        snprintf(text, sizeof text, "{%s}", options[i]);
        size_t room = planned_scalars("rowsft", text), form = 0, even = 0;
        snprintf(text, sizeof text, "{%s, ranking: global}", options[i]);
        open_usual(&r, "rowsft", text);
        size_t n = param_trainable(&r.model.params, false);
        assert_true(n <= room && n + 4 * 3 * 17 > room);
        for (int l = 0; l < 2; l++) {
            form += r.model.block[l].output.w->grad.n;
            even += r.model.block[l].attention_output.w->grad.n;
            assert_int_equal(r.model.block[l].query.b->grad.n, i == 2 ? 0 : r.model.block[l].query.w->grad.n);
        }
        assert_true(form != even || i == 1);
        train_usual(&r, 2);
        run_close(&r);
    }
}

TEST(what_cannot_be_is_said_at_its_place)
{
    expect_refused("rowsft", "{rank: 0}", 0, "it must lie in [1, ");
    expect_refused("rowsft", "{rank: 20}", 0, "0.attention.self.query.weight` has 16 rows, so rank is at most 16");
    expect_refused("rowsft", "{ratio: .5, unit: column, rank: 24, target_modules: value}", 0, "has 16 columns");
    expect_refused("rowsft", "{round_to: 8}", 12, "has 4 rows in each head, so round_to is at most 4");
    expect_refused("rowsft", "{round_to: 20, per_head: false}", 0, "has 16 rows, so round_to is at most 16");
    expect_refused("rowsft", "{importance: wanda, train_layernorm: true}", 0, "train_layernorm must be false");
    expect_refused("rowsft", "{ratio: 0}", 0, "it must lie in (0, 1]");
    expect_refused("rowsft", "{target_modules: querry}", 0, "did you mean `query`?");
}
