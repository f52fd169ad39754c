/*
 * SIFT with `compat: reference`: what the published code (song-wx/SIFT) does under HF Trainer, where it differs from
 * the paper. It trains an increment s per tensor, 0 at first, and moves it into the weights from a hook in backward:
 *
 *   - step 0: the gradients that select are dropped; the optimizer skips each s, so that Adam's step count stays one
 *     behind the head's;
 *   - step t > 0: backward ends with g_s = g[I], W[I] += s, s = 0, where s is what step t-1 left; AdamW then writes s =
 *     -lr u_t. Every forward runs one update behind, and the last update is lost;
 *   - s is 0 whenever the optimizer runs: decay of s does nothing;
 *   - a hook sees only gradients finished before: the tensor whose gradient comes last, the first in the model's order,
 *     is never trained, but its dense gradient stays in the clipping norm.
 *
 * The code decides all this per micro-batch; here, with gradient accumulation, per optimizer step (logical batch).
 */
#include <stdio.h>
#include <string.h>

#include "methods/optim.h"
#include "methods/sift.h"

void sift_reference_bytes(const struct sift *s, size_t bytes[MEM_TAGS])
{
    bytes[MEM_METHOD] += mem_round(s->n * sizeof(real *));
    for (size_t i = 0; i < s->n; i++)
        bytes[MEM_METHOD] += mem_round(s->target[i]->grad.size * sizeof(real));
}

bool sift_reference_attach(struct sift *s, const struct method_env *env, struct err *e)
{
    TRY(s->increment = ARENA_NEW(env->arena, MEM_METHOD, real *, s->n, e));
    for (size_t i = 0; i < s->n; i++)
        TRY(s->increment[i] = ARENA_NEW(env->arena, MEM_METHOD, real, s->target[i]->grad.size, e));
    return true;
}

static void add_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    real *s = (real *)u + compact;
    for (size_t i = 0; i < length; i++)
        p->w[at + i] += s[i];
}

void sift_reference_after_backward(struct sift *s, const struct method_env *env)
{
    for (size_t i = 0; i < s->n; i++) {
        struct param *p = s->target[i];
        size_t size = p->grad.size * sizeof(real);
        if (env->step == 0)
            memset(p->grad.v, 0, size);
        param_each_run(p, add_run, s->increment[i]);
        memset(s->increment[i], 0, size);
    }
}

static bool is_target(const struct sift *s, const struct param *p)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->target[i] == p)
            return true;
    return false;
}

void sift_reference_step(struct sift *s, const struct method_env *env, double schedule)
{
    for (size_t i = 0; i < env->model->params.n; i++)
        if (!is_target(s, env->model->params.item[i]))
            optim_step_param(env->optim, env->model->params.item[i], schedule);
    for (size_t i = 0; i < s->n && env->step > 0; i++)
        optim_step_compact(env->optim, s->target[i], s->increment[i], schedule);
}

void sift_reference_state(struct sift *s, void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    char name[640];
    for (size_t i = 0; i < s->n; i++) {
        snprintf(name, sizeof name, "%s/increment", s->target[i]->name);
        tensor(u, name, s->increment[i], s->target[i]->grad.size * sizeof(real));
    }
}
