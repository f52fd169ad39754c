/*
 * Scores of rows and columns, worked by hand on a weight of 3 x 4, and how many rows and which are kept.
 *
 *         1 -2  0  1          2  0  1  1                         2  0  0  1
 *     W = 3  0 -1  1      G = 1  0  2 -1  in two batches     W G = 3  0 -2 -1
 *        -1  1  2 -2          1  1  0  0                        -1  1  0  0
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "methods/importance.h"
#include "methods/row_sets.h"
#include "models/linear.h"

enum { N = 12 };
static struct err e;

static const real start[N] = {1, -2, 0, 1, 3, 0, -1, 1, -1, 1, 2, -2};
/* Gradients of examples 0 and 3 (class 0) add up to G, and so do those of batches 0 and 1. */
static const real batch_gradient[2][N] = {{1, 1, 1, 1, 0, 0, 2, 0, 1, 0, 0, 1},
                                          {1, -1, 0, 0, 1, 0, 0, -1, 0, 1, 0, -1}};
static const real example_gradient[4][N] = {{1, 1, 1, 1, 0, 0, 2, 0, 1, 0, 0, 1},
                                            {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0},
                                            {0, -2, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0},
                                            {1, -1, 0, 0, 1, 0, 0, -1, 0, 1, 0, -1}};
static const double scores_of[4] = {0.5, -1, 2, 7}; /* labels as a regression */
static const int32_t examples_of[2][3] = {{0, 1, 2}, {3, 0, 0}};
static const real input[8] = {3, 0, 1, 0, 4, 0, 0, 2}; /* two tokens: norms 5, 0, 1, 2 */

/* A model of one linear site, and probes that know its gradients. */
struct toy {
    struct model model;
    struct linear site;
    struct param w, b;
    struct param *list[1];
    real weights[N], bias[3];
    struct probe probe;
    struct method_env env;
    struct importance_target target;
    double curvature[N], centre[N]; /* quadratic loss sum of c (w - a)² / 2; all 0: the site's forward alone */
};

static struct toy toy;

static bool toy_gradient(struct probe *self, const struct probe_batch *b, struct tap *tap, double *loss, struct err *x)
{
    real g[N] = {0};
    (void)self, (void)loss;
    assert_true(toy.w.tapped && !b->dropout);
    for (size_t i = 0; i < N; i++) {
        if (!b->rows)
            g[i] = batch_gradient[b->number][i];
        for (size_t k = 0; b->rows && k < b->n; k++)
            g[i] += example_gradient[b->rows[k]][i] / (real)b->n;
    }
    return tap->see(tap->self, &toy.w, g, x);
}

static bool toy_loss(struct probe *self, const struct probe_batch *b, double *loss, struct err *x)
{
    real y[6];
    struct pass p = {0};
    (void)self, (void)b, (void)x;
    linear_forward(&toy.site, &p, 2, input, y);
    *loss = 0;
    for (size_t i = 0; i < N; i++)
        *loss += toy.curvature[i] * pow((double)toy.w.w[i] - toy.centre[i], 2) / 2;
    return true;
}

static const int32_t *toy_examples(struct probe *self, long number, size_t *n)
{
    (void)self;
    *n = number == 0 ? 3 : 1;
    return examples_of[number];
}

static double toy_label(struct probe *self, int32_t example)
{
    (void)self;
    if (toy.model.config.num_labels == 1)
        return scores_of[example];
    return example == 1 || example == 2;
}

static void open_toy(bool columns)
{
    toy = (struct toy){.w = {.name = "w", .rows = 3, .cols = 4}, .b = {.name = "b", .rows = 1, .cols = 3}};
    memcpy(toy.weights, start, sizeof start);
    toy.w.w = toy.weights;
    toy.b.w = toy.bias;
    toy.list[0] = &toy.w;
    toy.site = (struct linear){.name = "site", .in = 4, .out = 3, .w = &toy.w, .b = &toy.b};
    toy.model.params = (struct param_list){.item = toy.list, .n = 1};
    toy.model.config.num_labels = 2;
    toy.probe = (struct probe){toy_gradient, toy_loss, toy_examples, toy_label};
    toy.env = (struct method_env){.model = &toy.model, .arena = test_arena(), .seed = 1, .probe = &toy.probe};
    toy.target = (struct importance_target){&toy.w, &toy.site, columns};
}

