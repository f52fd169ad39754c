/* The low-rank branch of LoRA and DoRA: see lora_site.h. */
#include "methods/lora_site.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/weight_grad.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * Forward and backward */

size_t lora_site_room(const struct lora_site *s, size_t tokens, real *base, struct lora_room *room)
{
    size_t narrow = tokens * (size_t)s->r, wide = s->dropout > 0 ? tokens * (size_t)s->l->in : 0;
    if (base)
        *room = (struct lora_room){base, base + narrow, base + 2 * narrow, base + 2 * narrow + wide};
    return 2 * narrow + 2 * wide;
}

static void drop(const struct lora_site *s, const struct pass *p, real *x)
{
    struct dropout d = {.key = rng_key(p->seed, "dropout"), .site = model_dropout_site(s->l), .step = p->step,
                        .p = s->dropout};
    dropout_packed(&d, p->batch->n_seq, p->batch->start, p->batch->row, s->l->in, x);
}

bool lora_site_drops(const struct lora_site *s, const struct pass *p) { return p->train && s->dropout > 0; }

const real *lora_site_input(const struct lora_site *s, const struct pass *p, const real *x,
                            const struct lora_room *room)
{
    if (!lora_site_drops(s, p))
        return x;
    memcpy(room->x, x, (size_t)p->batch->n_tok * (size_t)s->l->in * sizeof(real));
    drop(s, p, room->x);
    return room->x;
}

/* u [T, r] = scale * x Aᵀ. */
static void narrow(const struct lora_site *s, int tokens, const real *x, real scale, real *u)
{
    blas_gemm(BLAS_N, BLAS_T, tokens, s->r, s->l->in, scale, x, s->l->in, s->a->w, s->l->in, 0, u, s->r);
}

void lora_site_branch(const struct lora_site *s, int tokens, const real *input, real beta, real *y,
                      const struct lora_room *room)
{
    int out = s->l->out;
    narrow(s, tokens, input, 1, room->u);
    blas_gemm(BLAS_N, BLAS_T, tokens, out, s->r, s->scale, room->u, s->r, s->b->w, s->r, beta, y, out);
}

bool lora_site_backward(const struct lora_site *s, const struct pass *p, int tokens, const real *input, const real *dy,
                        real *panels, const struct lora_room *room, struct err *e)
{
    int out = s->l->out;
    blas_gemm(BLAS_N, BLAS_N, tokens, s->r, out, s->scale, dy, out, s->b->w, s->r, 0, room->du, s->r);
    if (!weight_grad_wanted(s->a, p) && !weight_grad_wanted(s->b, p))
        return true;
    narrow(s, tokens, input, s->scale, room->u);
    TRY(weight_grad_linear(s->b, p, tokens, room->u, dy, panels, e));
    return weight_grad_linear(s->a, p, tokens, input, room->du, panels, e);
}

void lora_site_dx(const struct lora_site *s, const struct pass *p, bool more, real *dx, const struct lora_room *room)
{
    int tokens = p->batch->n_tok, in = s->l->in;
    bool dropped = lora_site_drops(s, p);
    blas_gemm(BLAS_N, BLAS_N, tokens, in, s->r, 1, room->du, s->r, s->a->w, in, dropped && !more ? 0 : 1,
              dropped ? room->dx : dx, in);
    if (!dropped)
        return;
    drop(s, p, room->dx);
    add_to((size_t)tokens * (size_t)in, room->dx, dx);
}

/* u and its product forward; in backward u again, du, gA, gB and the branch's dx. */
double lora_site_flops(const struct lora_site *s, int tokens, bool backward)
{
    double forward = 2.0 * tokens * s->r * ((double)s->l->in + s->l->out);
    return backward ? 3 * forward + 2.0 * tokens * s->r * s->l->in : forward;
}

void lora_site_merge(const struct lora_site *s)
{
    const struct linear *l = s->l;
    blas_gemm(BLAS_N, BLAS_N, l->out, l->in, s->r, s->scale, s->b->w, s->r, s->a->w, l->in, 1, l->w->w, l->in);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Plan and start */

static bool too_large(const struct lora_options *o, const struct linear *l, const struct method_env *env, struct err *e)
{
    return method_wrong(env, "r", e, "r is %lld; the rank of `%s` is at most %d", o->r, l->name,
                        l->in < l->out ? l->in : l->out);
}

struct param *lora_site_param(const struct linear *l, const char *which, int ndim, int rows, int cols,
                              const struct method_env *env, struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.%s", l->name, which);
    struct param like = {.name = name, .kind = PARAM_LINEAR, .ndim = ndim, .rows = rows, .cols = cols,
                         .layer = l->layer, .added = true};
    struct param *p = param_add(&env->model->params, &like, env->arena, e);
    TRY(p);
    param_request(p, GRAD_DENSE, 0, 0);
    return p;
}

bool lora_site_plan(struct lora_site *s, const struct lora_options *o, struct linear *l, const struct method_env *env,
                    struct err *e)
{
    double scale = o->lora_alpha / (o->use_rslora ? sqrt((double)o->r) : (double)o->r);
    if (o->r > l->in || o->r > l->out)
        return too_large(o, l, env, e);
    *s = (struct lora_site){.l = l, .r = (int)o->r, .scale = (real)scale, .dropout = o->lora_dropout};
    TRY(s->a = lora_site_param(l, "lora_A.weight", 2, s->r, l->in, env, e));
    return (s->b = lora_site_param(l, "lora_B.weight", 2, l->out, s->r, env, e)) != NULL;
}

void lora_site_start(const struct lora_site *s, uint64_t seed)
{
    char stream[640];
    snprintf(stream, sizeof stream, "method/%s", s->l->name);
    struct rng r = rng_stream(seed, stream);
    double bound = 1 / sqrt((double)s->l->in);
    for (size_t k = 0; k < param_size(s->a); k++)
        s->a->w[k] = (real)(bound * (2 * (double)rng_uniform(&r) - 1));
}

const char *lora_site_peft(const struct lora_options *o, struct arena *a, struct err *e)
{
    static const struct opt rows[] = {LORA_OPTIONS, {0}};
    const char *alpha = opt_value_text(opt_find(rows, "lora_alpha"), o, a, e);
    const char *dropout = opt_value_text(opt_find(rows, "lora_dropout"), o, a, e);
    TRY(alpha && dropout);
    return arena_printf(a, e,
                        "\"r\": %lld, \"lora_alpha\": %s, \"lora_dropout\": %s, \"bias\": \"none\", "
                        "\"fan_in_fan_out\": false%s",
                        o->r, alpha, dropout, o->use_rslora ? ", \"use_rslora\": true" : "");
}
