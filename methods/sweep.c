/* Sums of gradients over probes: see sweep.h. */
#include "methods/sweep.h"

#include "models/kernels.h"

struct adder {
    const struct sweep *sweep;
    real **sum;
};

static bool see(void *self, const struct param *p, const real *g, struct err *e)
{
    const struct adder *a = self;
    size_t n = param_size(p), t = 0;
    (void)e;
    while (t < a->sweep->n && a->sweep->target[t] != p)
        t++;
    if (t == a->sweep->n) /* a warm-up shows all that it moves */
        return true;
    if (!a->sweep->squares) {
        add_to(n, g, a->sum[t]);
        return true;
    }
    for (size_t i = 0; i < n; i++)
        a->sum[t][i] += g[i] * g[i];
    return true;
}

static void set_tapped(const struct sweep *s, bool tapped)
{
    for (size_t i = 0; i < s->n; i++)
        s->target[i]->tapped = tapped;
}

bool sweep_add(const struct method_env *env, const struct sweep *s, const struct probe_batch *b, real **sum,
               struct err *e)
{
    struct adder adder = {s, sum};
    struct tap tap = {.see = see, .self = &adder};
    if (s->warmup)
        return warmup_step(s->warmup, b->number, b->dropout, &tap, e);
    set_tapped(s, true);
    bool ok = env->probe->gradient(env->probe, b, &tap, NULL, e);
    set_tapped(s, false);
    return ok;
}

/* `count` examples one by one, from the batches that come first. */
static bool add_examples(const struct method_env *env, const struct sweep *s, real **sum, struct err *e)
{
    size_t n, at = 0;
    long number = s->first;
    const int32_t *example = env->probe->examples(env->probe, number, &n);
    for (long i = 0; i < s->count; i++, at++) {
        if (at == n) {
            example = env->probe->examples(env->probe, ++number, &n);
            at = 0;
        }
        int32_t one = example[at];
        struct probe_batch b = {.number = number, .rows = &one, .n = 1, .dropout = s->dropout};
        TRY(sweep_add(env, s, &b, sum, e));
        example = env->probe->examples(env->probe, number, &n);
    }
    return true;
}

real **sweep_gradients(const struct method_env *env, const struct sweep *s, struct arena *a, struct err *e)
{
    real **sum = ARENA_NEW(a, MEM_SCRATCH, real *, s->n, e);
    TRY(sum);
    for (size_t i = 0; i < s->n; i++)
        TRY(sum[i] = ARENA_NEW(a, MEM_SCRATCH, real, param_size(s->target[i]), e));
    if (s->unit == SWEEP_EXAMPLES)
        return add_examples(env, s, sum, e) ? sum : NULL;
    for (long i = 0; i < s->count; i++)
        TRY(sweep_add(env, s, &(struct probe_batch){.number = s->first + i, .dropout = s->dropout}, sum, e));
    return sum;
}
