/*
 * LoRA, low-rank adaptation: beside chosen linear modules runs a branch of rank r,
 *
 *     y = x Wᵀ + b + s drop(x) Aᵀ Bᵀ,   A [r, in], B [out, r],   s = lora_alpha / r   (rslora: lora_alpha / sqrt(r)),
 *
 * whose A and B are trained while W and b stay. A starts uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5), B at 0, so
 * that training starts from the pretrained model. With u = drop(x) Aᵀ [T, r] and du = s dy B [T, r]:
 *
 *     gB = dyᵀ s u,   gA = duᵀ drop(x),   dx += drop'(du A).
 *
 * Source: Hu et al. 2022, arXiv:2106.09685, section 4.1, equation 3; rslora: Kalajdzievski 2023, arXiv:2312.03732.
 * Names, defaults and initialisation are those of Hugging Face's PEFT (the paper writes a Gaussian A). Differs from
 * PEFT: nothing.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "methods/method.h"
#include "methods/target.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/linear.h"
#include "models/weight_grad.h"

/* One adapted module: linear->state. */
struct lora_site {
    struct linear *l;
    struct param *a, *b;
    int r;
    real scale;
    double dropout;
};

struct lora {
    long long r;
    double lora_alpha, lora_dropout;
    bool use_rslora;
    struct opt_strings target_modules;
    struct lora_site *site; /* [n] */
    size_t n;
};

static const struct opt options[] = {
    {.name = "r", .type = OPT_INT, .offset = offsetof(struct lora, r), .dflt = 8, .min = 1, .max = 65536,
     .help = "rank of the branch"},
    {.name = "lora_alpha", .type = OPT_REAL, .offset = offsetof(struct lora, lora_alpha), .dflt = 8, .min = 0,
     .max = INFINITY, .open_min = true, .help = "the branch is scaled by lora_alpha / r"},
    {.name = "lora_dropout", .type = OPT_REAL, .offset = offsetof(struct lora, lora_dropout), .dflt = 0, .min = 0,
     .max = 1, .open_max = true, .help = "dropout on the branch's input"},
    {.name = "use_rslora", .type = OPT_BOOL, .offset = offsetof(struct lora, use_rslora),
     .help = "scale by lora_alpha / sqrt(r)"},
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct lora, target_modules),
     .words = "query,value", .help = "linear modules: names, globs or all-linear"},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * The branch */

/* Where things lie in the scratch of a pass over T tokens. */
struct branch_scratch {
    real *u, *du;   /* [T, r]                                   */
    real *x;        /* [T, in] drop(x), only with dropout       */
    real *dx;       /* [T, in] the branch's dx, only with dropout */
};

static size_t lay_out(const struct lora_site *s, size_t tokens, real *base, struct branch_scratch *b)
{
    size_t narrow = tokens * (size_t)s->r, wide = s->dropout > 0 ? tokens * (size_t)s->l->in : 0;
    if (base)
        *b = (struct branch_scratch){base, base + narrow, base + 2 * narrow, base + 2 * narrow + wide};
    return 2 * narrow + 2 * wide;
}

static size_t lora_scratch(const struct linear *l, int tokens)
{
    return lay_out(l->state, (size_t)tokens, NULL, NULL);
}

static void drop(const struct linear *l, const struct pass *p, real *x)
{
    const struct lora_site *s = l->state;
    struct dropout d = {.key = rng_key(p->seed, "dropout"), .site = model_dropout_site(l), .step = p->step,
                        .p = s->dropout};
    dropout_packed(&d, p->batch->n_seq, p->batch->start, p->batch->row, l->in, x);
}

static bool drops(const struct lora_site *s, const struct pass *p) { return p->train && s->dropout > 0; }

/* drop(x): x itself where nothing is dropped. */
static const real *branch_input(const struct linear *l, const struct pass *p, const real *x, real *room)
{
    if (!drops(l->state, p))
        return x;
    memcpy(room, x, (size_t)p->batch->n_tok * (size_t)l->in * sizeof(real));
    drop(l, p, room);
    return room;
}

/* u [T, r] = scale * x Aᵀ. */
static void narrow(const struct lora_site *s, int tokens, const real *x, real scale, real *u)
{
    blas_gemm(BLAS_N, BLAS_T, tokens, s->r, s->l->in, scale, x, s->l->in, s->a->w, s->l->in, 0, u, s->r);
}

static void lora_forward(const struct linear *l, struct pass *p, int tokens, const real *x, real *y)
{
    const struct lora_site *s = l->state;
    struct branch_scratch b;
    linear_plain_forward(l, tokens, x, y);
    lay_out(s, (size_t)tokens, p->scratch, &b);
    narrow(s, tokens, branch_input(l, p, x, b.x), 1, b.u);
    blas_gemm(BLAS_N, BLAS_T, tokens, l->out, s->r, s->scale, b.u, s->r, s->b->w, s->r, 1, y, l->out);
}

