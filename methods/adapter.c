/* The bottleneck adapter: see adapter.h. */
#include "methods/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/weight_grad.h"

const char adapters_unmergeable[] = "an adapter is a non-linear module of its own, which no weights of the plain "
                                    "encoder compute";

/* ---------------------------------------------------------------------------------------------------------------------
 * Activations, on n values */

/* tanh form of GELU: x/2 (1 + tanh(c (x + k x³))), Hendrycks & Gimpel 2016, arXiv:1606.08415. */
static const real c = (real)0.79788456080286535588, k = (real)0.044715; /* c = sqrt(2 / pi) */

static const real half = (real)0.5;

/* t = tanh of what both smooth activations take it of; sigmoid(a) = (1 + tanh(a / 2)) / 2. */
static void inner_tanh(enum adapter_activation act, size_t n, const real *a, real *t)
{
    for (size_t i = 0; i < n; i++)
        t[i] = act == ADAPTER_SWISH ? half * a[i] : c * (a[i] + k * a[i] * a[i] * a[i]);
    tanh_forward(n, t, t);
}

/* z = act(a) */
static void activate(enum adapter_activation act, size_t n, const real *a, real *z)
{
    if (act != ADAPTER_RELU)
        inner_tanh(act, n, a, z);
    for (size_t i = 0; i < n; i++)
        z[i] = act == ADAPTER_RELU ? (a[i] > 0 ? a[i] : 0) : half * a[i] * (1 + z[i]);
}

