/* PAC-tuning: bound, constant K, noise that comes and goes, and the two stages. */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"
#include "methods/noise.h"
#include "methods/pac_tensor.h"
#include "models/blas.h"

static struct err e;

/* -------------------------------------------------------------------------------------------------------------------
 * The bound */

enum { ROWS = 3, COLS = 4, SIZE = ROWS * COLS };

static double kl_of(const real *w, const real *w0, const real *p, double b)
{
    struct pac_sums s = pac_sums(w, w0, p, SIZE);
    return pac_kl(&s, b);
}

TEST(kl_is_zero_at_the_prior_and_nowhere_else)
{
    real w0[SIZE], w[SIZE], p[SIZE];
    for (int i = 0; i < SIZE; i++) {
        w[i] = w0[i] = (real)(0.1 * i);
        p[i] = (real)-1.5;
    }
    ASSERT_NEAR(kl_of(w, w0, p, -1.5), 0, 1e-6);
    assert_true(kl_of(w, w0, p, -1.4) > 0.05 && kl_of(w, w0, p, -1.6) > 0.05);
    w[7] += (real)0.1;
    assert_true(kl_of(w, w0, p, -1.5) > 0.05);
    w[7] = w0[7];
    p[3] += (real)0.2;
    assert_true(kl_of(w, w0, p, -1.5) > 0.02);
}

/* A matrix 3 x 4 that has moved by 2 in two places; prior b = ln 2; noise p = ln 2 but ln 4 in two places:
 *
 *     e^{-2b} = 1/4,  sum e^{2p} = 10 * 4 + 2 * 16 = 72,  sum (w - w0)² = 8,  sum p = 10 ln 2 + 2 * 2 ln 2 = 14 ln 2
 *     KL = 1/2 [ (72 + 8) / 4 - 28 ln 2 + 24 ln 2 - 12 ] = 1/2 [ 8 - 4 ln 2 ] = 2.6137056
 *     dKL/db = 12 - 80 / 4 = -8
 *
 * With one tensor (C = 13), m = 100 and gamma = 10: R = 15 K² + (KL + 13) / 1000, at K = 0.1 .15 + .0156137. */
TEST(kl_and_bound_by_hand)
{
    real w0[SIZE] = {0}, w[SIZE] = {[1] = 2, [10] = -2}, p[SIZE];
    for (int i = 0; i < SIZE; i++)
        p[i] = (real)(i == 0 || i == 5 ? log(4) : log(2));
    struct pac_sums s = pac_sums(w, w0, p, SIZE);
    ASSERT_NEAR(s.variance, 72, 1e-4);
    ASSERT_NEAR(s.distance, 8, 0);
    ASSERT_NEAR(pac_kl(&s, log(2)), 2.6137056, 1e-5);
    ASSERT_NEAR(pac_kl_by_b(&s, log(2)), -8, 1e-4);
    struct pac_bound r = pac_bound(2.6137056, 0.1, 1, 100, (struct pac_range){10, 10});
    ASSERT_NEAR(r.value, 0.1656137, 1e-7);
    ASSERT_NEAR(r.by_kl, 0.001, 1e-12);
    ASSERT_NEAR(r.by_k, 3, 1e-12);
}

/* Free, gamma is where the bound is least, so that its derivatives leave gamma out; else it stops at the end. */
TEST(gamma_minimises_the_bound_within_its_range)
{
    const struct pac_range wide = {1e-3, 1e3};
    struct pac_bound best = pac_bound(500, 0.3, 10, 100, wide);
    ASSERT_NEAR(best.gamma, sqrt(2 * 540 / 300.0) / 0.3, 1e-12);
    for (int side = -1; side <= 1; side += 2) {
        double g = best.gamma * (1 + 0.05 * side), h = 1e-5 * side;
        assert_true(pac_bound(500, 0.3, 10, 100, (struct pac_range){g, g}).value > best.value);
        ASSERT_NEAR((pac_bound(500 + h, 0.3, 10, 100, wide).value - best.value) / h, best.by_kl, 1e-6);
        ASSERT_NEAR((pac_bound(500, 0.3 + h, 10, 100, wide).value - best.value) / h, best.by_k, 1e-3);
    }
    ASSERT_NEAR(pac_bound(500, 0.3, 10, 100, (struct pac_range){1, 5}).gamma, 5, 0);
    ASSERT_NEAR(pac_bound(500, 0.3, 10, 100, (struct pac_range){8, 9}).gamma, 8, 0);
    ASSERT_NEAR(pac_bound(500, 0, 10, 100, (struct pac_range){8, 9}).gamma, 9, 0);
}

