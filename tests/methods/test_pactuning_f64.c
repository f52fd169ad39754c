/* PAC-tuning in double precision: stage 1's whole gradient by central differences, and ten steps of both stages against
 * a plain second writing of the method. labels: contract
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"
#include "methods/noise.h"
#include "methods/pac_bayes.h"

static struct err e;

enum { MAX_TENSORS = 64 };

/* The second writing: everything of each trained tensor by itself. */
struct twin {
    struct param *param;
    size_t n;
    double *w, *w0, *p, *tau, *m, *v, b, bm, bv;
};

struct twins {
    struct twin tensor[MAX_TENSORS];
    size_t n;
    struct pac_curve curve;
    double m_examples, gamma_min, gamma_max, head_rate;
};

static double *room(size_t n)
{
    double *v;
    ASSERT_OK(v = ARENA_NEW(test_arena(), MEM_DATA, double, n, &e), &e);
    return v;
}

static void make_twins(struct twins *s, struct run *r, double gamma_min, double gamma_max)
{
    double sum[2] = {0}, count[2] = {0};
    *s = (struct twins){.m_examples = (double)r->env.train_examples, .gamma_min = gamma_min, .gamma_max = gamma_max};
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *param = r->model.params.item[i];
        if (param->grad.form == GRAD_NONE)
            continue;
        size_t n = param_size(param);
        s->tensor[s->n] = (struct twin){.param = param, .n = n, .w = room(n), .w0 = room(n), .p = room(n),
                                        .tau = room(n), .m = room(n), .v = room(n)};
        memcpy(s->tensor[s->n++].w0, param->w, n * sizeof(double));
        for (size_t k = 0; k < n; k++)
            sum[param->head] += fabs(param->w[k]);
        count[param->head] += (double)n;
    }
    for (struct twin *t = s->tensor; t < s->tensor + s->n; t++) {
        t->b = (t->param->head ? 1 : 2) * log(sum[t->param->head] / count[t->param->head]);
        for (size_t k = 0; k < t->n; k++)
            t->p[k] = t->b;
    }
}

static void draw(struct twin *t, uint64_t seed, long step)
{
    char name[256];
    snprintf(name, sizeof name, "method/noise/%s", t->param->name);
    noise_normal(rng_key(seed, name), (uint32_t)step, 0, t->tau, t->n);
    for (size_t k = 0; k < t->n; k++)
        t->tau[k] = fmax(-2, fmin(2, t->tau[k]));
}

static void perturb(struct twins *s)
{
    for (struct twin *t = s->tensor; t < s->tensor + s->n; t++) {
        memcpy(t->w, t->param->w, t->n * sizeof(double));
        for (size_t k = 0; k < t->n; k++)
            t->param->w[k] += exp(t->p[k]) * t->tau[k];
    }
}

static void restore(struct twins *s)
{
    for (struct twin *t = s->tensor; t < s->tensor + s->n; t++)
        memcpy(t->param->w, t->w, t->n * sizeof(double));
}

/* sum over entries of ln(q/prior) + (variance + distance) / (2 prior²) - 1/2: the textbook's divergence. */
static double divergence(const struct twins *s)
{
    double kl = 0;
    for (const struct twin *t = s->tensor; t < s->tensor + s->n; t++)
        for (size_t k = 0; k < t->n; k++) {
            double prior = exp(t->b), scale = exp(t->p[k]), moved = t->param->w[k] - t->w0[k];
            kl += log(prior / scale) + (scale * scale + moved * moved) / (2 * prior * prior) - 0.5;
        }
    return kl;
}

static double lambda_of(const struct twins *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->tensor[i].b;
    return exp(sum / (double)s->n);
}

/* Index of the segment that lambda lies in; the last goes on. */
static int segment(const struct twins *s, double lambda)
{
    int i = 0;
    while (i < PAC_KNOTS - 2 && lambda > s->curve.lambda[i + 1])
        i++;
    return i;
}

static double slope(const struct twins *s, int i)
{
    return (s->curve.k[i + 1] - s->curve.k[i]) / (s->curve.lambda[i + 1] - s->curve.lambda[i]);
}

static double k_of(const struct twins *s)
{
    int i = segment(s, lambda_of(s));
    return s->curve.k[i] + (lambda_of(s) - s->curve.lambda[i]) * slope(s, i);
}

