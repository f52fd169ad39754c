/* Dense steps before a selection: see warmup.h. Each moved parameter gets a twin that shares its weights and has a
 * dense gradient of its own; the optimizer steps the twins. */
#include "methods/warmup.h"

#include <string.h>

#include "methods/optim.h"

struct warmup {
    const struct method_env *env;
    struct param *const *moved;
    struct param_list twins;
    struct optim *optim;
    struct tap *watch;
};

struct warmup *warmup_open(const struct method_env *env, struct param *const *moved, size_t n, struct arena *a,
                           struct err *e)
{
    struct warmup *w = ARENA_NEW(a, MEM_SCRATCH, struct warmup, 1, e);
    TRY(w);
    w->env = env;
    w->moved = moved;
    for (size_t i = 0; i < n; i++) {
        struct param *twin = param_add(&w->twins, moved[i], a, e);
        TRY(twin);
        twin->watched = twin->self_stepped = twin->tapped = false;
        twin->pooled = GRAD_NONE;
        param_request(twin, GRAD_DENSE, 0, 0);
        TRY(twin->grad.v = ARENA_NEW(a, MEM_SCRATCH, real, twin->grad.size, e));
    }
    TRY(w->optim = optim_create(env->optim_options, &w->twins, a, e));
    return w;
}

static bool see(void *self, const struct param *p, const real *g, struct err *e)
{
    struct warmup *w = self;
    size_t i = 0;
    while (w->moved[i] != p)
        i++;
    struct grad *twin = &w->twins.item[i]->grad;
    memcpy(twin->v, g, twin->size * sizeof *g);
    return !w->watch || w->watch->see(w->watch->self, p, g, e);
}

bool warmup_step(struct warmup *w, long number, bool dropout, struct tap *watch, struct err *e)
{
    struct tap tap = {.see = see, .self = w};
    struct probe *probe = w->env->probe;
    w->watch = watch;
    for (size_t i = 0; i < w->twins.n; i++)
        w->moved[i]->tapped = true;
    bool ok = probe->gradient(probe, &(struct probe_batch){.number = number, .dropout = dropout}, &tap, NULL, e);
    for (size_t i = 0; i < w->twins.n; i++)
        w->moved[i]->tapped = false;
    if (ok)
        optim_step(w->optim, 1);
    return ok;
}
