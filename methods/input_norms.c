/* Norms of inputs: see input_norms.h. A gradient's tap never sees an input, so each site is overridden while the probes
 * run: its forward adds up squares and then does what it always does. */
#include "methods/input_norms.h"

#include <assert.h>
#include <math.h>

#include "models/linear.h"

static void watch(const struct linear *l, struct pass *p, int tokens, const real *x, real *y)
{
    double *sum = l->state;
    (void)p;
    for (int t = 0; t < tokens; t++)
        for (int j = 0; j < l->in; j++) {
            double v = (double)x[(size_t)t * (size_t)l->in + (size_t)j];
            sum[j] += v * v;
        }
    linear_plain_forward(l, tokens, x, y);
}

static const struct linear_ops watching = {.forward = watch};

static void set_watch(struct linear *const *site, size_t n, double **sum)
{
    for (size_t i = 0; i < n; i++) {
        assert(!sum || !site[i]->ops);
        site[i]->ops = sum ? &watching : NULL;
        site[i]->state = sum ? sum[i] : NULL;
    }
}

double **input_norms(const struct method_env *env, struct linear *const *site, size_t n, long batches,
                     struct arena *a, struct err *e)
{
    double **sum = ARENA_NEW(a, MEM_SCRATCH, double *, n, e), loss;
    bool ok = true;
    TRY(sum);
    for (size_t i = 0; i < n; i++)
        TRY(sum[i] = ARENA_NEW(a, MEM_SCRATCH, double, (size_t)site[i]->in, e));
    set_watch(site, n, sum);
    for (long b = 0; ok && b < batches; b++)
        ok = env->probe->loss(env->probe, &(struct probe_batch){.number = b}, &loss, e);
    set_watch(site, n, NULL);
    for (size_t i = 0; i < n; i++)
        for (int j = 0; j < site[i]->in; j++)
            sum[i][j] = sqrt(sum[i][j]);
    return ok ? sum : NULL;
}