/* d *= act'(a); t is scratch for n. */
static void activate_backward(enum adapter_activation act, size_t n, const real *a, real *t, real *d)
{
    if (act != ADAPTER_RELU)
        inner_tanh(act, n, a, t);
    for (size_t i = 0; i < n; i++) {
        real outer = half * (1 + t[i]), slope = half * a[i] * (1 - t[i] * t[i]);
        if (act == ADAPTER_RELU)
            d[i] = a[i] > 0 ? d[i] : 0;
        else
            d[i] *= outer + slope * (act == ADAPTER_SWISH ? half : c * (1 + 3 * k * a[i] * a[i]));
    }
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The module */

size_t adapter_scratch(const struct adapter *a, int tokens) { return 3 * (size_t)tokens * (size_t)a->bottleneck; }

/* y [tokens, out] += x Wᵀ + b */
static void add_affine(int tokens, const struct param *w, const struct param *b, const real *x, real *y)
{
    add_bias(tokens, w->rows, b->w, y);
    blas_gemm(BLAS_N, BLAS_T, tokens, w->rows, w->cols, 1, x, w->cols, w->w, w->cols, 1, y, w->rows);
}

void adapter_forward(const struct adapter *m, int tokens, const real *x, real *scratch, real *y)
{
    size_t n = (size_t)tokens * (size_t)m->bottleneck;
    real *a = scratch, *z = a + n;
    blas_linear(tokens, m->down_w->rows, m->down_w->cols, x, m->down_w->w, m->down_b->w, a);
    activate(m->activation, n, a, z);
    add_affine(tokens, m->up_w, m->up_b, z, y);
}

bool adapter_backward(const struct adapter *m, const struct pass *p, int tokens, const real *x, const real *dy,
                      real *dx, real beta, real *scratch, real *panels, struct err *e)
{
    size_t n = (size_t)tokens * (size_t)m->bottleneck;
    real *a = scratch, *z = a + n, *d = z + n;
    blas_linear(tokens, m->down_w->rows, m->down_w->cols, x, m->down_w->w, m->down_b->w, a);
    activate(m->activation, n, a, z);
    TRY(weight_grad_linear(m->up_w, p, tokens, z, dy, panels, e));
    TRY(weight_grad_bias(m->up_b, p, tokens, dy, e));
    blas_gemm(BLAS_N, BLAS_N, tokens, m->bottleneck, m->hidden, 1, dy, m->hidden, m->up_w->w, m->bottleneck, 0, d,
              m->bottleneck);
    activate_backward(m->activation, n, a, z, d);
    TRY(weight_grad_linear(m->down_w, p, tokens, x, d, panels, e));
    TRY(weight_grad_bias(m->down_b, p, tokens, d, e));
    blas_gemm(BLAS_N, BLAS_N, tokens, m->hidden, m->bottleneck, 1, d, m->bottleneck, m->down_w->w, m->hidden, beta, dx,
              m->hidden);
    return true;
}

double adapter_flops(const struct insert *i, int tokens, bool backward)
{
    const struct adapter *a = i->state;
    return (backward ? 7 : 2) * 2.0 * tokens * a->hidden * a->bottleneck;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Plan and first values */

/* A matrix, or with rows == 0 a vector. */
static struct param *add(const char *module, int layer, const char *suffix, int rows, int cols, struct method_env *env,
                         struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.%s", module, suffix);
    bool matrix = rows > 0;
    struct param like = {.name = name, .kind = matrix ? PARAM_LINEAR : PARAM_BIAS, .ndim = matrix ? 2 : 1,
                         .rows = matrix ? rows : 1, .cols = cols, .layer = layer, .added = true};
    struct param *p = param_add(&env->model->params, &like, env->arena, e);
    if (p)
        param_request(p, GRAD_DENSE, 0, 0);
    return p;
}

/* The module beside `dense`, whose name it takes: attention.output.dense has attention.output.adapter. */
static bool add_module(struct adapter *a, const struct linear *dense, struct method_env *env, struct err *e)
{
    char module[512];
    int h = a->hidden, m = a->bottleneck, layer = dense->layer;
    snprintf(module, sizeof module, "%.*s.adapter", (int)(strrchr(dense->name, '.') - dense->name), dense->name);
    TRY(a->down_w = add(module, layer, "down.weight", m, h, env, e));
    TRY(a->down_b = add(module, layer, "down.bias", 0, m, env, e));
    TRY(a->up_w = add(module, layer, "up.weight", h, m, env, e));
    TRY(a->up_b = add(module, layer, "up.bias", 0, h, env, e));
    return true;
}

static bool put(struct adapters *s, const struct adapter *like, struct insert *place, const struct insert_ops *ops,
                const struct linear *dense, struct method_env *env, struct err *e)
{
    struct adapter *a = &s->module[s->n++];
    *a = *like;
    *place = (struct insert){ops, a};
    return add_module(a, dense, env, e);
}

bool adapters_plan(struct adapters *s, struct method_env *env, bool attention, enum adapter_activation activation,
                   const struct insert_ops *ops, struct err *e)
{
    struct model *m = env->model;
    size_t layers = (size_t)m->config.num_hidden_layers;
    struct adapter like = {.hidden = m->config.hidden_size, .bottleneck = (int)s->bottleneck, .activation = activation,
                           .eps = (real)m->config.layer_norm_eps};
    TRY(s->module = ARENA_NEW(env->arena, MEM_METHOD, struct adapter, (attention ? 2 : 1) * layers, e));
    for (size_t l = 0; l < layers; l++) {
        struct block *b = &m->block[l];
        if (attention) {
            like.norm = &b->attention_norm;
            TRY(put(s, &like, &b->attention_insert, ops, &b->attention_output, env, e));
        }
        like.norm = &b->output_norm;
        TRY(put(s, &like, &b->output_insert, ops, &b->output, env, e));
    }
    for (size_t i = 0; i < m->params.n && s->variant == ADAPTER_ORIGINAL; i++)
        if (m->params.item[i]->kind == PARAM_NORM)
            param_request(m->params.item[i], GRAD_DENSE, 0, 0);
    return true;
}

/* Houlsby's: std 1e-3, cut off at two standard deviations. The other: as every linear module of a Hugging Face model
 * that has no weights in the checkpoint. */
static double draw(struct rng *r, bool original, double range)
{
    double x = rng_normal(r);
    while (original && fabs(x) >= 2)
        x = rng_normal(r);
    return x * (original ? 1e-3 : range);
}

static void fill(struct param *p, const struct adapters *s, const struct method_env *env)
{
    char stream[640];
    snprintf(stream, sizeof stream, "method/%s", p->name);
    struct rng r = rng_stream(env->seed, stream);
    for (size_t i = 0; i < param_size(p); i++)
        p->w[i] = (real)draw(&r, s->variant == ADAPTER_ORIGINAL, env->model->config.initializer_range);
}

bool adapters_attach(void *self, struct method_env *env, struct err *e)
{
    struct adapters *s = self;
    (void)e;
    for (size_t i = 0; i < s->n; i++) {
        fill(s->module[i].down_w, s, env);
        if (s->init == ADAPTER_REFERENCE)
            fill(s->module[i].up_w, s, env);
    }
    return true;
}
