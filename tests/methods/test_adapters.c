/* Houlsby's and Pfeiffer's adapters: examples by hand, what is trained, where they start. labels: contract
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

/* A block's adapter, H = 4 and m = 3, on two tokens. */
struct hand {
    struct site s;
    struct insert *i;
    real kept[64];
};

static const real down[] = {0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, -1}, down_b[] = {0, 30, 0};
static const real up[] = {1, 0, 0, 0, 0, 1, 0, 1, 0, 2, 0, 1}, up_b[] = {0, 1, 0, 0};

static struct param *part(struct hand *h, const char *which)
{
    char name[128];
    snprintf(name, sizeof name, "bert.encoder.layer.0.output.adapter.%s", which);
    return param_find(&h->s.r.model.params, name);
}

static void set(struct hand *h, const char *which, const real *v)
{
    memcpy(part(h, which)->w, v, param_size(part(h, which)) * sizeof *v);
}

static void open_hand(struct hand *h, const char *method, const char *options)
{
    static const real zero[12];
    site_open(&h->s, method, options, zero, zero);
    h->i = &h->s.r.model.block[0].output_insert;
    h->s.room = h->i->ops->scratch(h->i, SITE_TOKENS);
    assert_true(h->i->ops->kept(h->i, SITE_TOKENS) <= 64);
    set(h, "up.weight", up);
    set(h, "up.bias", up_b);
}

/* Of forward only `kept` is left when backward comes. */
static void pass_through(struct hand *h, real *x, real *d)
{
    h->i->ops->forward(h->i, &h->s.pass, SITE_TOKENS, x, h->kept);
    param_zero_grads(&h->s.r.model.params);
    memset(h->s.scratch, 0, h->s.room * sizeof(real));
    ASSERT_OK(h->i->ops->backward(h->i, &h->s.pass, SITE_TOKENS, h->kept, d, h->s.panels, &e), &e);
}

/*
 * h = (1 0 0 1), (0 0 1 0): a = W1 h + b1 = (0 30 0), (0 31 0), where swish is 0 with slope 1/2, and the number itself
 * with slope 1. W2 z = (0 0 30 0), (0 0 31 0).
 *
 *   gW2 = dᵀ z, dz = d W2 = (5 0 2), (0 1 1), da = (2.5 0 1), (0 1 .5)
 *   gW1 = daᵀ h, dh = d + da W1 = (1 0 0 2) + (1 2.5 0 -1), (0 1 1 0) + (.5 0 1 -.5)
 */
TEST(houlsby_by_hand)
{
    static struct hand h;
    real x[] = {1, 0, 0, 1, 0, 0, 1, 0}, d[] = {1, 0, 0, 2, 0, 1, 1, 0};
    open_hand(&h, "houlsby", "{bottleneck: 3}");
    set(&h, "down.weight", down);
    set(&h, "down.bias", down_b);
    pass_through(&h, x, d);
    site_same("y", 8, x, (const real[]){1, 1, 30, 1, 0, 1, 32, 0});
    site_same("gW2", 12, part(&h, "up.weight")->grad.v, (const real[]){0, 30, 0, 0, 31, 0, 0, 31, 0, 0, 60, 0});
    site_same("gb2", 4, part(&h, "up.bias")->grad.v, (const real[]){1, 1, 1, 2});
    site_same("gW1", 12, part(&h, "down.weight")->grad.v,
              (const real[]){2.5, 0, 0, 2.5, 0, 0, 1, 0, 1, 0, .5, 1});
    site_same("gb1", 3, part(&h, "down.bias")->grad.v, (const real[]){2.5, 1, 1.5});
    site_same("dh", 8, d, (const real[]){2, 2.5, 0, 1, .5, 1, 2, -.5});
    site_close(&h.s);
}

