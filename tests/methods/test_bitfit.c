/* BitFit and LN tuning: what is trained, that it is trained as full fine-tuning would, what is reported.
 * labels: contract
 */
#include "tests/methods/site.h"

#include <math.h>

static struct err e;

static void open_run(struct run *r, const char *method, const char *options)
{
    struct run_spec s = run_spec(method, options, random_batch(6, 1));
    s.dropout = 0.1;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/* gb = (1 + 0, 0 + 1, 2 - 2); dx = dy W: (1 0 2) W = row 0 + 2 row 2, (0 1 -2) W = row 1 - 2 row 2. */
TEST(bitfit_by_hand)
{
    static const real w[] = {3, 0, 4, 0, 0, 1, 2, 2, 0, 1, 4, 0}, b[] = {1, -1, 2};
    static const real x[] = {1, 0, 0, 1, 0, 1, 1, 0}, dy[] = {1, 0, 2, 0, 1, -2};
    static struct site s;
    real y[6], dx[8];
    site_open(&s, "bitfit", "{target_modules: intermediate.dense}", w, b);
    site_forward(&s, x, y);
    site_same("y", 6, y, (const real[]){4, 1, 2, 5, 2, 7});
    site_backward(&s, x, dy, dx);
    site_same("gb", 3, s.l->b->grad.v, (const real[]){1, 1, 0});
    site_same("dx", 8, dx, (const real[]){3, 2, 12, 0, 0, -1, -6, 2});
    assert_true(!s.l->w->grad.v);
    site_close(&s);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool any_bias(const char *name) { return ends(name, ".bias"); }
static bool halves(const char *name) { return ends(name, "query.bias") || ends(name, "intermediate.dense.bias"); }
static bool outputs(const char *name) { return ends(name, "output.dense.bias"); }
static bool norms(const char *name) { return strstr(name, "LayerNorm."); }
static bool scales(const char *name) { return ends(name, "attention.output.LayerNorm.weight"); }

static void trained_names(const char *method, const char *options, bool (*expected)(const char *name), size_t scalars)
{
    struct run r;
    open_run(&r, method, options);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        bool trained = p->head || expected(p->name);
        if ((p->grad.v != NULL) != trained)
            fail_msg("%s is %strained", p->name, trained ? "not " : "");
    }
    assert_int_equal(param_trainable(&r.model.params, false), scalars);
    run_close(&r);
}

/* H = 16, intermediate 24, two layers: 4 H + 24 + H of the linear modules, 2 H of the LayerNorms, H of the
 * embeddings'. */
TEST(nothing_else_has_a_gradient)
{
    trained_names("bitfit", NULL, any_bias, 2 * (7 * 16 + 24) + 16);
    trained_names("bitfit", "{target_modules: [query, intermediate.dense]}", halves, 2 * (16 + 24));
    trained_names("bitfit", "{target_modules: output.dense}", outputs, 2 * (16 + 16));
    trained_names("lntuning", NULL, norms, 5 * 2 * 16);
    trained_names("lntuning", "{target_modules: attention.output.LayerNorm.weight}", scales, 2 * 16);
}

/* Full fine-tuning whose other groups have learning rate 0, without clipping, whose norm would know them. */
TEST(bitfit_is_full_fine_tuning_of_the_biases)
{
    static const struct optim_group group[] = {
        {"*weight", 0, NAN, NULL}, {"pooler.dense", 1e-3, NAN, NULL}, {"classifier", 1e-3, NAN, NULL}};
    struct run a, b;
    struct run_spec s = run_spec("full", NULL, random_batch(6, 1));
    s.dropout = 0.1;
    s.optim.group = group;
    s.optim.n_groups = 3;
    open_run(&a, "bitfit", NULL);
    ASSERT_OK(run_open(&b, &s, &e), &e);
    train_usual(&a, 4);
    train_usual(&b, 4);
    assert_same_run(&a, &b);
    run_close(&a);
    run_close(&b);
}

TEST(lntuning_is_full_fine_tuning_of_the_layernorms)
{
    assert_same_training("lntuning", NULL, "full", "{target_modules: LayerNorm}");
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct seen {
    struct method_report report;
    int n;
    double query, embeddings;
};

static void keep_value(struct method_report *self, const char *name, double value, const char *description)
{
    struct seen *s = (struct seen *)self;
    assert_true(*description && isfinite(value));
    s->n++;
    if (strcmp(name, "change_query") == 0)
        s->query = value;
    if (strcmp(name, "change_embeddings_layernorm") == 0)
        s->embeddings = value;
}

/* The sum of the moves of two query biases of 16 by 1/2 and by -1/4, over 32 entries. */
TEST(the_change_of_each_group_is_reported)
{
    struct run r;
    struct seen seen = {.report = {keep_value}};
    open_run(&r, "bitfit", NULL);
    for (int k = 0; k < 16; k++) {
        r.model.block[0].query.b->w[k] += (real)0.5;
        r.model.block[1].query.b->w[k] -= (real)0.25;
    }
    r.method->report(r.self, &r.env, &seen.report);
    assert_int_equal(seen.n, 9);
    ASSERT_NEAR(seen.query, 0.375, 1e-6);
    assert_true(seen.embeddings == 0);
    train_usual(&r, 1);
    r.method->report(r.self, &r.env, &seen.report);
    assert_true(seen.embeddings > 0);
    run_close(&r);
    open_run(&r, "bitfit", "{target_modules: query}");
    seen.n = 0;
    r.method->report(r.self, &r.env, &seen.report);
    assert_int_equal(seen.n, 1);
    run_close(&r);
}

static void refuse(const char *method, const char *options, const char *want)
{
    struct run r;
    struct run_spec s = run_spec(method, options, random_batch(2, 1));
    e = (struct err){0};
    assert_false(run_plan(&r, &s, &e));
    if (!strstr(e.msg, want))
        fail_msg("%s %s: `%s`", method, options, e.msg);
    assert_int_equal(e.line, 1);
    run_close(&r);
}

TEST(a_word_without_a_bias_or_layernorm_is_refused)
{
    refuse("bitfit", "{target_modules: [query, word_embeddings]}", "`word_embeddings` in target_modules names no bias");
    refuse("bitfit", "{target_modules: query.weight}", "names no bias");
    refuse("lntuning", "{target_modules: query}", "`query` in target_modules names no LayerNorm");
    refuse("lntuning", "{target_modules: [classifier]}", "only the head");
}