static void check(struct importance how, bool columns, const double *want)
{
    open_toy(columns);
    double **score = importance_scores(&toy.env, &how, &toy.target, 1, test_arena(), &e);
    ASSERT_OK(score, &e);
    for (size_t u = 0; u < (columns ? 4 : 3); u++)
        ASSERT_NEAR(score[0][u], want[u], 1e-6);
    assert_true(!toy.w.tapped && !toy.site.ops);
}

#define SCORES(...) ((const double[]){__VA_ARGS__})

TEST(magnitudes)
{
    check((struct importance){.kind = IMPORTANCE_L1}, false, SCORES(4, 5, 6));
    check((struct importance){.kind = IMPORTANCE_L1}, true, SCORES(5, 3, 3, 4));
    check((struct importance){.kind = IMPORTANCE_L2}, false, SCORES(6, 11, 10));
    check((struct importance){.kind = IMPORTANCE_L2}, true, SCORES(11, 5, 5, 6));
}

TEST(taylor_takes_the_sum_of_the_gradients)
{
    struct importance how = {.kind = IMPORTANCE_TAYLOR, .batches = 2};
    check(how, false, SCORES(3, 6, 2));
    check(how, true, SCORES(6, 1, 2, 2));
    how.multivariable = true;
    check(how, false, SCORES(3, 0, 0));
    check(how, true, SCORES(4, 1, 2, 0));
    how = (struct importance){.kind = IMPORTANCE_TAYLOR, .batches = 1}; /* |W * first| by rows */
    check(how, false, SCORES(1 + 2 + 0 + 1, 2, 1 + 2));
}

TEST(scores_are_divided_by_their_mean)
{
    struct importance how = {.kind = IMPORTANCE_TAYLOR, .batches = 2, .normalize = true};
    check(how, false, SCORES(9 / 11., 18 / 11., 6 / 11.));
}

/* Norms of the inputs 5, 0, 1, 2; over two batches with the same inputs sqrt(2) times that. */
TEST(wanda_weighs_by_the_norms_of_the_inputs)
{
    struct importance how = {.kind = IMPORTANCE_WANDA, .batches = 1};
    check(how, false, SCORES(5 + 2, 15 + 1 + 2, 5 + 2 + 4));
    check(how, true, SCORES(25, 0, 3, 8));
    how.batches = 2;
    check(how, false, SCORES(7 * sqrt(2), 18 * sqrt(2), 11 * sqrt(2)));
}

/* Mean gradient of class 0: G / 2, scores 1.5, 3, 1. Of class 1: 1 at (1, 0), -1 at (0, 1), 2 at (2, 2): 2, 3, 4. */
TEST(quantile_mean_taylor)
{
    struct importance how = {.kind = IMPORTANCE_QMTAYLOR, .batches = 2, .top = 1};
    static const int kind[] = {AGGREGATE_QUANTILES, AGGREGATE_GREATER_QUANTILES, AGGREGATE_MEAN,
                               AGGREGATE_MAX,       AGGREGATE_TOP,               AGGREGATE_TOP_MEAN};
    static const double want[][3] = {{1.75, 3, 2.5}, {1.875, 3, 3.25}, {1.75, 3, 2.5},
                                     {2, 3, 4},      {2, 3, 4},        {1.875, 3, 3.25}};
    for (size_t i = 0; i < 6; i++) {
        how.aggregate = kind[i];
        check(how, false, want[i]);
    }
    how.aggregate = AGGREGATE_MAX;
    how.multivariable = true;
    check(how, false, SCORES(2, 3, 4)); /* class 0: 1.5, 0, 0 */
}