/*
 * s = (1 -1 1 -1), (-1 -1 1 1) has mean 0 and variance 1, so that xhat = s; with gamma = (1 2 1 1), beta = (0 1 0 0)
 * u = LN(s) = s as well. W1 = [1 0 0 0; 0 1 0 0; 0 0 1 1], b1 = (1 0 0):
 *
 *   a  = (2 -1 0), (0 -1 2), z = (2 0 0), (0 0 2), f = (2 1 0 4), (0 3 0 2)
 *   dz = (5 0 2), (0 1 1), da = (5 0 0), (0 0 1), du = (5 0 0 0), (0 0 1 1)
 *   LN'(du) = g - mean g - xhat mean(g xhat) with g = du gamma: (5 0 0 0) - 1.25 - 1.25 xhat = (2.5 0 -2.5 0), and
 *             (0 0 1 1) - .5 - .5 xhat = 0
 *   inner use of LN: ggamma = sum du xhat = (5 0 1 1), gbeta = sum du = (5 0 1 1)
 */
TEST(pfeiffer_by_hand)
{
    static struct hand h;
    real s[] = {1, -1, 1, -1, -1, -1, 1, 1}, d[] = {1, 0, 0, 2, 0, 1, 1, 0};
    open_hand(&h, "pfeiffer", "{bottleneck: 3, variant: original}");
    const struct norm *norm = &h.s.r.model.block[0].output_norm;
    memcpy(norm->w->w, (const real[]){1, 2, 1, 1}, 4 * sizeof(real));
    memcpy(norm->b->w, (const real[]){0, 1, 0, 0}, 4 * sizeof(real));
    set(&h, "down.weight", (const real[]){1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1});
    set(&h, "down.bias", (const real[]){1, 0, 0});
    pass_through(&h, s, d);
    site_same("y", 8, s, (const real[]){3, 0, 1, 3, -1, 2, 1, 3});
    site_same("gW2", 12, part(&h, "up.weight")->grad.v, (const real[]){2, 0, 0, 0, 0, 2, 0, 0, 2, 4, 0, 0});
    site_same("gb2", 4, part(&h, "up.bias")->grad.v, (const real[]){1, 1, 1, 2});
    site_same("gW1", 12, part(&h, "down.weight")->grad.v, (const real[]){5, -5, 5, -5, 0, 0, 0, 0, -1, -1, 1, 1});
    site_same("gb1", 3, part(&h, "down.bias")->grad.v, (const real[]){5, 0, 1});
    site_same("ggamma", 4, norm->w->grad.v, (const real[]){5, 0, 1, 1});
    site_same("gbeta", 4, norm->b->grad.v, (const real[]){5, 0, 1, 1});
    site_same("ds", 8, d, (const real[]){3.5, 0, -2.5, 2, 0, 1, 1, 0});
    site_close(&h.s);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void trained_names(const char *method, const char *options, size_t modules, bool norms)
{
    struct run r;
    size_t added = 0;
    open_run(&r, method, options);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        bool expected = p->head || p->added || (norms && p->kind == PARAM_NORM);
        assert_int_equal(p->grad.form, expected ? GRAD_DENSE : GRAD_NONE);
        assert_true(p->added == (strstr(p->name, ".adapter.") != NULL));
        added += p->added;
    }
    assert_int_equal(added, 4 * modules);
    run_close(&r);
}

TEST(layernorms_are_trained_in_the_original_alone)
{
    trained_names("houlsby", NULL, 4, false);
    trained_names("houlsby", "{variant: original}", 4, true);
    trained_names("pfeiffer", NULL, 2, false);
    trained_names("pfeiffer", "{variant: original}", 2, true);
}

/* W2 = 0 and b2 = 0 compute the base model, whatever the rest is; any other W2 does not. */
static void identity(const char *method, const char *options)
{
    struct run r, base;
    const struct batch *b = random_batch(8, 3);
    open_run(&r, method, options);
    open_run(&base, "head", NULL);
    struct param *w2 = NULL;
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        bool is_up = strstr(p->name, ".adapter.up.") != NULL;
        for (size_t k = 0; p->added && k < param_size(p); k++)
            p->w[k] = is_up ? 0 : (real)(1 + k % 3);
        w2 = is_up ? p : w2;
    }
    const real *x = run_logits(&r, b, &e), *y = run_logits(&base, b, &e);
    for (int i = 0; i < 16; i++)
        assert_true(x[i] == y[i]);
    w2->w[0] = 1;
    x = run_logits(&r, b, &e);
    bool differs = false;
    for (int i = 0; i < 16; i++)
        differs |= x[i] != y[i];
    assert_true(differs);
    run_close(&r);
    run_close(&base);
}

