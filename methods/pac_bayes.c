/* The PAC-Bayes bound of PAC-tuning: see pac_bayes.h. */
#include "methods/pac_bayes.h"

#include <math.h>

#include "methods/noise_table.h"

enum { BLOCK = 4096, BLOCKS = 64, GAMMAS = 10 };

static struct pac_sums block_sums(const real *w, const real *w0, const real *p, size_t n)
{
    double sum[3];
    noise_kernels()->sums(w, w0, p, n, sum);
    return (struct pac_sums){.n = n, .variance = sum[0], .log_scale = sum[1], .distance = sum[2]};
}

static void add(struct pac_sums *to, const struct pac_sums *s)
{
    to->n += s->n;
    to->variance += s->variance;
    to->log_scale += s->log_scale;
    to->distance += s->distance;
}

/* Threads take whole blocks; their sums are added in the order of the blocks. */
struct pac_sums pac_sums(const real *w, const real *w0, const real *p, size_t n)
{
    struct pac_sums sum = {0}, part[BLOCKS];
    for (size_t at = 0; at < n; at += (size_t)BLOCK * BLOCKS) {
        size_t left = n - at, blocks = (left + BLOCK - 1) / BLOCK;
        blocks = blocks < BLOCKS ? blocks : BLOCKS;
#pragma omp parallel for schedule(static) if (blocks > 1)
        for (size_t b = 0; b < blocks; b++) {
            size_t i = at + b * BLOCK;
            part[b] = block_sums(w + i, w0 + i, p + i, n - i < BLOCK ? n - i : BLOCK);
        }
        for (size_t b = 0; b < blocks; b++)
            add(&sum, &part[b]);
    }
    return sum;
}

double pac_kl(const struct pac_sums *s, double b)
{
    return 0.5 * (exp(-2 * b) * (s->variance + s->distance) - 2 * s->log_scale + (2 * b - 1) * (double)s->n);
}

double pac_kl_by_b(const struct pac_sums *s, double b)
{
    return (double)s->n - exp(-2 * b) * (s->variance + s->distance);
}

struct pac_bound pac_bound(double kl, double k, size_t tensors, size_t examples, struct pac_range gamma)
{
    double m = (double)examples, all = kl + 10 + 3 * (double)tensors;
    double best = sqrt(2 * all / (3 * m)) / k; /* K = 0: infinite */
    struct pac_bound r = {.kl = kl, .k = k, .gamma = fmin(fmax(best, gamma.min), gamma.max)};
    r.value = 1.5 * k * k * r.gamma + all / (m * r.gamma);
    r.by_kl = 1 / (m * r.gamma);
    r.by_k = 3 * k * r.gamma;
    return r;
}

/* -------------------------------------------------------------------------------------------------------------------
 * K */

static double mean(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

/* ln mean exp(gamma (mu - l)), at least 0 (Jensen). */
static double log_moment(const double *loss, size_t n, double mu, double gamma)
{
    double top = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, gamma * (mu - loss[i]));
    for (size_t i = 0; i < n; i++)
        sum += exp(gamma * (mu - loss[i]) - top);
    return fmax(0, top + log(sum / (double)n));
}

double pac_smallest_k(const double *loss, size_t n, struct pac_range gamma)
{
    double mu = mean(loss, n), k = 0;
    for (int i = 0; i < GAMMAS; i++) {
        double g = gamma.min * pow(gamma.max / gamma.min, i / (double)(GAMMAS - 1));
        k = fmax(k, sqrt(2 * log_moment(loss, n, mu, g) / 3) / g);
    }
    return k;
}

/* The inequality at one gamma is monotone in K: it holds for all gammas from their smallest K on. */
double pac_searched_k(const double *loss, size_t n, struct pac_range gamma, double from)
{
    double smallest = fmax(pac_smallest_k(loss, n, gamma), 1e-12), x = from;
    while (x < smallest)
        x *= 1.5;
    while (x > smallest)
        x /= 1.1;
    return x;
}

struct pac_curve pac_curve(void)
{
    struct pac_curve c = {0};
    for (int i = 0; i < PAC_KNOTS; i++)
        c.lambda[i] = exp(-6 + 4.0 * i / (PAC_KNOTS - 1));
    return c;
}

void pac_make_monotone(struct pac_curve *c)
{
    for (int i = 1; i < PAC_KNOTS; i++)
        c->k[i] = fmax(c->k[i], c->k[i - 1]);
}

static double segment(const struct pac_curve *c, int i)
{
    return (c->k[i + 1] - c->k[i]) / (c->lambda[i + 1] - c->lambda[i]);
}

/* k_0 + sum_i (lambda - lambda_i)+ (slope_i - slope_{i-1}), with slope_{-1} = 0. */
double pac_k_at(const struct pac_curve *c, double lambda, bool reference, double *slope)
{
    double k = c->k[0], before = 0, total = 0;
    for (int i = 0; i < PAC_KNOTS - 1 && lambda > c->lambda[i]; i++) {
        double change = segment(c, i) - before;
        k += (lambda - c->lambda[i]) * change;
        total += change;
        before = reference ? change : segment(c, i);
    }
    *slope = total;
    return k;
}
