/* SparseGrad: bases from phase 0, steps in them, and what they are when the bases change nothing. labels: unit
 */
#include "tests/methods/fixture.h"
#include "tests/methods/toy.h"

#include <math.h>

#include "methods/hosvd.h"
#include "methods/rotation.h"

static struct err e;

/*
 * By hand. With u1 = (.6, .8, 0), u2 = (.8, -.6, 0), u3 = (0, 0, 1) and v1 = (1, 1, 1, 1)/2, v2 = (1, -1, 1, -1)/2,
 * v3 = (1, 1, -1, -1)/2 phase 0 sees the two gradients 6 u1 v1ᵀ + 2 u2 v2ᵀ and 4 u2 v2ᵀ + u3 v3ᵀ:
 *
 *     sum G Gᵀ = 36 u1 u1ᵀ + 20 u2 u2ᵀ + u3 u3ᵀ      so that P = u1, u2, u3 and Q = v1, v2, v3 up to sign.
 *
 * A later gradient is 10 u1 v1ᵀ + 6 u2 v1ᵀ + 5 u3 v3ᵀ. Rotated it has the three entries 10, 6 and 5, and k = 1 keeps
 * the first: its norm is 10, SGD with learning rate 0.1 takes W to -u1 v1ᵀ, rows of -.3 and -.4.
 */
static const real probed[2][TOY] = {
    {2.6, 1, 2.6, 1, 1.8, 3, 1.8, 3, 0, 0, 0, 0},
    {1.6, -1.6, 1.6, -1.6, -1.2, 1.2, -1.2, 1.2, .5, .5, -.5, -.5},
};
static const real later[TOY] = {5.4, 5.4, 5.4, 5.4, 2.2, 2.2, 2.2, 2.2, 2.5, 2.5, -2.5, -2.5};

static void by_hand(int k, double max_norm, double norm, const double want[TOY])
{
    struct toy t;
    struct optim_options sgd = toy_sgd(0.1);
    char options[64];
    snprintf(options, sizeof options, "{k: %d, phase0_batches: 2}", k);
    toy_open(&t, "sparsegrad", options, &sgd, probed, 2);
    toy_step(&t, later, (real[]){1, 2, 3}, max_norm);
    ASSERT_NEAR(t.norm, sqrt(norm * norm + 14), 1e-5); /* and the bias */
    toy_check(&t, want, 1e-6);
    if (max_norm == 0)
        for (int i = 0; i < TOY_ROWS; i++)
            ASSERT_NEAR(t.b->w[i], -.1 * (i + 1), 1e-6);
    toy_close(&t);
}

TEST(three_by_four_by_hand)
{
    by_hand(1, 0, 10, (double[]){-.3, -.3, -.3, -.3, -.4, -.4, -.4, -.4, 0, 0, 0, 0});
    /* k = 2: 6 u2 v1ᵀ too, rows of -.24 and .18 */
    by_hand(2, 0, sqrt(136), (double[]){-.54, -.54, -.54, -.54, -.22, -.22, -.22, -.22, 0, 0, 0, 0});
    /* clipped from sqrt(100 + 14) to half of it */
    by_hand(1, sqrt(114) / 2, 10, (double[]){-.15, -.15, -.15, -.15, -.2, -.2, -.2, -.2, 0, 0, 0, 0});
}

/* Adam's first step is the learning rate along the kept direction, whatever the size of the gradient. */
TEST(adam_steps_in_the_basis)
{
    struct toy t;
    struct optim_options adam = optim_defaults();
    adam.learning_rate = 0.1;
    toy_open(&t, "sparsegrad", "{k: 1, phase0_batches: 2}", &adam, probed, 2);
    toy_step(&t, later, NULL, 0);
    toy_check(&t, (double[]){-.03, -.03, -.03, -.03, -.04, -.04, -.04, -.04, 0, 0, 0, 0}, 1e-7);
    toy_close(&t);
}

/* -------------------------------------------------------------------------------------------------------------------
 * On an encoder: limits */