TEST(without_an_up_projection_they_are_the_base_model)
{
    identity("houlsby", NULL);
    identity("houlsby", "{variant: original}");
    identity("pfeiffer", NULL);
    identity("pfeiffer", "{variant: original}");
}

struct moments {
    double n, mean, std, largest;
};

static struct moments moments_of(const struct run *r, const char *which)
{
    struct moments m = {0};
    double squares = 0;
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i];
        for (size_t k = 0; strstr(p->name, which) && k < param_size(p); k++) {
            double x = (double)p->w[k];
            m.n++;
            m.mean += x;
            squares += x * x;
            m.largest = fmax(m.largest, fabs(x));
        }
    }
    m.mean /= m.n;
    m.std = sqrt(squares / m.n);
    return m;
}

/* A normal cut off at two standard deviations has 0.8796 of its spread left: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)). */
static void first_values(const char *method, const char *options, double std, double most, bool up_too)
{
    static const char *const weights[] = {"adapter.down.weight", "adapter.up.weight"};
    struct run r;
    open_run(&r, method, options);
    for (int i = 0; i < (up_too ? 2 : 1); i++) {
        struct moments m = moments_of(&r, weights[i]);
        ASSERT_NEAR(m.mean, 0, 4 * std / sqrt(m.n));
        ASSERT_NEAR(m.std, std, 4 * std / sqrt(2 * m.n));
        assert_true(m.largest < most);
    }
    assert_true((moments_of(&r, "adapter.up.weight").largest > 0) == up_too);
    assert_true(moments_of(&r, "adapter.down.bias").largest == 0 && moments_of(&r, "adapter.up.bias").largest == 0);
    run_close(&r);
}

TEST(first_values_are_the_variants)
{
    first_values("houlsby", "{bottleneck: 64}", 0.02, 0.12, false);
    first_values("houlsby", "{bottleneck: 64, init: reference}", 0.02, 0.12, true);
    first_values("houlsby", "{bottleneck: 64, variant: original, init: reference}", 0.8796e-3, 2e-3, true);
    first_values("pfeiffer", "{bottleneck: 64, init: reference}", 0.02, 0.12, true);
    first_values("pfeiffer", "{bottleneck: 64, variant: original}", 0.8796e-3, 2e-3, false);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Layers that are computed again in backward fill the inserts' room again. */
static void recomputed(const char *method, const char *options)
{
    struct run a, b;
    struct workspace_shape shape = {WORKSPACE_CHECKPOINT, MAX_TOKENS, MAX_SEQS, MAX_LEN};
    open_run(&a, method, options);
    open_run(&b, method, options);
    ASSERT_OK(b.ws = workspace_create(&b.model, &shape, b.arena, &e), &e);
    ASSERT_OK(run_gradients(&a, a.spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&b, b.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < a.model.params.n; i++) {
        const struct grad *x = &a.model.params.item[i]->grad, *y = &b.model.params.item[i]->grad;
        assert_memory_equal(x->v, y->v, x->size * sizeof(real));
    }
    run_close(&a);
    run_close(&b);
}

TEST(recomputed_layers_have_the_same_gradients)
{
    recomputed("houlsby", "{init: reference}");
    recomputed("pfeiffer", "{init: reference, variant: original}");
}

/* 2 products of 2 H m each a token and module forward, 5 more backward. */
static void flops(const char *method, int modules)
{
    struct run r, norms;
    const int32_t lengths[] = {3, 5};
    open_run(&r, method, "{bottleneck: 6, variant: original}");
    open_run(&norms, "lntuning", NULL);
    for (int backward = 0; backward < 2; backward++) {
        double added = model_flops(&r.model, lengths, 2, backward) - model_flops(&norms.model, lengths, 2, backward);
        assert_true(added == (backward ? 7 : 2) * modules * 2. * 8 * 16 * 6);
    }
    run_close(&r);
    run_close(&norms);
}

TEST(flops_are_those_of_the_products)
{
    flops("houlsby", 4);
    flops("pfeiffer", 2);
}

TEST(they_say_that_they_cannot_be_merged)
{
    const struct method *m[] = {method_find("houlsby"), method_find("pfeiffer")};
    for (int i = 0; i < 2; i++)
        assert_true(m[i]->unmergeable && strstr(m[i]->unmergeable, "non-linear") && !m[i]->fold);
}