/* Labels .5, -1, 2, 7: each example a quartile of its own; the largest score of the four. */
TEST(a_regression_has_quartiles_for_classes)
{
    struct importance how = {.kind = IMPORTANCE_QMTAYLOR, .batches = 2, .aggregate = AGGREGATE_MAX};
    open_toy(false);
    toy.model.config.num_labels = 1;
    double **score = importance_scores(&toy.env, &how, &toy.target, 1, test_arena(), &e);
    ASSERT_OK(score, &e);
    ASSERT_NEAR(score[0][0], 4, 1e-6); /* example 0: 1 + 2 + 0 + 1; example 2: 4 */
    ASSERT_NEAR(score[0][1], 6, 1e-6); /* example 1: 3 * 2 */
    ASSERT_NEAR(score[0][2], 8, 1e-6); /* example 2: 2 * 4 */
}

/* Quantiles of lo and hi run linearly from one to the other. */
TEST(aggregates)
{
    double five[] = {5, 1, 4, 2, 3}, two[] = {9, 1};
    ASSERT_NEAR(importance_aggregate(AGGREGATE_GREATER_QUANTILES, 1, two, 2), 1 + .75 * 8, 1e-12);
    ASSERT_NEAR(importance_aggregate(AGGREGATE_QUANTILES, 1, two, 2), 5, 1e-12);
    ASSERT_NEAR(importance_aggregate(AGGREGATE_GREATER_QUANTILES, 1, five, 5), 4, 1e-12); /* 3, 3.4, ..., 5 */
    ASSERT_NEAR(importance_aggregate(AGGREGATE_TOP, 2, five, 5), 4.5, 1e-12);
    ASSERT_NEAR(importance_aggregate(AGGREGATE_TOP, 9, five, 5), 3, 1e-12);
    ASSERT_NEAR(importance_aggregate(AGGREGATE_TOP_MEAN, 2, five, 5), 3.75, 1e-12);
    ASSERT_NEAR(importance_aggregate(AGGREGATE_MAX, 2, five, 1), 1, 1e-12);
}

TEST(random_scores_are_uniform_and_follow_the_seed)
{
    struct importance how = {.kind = IMPORTANCE_RANDOM};
    double sum = 0, first = 0;
    open_toy(false);
    for (uint64_t seed = 0; seed < 400; seed++) {
        toy.env.seed = seed;
        double **score = importance_scores(&toy.env, &how, &toy.target, 1, test_arena(), &e);
        ASSERT_OK(score, &e);
        for (size_t u = 0; u < 3; u++) {
            assert_true(score[0][u] >= 0 && score[0][u] < 1);
            sum += score[0][u];
        }
        assert_true(seed == 0 || score[0][0] != first);
        first = score[0][0];
    }
    ASSERT_NEAR(sum / 1200, .5, 4 * sqrt(1 / 12. / 1200));
}