static void open_run(struct run *r, const char *method, const char *options, struct optim_options optim)
{
    struct run_spec s = run_spec(method, options, random_batch(6, 1));
    s.dropout = 0.1;
    s.max_grad_norm = 1;
    s.optim = optim;
    s.optim.weight_decay = 0;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static struct optim_options adam(void)
{
    struct optim_options o = optim_defaults();
    o.learning_rate = 1e-3;
    return o;
}

static void train(struct run *r, int steps)
{
    for (int i = 0; i < steps; i++)
        ASSERT_OK(run_step(r, random_batch(6, 1 + (uint64_t)i), 1, 1, NULL, &e), &e);
}

/* Largest difference of any weight after five steps of two methods; 0: the same bits. */
static double apart(const char *options, const char *other, const char *other_options, struct optim_options optim)
{
    struct run a, b;
    size_t n;
    double largest = 0;
    open_run(&a, "sparsegrad", options, optim);
    open_run(&b, other, other_options, optim);
    train(&a, 5);
    train(&b, 5);
    const real *x = copy_weights(&a, &n), *y = copy_weights(&b, &n);
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
    assert_true(largest > 0 || memcmp(x, y, n * sizeof *x) == 0);
    run_close(&a);
    run_close(&b);
    return largest;
}

TEST(identity_bases_and_all_entries_under_sgd_are_full)
{
    assert_true(apart("{basis: identity, density: 1}", "full", NULL, toy_sgd(0.1)) == 0);
}

TEST(identity_bases_are_gradtopk_with_sparse_adam)
{
    assert_true(apart("{basis: identity, k: 20}", "gradtopk", "{k: 20, state: lazy}", adam()) == 0);
    assert_true(apart("{basis: identity, k: 20, train_rest: false}", "gradtopk",
                      "{k: 20, state: lazy, train_rest: false}", toy_sgd(0.1)) == 0);
}

/* SGD does not care in which basis it steps. Adam does: it takes every coordinate to the same size of step. */
TEST(all_entries_in_any_basis_are_dense_sgd_and_not_dense_adam)
{
    const char *const bases[] = {"{density: 1}", "{density: 1, basis: random}",
                                 "{density: 1, orientation: official}"};
    for (int i = 0; i < 3; i++) {
        ASSERT_NEAR(apart(bases[i], "full", NULL, toy_sgd(0.1)), 0, 1e-5);
        assert_true(apart(bases[i], "full", NULL, adam()) > 1e-3);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * Gradients and bases */

/* The bases of a run, as its `state` shows them: [role][0] output side, [1] input side. */
struct bases {
    real *side[2][2];
};

static void pick(void *u, const char *name, void *data, size_t bytes)
{
    static const char *const names[2][2] = {{"basis/intermediate/out", "basis/intermediate/in"},
                                            {"basis/output/out", "basis/output/in"}};
    struct bases *b = u;
    (void)bytes;
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i / 2][i % 2]) == 0)
            b->side[i / 2][i % 2] = data;
}

static struct bases bases_of(struct run *r)
{
    struct bases b = {0};
    r->method->state(r->self, &r->env, pick, &b);
    return b;
}

static struct rotation rotation_of(struct run *r, const struct linear *l)
{
    int role = l->out < l->in;
    struct bases b = bases_of(r);
    return (struct rotation){l->out, l->in, b.side[role][0], b.side[role][1]};
}

/* Pᵀ gW Q, entry by entry as sums. */
static double rotated(const struct rotation *r, const real *g, int i, int j)
{
    double sum = 0;
    for (int o = 0; o < r->out; o++)
        for (int c = 0; c < r->in; c++)
            sum += (double)r->p[i * r->out + o] * (double)g[o * r->in + c] * (double)r->q[j * r->in + c];
    return sum;
}

static void check_site(struct run *r, const struct linear *mine, const struct linear *theirs, bool rotated_bias)
{
    struct rotation t = rotation_of(r, mine);
    for (int i = 0; i < t.out; i++) {
        double bias = 0;
        for (int o = 0; o < t.out; o++)
            bias += (double)t.p[i * t.out + o] * (double)theirs->b->grad.v[o];
        ASSERT_NEAR(mine->b->grad.v[i], rotated_bias ? bias : (double)theirs->b->grad.v[i], 1e-6);
        for (int j = 0; j < t.in; j++)
            ASSERT_NEAR(mine->w->grad.v[i * t.in + j], rotated(&t, theirs->w->grad.v, i, j), 1e-6);
    }
}

