/* One linear module under a method: see site.h. */
#include "tests/methods/site.h"

#include <math.h>

#include "models/linear.h"

static struct err e;

enum { UNTOUCHED = 12345 };

static const struct model_config config = {.vocab_size = 5, .hidden_size = SITE_IN, .num_hidden_layers = 1,
                                           .num_attention_heads = 1, .intermediate_size = SITE_OUT,
                                           .max_position_embeddings = MAX_LEN, .type_vocab_size = 2,
                                           .classifier_dropout = -1, .layer_norm_eps = 1e-12, .num_labels = 2};

void site_open(struct site *s, const char *method, const char *options, const real *w, const real *b)
{
    struct run_spec spec = run_spec(method, options, random_batch(1, 1));
    *s = (struct site){.start = {0, SITE_TOKENS}};
    spec.config = &config;
    ASSERT_OK(run_open(&s->r, &spec, &e), &e);
    s->l = &s->r.model.block[0].intermediate;
    memcpy(s->l->w->w, w, SITE_OUT * SITE_IN * sizeof *w);
    memcpy(s->l->b->w, b, SITE_OUT * sizeof *b);
    if (s->r.method->attach)
        ASSERT_OK(s->r.method->attach(s->r.self, &s->r.env, &e), &e); /* now to these weights */
    s->batch = (struct batch){.n_seq = 1, .n_tok = SITE_TOKENS, .start = s->start, .row = s->row};
    s->pass = (struct pass){.batch = &s->batch, .train = true, .seed = 1, .scratch = s->scratch};
    s->room = s->l->ops && s->l->ops->scratch ? s->l->ops->scratch(s->l, SITE_TOKENS) : 0;
    for (size_t i = 0; i < SITE_SCRATCH; i++)
        s->scratch[i] = UNTOUCHED;
}

void site_close(struct site *s)
{
    for (size_t i = s->room; i < SITE_SCRATCH; i++)
        assert_true(s->scratch[i] == UNTOUCHED);
    run_close(&s->r);
}

struct param *site_param(struct site *s, const char *which)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", s->l->name, which);
    struct param *p = param_find(&s->r.model.params, name);
    if (!p)
        fail_msg("no parameter %s", name);
    return p;
}

void site_set(struct site *s, const char *which, const real *values)
{
    struct param *p = site_param(s, which);
    memcpy(p->w, values, param_size(p) * sizeof *values);
}

void site_forward(struct site *s, const real *x, real *y) { linear_forward(s->l, &s->pass, SITE_TOKENS, x, y); }

void site_backward(struct site *s, const real *x, const real *dy, real *dx)
{
    real y[SITE_TOKENS * SITE_OUT];
    site_forward(s, x, y);
    param_zero_grads(&s->r.model.params);
    ASSERT_OK(linear_backward(s->l, &s->pass, SITE_TOKENS, x, dy, dx, 0, s->panels, &e), &e);
}

void site_same(const char *what, size_t n, const real *a, const real *b)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)(a[i] - b[i])) <= 1e-6 * fmax(1, fabs((double)b[i]))))
            fail_msg("%s[%zu] is %.8g, by hand %.8g", what, i, (double)a[i], (double)b[i]);
}