/* A broken gradient gives a defined ranking. */
TEST(a_score_that_is_no_number_is_the_largest)
{
    struct importance how = {.kind = IMPORTANCE_L1, .normalize = true};
    open_toy(false);
    toy.weights[5] = NAN;
    double **score = importance_scores(&toy.env, &how, &toy.target, 1, test_arena(), &e);
    ASSERT_OK(score, &e);
    assert_true(isinf(score[0][1]) && !isnan(score[0][0]));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * SPSA */

/* Relative error of the estimate of a quadratic's gradient c (w - a). */
static double spsa_error(long long n_estimate)
{
    struct param *p = &toy.w;
    open_toy(false);
    for (size_t i = 0; i < N; i++) {
        toy.curvature[i] = 1 + (double)i / 4;
        toy.centre[i] = .5 * (double)(i % 3);
    }
    struct spsa how = {.n_estimate = n_estimate, .data_split = 2, .eps = 1e-2};
    real **g = spsa_gradients(&toy.env, &how, &p, 1, &p, 1, test_arena(), &e);
    ASSERT_OK(g, &e);
    assert_memory_equal(toy.weights, start, sizeof start);
    double error = 0, norm = 0;
    for (size_t i = 0; i < N; i++) {
        double want = toy.curvature[i] * ((double)start[i] - toy.centre[i]);
        error += pow((double)g[0][i] - want, 2);
        norm += want * want;
    }
    return sqrt(error / norm);
}

/* The error of n directions in 12 dimensions is about sqrt(13 / n). */
TEST(spsa_converges_and_leaves_every_bit)
{
    double few = spsa_error(50), many = spsa_error(5000);
    print_message("relative error %.3f with 100 directions, %.4f with 10000\n", few, many);
    assert_true(few > .1 && few < 1 && many < .08 && many < few / 4);
}

static bool failing_loss(struct probe *self, const struct probe_batch *b, double *loss, struct err *x)
{
    (void)self, (void)b, (void)loss;
    return err_set(x, ERR_ENV, "out of memory");
}

TEST(a_failing_probe_leaves_the_weights_too)
{
    struct param *p = &toy.w;
    struct spsa how = {.n_estimate = 1, .data_split = 1, .eps = 1e-2};
    open_toy(false);
    toy.probe.loss = failing_loss;
    assert_null(spsa_gradients(&toy.env, &how, &p, 1, &p, 1, test_arena(), &e));
    assert_int_equal(e.code, ERR_ENV);
    assert_memory_equal(toy.weights, start, sizeof start);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Numbers and choice of rows */

TEST(numbers_of_rows)
{
    assert_int_equal(row_set_keep(768, 1, .05, 0, 2), 38);  /* int(38.4) */
    assert_int_equal(row_set_keep(3072, 1, .05, 0, 2), 152); /* int(153.6) = 153, rounded down */
    assert_int_equal(row_set_keep(768, 1, .01, 0, 2), 6);
    assert_int_equal(row_set_keep(768, 12, .05, 0, 2), 4);  /* frozen 730, 60 of the 64 rows of a head */
    assert_int_equal(row_set_keep(768, 12, .01, 0, 2), 2);  /* one row of a head, rounded down: at least round_to */
    assert_int_equal(row_set_keep(768, 12, .05, 0, 1), 4);
    assert_int_equal(row_set_keep(768, 1, 0, 64, 2), 64);
    assert_int_equal(row_set_keep(768, 12, 0, 63, 2), 6);   /* frozen 705, 58 of a head; not rounded to 5 or 4 */
    assert_int_equal(row_set_keep(768, 12, 0, 1, 2), 1);
    assert_int_equal(row_set_keep(768, 12, 1, 0, 2), 64);
    assert_int_equal(row_set_keep(16, 1, .05, 0, 2), 2);
    assert_int_equal(row_set_keep(16, 16, .05, 0, 2), 1);
}

TEST(rows_of_equal_score_win_in_order)
{
    static const double score[8] = {1, 5, 5, 5, 0, 3, 9, 9};
    struct row_set plain = {8, 1, 3, 0, score}, heads = {8, 2, 2, 0, score};
    uint32_t idx[4];
    ASSERT_OK(row_set_choose(&plain, idx, test_arena(), &e), &e);
    assert_memory_equal(idx, ((uint32_t[]){1, 6, 7}), 3 * sizeof *idx);
    ASSERT_OK(row_set_choose(&heads, idx, test_arena(), &e), &e);
    assert_memory_equal(idx, ((uint32_t[]){1, 2, 6, 7}), sizeof idx);
}

/*
 * Set a: scores 3, 1, 2 at 4 scalars a row. Set b: two heads (5, 0) and (1, 4), 6 scalars for a row of each; its levels
 * are (5 + 4) / 2 = 4.5 and (0 + 1) / 2 = .5. Order: b 4.5, a 3, a 2, a 1, b .5.
 */
TEST(rows_of_several_sets_share_a_room)
{
    static const double a[3] = {3, 1, 2}, b[4] = {5, 0, 1, 4};
    static const struct {
        size_t room, a, b;
    } want[] = {{3, 0, 0}, {5, 1, 0}, {6, 0, 1}, {9, 0, 1}, {10, 1, 1}, {14, 2, 1}, {18, 3, 1}, {24, 3, 2}, {99, 3, 2}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct row_set s[] = {{3, 1, 9, 4, a}, {4, 2, 9, 6, b}};
        ASSERT_OK(row_sets_rank(s, 2, want[i].room, test_arena(), &e), &e);
        assert_int_equal(s[0].keep, want[i].a);
        assert_int_equal(s[1].keep, want[i].b);
    }
}
