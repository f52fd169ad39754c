/*
 * SPSA: see spsa.h. Each direction is drawn once. What w + eps z was rounded to gives the realised step d; the other
 * point is w - d and the estimate takes d / eps for z, so that neither rounding nor a second draw enters. Memory beside
 * the model: a copy of the moved weights, from which they are restored, and the sums.
 */
#include "methods/spsa.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"

struct walk {
    const struct method_env *env;
    const struct spsa *how;
    struct param *const *moved; /* [n] */
    size_t n;
    real **kept;                /* [n] the weights as they were */
    real **sum;                 /* [n] NULL where no gradient is wanted */
};

static void step_ahead(const struct walk *k, long long direction)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t m = 0; m < k->n; m++) {
        struct param *p = k->moved[m];
        char stream[640];
        snprintf(stream, sizeof stream, "method/spsa/%lld/%s", direction, p->name);
        struct rng r = rng_stream(k->env->seed, stream);
        for (size_t i = 0; i < param_size(p); i++)
            p->w[i] = k->kept[m][i] + (real)(k->how->eps * rng_normal(&r));
    }
}

/* To the same distance on the other side. */
static void step_across(const struct walk *k)
{
    for (size_t m = 0; m < k->n; m++)
        for (size_t i = 0; i < param_size(k->moved[m]); i++)
            k->moved[m]->w[i] = k->kept[m][i] - (k->moved[m]->w[i] - k->kept[m][i]);
}

/* From the far side: kept - w is the realised step. */
static void add_estimate(const struct walk *k, double factor)
{
    for (size_t m = 0; m < k->n; m++)
        for (size_t i = 0; k->sum[m] && i < param_size(k->moved[m]); i++)
            k->sum[m][i] += (real)factor * (k->kept[m][i] - k->moved[m]->w[i]);
}

static void restore(const struct walk *k)
{
    for (size_t m = 0; m < k->n; m++)
        memcpy(k->moved[m]->w, k->kept[m], param_size(k->moved[m]) * sizeof(real));
}

static bool estimate(const struct walk *k, long long direction, struct err *e)
{
    struct probe *probe = k->env->probe;
    struct probe_batch b = {.number = (long)(direction % k->how->data_split)};
    double ahead, behind, directions = (double)(k->how->n_estimate * k->how->data_split);
    step_ahead(k, direction);
    TRY(probe->loss(probe, &b, &ahead, e));
    step_across(k);
    TRY(probe->loss(probe, &b, &behind, e));
    add_estimate(k, (ahead - behind) / (2 * k->how->eps) / k->how->eps / directions);
    return true;
}

static size_t place_of(const struct param *p, struct param *const *list, size_t n)
{
    size_t i = 0;
    while (i < n && list[i] != p)
        i++;
    return i;
}

/* A copy of every moved tensor and a sum for every target. */
static bool prepare(struct walk *k, struct param *const *target, size_t n, real **sum, struct arena *a, struct err *e)
{
    TRY(k->kept = ARENA_NEW(a, MEM_SCRATCH, real *, k->n, e));
    TRY(k->sum = ARENA_NEW(a, MEM_SCRATCH, real *, k->n, e));
    for (size_t m = 0; m < k->n; m++) {
        size_t size = param_size(k->moved[m]);
        TRY(k->kept[m] = ARENA_NEW(a, MEM_SCRATCH, real, size, e));
        memcpy(k->kept[m], k->moved[m]->w, size * sizeof(real));
    }
    for (size_t i = 0; i < n; i++) {
        TRY(sum[i] = ARENA_NEW(a, MEM_SCRATCH, real, param_size(target[i]), e));
        k->sum[place_of(target[i], k->moved, k->n)] = sum[i];
    }
    return true;
}

real **spsa_gradients(const struct method_env *env, const struct spsa *how, struct param *const *moved,
                      size_t n_moved, struct param *const *target, size_t n, struct arena *a, struct err *e)
{
    struct walk k = {.env = env, .how = how, .moved = moved, .n = n_moved};
    real **sum = ARENA_NEW(a, MEM_SCRATCH, real *, n, e);
    bool ok = true;
    TRY(sum && prepare(&k, target, n, sum, a, e));
    for (long long d = 0; ok && d < how->n_estimate * how->data_split; d++)
        ok = estimate(&k, d, e);
    restore(&k);
    return ok ? sum : NULL;
}
