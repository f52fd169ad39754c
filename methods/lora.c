/*
 * LoRA, low-rank adaptation: beside chosen linear modules runs a branch of rank r,
 *
 *     y = x Wᵀ + b + s drop(x) Aᵀ Bᵀ,   A [r, in], B [out, r],   s = lora_alpha / r   (rslora: lora_alpha / sqrt(r)),
 *
 * whose A and B are trained while W and b stay. A starts uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5), B at 0, so
 * that training starts from the pretrained model. The branch and its gradients are those of lora_site.h.
 *
 * Source: Hu et al. 2022, arXiv:2106.09685, section 4.1, equation 3; rslora: Kalajdzievski 2023, arXiv:2312.03732.
 * Names, defaults and initialisation are those of Hugging Face's PEFT (the paper writes a Gaussian A). Differs from
 * PEFT: nothing.
 */
#include "methods/lora_site.h"
#include "methods/peft_modules.h"
#include "methods/target.h"
#include "models/linear.h"

struct lora {
    struct lora_options o;
    struct linear **target; /* [n] */
    struct lora_site *site; /* [n] */
    size_t n;
};

static const struct opt options[] = {LORA_OPTIONS, {0}};

static void lora_forward(const struct linear *l, struct pass *p, int tokens, const real *x, real *y)
{
    const struct lora_site *s = l->state;
    struct lora_room room;
    lora_site_room(s, (size_t)tokens, p->scratch, &room);
    linear_plain_forward(l, tokens, x, y);
    lora_site_branch(s, tokens, lora_site_input(s, p, x, &room), 1, y, &room);
}

static bool lora_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                          real beta, real *panels, struct err *e)
{
    const struct lora_site *s = l->state;
    struct lora_room room;
    lora_site_room(s, (size_t)tokens, p->scratch, &room);
    TRY(linear_plain_backward(l, p, tokens, x, dy, dx, beta, panels, e));
    TRY(lora_site_backward(s, p, tokens, lora_site_input(s, p, x, &room), dy, panels, &room, e));
    if (dx)
        lora_site_dx(s, p, false, dx, &room);
    return true;
}

static size_t lora_scratch(const struct linear *l, int tokens)
{
    return lora_site_room(l->state, (size_t)tokens, NULL, NULL);
}

static double lora_flops(const struct linear *l, int tokens, bool backward)
{
    return lora_site_flops(l->state, tokens, backward);
}

static const struct linear_ops ops = {lora_forward, lora_backward, lora_scratch, lora_flops};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct lora *m = self;
    TRY(target_linears(env->model, &m->o.target_modules, env->at, env->arena, &m->target, &m->n, e));
    TRY(m->site = ARENA_NEW(env->arena, MEM_METHOD, struct lora_site, m->n, e));
    for (size_t i = 0; i < m->n; i++) {
        TRY(lora_site_plan(&m->site[i], &m->o, m->target[i], env, e));
        m->target[i]->ops = &ops;
        m->target[i]->state = &m->site[i];
    }
    return true;
}

static bool attach(void *self, struct method_env *env, struct err *e)
{
    struct lora *m = self;
    (void)e;
    for (size_t i = 0; i < m->n; i++)
        lora_site_start(&m->site[i], env->seed);
    return true;
}

static bool fold(void *self, struct method_env *env, struct err *e)
{
    struct lora *m = self;
    (void)env, (void)e;
    for (size_t i = 0; i < m->n; i++) {
        lora_site_merge(&m->site[i]);
        m->target[i]->ops = NULL;
        m->target[i]->state = NULL;
    }
    return true;
}

static bool peft(const void *self, const struct method_env *env, struct peft_config *c, struct err *e)
{
    const struct lora *m = self;
    const struct opt_strings *words = peft_reads(&m->o.target_modules, env->model) ? &m->o.target_modules : NULL;
    const char *members = lora_site_peft(&m->o, env->arena, e);
    const char *modules = peft_modules(words, m->target, m->n, env->arena, e);
    TRY(members && modules);
    c->type = "LORA";
    return (c->members = arena_printf(env->arena, e, "%s, \"target_modules\": %s", members, modules)) != NULL;
}

const struct method method_lora = {
    .name = "lora",
    .title = "LoRA",
    .paper = "arXiv:2106.09685",
    .help = "trains low-rank branches beside frozen linear modules",
    .about = "Beside each chosen module runs a branch of rank r (section 4.1, equation 3): h = W0 x + s B A x, with "
             "A [r, in], B [out, r] and s = lora_alpha / r; W0 and its bias stay. B starts at 0, so that training "
             "starts from the pretrained model, A uniform in +-1/sqrt(in). This is the published code's and PEFT's "
             "choice; the paper writes a Gaussian A.\n\n"
             "`r` sets how much is trained, r (in + out) for each module: with the default query and value and r = 8, "
             "294,912 on RoBERTa-base and 786,432 on RoBERTa-large, as in the paper's Table 2. `lora_alpha` only "
             "scales the branch; Table 2 has 16 for RoBERTa where PEFT's default is 8. `use_rslora` divides by sqrt(r) "
             "instead of r (arXiv:2312.03732), which keeps large ranks learning. `lora_dropout` acts on the branch's "
             "input alone, with masks of its own.\n\n"
             "Gradients, with u = drop(x) A^T and du = s dy B: gB = dy^T s u, gA = du^T drop(x). No gradient, no "
             "optimizer state and no copy exists for W0. Folding adds s B A to W0. The rows of Table 2 for MRPC, RTE "
             "and STS-B start from an adapter trained on MNLI: compare them with nothing that starts from scratch.\n\n"
             "Differs from PEFT: nothing.\n\n",
    .knob = "r",
    .options = options,
    .state_size = sizeof(struct lora),
    .plan = plan,
    .attach = attach,
    .fold = fold,
    .peft = peft,
};
