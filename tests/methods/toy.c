/* A model small enough for examples by hand: see toy.h. */
#include "tests/methods/toy.h"

#include "base/yaml.h"
#include "methods/clip.h"

static struct err e;

static struct param *add(struct toy *t, const char *name, enum param_kind kind, int rows, int cols)
{
    struct param like = {.name = name, .kind = kind, .ndim = kind == PARAM_BIAS ? 1 : 2, .rows = rows, .cols = cols};
    struct param *p;
    ASSERT_OK(p = param_add(&t->model.params, &like, t->arena, &e), &e);
    p->added = false;
    ASSERT_OK(p->w = ARENA_NEW(t->arena, MEM_WEIGHTS, real, param_size(p), &e), &e);
    return p;
}

static void build(struct toy *t)
{
    struct linear *in = &t->block.intermediate, *out = &t->block.output;
    t->w = add(t, "bert.encoder.layer.0.intermediate.dense.weight", PARAM_LINEAR, TOY_ROWS, TOY_COLS);
    t->b = add(t, "bert.encoder.layer.0.intermediate.dense.bias", PARAM_BIAS, 1, TOY_ROWS);
    t->output = add(t, "bert.encoder.layer.0.output.dense.weight", PARAM_LINEAR, TOY_COLS, TOY_ROWS);
    struct param *b = add(t, "bert.encoder.layer.0.output.dense.bias", PARAM_BIAS, 1, TOY_COLS);
    *in = (struct linear){.name = "bert.encoder.layer.0.intermediate.dense", .in = TOY_COLS, .out = TOY_ROWS,
                          .w = t->w, .b = t->b};
    *out = (struct linear){.name = "bert.encoder.layer.0.output.dense", .in = TOY_ROWS, .out = TOY_COLS,
                           .w = t->output, .b = b};
    t->model.block = &t->block;
    t->model.config.num_hidden_layers = 1;
}

static bool show(struct tap *tap, struct param *p, const real *g, struct err *err)
{
    return !p->tapped || tap->see(tap->self, p, g, err);
}

static bool probe(struct probe *self, const struct probe_batch *b, struct tap *tap, double *loss, struct err *err)
{
    struct toy *t = (struct toy *)((char *)self - offsetof(struct toy, probe));
    real turned[TOY], zero[TOY_COLS] = {0};
    assert_true(b->number < t->n_probed && !b->rows);
    const real *g = t->probed[b->number];
    for (int i = 0; i < TOY; i++)
        turned[i % TOY_COLS * TOY_ROWS + i / TOY_COLS] = g[i];
    if (loss)
        *loss = 0;
    return show(tap, t->w, g, err) && show(tap, t->output, turned, err) && show(tap, t->b, zero, err) &&
           show(tap, t->block.output.b, zero, err);
}

static void bind(struct toy *t, const char *options)
{
    ASSERT_OK(t->env.at = yaml_parse(t->arena, "test.yaml", options, strlen(options), &e), &e);
    ASSERT_OK(t->self = arena_alloc(t->arena, MEM_METHOD, t->method->state_size, &e), &e);
    ASSERT_OK(opt_defaults(t->method->options, t->self, t->arena, &e), &e);
    ASSERT_OK(opt_bind(t->method->options, t->self, t->env.at, t->method->name, NULL, t->arena, &e), &e);
}

void toy_open(struct toy *t, const char *method, const char *options, const struct optim_options *optim,
              const real (*probed)[TOY], long n_probed)
{
    *t = (struct toy){.arena = arena_create(NULL), .method = method_find(method), .probed = probed,
                      .n_probed = n_probed, .probe = {.gradient = probe}};
    assert_non_null(t->method);
    build(t);
    t->env = (struct method_env){.model = &t->model, .arena = t->arena, .seed = 1};
    bind(t, options);
    ASSERT_OK(t->method->plan(t->self, &t->env, &e), &e);
    ASSERT_OK(param_allocate(&t->model.params, t->arena, &e), &e);
    if (t->method->attach)
        ASSERT_OK(t->method->attach(t->self, &t->env, &e), &e);
    t->env.probe = &t->probe;
    t->env.optim_options = optim;
    if (t->method->select)
        ASSERT_OK(t->method->select(t->self, &t->env, &e), &e);
    ASSERT_OK(t->env.optim = optim_create(optim, &t->model.params, t->arena, &e), &e);
}

static void micro_batch(struct toy *t, const real *g, const real *gb)
{
    param_settle_grad(t->w);
    for (int i = 0; i < TOY; i++)
        t->w->grad.v[i] += g[i];
    for (int i = 0; i < TOY_ROWS && gb; i++)
        t->b->grad.v[i] += gb[i];
    if (t->method->after_micro_batch)
        ASSERT_OK(t->method->after_micro_batch(t->self, &t->env, &e), &e);
}

static void finish(struct toy *t, double max_norm)
{
    if (t->method->after_backward)
        ASSERT_OK(t->method->after_backward(t->self, &t->env, &e), &e);
    t->norm = clip_grad_norm(&t->model.params, max_norm);
    if (t->method->step)
        ASSERT_OK(t->method->step(t->self, &t->env, 1, &e), &e);
    else
        optim_step(t->env.optim, 1);
    t->env.step++;
}

void toy_step(struct toy *t, const real g[TOY], const real *gb, double max_norm)
{
    param_zero_grads(&t->model.params);
    micro_batch(t, g, gb);
    finish(t, max_norm);
}

void toy_step_two(struct toy *t, const real g1[TOY], const real g2[TOY], double max_norm)
{
    param_zero_grads(&t->model.params);
    micro_batch(t, g1, NULL);
    micro_batch(t, g2, NULL);
    finish(t, max_norm);
}

void toy_check(const struct toy *t, const double want[TOY], double tolerance)
{
    for (int i = 0; i < TOY; i++)
        if (!((double)t->w->w[i] - want[i] <= tolerance && want[i] - (double)t->w->w[i] <= tolerance))
            fail_msg("weight [%d, %d] is %.9g, not %.9g", i / TOY_COLS, i % TOY_COLS, (double)t->w->w[i], want[i]);
}

void toy_close(struct toy *t) { arena_destroy(t->arena); }

struct optim_options toy_sgd(double learning_rate)
{
    struct optim_options o = optim_defaults();
    struct opt row = {.name = "optim", .words = OPTIM_WORDS};
    char word[64];
    while (strcmp(opt_word(&row, o.optim, word, sizeof word), "sgd") != 0)
        o.optim++;
    o.learning_rate = learning_rate;
    return o;
}
