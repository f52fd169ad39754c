/*
 * SIFT's refresh: the selection made again at a later step. Every tensor keeps its count. An entry that is in both
 * masks goes on with its optimizer state, one that comes new starts from zero (its tensor's step count goes on), one
 * that leaves keeps the value it has reached.
 */
#include <string.h>

#include "methods/optim.h"
#include "methods/sift.h"

static size_t common(const uint32_t *a, const uint32_t *b, size_t n)
{
    size_t both = 0;
    for (size_t i = 0, j = 0; i < n && j < n;) {
        both += a[i] == b[j];
        size_t next = i + (a[i] <= b[j]);
        j += b[j] <= a[i];
        i = next;
    }
    return both;
}

/* What was there before: [s->n] index lists, NULL where nothing can move. */
static bool copy_masks(const struct sift *s, uint32_t **old, size_t *largest, struct arena *a, struct err *e)
{
    *largest = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct grad *g = &s->target[i]->grad;
        if (g->form != GRAD_ENTRIES)
            continue;
        TRY(old[i] = ARENA_NEW(a, MEM_SCRATCH, uint32_t, g->n, e));
        memcpy(old[i], g->idx, g->n * sizeof *g->idx);
        *largest = g->n > *largest ? g->n : *largest;
    }
    return true;
}

static bool refresh_in(struct sift *s, const struct method_env *env, struct err *e)
{
    size_t largest, both = 0, all = 0;
    uint32_t **old = ARENA_NEW(env->arena, MEM_SCRATCH, uint32_t *, s->n, e);
    TRY(old && copy_masks(s, old, &largest, env->arena, e));
    real *copy = ARENA_NEW(env->arena, MEM_SCRATCH, real, largest, e);
    TRY(copy && sift_select(s, env, e));
    for (size_t i = 0; i < s->n; i++) {
        const struct param *p = s->target[i];
        if (!old[i])
            continue;
        optim_move(env->optim, p, old[i], copy);
        both += common(old[i], p->grad.idx, p->grad.n);
        all += p->grad.n;
    }
    s->overlap = all ? (double)both / (double)all : 1;
    return true;
}

bool sift_refresh(struct sift *s, const struct method_env *env, struct err *e)
{
    struct arena_mark mark = arena_mark(env->arena);
    bool ok = refresh_in(s, env, e);
    arena_release(env->arena, mark);
    return ok;
}
