/* Feed-forward sites: see mlp.h. */
#include "methods/mlp.h"

#include "methods/mask.h"

static bool add_site(struct mlp *m, const struct linear *l, enum mlp_role role, const struct mlp_options *o,
                     const struct method_env *env, struct err *e)
{
    size_t size = param_size(l->w);
    if (o->k > 0 && (unsigned long long)o->k > size)
        return method_wrong(env, "k", e, "k is %lld; `%s` has %zu weights", o->k, l->name, size);
    struct mlp_site *s = &m->site[m->n];
    m->size[m->n++] = size;
    *s = (struct mlp_site){l, role, o->k > 0 ? (size_t)o->k : mask_count(o->density, size)};
    m->largest = size > m->largest ? size : m->largest;
    m->most_kept = s->k > m->most_kept ? s->k : m->most_kept;
    param_request(l->w, GRAD_DENSE, 0, 0);
    param_request(l->b, GRAD_DENSE, 0, 0);
    return true;
}

static void request_rest(struct param_list *params, const struct mlp_options *o)
{
    for (size_t i = 0; i < params->n; i++) {
        struct param *p = params->item[i];
        if (!p->head && !p->added && p->grad.form == GRAD_NONE && (p->kind != PARAM_NORM || o->train_layernorm))
            param_request(p, GRAD_DENSE, 0, 0);
    }
}

bool mlp_plan(struct mlp *m, const struct mlp_options *o, const struct method_env *env, struct err *e)
{
    int layers = env->model->config.num_hidden_layers;
    *m = (struct mlp){0};
    TRY(m->site = ARENA_NEW(env->arena, MEM_METHOD, struct mlp_site, 2 * (size_t)layers, e));
    TRY(m->size = ARENA_NEW(env->arena, MEM_METHOD, size_t, 2 * (size_t)layers, e));
    for (int i = 0; i < layers; i++) {
        const struct block *b = &env->model->block[i];
        TRY(add_site(m, &b->intermediate, MLP_INTERMEDIATE, o, env, e) &&
            add_site(m, &b->output, MLP_OUTPUT, o, env, e));
    }
    if (o->train_rest)
        request_rest(&env->model->params, o);
    return true;
}