/* -------------------------------------------------------------------------------------------------------------------
 * K */

/* Losses mu - 1 and mu + 1: mean exp(gamma (mu - l)) = cosh(gamma), and ln cosh(gamma) / gamma² falls with gamma. */
TEST(k_is_the_smallest_that_bounds_the_moment)
{
    const double loss[] = {2, 4, 4, 2}, same[] = {0.7, 0.7, 0.7}, huge[] = {0, 1e6};
    ASSERT_NEAR(pac_smallest_k(loss, 4, (struct pac_range){2, 2}), sqrt(2 * log(cosh(2)) / 3) / 2, 1e-12);
    ASSERT_NEAR(pac_smallest_k(loss, 4, (struct pac_range){2, 10}), sqrt(2 * log(cosh(2)) / 3) / 2, 1e-12);
    ASSERT_NEAR(pac_smallest_k(same, 3, (struct pac_range){10, 10}), 0, 1e-9);
    assert_true(isfinite(pac_smallest_k(huge, 2, (struct pac_range){10, 10})));
}

TEST(the_search_of_the_published_code_ends_just_below)
{
    const double loss[] = {0.3, 0.9, 0.6, 1.4, 0.2};
    double k = pac_smallest_k(loss, 5, (struct pac_range){10, 10});
    for (double from = 1e-3; from < 10; from *= 7) {
        double found = pac_searched_k(loss, 5, (struct pac_range){10, 10}, from);
        assert_true(found <= k && found >= k / 1.1);
    }
    const double same[] = {0.7, 0.7};
    assert_true(pac_searched_k(same, 2, (struct pac_range){10, 10}, 1e-3) < 1e-8);
}

/* A list of K at the knots where the published interpolation goes wrong from the fourth knot on. */
TEST(k_between_knots)
{
    static const double k[PAC_KNOTS] = {0, 0.0825, 0.2, 0.338, 0.488, 0.649, 0.82, 1};
    static const double wrong[PAC_KNOTS] = {0, 0.0825, 0.2, 0.6, 1.115, 2.52, 4.31, 8.9};
    struct pac_curve c = pac_curve();
    double slope;
    memcpy(c.k, k, sizeof k);
    ASSERT_NEAR(log(c.lambda[0]), -6, 1e-12);
    ASSERT_NEAR(log(c.lambda[7]), -2, 1e-12);
    for (int i = 0; i < PAC_KNOTS; i++) {
        ASSERT_NEAR(pac_k_at(&c, c.lambda[i], false, &slope), k[i], 1e-12);
        ASSERT_NEAR(pac_k_at(&c, c.lambda[i], true, &slope), wrong[i], 0.01 * wrong[i] + 1e-12);
    }
    for (int i = 0; i + 1 < PAC_KNOTS; i++) {
        double middle = (c.lambda[i] + c.lambda[i + 1]) / 2, width = c.lambda[i + 1] - c.lambda[i];
        ASSERT_NEAR(pac_k_at(&c, middle, false, &slope), (k[i] + k[i + 1]) / 2, 1e-12);
        ASSERT_NEAR(slope, (k[i + 1] - k[i]) / width, 1e-9);
    }
    ASSERT_NEAR(pac_k_at(&c, 1e-4, false, &slope), 0, 0); /* constant before, straight on after */
    ASSERT_NEAR(slope, 0, 0);
    pac_k_at(&c, 1, false, &slope);
    ASSERT_NEAR(slope, 0.18 / (c.lambda[7] - c.lambda[6]), 1e-9);
}

