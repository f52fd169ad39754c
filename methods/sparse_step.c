/* Sparse steps: see sparse_step.h. */
#include "methods/sparse_step.h"

#include <string.h>

#include "methods/optim.h"
#include "methods/topk.h"

void sparse_step_plan(struct sparse_step *s, const struct mlp *mlp)
{
    s->mlp = mlp;
    for (size_t i = 0; i < mlp->n; i++)
        mlp->site[i].l->w->self_stepped = true;
}

void sparse_step_bytes(const struct sparse_step *s, size_t bytes[MEM_TAGS])
{
    size_t n = s->mlp->n;
    bytes[MEM_METHOD] += mem_round(n * sizeof(uint32_t *));
    for (size_t i = 0; i < n; i++)
        bytes[MEM_METHOD] += mem_round(s->mlp->site[i].k * sizeof(uint32_t));
    bytes[MEM_METHOD] += mem_round(s->mlp->most_kept * sizeof(real));
    lazy_adam_bytes(s->mlp->size, n, bytes);
}

bool sparse_step_attach(struct sparse_step *s, struct arena *a, struct err *e)
{
    size_t n = s->mlp->n;
    TRY(s->idx = ARENA_NEW(a, MEM_METHOD, uint32_t *, n, e));
    for (size_t i = 0; i < n; i++)
        TRY(s->idx[i] = ARENA_NEW(a, MEM_METHOD, uint32_t, s->mlp->site[i].k, e));
    TRY(s->value = ARENA_NEW(a, MEM_METHOD, real, s->mlp->most_kept, e));
    return (s->adam = lazy_adam_create(s->mlp->size, n, a, e)) != NULL;
}

static void gather(const real *v, const uint32_t *idx, size_t k, real *value)
{
    for (size_t j = 0; j < k; j++)
        value[j] = v[idx[j]];
}

void sparse_step_keep(struct sparse_step *s, size_t i)
{
    const struct param *w = s->mlp->site[i].l->w;
    size_t k = s->mlp->site[i].k, n = param_size(w);
    uint32_t *idx = s->idx[i];
    topk(w->grad.v, n, k, idx);
    if (k == n)
        return;
    gather(w->grad.v, idx, k, s->value);
    memset(w->grad.v, 0, n * sizeof *w->grad.v);
    for (size_t j = 0; j < k; j++)
        w->grad.v[idx[j]] = s->value[j];
}

bool sparse_step(struct sparse_step *s, const struct method_env *env, double schedule, struct err *e)
{
    const struct optim_options *o = optim_options(env->optim);
    for (size_t i = 0; i < s->mlp->n; i++) {
        struct param *w = s->mlp->site[i].l->w;
        const uint32_t *idx = s->idx[i];
        size_t k = s->mlp->site[i].k;
        gather(w->grad.v, idx, k, s->value);
        TRY(lazy_adam_step(s->adam, i, o, optim_learning_rate(o, w) * schedule, idx, k, s->value, e));
        if (s->add)
            s->add(s->self, i, idx, k, s->value);
        for (size_t j = 0; j < k && !s->add; j++)
            w->w[idx[j]] += s->value[j];
    }
    return true;
}