static double gamma_of(const struct twins *s)
{
    double all = divergence(s) + 10 + 3 * (double)s->n;
    return fmin(fmax(sqrt(2 * all / 3 / s->m_examples) / k_of(s), s->gamma_min), s->gamma_max);
}

/* Loss under the noise, and the bound. */
static double objective(struct twins *s, struct run *r, const struct batch *b)
{
    double k = k_of(s), gamma = gamma_of(s), all = divergence(s) + 10 + 3 * (double)s->n;
    perturb(s);
    double loss = run_loss(r, b);
    restore(s);
    return loss + 1.5 * k * k * gamma + all / s->m_examples / gamma;
}

/* Central difference of the objective by *x; the model is small enough for 1e-6 to be far from rounding. */
static double quotient(struct twins *s, struct run *r, const struct batch *b, double *x)
{
    const double h = 1e-5;
    double old = *x;
    *x = old + h;
    double up = objective(s, r, b);
    *x = old - h;
    double down = objective(s, r, b);
    *x = old;
    return (up - down) / (2 * h);
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

static void *state_of(struct run *r, const char *tensor, const char *what)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", tensor, what);
    struct wanted w = {name, NULL};
    r->method->state(r->self, &r->env, look_for, &w);
    assert_non_null(w.data);
    return w.data;
}

static void assert_derivative(double got, double want)
{
    if (!(fabs(got - want) <= 1e-6 * fmax(1, fabs(want))))
        fail_msg("gradient %.10g, central difference %.10g", got, want);
}

/* Off the start, where w = w0 and p = b hide terms. */
static void move_off(struct twins *s, struct run *r)
{
    struct rng g = rng_stream(5, "off");
    for (struct twin *t = s->tensor; t < s->tensor + s->n; t++) {
        double *p = state_of(r, t->param->name, "/p"), *b = state_of(r, t->param->name, "/b");
        t->b = *b += 0.3 * rng_normal(&g);
        for (size_t k = 0; k < t->n; k++) {
            t->param->w[k] += 0.02 * rng_normal(&g);
            t->p[k] = p[k] += 0.2 * rng_normal(&g);
        }
    }
}

/* After one step Adam's first moment is a tenth of the gradient. */
static void check_tensor(struct twins *s, struct run *r, const struct batch *b, struct twin *t)
{
    const double *m = state_of(r, t->param->name, "/p/exp_avg"), *bm = state_of(r, t->param->name, "/b");
    for (size_t k = 0; k < t->n; k += 1 + t->n / 6) {
        assert_derivative(t->param->grad.v[k], quotient(s, r, b, &t->param->w[k]));
        assert_derivative(10 * m[k], quotient(s, r, b, &t->p[k]));
    }
    assert_derivative(10 * bm[1], quotient(s, r, b, &t->b));
}

static void check_objective(const char *options, double gamma_min, double gamma_max)
{
    struct run r;
    static struct twins s;
    const struct batch *b = random_batch(6, 1);
    struct run_spec spec = run_spec("pactuning", options, b);
    spec.dropout = 0.1;
    ASSERT_OK(run_open(&r, &spec, &e), &e);
    make_twins(&s, &r, gamma_min, gamma_max);
    s.curve = *(struct pac_curve *)state_of(&r, "curve", "");
    move_off(&s, &r);
    assert_true(lambda_of(&s) > s.curve.lambda[0] && slope(&s, segment(&s, lambda_of(&s))) > 0);
    for (size_t i = 0; i < s.n; i++)
        draw(&s.tensor[i], 1, 0);
    ASSERT_OK(run_gradients(&r, b, 2, NULL, &e), &e);
    for (size_t i = 0; i < s.n; i += 3)
        check_tensor(&s, &r, b, &s.tensor[i]);
    check_tensor(&s, &r, b, &s.tensor[s.n - 1]);
    run_close(&r);
}

TEST(the_gradient_of_stage_one) { check_objective(NULL, 10, 10); }
TEST(the_gradient_where_gamma_is_free) { check_objective("{gamma_min: 0.01, gamma_max: 1000}", 0.01, 1000); }

/* -------------------------------------------------------------------------------------------------------------------
 * Ten steps */

static double adam(double g, double *m, double *v, double t)
{
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.999 * *v + 0.001 * g * g;
    return *m / (1 - pow(0.9, t)) / (sqrt(*v / (1 - pow(0.999, t))) + 1e-8);
}

