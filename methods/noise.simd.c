/*
 * Noise and the loops over it, vectorised; the same bits on every instruction set, no FMA.
 *
 * Box and Muller's transform takes a logarithm and a sine and cosine of each pair of words. ln u = e ln 2 + ln m with m
 * in [.7, 1.4] and ln m = 2 artanh s, s = (m - 1) / (m + 1), |s| < .172, by its series to s^9. An angle is a multiple
 * of a quarter turn, which is exact, and a rest within an eighth, by Taylor series to the ninth power: errors of two or
 * three units in the last place.
 */
#include "methods/noise_table.h"

#include <math.h>
#include <string.h>

#include "models/philox.h"
#include "models/vmath.h"

enum { BLOCKS = PHILOX_BLOCKS, WORDS = 4, LANES = 16 };

static inline void philox(struct rng_key key, uint32_t step, uint64_t first, uint32_t word[WORDS][BLOCKS])
{
    for (uint32_t j = 0; j < BLOCKS; j++) {
        word[0][j] = (uint32_t)(first + j);
        word[1][j] = (uint32_t)((first + j) >> 32);
        word[2][j] = step;
        word[3][j] = 0;
    }
    philox_rounds(key, word);
}

/* Of a positive normal number at most 1. */
static inline float logarithm(float u)
{
    int32_t bits, e;
    memcpy(&bits, &u, sizeof bits);
    e = (bits - 0x3f3504f3) >> 23; /* below the root of 1/2: the next exponent */
    bits -= e * (1 << 23);
    float m;
    memcpy(&m, &bits, sizeof m);
    float s = (m - 1) / (m + 1), q = s * s;
    float series = 1 + q * (1 / 3.0f + q * (1 / 5.0f + q * (1 / 7.0f + q * (1 / 9.0f))));
    return (float)e * 0.69314718f + 2 * s * series;
}

struct point {
    float x, y;
};

/* Cosine and sine of `turns` whole turns, 0 <= turns < 1. */
static inline struct point on_circle(float turns)
{
    int quarter = (int)(4 * turns + 0.5f);
    float a = 6.2831853f * (turns - 0.25f * (float)quarter), b = a * a;
    float sine = a * (1 - b * (1 / 6.0f - b * (1 / 120.0f - b * (1 / 5040.0f - b * (1 / 362880.0f)))));
    float cosine = 1 - b * (0.5f - b * (1 / 24.0f - b * (1 / 720.0f - b * (1 / 40320.0f))));
    float x = quarter & 1 ? sine : cosine, y = quarter & 1 ? cosine : sine;
    return (struct point){(quarter + 1) & 2 ? -x : x, quarter & 2 ? -y : y};
}

/* Two words with 24 bits each -> two normal numbers. The logarithm's argument lies in (0, 1]: |number| < 5.8. */
static inline void box_muller(const uint32_t *a, const uint32_t *b, float *x, float *y)
{
    for (int j = 0; j < BLOCKS; j++) {
        float radius = sqrtf(-2 * logarithm((float)(int32_t)((a[j] >> 8) + 1) * 0x1p-24f));
        struct point at = on_circle((float)(int32_t)(b[j] >> 8) * 0x1p-24f);
        x[j] = radius * at.x;
        y[j] = radius * at.y;
    }
}

static void normal(struct rng_key key, uint32_t step, size_t at, real *out, size_t n)
{
    for (size_t i = 0; i < n; i += WORDS * BLOCKS) {
        uint32_t word[WORDS][BLOCKS];
        float z[WORDS][BLOCKS];
        real mixed[WORDS * BLOCKS];
        size_t left = n - i < WORDS * BLOCKS ? n - i : WORDS * BLOCKS;
        philox(key, step, (at + i) / WORDS, word);
        box_muller(word[0], word[1], z[0], z[1]);
        box_muller(word[2], word[3], z[2], z[3]);
        for (int j = 0; j < BLOCKS; j++)
            for (int w = 0; w < WORDS; w++)
                mixed[WORDS * j + w] = (real)z[w][j];
        memcpy(out + i, mixed, left * sizeof *out);
    }
}

static void perturb(size_t n, const real *restrict p, const real *restrict tau, real *restrict w)
{
    for (size_t i = 0; i < n; i++)
        w[i] += vm_exp(p[i]) * tau[i];
}

static inline real root(real x) { return (real)(sizeof(real) == sizeof(float) ? sqrtf((float)x) : sqrt((double)x)); }

/* The noise's part of p's gradient is the loss's alone: taken before the bound's joins g. */
static void learn(const struct pac_rates *r, const struct pac_run *x)
{
    const struct pac_rates k = *r;
    real *restrict g = x->g, *restrict p = x->p, *restrict m = x->m, *restrict v = x->v;
    const real *restrict w = x->w, *restrict w0 = x->w0, *restrict tau = x->tau;
    for (size_t i = 0; i < x->n; i++) {
        real scale = vm_exp(p[i]), by_p = g[i] * tau[i] * scale + k.by_kl * (scale * scale * k.prior - 1);
        g[i] += k.by_kl * (w[i] - w0[i]) * k.prior;
        m[i] += k.one_minus_beta1 * (by_p - m[i]);
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * by_p * by_p;
        p[i] -= k.step * m[i] / (root(v[i]) / k.root + k.epsilon);
    }
}

static inline double fold(const double lane[LANES])
{
    double sum = 0;
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

/* Sums of e^{2p}, p and (w - w0)² in lanes, always in the same order. */
static void sums(const real *w, const real *w0, const real *p, size_t n, double sum[3])
{
    double variance[LANES] = {0}, scale[LANES] = {0}, distance[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        size_t m = n - i < LANES ? n - i : LANES;
        real e[LANES];
        for (size_t j = 0; j < m; j++)
            e[j] = vm_exp(p[i + j]);
        for (size_t j = 0; j < m; j++) {
            double moved = (double)w[i + j] - (double)w0[i + j];
            variance[j] += (double)e[j] * (double)e[j];
            scale[j] += (double)p[i + j];
            distance[j] += moved * moved;
        }
    }
    sum[0] = fold(variance);
    sum[1] = fold(scale);
    sum[2] = fold(distance);
}

const struct noise_kernels ISA_TABLE(noise_) = {normal, perturb, learn, sums};
