/*
 * DoRA, weight-decomposed low-rank adaptation: the rows of W + s B A keep their direction from LoRA's branch and get
 * their length from a trained magnitude m [out],
 *
 *     W' = m ⊙ (W + s B A) / n,   n_i = ‖(W + s B A)_i‖,   y = x W'ᵀ + b,
 *
 * m starting at the row norms of W. Backward takes n for a constant (section 4.3). With c = m / n and dropout,
 *
 *     y = x Wᵀ + b + (c - 1) ⊙ drop(x) Wᵀ + c ⊙ s drop(x) Aᵀ Bᵀ,   gm_i = Σ_t dy_ti (drop(x) (W + s B A)ᵀ)_ti / n_i,
 *
 * and A, B have LoRA's gradients for c ⊙ dy. Without dropout this is y = c ⊙ (x Wᵀ + s u Bᵀ) + b: c is exactly 1 at the
 * start, m and n coming from one routine, and multiplying by it changes no bit of the base model's output.
 *
 * n is found without an out x in temporary, by n_i² = ‖W_i‖² + B_i · (2s W Aᵀ + s² B A Aᵀ)_i, at the cost of one
 * product with r columns in place of T. What gm needs of the forward pass, drop(x) (W + s B A)ᵀ, is kept, or
 * computed again with activation checkpointing.
 *
 * detach_norm: false also goes through n: with k_i = m_i gm_i / n_i² a row V_i of W + s B A has the further gradient
 * -k_i V_i, hence gB -= s k ⊙ (V Aᵀ) and gA -= s (k ⊙ B)ᵀ V, V again only in products.
 *
 * Source: Liu et al. 2024, arXiv:2402.09353, equation 5 and section 4.3; rows are the paper's columns, whose W is
 * transposed. Differs from PEFT in cost alone: it forms W + s B A in every forward. Differs from the authors' code:
 * their mode that trains the magnitudes of further modules is not offered.
 */
#include <string.h>

#include "methods/clip.h"
#include "methods/lora_site.h"
#include "methods/peft_modules.h"
#include "methods/target.h"
#include "models/bf16.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/linear.h"
#include "models/weight_grad.h"

struct dora_site {
    struct lora_site lora;
    struct param *m;      /* [out] */
    bool detach;
    double *w2;           /* [out] ‖W_i‖², W being frozen */
    real *n, *c, *less;   /* [out] of the last forward: n, c = m / n, c - 1 */
};

struct dora {
    struct lora_options o;
    bool detach_norm;
    struct linear **target; /* [n_sites] */
    struct dora_site *site; /* [n_sites] */
    size_t n_sites;
};

static const struct opt options[] = {
    LORA_OPTIONS,
    {.name = "detach_norm", .type = OPT_BOOL, .offset = offsetof(struct dora, detach_norm), .dflt = 1,
     .help = "backward takes the norm for a constant, as the paper proposes"},
    {0},
};

/* -------------------------------------------------------------------------------------------------------------------
 * Scratch */

struct dora_room {
    struct lora_room lora;
    real *z;                 /* [T, out]                                                               */
    real *va, *aa;           /* [out, r], [r, r]                                                       */
    real *kb;                /* [out, r] for gradients through n                                       */
    real *row;               /* [out]                                                                  */
    real *x2, *dy2;          /* [2 T, in], [2 T, out] for a gradient of W itself, with dropout         */
};

static void take(real **to, real *base, size_t *at, size_t n)
{
    *to = base ? base + *at : NULL;
    *at += n;
}