TEST(k_never_falls)
{
    struct pac_curve c = pac_curve();
    static const double measured[] = {0.1, 0.3, 0.2, 0.25, 0.5, 0.4, 0.4, 0.6},
                        want[] = {0.1, 0.3, 0.3, 0.3, 0.5, 0.5, 0.5, 0.6};
    memcpy(c.k, measured, sizeof measured);
    pac_make_monotone(&c);
    assert_memory_equal(c.k, want, sizeof want);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Noise */

TEST(noise_is_normal_and_depends_on_its_place_alone)
{
    static real v[40000], part[8];
    struct rng_key key = rng_key(1, "noise");
    double sum = 0, square = 0, fourth = 0, neighbours = 0;
    noise_normal(key, 3, 0, v, 40000);
    for (int i = 0; i < 40000; i++) {
        double x = (double)v[i];
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
        neighbours += i ? x * (double)v[i - 1] : 0;
    }
    ASSERT_NEAR(sum / 40000, 0, 0.02); /* four standard errors: .02, .028, .196, .02 */
    ASSERT_NEAR(square / 40000, 1, 0.028);
    ASSERT_NEAR(fourth / 40000, 3, 0.2);
    ASSERT_NEAR(neighbours / 40000, 0, 0.02);
    noise_normal(key, 3, 1004, part, 7);
    assert_memory_equal(part, v + 1004, 7 * sizeof *part);
    noise_normal(key, 4, 1004, part, 8);
    assert_memory_not_equal(part, v + 1004, sizeof part);
}

/* Box and Muller's numbers of Philox block `place / 4`, by the C library. */
TEST(noise_is_the_transform_of_the_words_of_its_place)
{
    enum { N = 1003 };
    struct rng_key key = rng_key(9, "method/noise/x");
    real v[N];
    noise_normal(key, 5, 4000, v, N);
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t counter[4] = {(4000 + i) / 4, 0, 5, 0};
        uint32_t word[4];
        rng_block(key, counter, word);
        const uint32_t *pair = word + (i % 4 < 2 ? 0 : 2);
        double radius = sqrt(-2 * log((double)((pair[0] >> 8) + 1) * 0x1p-24));
        double angle = 2 * acos(-1) * (double)(pair[1] >> 8) * 0x1p-24;
        ASSERT_NEAR(v[i], radius * (i % 2 ? sin(angle) : cos(angle)), 2e-6);
    }
}

enum { LARGE = 301 * 200 };

/* A tensor of LARGE weights, perturbed, restored and stepped. */
static struct pac_tensor large_step(int threads)
{
    struct rng g = rng_stream(8, "large");
    struct pac_tensor t = {.n = LARGE, .b = {-2}};
    real **array[] = {&t.w0, &t.w, &t.p, &t.m, &t.v};
    blas_set_threads(threads);
    ASSERT_OK(t.param = ARENA_NEW(test_arena(), MEM_DATA, struct param, 1, &e), &e);
    *t.param = (struct param){.name = "x.weight", .rows = 301, .cols = 200};
    ASSERT_OK(t.param->w = ARENA_NEW(test_arena(), MEM_DATA, real, LARGE, &e), &e);
    ASSERT_OK(t.param->grad.v = ARENA_NEW(test_arena(), MEM_DATA, real, LARGE, &e), &e);
    for (size_t i = 0; i < 5; i++)
        ASSERT_OK(*array[i] = ARENA_NEW(test_arena(), MEM_DATA, real, LARGE, &e), &e);
    for (size_t i = 0; i < LARGE; i++) {
        t.param->w[i] = (real)rng_normal(&g);
        t.w0[i] = (real)rng_normal(&g);
        t.param->grad.v[i] = (real)rng_normal(&g);
        t.p[i] = -2;
    }
    pac_perturb(&t, 1, 7);
    pac_restore(&t);
    t.sums = pac_sums(t.param->w, t.w0, t.p, t.n);
    pac_learn(&t, 1, 7, 0.1, 0.2, &(struct pac_adam){0.1, 0.1, 0.001});
    pac_perturb(&t, 1, 8);
    return t;
}

