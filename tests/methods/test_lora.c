/* LoRA: an example by hand, its start, scale, dropout, rank, and what PEFT is told. labels: contract
 */
#include "tests/methods/site.h"

#include <math.h>

#include "base/rng.h"

static struct err e;

static void open_run(struct run *r, const char *options)
{
    struct run_spec s = run_spec("lora", options, random_batch(6, 1));
    s.dropout = 0.1;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/*
 * s = 2 / 1. W + s B A = [3 12 4 0; 0 1 2 2; 0 3 4 0], and u = x Aᵀ = (0, 1).
 *
 *   y  = x (W + s B A)ᵀ + b                = [3 2 0; 16 3 7] + b
 *   gB = s dyᵀ u                           = 2 (0, 1, -2)
 *   du = s dy B = 2 (6 + 2, -2)            = (16, -4),   gA = duᵀ x = 16 (1 0 0 1) - 4 (0 1 1 0)
 *   dx = dy (W + s B A)                    = [3+0 12+6 4+8 0; 0 1-6 2-8 2]
 */
TEST(lora_by_hand)
{
    static const real w[] = {3, 0, 4, 0, 0, 1, 2, 2, 0, 1, 4, 0}, b[] = {1, -1, 2};
    static const real x[] = {1, 0, 0, 1, 0, 1, 1, 0}, dy[] = {1, 0, 2, 0, 1, -2};
    static struct site s;
    real y[6], dx[8];
    site_open(&s, "lora", "{r: 1, lora_alpha: 2, target_modules: intermediate.dense}", w, b);
    site_set(&s, "lora_A.weight", (const real[]){0, 1, 0, 0});
    site_set(&s, "lora_B.weight", (const real[]){6, 0, 1});
    site_forward(&s, x, y);
    site_same("y", 6, y, (const real[]){4, 1, 2, 17, 2, 9});
    site_backward(&s, x, dy, dx);
    site_same("gB", 3, site_param(&s, "lora_B.weight")->grad.v, (const real[]){0, 2, -4});
    site_same("gA", 4, site_param(&s, "lora_A.weight")->grad.v, (const real[]){16, -4, -4, 16});
    site_same("dx", 8, dx, (const real[]){3, 18, 12, 0, 0, -5, -6, 2});
    ASSERT_OK(s.r.method->fold(s.r.self, &s.r.env, &e), &e);
    site_same("W", 12, s.l->w->w, (const real[]){3, 12, 4, 0, 0, 1, 2, 2, 0, 3, 4, 0});
    site_close(&s);
}

/* With B = 0 nothing reaches A yet. */
TEST(at_the_start_only_b_has_a_gradient)
{
    struct run r;
    open_run(&r, NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        double squares = sum_of_squares(p->grad.v, p->grad.size);
        if (p->added)
            assert_true(strstr(p->name, "lora_A") ? squares == 0 : squares > 0);
    }
    run_close(&r);
}

/* A run of LoRA with random B, so that the branch does something. `factor` multiplies B. */
static void open_lora(struct run *r, const char *options, double factor)
{
    open_run(r, options);
    struct rng g = rng_stream(5, "B");
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *p = r->model.params.item[i];
        for (size_t k = 0; p->added && strstr(p->name, "lora_B") && k < param_size(p); k++)
            p->w[k] = (real)(factor * 0.1 * rng_normal(&g));
    }
}

static void same_lora(const char *options_a, double factor_a, const char *options_b, double factor_b)
{
    struct run a, b;
    const struct batch *batch = random_batch(8, 3);
    open_lora(&a, options_a, factor_a);
    open_lora(&b, options_b, factor_b);
    const real *x = run_logits(&a, batch, &e), *y = run_logits(&b, batch, &e);
    for (int i = 0; i < 16; i++)
        ASSERT_NEAR(x[i], y[i], 1e-6);
    run_close(&a);
    run_close(&b);
}

TEST(lora_alpha_scales_the_branch)
{
    same_lora("{lora_alpha: 16}", 1, "{lora_alpha: 8}", 2);
    same_lora("{r: 4, lora_alpha: 8, use_rslora: true}", 1, "{r: 4, lora_alpha: 16}", 1);
}

/* Its masks come from the step, are those of training only, and leave the encoder's alone. */
TEST(lora_dropout_draws_new_masks_every_step)
{
    struct run r;
    const struct batch *batch = random_batch(8, 3);
    open_lora(&r, "{lora_dropout: 0.5}", 1);
    r.model.config.hidden_dropout_prob = r.model.config.attention_probs_dropout_prob = 0;
    double first = run_loss(&r, batch);
    assert_true(run_loss(&r, batch) == first);
    r.env.step = 1;
    assert_true(run_loss(&r, batch) != first);
    run_close(&r);
    same_lora("{lora_dropout: 0.5}", 1, NULL, 1);
}

