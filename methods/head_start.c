/* A head start: see head_start.h. */
#include "methods/head_start.h"

#include <string.h>

#include "methods/warmup.h"

struct head_start {
    struct param **moved; /* [n] */
    real **before;        /* [n] their weights */
    size_t n;
};

static bool keep_head(struct head_start *h, const struct model *m, struct arena *a, struct err *e)
{
    TRY(h->moved = ARENA_NEW(a, MEM_SCRATCH, struct param *, m->params.n, e));
    TRY(h->before = ARENA_NEW(a, MEM_SCRATCH, real *, m->params.n, e));
    for (size_t i = 0; i < m->params.n; i++) {
        struct param *p = m->params.item[i];
        if (!p->head || p->grad.form == GRAD_NONE)
            continue;
        real *copy = ARENA_NEW(a, MEM_SCRATCH, real, param_size(p), e);
        TRY(copy);
        memcpy(copy, p->w, param_size(p) * sizeof *copy);
        h->moved[h->n] = p;
        h->before[h->n++] = copy;
    }
    return true;
}

struct head_start *head_start_take(const struct method_env *env, long first, long steps, struct arena *a,
                                   struct err *e)
{
    struct head_start *h = ARENA_NEW(a, MEM_SCRATCH, struct head_start, 1, e);
    TRY(h && keep_head(h, env->model, a, e));
    struct warmup *w = warmup_open(env, h->moved, h->n, a, e);
    TRY(w);
    for (long i = 0; i < steps; i++)
        TRY(warmup_step(w, first + i, true, NULL, e));
    return h;
}

void head_start_undo(struct head_start *h)
{
    for (size_t i = 0; i < h->n; i++)
        memcpy(h->moved[i]->w, h->before[i], param_size(h->moved[i]) * sizeof(real));
}
