/* Central differences in double precision: every gradient that a method requests, through its overrides, dropout
 * included. labels: contract
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"

static struct err e;
static const struct batch *batch;

struct check {
    struct run *r;
    struct param *p;
    size_t every, seen;
};

/* |difference quotient - gradient| <= 1e-6 of the larger of 1 and the gradient; error of the quotient itself ~1e-9. */
static void check_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    struct check *c = u;
    const double h = 1e-5;
    for (size_t i = 0; i < length; i++) {
        if ((compact + i) % c->every)
            continue;
        real *w = &c->p->w[at + i], old = *w;
        *w = old + h;
        double up = run_loss(c->r, batch);
        *w = old - h;
        double down = run_loss(c->r, batch);
        *w = old;
        double quotient = (up - down) / (2 * h), g = p->grad.v[compact + i];
        if (!(fabs(quotient - g) <= 1e-6 * fmax(1, fabs(g))))
            fail_msg("%s[%zu]: gradient %.10g, central difference %.10g", p->name, at + i, g, quotient);
        c->seen++;
    }
}

/* Does backward see other weights than those that stand between steps? */
static bool moves_weights(const struct run_spec *s)
{
    struct run r;
    size_t n;
    ASSERT_OK(run_open(&r, s, &e), &e);
    const real *before = copy_weights(&r, &n);
    if (r.method->before_backward)
        ASSERT_OK(r.method->before_backward(r.self, &r.env, &e), &e);
    bool moved = memcmp(before, copy_weights(&r, &n), n * sizeof *before) != 0;
    run_close(&r);
    return moved;
}

static void check_method(const char *method, const char *options)
{
    struct run r;
    struct rng g = rng_stream(6, "added");
    size_t seen = 0;
    batch = random_batch(4, 1);
    struct run_spec s = run_spec(method, options, batch);
    s.dropout = 0.1;
    if (moves_weights(&s)) {
        print_message("%s: gradients at perturbed weights, which its own tests check\n", method);
        return;
    }
    ASSERT_OK(run_open(&r, &s, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        for (size_t k = 0; p->added && k < param_size(p); k++)
            p->w[k] = 0.2 * rng_normal(&g); /* off the start, where half of the gradients vanish */
    }
    r.env.step = 1;
    ASSERT_OK(run_gradients(&r, batch, 2, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        struct check c = {&r, p, 1 + p->grad.size / 24, 0};
        param_each_run(p, check_run, &c);
        seen += c.seen;
    }
    print_message("%s %s: %zu derivatives\n", method, options ? options : "", seen);
    assert_true(seen > 0);
    run_close(&r);
}

/* Options that make a method's gradient the loss's where its defaults mean it not to be. */
static const struct {
    const char *method, *options;
} exact[] = {
    {"dora", "{detach_norm: false}"}, /* the norm is taken for a constant: test_dora_f64.c */
    {"gmt", "{keep_ratio: 1}"},
    {"gradtopk", "{density: 1}"},
    {"meprop", "{density: 1}"},
    {"sparsegrad", "{basis: identity, density: 1}"}, /* the gradient lies in its basis: test_sparsegrad.c */
};

static const char *exact_options(const char *method)
{
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (strcmp(exact[i].method, method) == 0)
            return exact[i].options;
    return NULL;
}

TEST(every_method_with_its_defaults)
{
    for (const struct method *const *m = method_table; *m; m++)
        check_method((*m)->name, exact_options((*m)->name));
}

/* Backward goes down to the lowest thing wanted and no further. */
TEST(from_each_floor_inside_a_layer)
{
    check_method("full", "{target_modules: [layer.0.output.LayerNorm]}");
    check_method("full", "{target_modules: [layer.0.output.dense]}");
    check_method("full", "{target_modules: [layer.0.intermediate.dense]}");
    check_method("full", "{target_modules: [layer.0.attention.output.LayerNorm]}");
    check_method("full", "{target_modules: [layer.0.attention.output.dense]}");
    check_method("full", "{target_modules: [layer.0.attention.self.key]}");
}

TEST(lora_everywhere)
{
    check_method("lora", "{target_modules: all-linear, r: 3, lora_alpha: 7}");
    check_method("lora", "{target_modules: all-linear, r: 5, lora_dropout: 0.4}");
    check_method("lora", "{target_modules: [layer.1.*], use_rslora: true}");
}

TEST(adapters_with_their_layernorms)
{
    check_method("houlsby", "{variant: original, bottleneck: 5}");
    check_method("houlsby", "{variant: mslora, bottleneck: 3}");
    check_method("pfeiffer", "{variant: original, bottleneck: 5}");
    check_method("pfeiffer", "{variant: mslora, bottleneck: 3}");
}

TEST(dora_through_its_norms)
{
    check_method("dora", "{target_modules: all-linear, r: 3, lora_alpha: 7, detach_norm: false}");
    check_method("dora", "{target_modules: all-linear, r: 5, lora_dropout: 0.4, detach_norm: false}");
}

TEST(ia3_everywhere)
{
    check_method("ia3", "{target_modules: all-linear, feedforward_modules: [intermediate.dense, query]}");
    check_method("ia3", "{target_modules: all-linear, feedforward_modules: all-linear}");
}

TEST(sift_everywhere)
{
    check_method("sift", "{target_modules: all, density: 0.05}");
    check_method("sift", "{target_modules: all, density: 0.5, select: random}");
    check_method("sift", "{target_modules: all-linear, density: 0.05, compat: reference}");
}

TEST(rowsft_everywhere)
{
    check_method("rowsft", "{ratio: 0.4, taylor_batches: 1, train_layernorm: true, train_embeddings: true}");
    check_method("rowsft", "{ratio: 0.4, unit: column, importance: l1, ranking: global}");
    check_method("rowsft", "{ratio: 0.4, importance: zotaylor, n_estimate: 1, data_split: 1, per_head: false}");
}
