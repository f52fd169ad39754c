/* DoRA's gradients with the norm held constant, by central differences in double precision. labels: contract
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"

static struct err e;

struct check {
    struct run r;
    double scale; /* lora_alpha / r */
};

static struct param *added(const struct run *r, const struct linear *l, const char *which)
{
    char name[320];
    snprintf(name, sizeof name, "%s.%s", l->name, which);
    return param_find(&r->model.params, name);
}

static void norms(const struct check *c, const struct linear *l, double *n)
{
    const struct param *a = added(&c->r, l, "lora_A.weight"), *b = added(&c->r, l, "lora_B.weight");
    for (int i = 0; i < l->out; i++) {
        double sum = 0;
        for (int j = 0; j < l->in; j++) {
            double v = l->w->w[i * l->in + j];
            for (int k = 0; k < a->rows; k++)
                v += c->scale * b->w[i * a->rows + k] * a->w[k * l->in + j];
            sum += v * v;
        }
        n[i] = sqrt(sum);
    }
}

/* Loss with *x moved by h and the norms as they were: m takes up what moves them, so that m / n stays. */
static double moved_loss(struct check *c, const struct linear *l, real *x, double h)
{
    struct param *m = added(&c->r, l, "lora_magnitude_vector");
    double before[32], after[32], saved[32], old = *x;
    memcpy(saved, m->w, (size_t)l->out * sizeof *saved);
    norms(c, l, before);
    *x = old + h;
    norms(c, l, after);
    for (int i = 0; i < l->out; i++)
        m->w[i] = saved[i] * after[i] / before[i];
    double loss = run_loss(&c->r, c->r.spec.first);
    memcpy(m->w, saved, (size_t)l->out * sizeof *saved);
    *x = old;
    return loss;
}

static void same(const char *name, size_t i, double g, double quotient)
{
    if (!(fabs(quotient - g) <= 1e-6 * fmax(1, fabs(g))))
        fail_msg("%s[%zu]: gradient %.10g, central difference %.10g", name, i, g, quotient);
}

static void check_param(struct check *c, const struct linear *l, const char *which)
{
    const double h = 1e-5;
    struct param *p = added(&c->r, l, which);
    for (size_t i = 0; i < param_size(p); i += 1 + param_size(p) / 16)
        same(p->name, i, p->grad.v[i], (moved_loss(c, l, &p->w[i], h) - moved_loss(c, l, &p->w[i], -h)) / (2 * h));
}

static void open_check(struct check *c, const char *options, double scale, double spread_b)
{
    struct run_spec s = run_spec("dora", options, random_batch(4, 1));
    struct rng g = rng_stream(6, "added");
    s.dropout = 0.1;
    c->scale = scale;
    ASSERT_OK(run_open(&c->r, &s, &e), &e);
    for (size_t i = 0; i < c->r.model.params.n; i++) {
        struct param *p = c->r.model.params.item[i];
        for (size_t k = 0; p->added && k < param_size(p); k++)
            if (strstr(p->name, "magnitude"))
                p->w[k] *= 1 + 0.3 * rng_normal(&g);
            else
                p->w[k] = (strstr(p->name, "lora_B") ? spread_b : 0.2) * rng_normal(&g);
    }
}

static void branch(const char *options, double scale)
{
    struct check c;
    open_check(&c, options, scale, 0.2);
    ASSERT_OK(run_gradients(&c.r, c.r.spec.first, 2, NULL, &e), &e);
    for (int k = 0; k < c.r.model.n_sites; k++)
        if (c.r.model.site[k]->ops) {
            check_param(&c, c.r.model.site[k], "lora_A.weight");
            check_param(&c, c.r.model.site[k], "lora_B.weight");
        }
    for (int k = 0; k < c.r.model.n_sites; k++) /* a magnitude moves no norm */
        for (int i = 0; c.r.model.site[k]->ops && i < 4; i++) {
            const double h = 1e-5;
            struct param *m = added(&c.r, c.r.model.site[k], "lora_magnitude_vector");
            real old = m->w[i];
            m->w[i] = old + h;
            double up = run_loss(&c.r, c.r.spec.first);
            m->w[i] = old - h;
            double down = run_loss(&c.r, c.r.spec.first);
            m->w[i] = old;
            same(m->name, (size_t)i, m->grad.v[i], (up - down) / (2 * h));
        }
    run_close(&c.r);
}

TEST(gradients_at_a_constant_norm)
{
    branch("{r: 3, lora_alpha: 6}", 2);
    branch("{r: 4, lora_alpha: 4, lora_dropout: 0.4, target_modules: all-linear}", 1);
}

struct seen {
    struct tap tap;
    const struct param *p;
    double g[256];
};

static bool see(void *self, const struct param *p, const real *g, struct err *err)
{
    struct seen *s = self;
    (void)err;
    if (p == s->p)
        memcpy(s->g, g, sizeof s->g);
    return true;
}

/* A tap is shown the gradient of the frozen weight too, dropped and undropped part together. With B = 0 the norms that
 * the method took when it was attached do not follow the weight. */
static void tapped(const char *options)
{
    struct check c;
    static struct seen s;
    const struct probe_batch batch = {.number = 0, .dropout = true};
    const double h = 1e-5;
    double up, down;
    open_check(&c, options, 1, 0);
    struct param *w = c.r.model.block[1].query.w;
    s = (struct seen){.tap = {.see = see, .self = &s}, .p = w};
    w->tapped = true;
    ASSERT_OK(c.r.probe.gradient(&c.r.probe, &batch, &s.tap, NULL, &e), &e);
    w->tapped = false;
    for (size_t i = 0; i < 256; i += 7) {
        real old = w->w[i];
        w->w[i] = old + h;
        ASSERT_OK(c.r.probe.loss(&c.r.probe, &batch, &up, &e), &e);
        w->w[i] = old - h;
        ASSERT_OK(c.r.probe.loss(&c.r.probe, &batch, &down, &e), &e);
        w->w[i] = old;
        same(w->name, i, s.g[i], (up - down) / (2 * h));
    }
    run_close(&c.r);
}

TEST(a_tap_sees_the_gradient_of_the_frozen_weight)
{
    tapped("{r: 2}");
    tapped("{r: 2, lora_dropout: 0.5}");
}