TEST(threads_change_no_bit)
{
    struct pac_tensor one = large_step(1), three = large_step(3);
    assert_memory_equal(one.param->w, three.param->w, LARGE * sizeof(real));
    assert_memory_equal(one.p, three.p, LARGE * sizeof(real));
    assert_memory_equal(one.b, three.b, sizeof one.b);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Runs */

static void open_run(struct run *r, const char *method, const char *options, uint64_t seed)
{
    struct run_spec s = run_spec(method, options, random_batch(6, 1));
    s.dropout = 0.1;
    s.max_grad_norm = 1;
    s.seed = seed;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static void train(struct run *r, int from, int to)
{
    for (int i = from; i < to; i++)
        ASSERT_OK(run_step(r, random_batch(6, 1 + (uint64_t)i), 1, 1, NULL, &e), &e);
}

struct wanted {
    const char *name;
    void *data;
};

static void look_for(void *u, const char *name, void *data, size_t bytes)
{
    struct wanted *w = u;
    (void)bytes;
    if (strcmp(name, w->name) == 0)
        w->data = data;
}

/* A tensor of the method's state. */
static void *state_of(struct run *r, const char *name)
{
    struct wanted w = {name, NULL};
    r->method->state(r->self, &r->env, look_for, &w);
    assert_non_null(w.data);
    return w.data;
}

static const char QUERY[] = "bert.encoder.layer.0.attention.self.query.weight",
                  QUERY_P[] = "bert.encoder.layer.0.attention.self.query.weight/p",
                  QUERY_B[] = "bert.encoder.layer.0.attention.self.query.weight/b";

TEST(noise_stays_within_two_scales_and_leaves_no_trace)
{
    struct run r;
    size_t n;
    open_run(&r, "pactuning", NULL, 1);
    train(&r, 0, 2);
    const real *before = copy_weights(&r, &n), *p = state_of(&r, QUERY_P);
    const struct param *query = param_find(&r.model.params, QUERY);
    real w[256];
    size_t clipped = 0;
    memcpy(w, query->w, sizeof w);
    ASSERT_OK(r.method->before_backward(r.self, &r.env, &e), &e);
    for (int i = 0; i < 256; i++) {
        double tau = (double)(query->w[i] - w[i]) / exp((double)p[i]);
        assert_true(tau != 0 && fabs(tau) < 2.0001);
        clipped += fabs(tau) > 1.9999;
    }
    assert_true(clipped > 0); /* 4.6 % of a normal's draws */
    ASSERT_OK(r.method->after_backward(r.self, &r.env, &e), &e);
    assert_memory_equal(before, copy_weights(&r, &n), n * sizeof *before);
    run_close(&r);
}

TEST(embeddings_have_no_noise)
{
    struct run r;
    size_t n;
    open_run(&r, "pactuning", NULL, 1);
    const real *before = copy_weights(&r, &n), *w = before;
    ASSERT_OK(r.method->before_backward(r.self, &r.env, &e), &e);
    for (size_t i = 0; i < r.model.params.n; w += param_size(r.model.params.item[i++])) {
        const struct param *p = r.model.params.item[i];
        bool same = memcmp(w, p->w, param_size(p) * sizeof *w) == 0;
        assert_int_equal(same, p->layer < 0);
        assert_int_equal(p->grad.form == GRAD_NONE, p->layer < 0);
    }
    run_close(&r);
}

/* p and b start at ln mean |w0|, twice that in the encoder. */
TEST(noise_starts_at_the_mean_weight)
{
    struct run r;
    double sum[2] = {0}, n[2] = {0};
    open_run(&r, "pactuning", NULL, 1);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        for (size_t k = 0; p->grad.form != GRAD_NONE && k < param_size(p); k++, n[p->head]++)
            sum[p->head] += fabs((double)p->w[k]);
    }
    ASSERT_NEAR(((real *)state_of(&r, QUERY_P))[17], 2 * log(sum[0] / n[0]), 1e-5);
    ASSERT_NEAR(*(double *)state_of(&r, QUERY_B), 2 * log(sum[0] / n[0]), 1e-9);
    ASSERT_NEAR(*(real *)state_of(&r, "classifier.bias/p"), log(sum[1] / n[1]), 1e-5);
    ASSERT_NEAR(*(double *)state_of(&r, "classifier.bias/b"), log(sum[1] / n[1]), 1e-9);
    run_close(&r);
}

static void silence(void *u, const char *name, void *data, size_t bytes)
{
    size_t length = strlen(name);
    (void)u;
    if (length > 2 && strcmp(name + length - 2, "/p") == 0)
        for (size_t i = 0; i < bytes / sizeof(real); i++)
            ((real *)data)[i] = -2000; /* e^p is 0 in double too */
}

TEST(without_noise_and_bound_it_is_full_fine_tuning)
{
    struct run r, full;
    size_t n;
    open_run(&r, "pactuning", "{stage1_steps: 0}", 1);
    open_run(&full, "full", "{target_modules: layer.*}", 1);
    r.method->state(r.self, &r.env, silence, NULL);
    train(&r, 0, 4);
    train(&full, 0, 4);
    const real *want = copy_weights(&full, &n);
    assert_memory_equal(copy_weights(&r, &n), want, n * sizeof *want);
    run_close(&r);
    run_close(&full);
}

TEST(the_second_stage_keeps_the_noise)
{
    struct run r;
    real p[256], w[256];
    double b;
    open_run(&r, "pactuning", "{stage1_steps: 2}", 1);
    const real *now = state_of(&r, QUERY_P);
    const double *now_b = state_of(&r, QUERY_B);
    const struct param *query = param_find(&r.model.params, QUERY);
    for (int i = 0; i < 2; i++) {
        memcpy(p, now, sizeof p);
        b = *now_b;
        train(&r, i, i + 1);
        assert_memory_not_equal(p, now, sizeof p);
        assert_true(b != *now_b);
    }
    memcpy(p, now, sizeof p);
    memcpy(w, query->w, sizeof w);
    b = *now_b;
    train(&r, 2, 4);
    assert_memory_equal(p, now, sizeof p);
    assert_true(b == *now_b);
    assert_memory_not_equal(w, query->w, sizeof w);
    run_close(&r);
}

/* Eight of the fixture's ten steps. */
TEST(the_first_stage_is_a_share_of_the_steps)
{
    struct run r;
    real p[256];
    open_run(&r, "pactuning", NULL, 1);
    const real *now = state_of(&r, QUERY_P);
    train(&r, 0, 7);
    memcpy(p, now, sizeof p);
    train(&r, 7, 8);
    assert_memory_not_equal(p, now, sizeof p);
    memcpy(p, now, sizeof p);
    train(&r, 8, 10);
    assert_memory_equal(p, now, sizeof p);
    run_close(&r);
}

TEST(another_seed_is_other_noise)
{
    struct run a, b;
    size_t n;
    open_run(&a, "pactuning", NULL, 1);
    open_run(&b, "pactuning", NULL, 2);
    const struct pac_curve *ka = state_of(&a, "curve"), *kb = state_of(&b, "curve");
    assert_memory_not_equal(ka->k, kb->k, sizeof ka->k);
    ASSERT_OK(a.method->before_backward(a.self, &a.env, &e), &e);
    ASSERT_OK(b.method->before_backward(b.self, &b.env, &e), &e);
    const real *wa = copy_weights(&a, &n);
    assert_memory_not_equal(wa, copy_weights(&b, &n), n * sizeof *wa);
    run_close(&a);
    run_close(&b);
}

/* At the largest of the eight levels the losses of the model scatter most; measuring leaves the weights alone. */
TEST(k_is_measured_before_training)
{
    struct run r, full;
    size_t n;
    open_run(&r, "pactuning", NULL, 1);
    open_run(&full, "full", NULL, 1);
    const struct pac_curve *c = state_of(&r, "curve");
    for (int i = 0; i < PAC_KNOTS; i++)
        assert_true(c->k[i] > 0 && (i == 0 || c->k[i] >= c->k[i - 1]));
    assert_true(c->k[PAC_KNOTS - 1] > c->k[0]);
    const real *want = copy_weights(&full, &n);
    assert_memory_equal(copy_weights(&r, &n), want, n * sizeof *want);
    run_close(&r);
    run_close(&full);
}

TEST(a_probe_gives_the_loss_of_each_example)
{
    struct run r;
    double losses[4], mean, one;
    const int32_t rows[] = {5, 0, 2, 3};
    open_run(&r, "head", NULL, 1);
    struct probe_batch b = {.rows = rows, .n = 4, .losses = losses};
    ASSERT_OK(r.env.probe->loss(r.env.probe, &b, &mean, &e), &e);
    ASSERT_NEAR((losses[0] + losses[1] + losses[2] + losses[3]) / 4, mean, 1e-12);
    b = (struct probe_batch){.rows = rows + 2, .n = 1};
    ASSERT_OK(r.env.probe->loss(r.env.probe, &b, &one, &e), &e);
    ASSERT_NEAR(one, losses[2], 1e-6);
    run_close(&r);
}

TEST(a_range_of_gamma_the_wrong_way_round)
{
    struct run r;
    struct run_spec s = run_spec("pactuning", "{gamma_min: 12}", random_batch(6, 1));
    assert_false(run_plan(&r, &s, &e));
    ASSERT_ERR(false, &e, "test.yaml:1:13: gamma_min is 12; it must not lie above gamma_max (10)");
    run_close(&r);
}