/* dx += drop'(du A) */
static void branch_dx(const struct linear *l, const struct pass *p, const struct branch_scratch *b, real *dx)
{
    const struct lora_site *s = l->state;
    int tokens = p->batch->n_tok;
    bool dropped = drops(s, p);
    blas_gemm(BLAS_N, BLAS_N, tokens, l->in, s->r, 1, b->du, s->r, s->a->w, l->in, dropped ? 0 : 1,
              dropped ? b->dx : dx, l->in);
    if (!dropped)
        return;
    drop(l, p, b->dx);
    add_to((size_t)tokens * (size_t)l->in, b->dx, dx);
}

static bool lora_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                          real beta, real *panels, struct err *e)
{
    const struct lora_site *s = l->state;
    struct branch_scratch b;
    TRY(linear_plain_backward(l, p, tokens, x, dy, dx, beta, panels, e));
    lay_out(s, (size_t)tokens, p->scratch, &b);
    blas_gemm(BLAS_N, BLAS_N, tokens, s->r, l->out, s->scale, dy, l->out, s->b->w, s->r, 0, b.du, s->r);
    if (weight_grad_wanted(s->a, p) || weight_grad_wanted(s->b, p)) {
        const real *input = branch_input(l, p, x, b.x);
        narrow(s, tokens, input, s->scale, b.u);
        TRY(weight_grad_linear(s->b, p, tokens, b.u, dy, panels, e));
        TRY(weight_grad_linear(s->a, p, tokens, input, b.du, panels, e));
    }
    if (dx)
        branch_dx(l, p, &b, dx);
    return true;
}

/* u forward; in backward u again, du, gA, gB and the branch's dx. */
static double lora_flops(const struct linear *l, int tokens, bool backward)
{
    const struct lora_site *s = l->state;
    double forward = 2.0 * tokens * s->r * ((double)l->in + l->out);
    return backward ? 3 * forward + 2.0 * tokens * s->r * l->in : forward;
}

static const struct linear_ops ops = {lora_forward, lora_backward, lora_scratch, lora_flops};

/* ---------------------------------------------------------------------------------------------------------------------
 * Plan, attach, fold */

static bool too_large(const struct lora *o, const struct linear *l, const struct method_env *env, struct err *e)
{
    int most = l->in < l->out ? l->in : l->out;
    const struct yaml *at = yaml_get(env->at, "r");
    at = at ? at : env->at;
    if (!at)
        return err_set(e, ERR_INPUT, "r is %lld; the rank of `%s` is at most %d", o->r, l->name, most);
    return yaml_err(e, at, "r is %lld; the rank of `%s` is at most %d", o->r, l->name, most);
}

static struct param *add_matrix(const struct linear *l, const char *which, int rows, int cols,
                                const struct method_env *env, struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.%s.weight", l->name, which);
    struct param like = {.name = name, .kind = PARAM_LINEAR, .ndim = 2, .rows = rows, .cols = cols, .layer = l->layer,
                         .added = true};
    struct param *p = param_add(&env->model->params, &like, env->arena, e);
    TRY(p);
    param_request(p, GRAD_DENSE, 0, 0);
    return p;
}

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct lora *o = self;
    struct linear **target;
    TRY(target_linears(env->model, &o->target_modules, env->at, env->arena, &target, &o->n, e));
    TRY(o->site = ARENA_NEW(env->arena, MEM_METHOD, struct lora_site, o->n, e));
    double scale = o->lora_alpha / (o->use_rslora ? sqrt((double)o->r) : (double)o->r);
    for (size_t i = 0; i < o->n; i++) {
        struct linear *l = target[i];
        if (o->r > l->in || o->r > l->out)
            return too_large(o, l, env, e);
        struct lora_site *s = &o->site[i];
        *s = (struct lora_site){.l = l, .r = (int)o->r, .scale = (real)scale, .dropout = o->lora_dropout};
        TRY(s->a = add_matrix(l, "lora_A", s->r, l->in, env, e));
        TRY(s->b = add_matrix(l, "lora_B", l->out, s->r, env, e));
        l->ops = &ops;
        l->state = s;
    }
    return true;
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct lora *o = self;
    (void)e;
    for (size_t i = 0; i < o->n; i++) {
        struct lora_site *s = &o->site[i];
        char stream[640];
        snprintf(stream, sizeof stream, "method/%s", s->l->name);
        struct rng r = rng_stream(env->seed, stream);
        double bound = 1 / sqrt((double)s->l->in);
        for (size_t k = 0; k < param_size(s->a); k++)
            s->a->w[k] = (real)(bound * (2 * (double)rng_uniform(&r) - 1));
    }
    return true;
}

/* W += s B A; the branch is gone. */
static bool fold(void *self, struct method_env *env, struct err *e)
{
    struct lora *o = self;
    (void)env, (void)e;
    for (size_t i = 0; i < o->n; i++) {
        const struct lora_site *s = &o->site[i];
        struct linear *l = s->l;
        blas_gemm(BLAS_N, BLAS_N, l->out, l->in, s->r, s->scale, s->b->w, s->r, s->a->w, l->in, 1, l->w->w, l->in);
        l->ops = NULL;
        l->state = NULL;
    }
    return true;
}

const struct method method_lora = {
    .name = "lora",
    .title = "LoRA",
    .paper = "arXiv:2106.09685",
    .help = "trains low-rank branches beside frozen linear modules",
    .options = options,
    .state_size = sizeof(struct lora),
    .plan = plan,
    .attach = attach,
    .fold = fold,
};