/* All else has the gradients of full fine-tuning, bit for bit. */
static void gradients_of(const struct batch *b, int micro_batches, const char *options, bool rotated_bias)
{
    struct run r, full;
    open_run(&r, "sparsegrad", options, adam());
    open_run(&full, "full", NULL, adam());
    ASSERT_OK(run_gradients(&r, b, micro_batches, NULL, &e), &e);
    ASSERT_OK(run_gradients(&full, b, micro_batches, NULL, &e), &e);
    for (int l = 0; l < 2; l++) {
        check_site(&r, &r.model.block[l].intermediate, &full.model.block[l].intermediate, rotated_bias);
        check_site(&r, &r.model.block[l].output, &full.model.block[l].output, rotated_bias);
    }
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i], *q = full.model.params.item[i];
        bool attention = strstr(p->name, "attention");
        if (attention || !(strstr(p->name, "intermediate") || strstr(p->name, "output.dense")))
            assert_memory_equal(p->grad.v, q->grad.v, param_size(p) * sizeof(real));
    }
    run_close(&r);
    run_close(&full);
}

/* Basis sides of 16 and 24: steps of up to 15 tokens rotate dy and x, up to 23 one of them, longer ones neither. */
static void gradients(const char *options, bool rotated_bias)
{
    int32_t start[8];
    const struct batch *b = random_batch(6, 1);
    struct batch two = batch_slice(b, 0, 2, start);
    assert_true(b->n_tok >= 24 && two.n_tok < 16);
    gradients_of(b, 1, options, rotated_bias);
    gradients_of(&two, 2, options, rotated_bias);
    for (int n = 3; n < 6; n++) {
        struct batch some = batch_slice(b, 0, n, start);
        gradients_of(&some, 1, options, rotated_bias);
    }
}

TEST(gradients_are_rotated_and_all_others_exact)
{
    gradients("{density: 1}", false);
    gradients("{density: 1, orientation: official}", false);
    gradients("{density: 1, bias_grad: official}", true);
}

struct stacks {
    const struct run *r;
    struct hosvd role[2];
};

static bool see(void *self, const struct param *p, const real *g, struct err *err)
{
    struct stacks *s = self;
    (void)err;
    hosvd_add(&s->role[p->rows < p->cols], g);
    return true;
}

static void tap_mlp(const struct run *r, bool tapped)
{
    for (int l = 0; l < 2; l++)
        r->model.block[l].intermediate.w->tapped = r->model.block[l].output.w->tapped = tapped;
}

