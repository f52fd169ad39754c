/* IA3: both examples by hand, modules and shapes, words for PEFT. labels: contract
 */
#include "tests/methods/site.h"

static struct err e;

static void open_run(struct run *r, const char *options)
{
    struct run_spec s = run_spec("ia3", options, random_batch(6, 1));
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static const real W[] = {3, 0, 4, 0, 0, 1, 2, 2, 0, 1, 4, 0}, B[] = {1, -1, 2};
static const real X[] = {1, 0, 0, 1, 0, 1, 1, 0}, DY[] = {1, 0, 2, 0, 1, -2};

/*
 * x Wᵀ + b = [3 2 0; 4 3 5] + b = [4 1 2; 5 2 7], l = (2, 1, 1/2).
 *
 *   gl = Σ dy ⊙ (x Wᵀ + b) = (1*4, 1*2, 2*2 - 2*7)
 *   dx = (dy ⊙ l) W        = [2 0 1; 0 1 -1] W = [6 1 8+4 0; 0 1-1 2-4 2]
 */
TEST(ia3_scales_an_output_by_hand)
{
    static struct site s;
    real y[6], dx[8];
    site_open(&s, "ia3", "{target_modules: intermediate.dense}", W, B);
    site_set(&s, "ia3_l", (const real[]){2, 1, 0.5});
    site_forward(&s, X, y);
    site_same("y", 6, y, (const real[]){8, 1, 1, 10, 2, 3.5});
    site_backward(&s, X, DY, dx);
    site_same("gl", 3, site_param(&s, "ia3_l")->grad.v, (const real[]){4, 2, -10});
    site_same("dx", 8, dx, (const real[]){6, 1, 12, 0, 0, 0, -2, 2});
    ASSERT_OK(s.r.method->fold(s.r.self, &s.r.env, &e), &e);
    site_same("W", 12, s.l->w->w, (const real[]){6, 0, 8, 0, 0, 1, 2, 2, 0, 0.5, 2, 0});
    site_same("b", 3, s.l->b->w, (const real[]){2, -1, 1});
    site_close(&s);
}

/*
 * l = (1, 2, 1/2, 3): x ⊙ l = [1 0 0 3; 0 2 1/2 0].
 *
 *   y  = (x ⊙ l) Wᵀ + b  = [3 6 0; 2 3 4] + b
 *   dy W                 = [3 2 12 0; 0 1-2 2-8 2]
 *   gl = Σ x ⊙ (dy W)    = (1*3, 1*(-1), 1*(-6), 1*0)
 *   dx = (dy W) ⊙ l      = [3 4 6 0; 0 -2 -3 6]
 */
TEST(ia3_scales_an_input_by_hand)
{
    static struct site s;
    real y[6], dx[8];
    site_open(&s, "ia3", "{target_modules: intermediate.dense, feedforward_modules: intermediate.dense}", W, B);
    site_set(&s, "ia3_l", (const real[]){1, 2, 0.5, 3});
    site_forward(&s, X, y);
    site_same("y", 6, y, (const real[]){4, 5, 2, 3, 2, 6});
    site_backward(&s, X, DY, dx);
    site_same("gl", 4, site_param(&s, "ia3_l")->grad.v, (const real[]){3, -1, -6, 0});
    site_same("dx", 8, dx, (const real[]){3, 4, 6, 0, 0, -2, -3, 6});
    ASSERT_OK(s.r.method->fold(s.r.self, &s.r.env, &e), &e);
    site_same("W", 12, s.l->w->w, (const real[]){3, 0, 2, 0, 0, 2, 1, 6, 0, 2, 2, 0});
    site_same("b", 3, s.l->b->w, B);
    site_close(&s);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Modules */

static void expect_shape(const struct run *r, const char *module, int rows, int cols)
{
    char name[128];
    snprintf(name, sizeof name, "bert.encoder.layer.1.%s.ia3_l", module);
    const struct param *p = param_find(&r->model.params, name);
    if (!p)
        fail_msg("no %s", name);
    assert_int_equal(p->ndim, 2);
    assert_int_equal(p->rows, rows);
    assert_int_equal(p->cols, cols);
    for (size_t k = 0; k < param_size(p); k++)
        assert_true(p->w[k] == 1);
}

TEST(ia3_takes_the_modules_of_peft)
{
    struct run r;
    open_run(&r, NULL);
    expect_shape(&r, "attention.self.key", 16, 1);
    expect_shape(&r, "attention.self.value", 16, 1);
    expect_shape(&r, "attention.output.dense", 1, 16);
    expect_shape(&r, "output.dense", 1, 24);
    assert_int_equal(param_trainable(&r.model.params, false), 2 * (16 + 16 + 16 + 24));
    run_close(&r);
}

/* Keys, values and the feed-forward network's inner activation: the set of the paper. */
TEST(ia3_of_the_paper_leaves_the_attention_output_alone)
{
    struct run r;
    open_run(&r, "{target_modules: [key, value, layer.?.output.dense]}");
    expect_shape(&r, "output.dense", 1, 24);
    assert_null(param_find(&r.model.params, "bert.encoder.layer.1.attention.output.dense.ia3_l"));
    assert_int_equal(param_trainable(&r.model.params, false), 2 * (16 + 16 + 24));
    run_close(&r);
}

TEST(a_feedforward_module_must_be_a_target)
{
    struct run r;
    struct run_spec s = run_spec("ia3", "{target_modules: [key, value], feedforward_modules: [value, query]}",
                                 random_batch(2, 1));
    e = (struct err){0};
    ASSERT_ERR(run_plan(&r, &s, &e), &e,
               "test.yaml:1:61: `query` in feedforward_modules matches none of the modules that target_modules names");
    run_close(&r);
    open_run(&r, "{target_modules: [key, value]}"); /* the default need not */
    expect_shape(&r, "attention.self.value", 16, 1);
    run_close(&r);
    open_run(&r, "{feedforward_modules: []}");
    expect_shape(&r, "output.dense", 16, 1);
    run_close(&r);
}

TEST(every_scale_has_a_gradient_at_the_start)
{
    struct run r;
    open_run(&r, NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        assert_true(!p->added || sum_of_squares(p->grad.v, p->grad.size) > 0);
    }
    run_close(&r);
}

/* PEFT wants the feed-forward words among the targets' words: otherwise both become names of modules. */
TEST(ia3_tells_peft)
{
    expect_peft("ia3", NULL, "IA3", "\"target_modules\": [\"key\", \"value\", \"output.dense\"], "
                      "\"feedforward_modules\": [\"output.dense\"], \"fan_in_fan_out\": false");
    expect_peft("ia3", "{target_modules: [key, layer.1.output.dense]}", "IA3",
                "\"target_modules\": [\"bert.encoder.layer.0.attention.self.key\", "
                "\"bert.encoder.layer.1.attention.self.key\", \"bert.encoder.layer.1.output.dense\"], "
                "\"feedforward_modules\": [\"bert.encoder.layer.1.output.dense\"], \"fan_in_fan_out\": false");
    expect_peft("ia3", "{target_modules: key, feedforward_modules: []}", "IA3",
                "\"target_modules\": [\"key\"], \"feedforward_modules\": [], \"fan_in_fan_out\": false");
}