/* Number of reals; base NULL: only counts. */
static size_t lay_out(const struct dora_site *s, size_t tokens, real *base, struct dora_room *room)
{
    const struct linear *l = s->lora.l;
    size_t in = (size_t)l->in, out = (size_t)l->out, r = (size_t)s->lora.r;
    bool twice = s->lora.dropout > 0 && (l->w->tapped || l->w->grad.form != GRAD_NONE);
    size_t at = lora_site_room(&s->lora, tokens, base, &room->lora);
    take(&room->z, base, &at, tokens * out);
    take(&room->va, base, &at, out * r);
    take(&room->aa, base, &at, r * r);
    take(&room->kb, base, &at, s->detach ? 0 : out * r);
    take(&room->row, base, &at, out);
    take(&room->x2, base, &at, twice ? 2 * tokens * in : 0);
    take(&room->dy2, base, &at, twice ? 2 * tokens * out : 0);
    return at;
}

static size_t dora_scratch(const struct linear *l, int tokens)
{
    struct dora_room room;
    return lay_out(l->state, (size_t)tokens, NULL, &room);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Norms */

/* va [out, r] = p W Aᵀ + q B A Aᵀ. */
static void products(const struct lora_site *s, real p, real q, const struct dora_room *room)
{
    int in = s->l->in, out = s->l->out, r = s->r;
    blas_gemm(BLAS_N, BLAS_T, out, r, in, p, param_wide(s->l->w), in, s->a->w, in, 0, room->va, r);
    blas_gemm(BLAS_N, BLAS_T, r, r, in, 1, s->a->w, in, s->a->w, in, 0, room->aa, r);
    blas_gemm(BLAS_N, BLAS_N, out, r, r, q, s->b->w, r, room->aa, r, 1, room->va, r);
}

/* n, c and c - 1 for the present A, B and m. A row of zeros has no direction: it keeps what the branch makes of it. */
static void find_norms(const struct dora_site *s, const struct dora_room *room)
{
    size_t r = (size_t)s->lora.r;
    const real *b = s->lora.b->w;
    products(&s->lora, 2 * s->lora.scale, s->lora.scale * s->lora.scale, room);
    for (size_t i = 0; i < (size_t)s->lora.l->out; i++) {
        double square = s->w2[i];
        for (size_t j = 0; j < r; j++)
            square += (double)b[i * r + j] * (double)room->va[i * r + j];
        s->n[i] = (real)sqrt(square > 0 ? square : 0);
        s->c[i] = s->n[i] > 0 ? s->m->w[i] / s->n[i] : 1;
        s->less[i] = s->c[i] - 1;
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * Forward */

static void forward_dropped(const struct dora_site *s, const struct pass *p, int tokens, const real *x, real *y,
                            const struct dora_room *room)
{
    const struct linear *l = s->lora.l;
    const real *input = lora_site_input(&s->lora, p, x, &room->lora);
    linear_plain_forward(l, tokens, x, y);
    lora_site_branch(&s->lora, tokens, input, 0, room->z, &room->lora);
    add_scaled_columns(tokens, l->out, room->z, s->c, y);
    real *kept = linear_kept(l, p), *z = kept ? kept : room->z;
    blas_gemm(BLAS_N, BLAS_T, tokens, l->out, l->in, 1, input, l->in, param_wide(l->w), l->in, 0, z, l->out);
    add_scaled_columns(tokens, l->out, z, s->less, y);
    if (kept)
        add_to((size_t)tokens * (size_t)l->out, room->z, kept);
}

/* z or y [T, out] = input (W + s B A)ᵀ. */
static void directions(const struct dora_site *s, int tokens, const real *input, real *y, const struct dora_room *room)
{
    const struct linear *l = s->lora.l;
    blas_gemm(BLAS_N, BLAS_T, tokens, l->out, l->in, 1, input, l->in, param_wide(l->w), l->in, 0, y, l->out);
    lora_site_branch(&s->lora, tokens, input, 1, y, &room->lora);
}

static void dora_forward(const struct linear *l, struct pass *p, int tokens, const real *x, real *y)
{
    const struct dora_site *s = l->state;
    struct dora_room room;
    lay_out(s, (size_t)tokens, p->scratch, &room);
    find_norms(s, &room);
    if (lora_site_drops(&s->lora, p)) {
        forward_dropped(s, p, tokens, x, y, &room);
        return;
    }
    real *kept = linear_kept(l, p) ? linear_kept(l, p) : y;
    directions(s, tokens, x, kept, &room);
    scale_columns(tokens, l->out, kept, s->c, l->b->w, y);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Backward */

/* gm, left in room->row too. */
static bool magnitude_grad(const struct dora_site *s, const struct pass *p, int tokens, const real *input,
                           const real *dy, real *panels, const struct dora_room *room, struct err *e)
{
    const real one = 1;
    int out = s->lora.l->out;
    if (!weight_grad_wanted(s->m, p))
        return true;
    const real *z = linear_kept(s->lora.l, p);
    if (!z) {
        directions(s, tokens, input, room->z, room);
        z = room->z;
    }
    memset(room->row, 0, (size_t)out * sizeof(real));
    add_column_dots(tokens, out, dy, z, room->row);
    for (int i = 0; i < out; i++)
        room->row[i] = s->n[i] > 0 ? room->row[i] / s->n[i] : 0;
    return weight_grad_linear(s->m, p, 1, room->row, &one, panels, e);
}

/* detach_norm: false, from gm in room->row. */
static bool norm_grad(const struct dora_site *s, const struct pass *p, real *panels, const struct dora_room *room,
                      struct err *e)
{
    const struct lora_site *b = &s->lora;
    size_t r = (size_t)b->r;
    if (p->probe)
        return true;
    products(b, 1, b->scale, room);
    for (size_t i = 0; i < (size_t)b->l->out; i++) {
        real k = s->n[i] > 0 ? -b->scale * s->c[i] * room->row[i] / s->n[i] : 0;
        for (size_t j = 0; j < r; j++) {
            b->b->grad.v[i * r + j] += k * room->va[i * r + j];
            room->kb[i * r + j] = k * b->b->w[i * r + j];
        }
    }
    TRY(weight_grad_linear(b->a, p, b->l->out, param_wide(b->l->w), room->kb, panels, e));
    blas_gemm(BLAS_T, BLAS_N, b->r, b->r, b->l->out, b->scale, b->b->w, b->r, room->kb, b->r, 0, room->aa, b->r);
    return weight_grad_linear(b->a, p, b->r, b->a->w, room->aa, panels, e);
}

/* W is frozen, but a tap may look at its gradient (n held constant); with dropout it has two parts, taken as the
 * gradient of twice as many tokens. */
static bool weight_shown(const struct dora_site *s, const struct pass *p, int tokens, const real *x, const real *input,
                         const real *dy, real *panels, const struct dora_room *room, struct err *e)
{
    const struct linear *l = s->lora.l;
    size_t in = (size_t)tokens * (size_t)l->in, out = (size_t)tokens * (size_t)l->out;
    if (!weight_grad_wanted(l->w, p))
        return true;
    if (input == x)
        return weight_grad_linear(l->w, p, tokens, x, room->z, panels, e);
    memcpy(room->x2, x, in * sizeof(real));
    memcpy(room->x2 + in, input, in * sizeof(real));
    memcpy(room->dy2, dy, out * sizeof(real));
    scale_columns(tokens, l->out, dy, s->less, NULL, room->dy2 + out);
    return weight_grad_linear(l->w, p, 2 * tokens, room->x2, room->dy2, panels, e);
}

/* Without dropout dx += z W with z = c ⊙ dy; with it dy W stays whole and ((c - 1) ⊙ dy) W is dropped. */
static void dora_dx(const struct dora_site *s, const struct pass *p, int tokens, const real *dy, real *dx, real beta,
                    const struct dora_room *room)
{
    const struct linear *l = s->lora.l;
    const real *w = param_wide(l->w);
    bool drops = lora_site_drops(&s->lora, p);
    blas_gemm(BLAS_N, BLAS_N, tokens, l->in, l->out, 1, drops ? dy : room->z, l->out, w, l->in, beta, dx, l->in);
    if (drops) {
        scale_columns(tokens, l->out, dy, s->less, NULL, room->z);
        blas_gemm(BLAS_N, BLAS_N, tokens, l->in, l->out, 1, room->z, l->out, w, l->in, 0, room->lora.dx, l->in);
    }
    lora_site_dx(&s->lora, p, drops, dx, &room->lora);
}

static bool dora_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                          real beta, real *panels, struct err *e)
{
    const struct dora_site *s = l->state;
    struct dora_room room;
    lay_out(s, (size_t)tokens, p->scratch, &room);
    const real *input = lora_site_input(&s->lora, p, x, &room.lora);
    TRY(magnitude_grad(s, p, tokens, input, dy, panels, &room, e));
    scale_columns(tokens, l->out, dy, s->c, NULL, room.z);
    TRY(weight_shown(s, p, tokens, x, input, dy, panels, &room, e));
    TRY(weight_grad_bias(l->b, p, tokens, dy, e));
    TRY(lora_site_backward(&s->lora, p, tokens, input, room.z, panels, &room.lora, e));
    if (!s->detach)
        TRY(norm_grad(s, p, panels, &room, e));
    if (dx)
        dora_dx(s, p, tokens, dy, dx, beta, &room);
    return true;
}

/* The branch; n; with dropout one more product of W each way. */
static double dora_flops(const struct linear *l, int tokens, bool backward)
{
    const struct dora_site *s = l->state;
    double in = l->in, out = l->out, r = s->lora.r, whole = 2.0 * tokens * in * out;
    double norms = 2 * (out * in * r + r * in * r + out * r * r), sum = lora_site_flops(&s->lora, tokens, backward);
    sum += norms;
    if (backward)
        sum += s->lora.dropout > 0 ? 2 * whole : 0;
    if (backward && !s->detach)
        sum += norms + 2 * (r * out * in + r * r * out + r * r * in);
    return sum;
}

/* x (W + s B A)ᵀ. */
static size_t dora_kept(const struct linear *l, int tokens) { return (size_t)tokens * (size_t)l->out; }

static const struct linear_ops ops = {dora_forward, dora_backward, dora_scratch, dora_flops, dora_kept};

/* -------------------------------------------------------------------------------------------------------------------
 * Plan, attach, fold */

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct dora *d = self;
    TRY(target_linears(env->model, &d->o.target_modules, env->at, env->arena, &d->target, &d->n_sites, e));
    TRY(d->site = ARENA_NEW(env->arena, MEM_METHOD, struct dora_site, d->n_sites, e));
    for (size_t i = 0; i < d->n_sites; i++) {
        struct dora_site *s = &d->site[i];
        TRY(lora_site_plan(&s->lora, &d->o, d->target[i], env, e));
        TRY(s->m = lora_site_param(d->target[i], "lora_magnitude_vector", 1, 1, d->target[i]->out, env, e));
        s->detach = d->detach_norm;
        d->target[i]->ops = &ops;
        d->target[i]->state = s;
    }
    return true;
}

static void bytes(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS])
{
    const struct dora *d = self;
    (void)env;
    for (size_t i = 0; i < d->n_sites; i++) {
        size_t out = (size_t)d->target[i]->out;
        bytes[MEM_METHOD] += mem_round(out * sizeof(double)) + mem_round(3 * out * sizeof(real));
    }
}

static bool start(struct dora_site *s, const struct method_env *env, struct err *e)
{
    const struct linear *l = s->lora.l;
    size_t out = (size_t)l->out;
    TRY(s->w2 = ARENA_NEW(env->arena, MEM_METHOD, double, out, e));
    TRY(s->n = ARENA_NEW(env->arena, MEM_METHOD, real, 3 * out, e));
    s->c = s->n + out;
    s->less = s->c + out;
    lora_site_start(&s->lora, env->seed);
    const real *w = param_wide(l->w);
    for (size_t i = 0; i < out; i++) {
        s->w2[i] = sum_of_squares(w + i * (size_t)l->in, (size_t)l->in);
        s->m->w[i] = (real)sqrt(s->w2[i]);
    }
    return true;
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct dora *d = self;
    for (size_t i = 0; i < d->n_sites; i++)
        TRY(start(&d->site[i], env, e));
    return true;
}

/* W <- c ⊙ (W + s B A). */
static bool fold_site(const struct dora_site *s, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    struct dora_room room;
    struct linear *l = s->lora.l;
    real *scratch = ARENA_NEW(a, MEM_SCRATCH, real, lay_out(s, 0, NULL, &room), e);
    TRY(scratch);
    lay_out(s, 0, scratch, &room);
    find_norms(s, &room);
    lora_site_merge(&s->lora);
    for (size_t i = 0; i < (size_t)l->out; i++)
        for (size_t j = 0; j < (size_t)l->in; j++)
            l->w->w[i * (size_t)l->in + j] *= s->c[i];
    arena_release(a, mark);
    l->ops = NULL;
    l->state = NULL;
    return true;
}

static bool fold(void *self, struct method_env *env, struct err *e)
{
    struct dora *d = self;
    for (size_t i = 0; i < d->n_sites; i++)
        TRY(fold_site(&d->site[i], env->arena, e));
    return true;
}

static bool peft(const void *self, const struct method_env *env, struct peft_config *c, struct err *e)
{
    const struct dora *d = self;
    const struct opt_strings *words = peft_reads(&d->o.target_modules, env->model) ? &d->o.target_modules : NULL;
    const char *members = lora_site_peft(&d->o, env->arena, e);
    const char *modules = peft_modules(words, d->target, d->n_sites, env->arena, e);
    TRY(members && modules);
    c->type = "LORA";
    return (c->members = arena_printf(env->arena, e, "%s, \"use_dora\": true, \"target_modules\": %s", members,
                                      modules)) != NULL;
}

const struct method method_dora = {
    .name = "dora",
    .title = "DoRA",
    .paper = "arXiv:2402.09353",
    .help = "trains low-rank branches and the lengths of the weight's rows",
    .about = "The weight is split into length and direction, W' = m * V / |V| with V = W0 + s B A (equation 5), the "
             "norm taken over each output's row and m [out] trained beside LoRA's A and B. m starts at the norms of "
             "W0, so that training starts from the pretrained model, to the last bit. `r`, `lora_alpha`, "
             "`lora_dropout`, `use_rslora` and `target_modules` are LoRA's.\n\n"
             "Backward takes |V| for a constant (section 4.3), as PEFT always does: gm = sum over tokens of dy * "
             "(x V^T) / |V|, and A and B have LoRA's gradients for dy scaled by m / |V|. `detach_norm: false` "
             "differentiates |V| too. With `lora_dropout` the output is x W0^T + b + (m/|V| - 1) drop(x) "
             "W0^T + (m/|V|) s drop(x) A^T B^T: the middle term sees the dropped input, as in PEFT and in the authors' "
             "code. The authors' mode that trains the magnitudes of further modules is not offered.\n\n"
             "Both published codes form the dense V in every forward. Here |V_i|^2 = |W_i|^2 + 2 s (W A^T)_i . B_i + "
             "s^2 B_i (A A^T) B_i^T, with |W_i|^2 computed once: r products a weight instead of a copy of it. What gm "
             "needs of x V^T is kept, and computed again with activation checkpointing.\n\n"
             "Counts are LoRA's and `out` for each module: 313,344 on RoBERTa-base and 835,584 on RoBERTa-large with "
             "the defaults. Weight decay pulls m towards 0 as it does in PEFT under the Hugging Face Trainer; "
             "`train.decay_to: init` pulls it to where it started. A row of zeros in W0 has no direction: until the "
             "branch gives it one, it is left as it is (decision of ours; PEFT divides by zero).\n\n",
    .knob = "r",
    .options = options,
    .state_size = sizeof(struct dora),
    .plan = plan,
    .bytes = bytes,
    .attach = attach,
    .fold = fold,
    .peft = peft,
};