TEST(lora_starts_as_peft_does)
{
    struct run r;
    open_run(&r, NULL);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        double largest = 0, sum = 0, n = (double)param_size(p);
        for (size_t k = 0; p->added && k < param_size(p); k++) {
            largest = fmax(largest, fabs((double)p->w[k]));
            sum += (double)p->w[k];
        }
        if (p->added && strstr(p->name, "lora_A")) {
            assert_true(largest <= 0.25 && largest > 0.23); /* 1 / sqrt(16) */
            ASSERT_NEAR(sum / n, 0, 4 * 0.25 / sqrt(3 * n));
            assert_int_equal(p->rows, 8);
        } else if (p->added) {
            assert_true(largest == 0 && p->cols == 8);
        }
    }
    assert_int_equal(param_trainable(&r.model.params, false), 4 * 8 * (16 + 16));
    run_close(&r);
}

/* Rank by elimination with full pivoting in double: pivots below 1e-5 of the first are rounding. */
static int rank_of(int n, double a[16][16])
{
    double first = 0;
    for (int rank = 0; rank < n; rank++) {
        int pr = rank, pc = rank;
        for (int i = rank; i < n; i++)
            for (int j = rank; j < n; j++)
                if (fabs(a[i][j]) > fabs(a[pr][pc]))
                    pr = i, pc = j;
        first = rank ? first : fabs(a[pr][pc]);
        if (fabs(a[pr][pc]) <= 1e-5 * first)
            return rank;
        for (int j = 0; j < n; j++) {
            double x = a[rank][j];
            a[rank][j] = a[pr][j];
            a[pr][j] = x;
        }
        for (int i = 0; i < n; i++) {
            double x = a[i][rank];
            a[i][rank] = a[i][pc];
            a[i][pc] = x;
        }
        for (int i = rank + 1; i < n; i++) {
            double f = a[i][rank] / a[rank][rank];
            for (int j = rank; j < n; j++)
                a[i][j] -= f * a[rank][j];
        }
    }
    return n;
}

TEST(lora_moves_a_weight_by_rank_r)
{
    struct run r;
    double delta[16][16];
    open_lora(&r, "{r: 3, lora_alpha: 6}", 1);
    struct param *w = r.model.block[1].query.w;
    memset(w->w, 0, 256 * sizeof(real)); /* what fold adds is then all there is */
    for (int i = 0; i < 2; i++)
        ASSERT_OK(run_step(&r, r.spec.first, 1, 1, NULL, &e), &e);
    ASSERT_OK(r.method->fold(r.self, &r.env, &e), &e);
    for (int i = 0; i < 256; i++)
        delta[i / 16][i % 16] = (double)w->w[i];
    assert_int_equal(rank_of(16, delta), 3);
    run_close(&r);
}

/* What the hook tells PEFT: patterns that PEFT would read in another way become names of modules. */
TEST(lora_tells_peft)
{
    expect_peft("lora", "{lora_alpha: 16, lora_dropout: 0.1}", "LORA",
                "\"r\": 8, \"lora_alpha\": 16, \"lora_dropout\": 0.1, \"bias\": \"none\", \"fan_in_fan_out\": false, "
                "\"target_modules\": [\"query\", \"value\"]");
    expect_peft("lora", "{r: 2, use_rslora: true, target_modules: \"layer.1.*.key\"}", "LORA",
                "\"r\": 2, \"lora_alpha\": 8, \"lora_dropout\": 0, \"bias\": \"none\", \"fan_in_fan_out\": false, "
                "\"use_rslora\": true, \"target_modules\": [\"bert.encoder.layer.1.attention.self.key\"]");
    /* a glob among them */
    expect_peft("lora", "{r: 1, target_modules: [layer.1.output.dense, layer.?.output.dense]}", "LORA",
                "\"r\": 1, \"lora_alpha\": 8, \"lora_dropout\": 0, \"bias\": \"none\", \"fan_in_fan_out\": false, "
                "\"target_modules\": [\"bert.encoder.layer.0.output.dense\", \"bert.encoder.layer.1.output.dense\"]");
}

TEST(a_rank_that_a_module_does_not_have_is_refused)
{
    struct run r;
    struct run_spec s = run_spec("lora", "{target_modules: [query, output.dense], r: 17}", random_batch(2, 1));
    e = (struct err){0};
    ASSERT_ERR(run_plan(&r, &s, &e), &e,
               "test.yaml:1:44: r is 17; the rank of `bert.encoder.layer.0.attention.self.query` is at most 16");
    run_close(&r);
}