static void learn(struct twins *s, long step)
{
    double gamma = gamma_of(s), by_kl = 1 / (s->m_examples * gamma), t = (double)step + 1, lambda = lambda_of(s);
    double by_k = 3 * k_of(s) * gamma, by_b = by_k * slope(s, segment(s, lambda)) * lambda / (double)s->n;
    for (struct twin *x = s->tensor; x < s->tensor + s->n; x++) {
        double rate = x->param->head ? fmax(0.01, s->head_rate * pow(0.9, (double)((step + 1) / 10))) : 0.1;
        double prior = exp(-2 * x->b), g_b = by_b;
        for (size_t k = 0; k < x->n; k++) {
            double *g = &x->param->grad.v[k], scale = exp(x->p[k]), moved = x->param->w[k] - x->w0[k];
            double g_p = *g * x->tau[k] * scale + by_kl * (scale * scale * prior - 1);
            g_b += by_kl * (1 - (scale * scale + moved * moved) * prior);
            *g += by_kl * moved * prior;
            x->p[k] -= rate * adam(g_p, &x->m[k], &x->v[k], t);
        }
        x->b -= rate * adam(g_b, &x->bm, &x->bv, t);
    }
}

static void twin_step(struct twins *s, struct run *full, const struct batch *b, bool first_stage)
{
    for (size_t i = 0; i < s->n; i++)
        draw(&s->tensor[i], 1, full->env.step);
    perturb(s);
    ASSERT_OK(run_gradients(full, b, 1, NULL, &e), &e);
    restore(s);
    if (first_stage)
        learn(s, full->env.step);
    clip_grad_norm(&full->model.params, full->spec.max_grad_norm);
    optim_step(full->env.optim, 1);
    full->env.step++;
}

/* Two writings of the same arithmetic in another order. */
static void assert_same(const struct twins *s, struct run *r)
{
    for (const struct twin *t = s->tensor; t < s->tensor + s->n; t++) {
        const struct param *q = param_find(&r->model.params, t->param->name);
        const double *p = state_of(r, q->name, "/p"), *b = state_of(r, q->name, "/b");
        for (size_t k = 0; k < t->n; k++) {
            ASSERT_NEAR(q->w[k], t->param->w[k], 1e-9);
            ASSERT_NEAR(p[k], t->p[k], 1e-9);
        }
        ASSERT_NEAR(*b, t->b, 1e-9);
    }
}

/* SGD moves the weights: Adam would make steps of key.bias's gradient, which softmax cancels down to rounding. */
static void second_writing(const char *options, int steps, int first_stage, double head_rate)
{
    struct run r, full;
    static struct twins s;
    struct run_spec spec = run_spec("pactuning", options, random_batch(6, 1));
    spec.max_grad_norm = 1;
    spec.optim.optim = 1;
    spec.optim.learning_rate = 0.02;
    spec.optim.weight_decay = 0.01;
    ASSERT_OK(run_open(&r, &spec, &e), &e);
    spec.method = "full";
    spec.options = "{target_modules: layer.*}";
    ASSERT_OK(run_open(&full, &spec, &e), &e);
    make_twins(&s, &full, 10, 15);
    s.curve = *(struct pac_curve *)state_of(&r, "curve", "");
    s.head_rate = head_rate;
    for (int i = 0; i < steps; i++) {
        const struct batch *b = random_batch(6, 1 + (uint64_t)i);
        twin_step(&s, &full, b, i < first_stage);
        ASSERT_OK(run_step(&r, b, 2, 1, NULL, &e), &e);
        assert_same(&s, &r);
    }
    run_close(&r);
    run_close(&full);
}

TEST(ten_steps_of_a_second_writing)
{
    second_writing("{stage1_ratio: 0.6, gamma_max: 15}", 10, 6, 0.5); /* of the fixture's ten */
}

/* 0.5 * 0.9 after ten steps; 0.011 * 0.9 lies below the least rate of the head. */
TEST(the_rate_of_the_head_s_noise_falls)
{
    second_writing("{stage1_steps: 22, gamma_max: 15}", 24, 22, 0.5);
    second_writing("{stage1_steps: 12, gamma_max: 15, head_noise_learning_rate: 0.011}", 13, 12, 0.011);
}