/* Bases from the gradients of training batches 0 to 2, collected here through a probe of our own. */
TEST(bases_are_those_of_the_first_gradients)
{
    struct run r, official, full;
    struct stacks s = {0};
    struct tap tap = {.see = see, .self = &s};
    open_run(&r, "sparsegrad", "{phase0_batches: 3}", adam());
    open_run(&official, "sparsegrad", "{phase0_batches: 3, orientation: official}", adam());
    open_run(&full, "full", NULL, adam());
    ASSERT_OK(hosvd_open(&s.role[0], 24, 16, test_arena(), &e) && hosvd_open(&s.role[1], 16, 24, test_arena(), &e), &e);
    tap_mlp(&full, true);
    for (long b = 0; b < 3; b++)
        ASSERT_OK(full.probe.gradient(&full.probe, &(struct probe_batch){.number = b, .dropout = true}, &tap, NULL, &e),
                  &e);
    struct bases mine = bases_of(&r), theirs = bases_of(&official);
    for (int role = 0; role < 2; role++) {
        real p[24 * 24], q[24 * 24];
        int out = role ? 16 : 24, in = 40 - out;
        ASSERT_OK(hosvd_bases(&s.role[role], p, q, test_arena(), &e), &e);
        assert_memory_equal(mine.side[role][0], p, (size_t)(out * out) * sizeof *p);
        assert_memory_equal(mine.side[role][1], q, (size_t)(in * in) * sizeof *q);
        assert_memory_equal(theirs.side[role][0], p, (size_t)(out * out) * sizeof *p);
        for (int i = 0; i < in * in; i++)
            assert_true(theirs.side[role][1][i % in * in + i / in] == q[i]);
    }
    run_close(&r);
    run_close(&official);
    run_close(&full);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Phase 0 that trains, and the published code's choices */

static const struct batch *training_batch(const struct run *r, long number)
{
    return number == 0 ? r->spec.first : random_batch(r->spec.first->n_seq, 1000 + (uint64_t)number);
}

/* The weights after phase0: update are those of full fine-tuning at the peak rate, without clipping. */
TEST(phase_zero_may_train)
{
    struct run r, full;
    struct run_spec s = run_spec("full", NULL, random_batch(6, 1));
    size_t n;
    s.dropout = 0.1;
    s.optim = adam();
    ASSERT_OK(run_open(&full, &s, &e), &e);
    open_run(&r, "sparsegrad", "{phase0: update, phase0_batches: 3}", adam());
    for (long b = 0; b < 3; b++)
        ASSERT_OK(run_step(&full, training_batch(&full, b), 1, 1, NULL, &e), &e);
    const real *x = copy_weights(&r, &n), *y = copy_weights(&full, &n);
    for (size_t i = 0; i < n; i++)
        ASSERT_NEAR(x[i], y[i], 1e-6);
    run_close(&r);
    open_run(&r, "sparsegrad", "{phase0: update, phase0_batches: 3, basis: identity}", adam());
    const real *z = copy_weights(&r, &n);
    assert_memory_equal(x, z, n * sizeof *x);
    run_close(&r);
    run_close(&full);
}

TEST(the_reference_code_is_five_options)
{
    assert_true(apart("{compat: reference, k: 30}", "sparsegrad",
                      "{k: 30, orientation: official, bias_grad: official, phase0: update, phase0_batches: 11, "
                      "train_layernorm: false}", adam()) == 0);
    assert_true(apart("{compat: reference, k: 30}", "sparsegrad", "{k: 30}", adam()) > 0);
}

struct seen {
    struct method_report report;
    double captured, share;
};

static void keep_value(struct method_report *self, const char *name, double value, const char *description)
{
    struct seen *s = (struct seen *)self;
    assert_true(*description);
    *(strcmp(name, "captured_norm") == 0 ? &s->captured : &s->share) = value;
}

TEST(what_is_reported)
{
    struct run r;
    struct seen few = {{keep_value}, 0, 0}, all = {{keep_value}, 0, 0};
    open_run(&r, "sparsegrad", "{k: 8}", adam());
    train(&r, 1);
    r.method->report(r.self, &r.env, &few.report);
    assert_true(few.captured > 0.1 && few.captured < 1);
    assert_true(few.share >= 8 / 384. && few.share <= 64 / 384.); /* eight to a group */
    run_close(&r);
    open_run(&r, "sparsegrad", "{density: 1}", adam());
    train(&r, 1);
    r.method->report(r.self, &r.env, &all.report);
    ASSERT_NEAR(all.captured, 1, 1e-9);
    ASSERT_NEAR(all.share, 1, 0);
    run_close(&r);
}

/* Four matrices of 16 x 24: both sides of the gradient rotated, 2 * 384 * 40, or of a step of five tokens dy and x; ten
 * entries times 24; the product with the basis of 16. */
TEST(the_products_of_a_step)
{
    struct run r;
    open_run(&r, "sparsegrad", "{k: 10}", adam());
    r.env.step_tokens = 1000;
    ASSERT_NEAR(r.method->step_flops(r.self, &r.env), 4 * (2 * 384 * 40 + 2 * 10 * 24 + 2 * 384 * 16), 0);
    r.env.step_tokens = 5;
    ASSERT_NEAR(r.method->step_flops(r.self, &r.env), 4 * (2 * 5 * (576 + 256) + 2 * 10 * 24 + 2 * 384 * 16), 0);
    run_close(&r);
    open_run(&r, "sparsegrad", "{k: 10, basis: identity}", adam());
    ASSERT_NEAR(r.method->step_flops(r.self, &r.env), 0, 0);
    run_close(&r);
}
