/* One tensor under noise: see pac_tensor.h. Elements do not depend on each other: threads change no bit. */
#include "methods/pac_tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/noise_table.h"

static struct rng_key stream(const struct pac_tensor *t, uint64_t seed, const char *what)
{
    char name[640];
    snprintf(name, sizeof name, "method/%s/%s", what, t->param->name);
    return rng_key(seed, name);
}

static size_t chunk(const struct pac_tensor *t, size_t at) { return t->n - at < NOISE_CHUNK ? t->n - at : NOISE_CHUNK; }

void pac_perturb_prior(const struct pac_tensor *t, uint64_t seed, double lambda, uint32_t model)
{
    struct rng_key key = stream(t, seed, "k");
#pragma omp parallel for schedule(static) if (t->n > 4 * NOISE_CHUNK)
    for (size_t at = 0; at < t->n; at += NOISE_CHUNK) {
        real noise[NOISE_CHUNK];
        noise_normal(key, model, at, noise, chunk(t, at));
        for (size_t i = 0; i < chunk(t, at); i++)
            t->param->w[at + i] = t->w0[at + i] + (real)lambda * noise[i];
    }
}

/* tau, the same in both halves of a step. */
static void draw(struct rng_key key, uint32_t step, size_t at, real *tau, size_t n)
{
    noise_normal(key, step, at, tau, n);
    for (size_t i = 0; i < n; i++)
        tau[i] = tau[i] > 2 ? 2 : tau[i] < -2 ? -2 : tau[i];
}

void pac_perturb(const struct pac_tensor *t, uint64_t seed, uint32_t step)
{
    struct rng_key key = stream(t, seed, "noise");
    real *w = t->param->w;
    memcpy(t->w, w, t->n * sizeof(real));
#pragma omp parallel for schedule(static) if (t->n > 4 * NOISE_CHUNK)
    for (size_t at = 0; at < t->n; at += NOISE_CHUNK) {
        real tau[NOISE_CHUNK];
        draw(key, step, at, tau, chunk(t, at));
        noise_kernels()->perturb(chunk(t, at), t->p + at, tau, w + at);
    }
}

void pac_restore(const struct pac_tensor *t) { memcpy(t->param->w, t->w, t->n * sizeof(real)); }

static void learn_b(struct pac_tensor *t, double g, const struct pac_adam *a)
{
    double *b = t->b;
    b[1] = PAC_BETA1 * b[1] + (1 - PAC_BETA1) * g;
    b[2] = PAC_BETA2 * b[2] + (1 - PAC_BETA2) * g * g;
    b[0] -= a->rate * (b[1] / a->correct1) / (sqrt(b[2] / a->correct2) + PAC_EPSILON);
}

static struct pac_rates rates(const struct pac_tensor *t, double by_kl, const struct pac_adam *a)
{
    return (struct pac_rates){.by_kl = (real)by_kl,
                              .prior = (real)exp(-2 * t->b[0]),
                              .one_minus_beta1 = (real)(1 - PAC_BETA1),
                              .beta2 = (real)PAC_BETA2,
                              .one_minus_beta2 = (real)(1 - PAC_BETA2),
                              .step = (real)(a->rate / a->correct1),
                              .root = (real)sqrt(a->correct2),
                              .epsilon = (real)PAC_EPSILON};
}

void pac_learn(struct pac_tensor *t, uint64_t seed, uint32_t step, double by_kl, double by_b, const struct pac_adam *a)
{
    struct rng_key key = stream(t, seed, "noise");
    struct pac_rates r = rates(t, by_kl, a);
#pragma omp parallel for schedule(static) if (t->n > 4 * NOISE_CHUNK)
    for (size_t at = 0; at < t->n; at += NOISE_CHUNK) {
        real tau[NOISE_CHUNK];
        draw(key, step, at, tau, chunk(t, at));
        struct pac_run x = {chunk(t, at), tau, t->w + at, t->w0 + at, t->param->grad.v + at, t->p + at, t->m + at,
                            t->v + at};
        noise_kernels()->learn(&r, &x);
    }
    learn_b(t, by_kl * pac_kl_by_b(&t->sums, t->b[0]) + by_b, a);
}
