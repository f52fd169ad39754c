/*
 * exp and the normal distribution function for vectorised loops. In double the C library serves; in float:
 *
 * exp(x) = 2^k exp(r), k = round(x / ln 2), r in two parts (Cody and Waite), a degree-6 Taylor polynomial on |r| <=
 * .347: 2 ulp. No FMA is used, so that every instruction set gives the same bits.
 *
 * Phi(x) from Abramowitz and Stegun 7.1.26, erf(z) = 1 - (a1 t + ... + a5 t^5) exp(-z²), t = 1 / (1 + p z), z >= 0,
 * whose error is below 1.5e-7 (3e-7 in float arithmetic); Phi(-x) = 1 - Phi(x).
 */
#ifndef MODELS_VMATH_H
#define MODELS_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "models/real.h"

#ifdef PEFTLAB_F64

static inline real vm_exp(real x) { return exp(x); }
static inline real vm_normal_cdf(real x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

#else

static inline real vm_exp(real x)
{
    const float top = 88.0f, bottom = -87.0f; /* beyond: finite, and zero to working precision */
    x = x > top ? top : x;
    x = x < bottom ? bottom : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float k = x * 1.44269504088896341f + magic;
    uint32_t
        bits; /* of k: the integer stands in its last ones, and moved to the exponent's place it is all that is left */
    memcpy(&bits, &k, sizeof bits);
    k -= magic;
    float r = x - k * 0.693359375f;
    r = r - k * -2.12194440e-4f;
    float p = 1.3888889e-3f;
    p = p * r + 8.3333333e-3f;
    p = p * r + 4.1666667e-2f;
    p = p * r + 1.6666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    bits = (bits << 23) + (127u << 23); /* no conversion: x may be NaN, and p is then */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline real vm_normal_cdf(real x)
{
    float a = x < 0 ? -x : x, z = a * 0.70710678f;
    float t = 1.0f / (1.0f + 0.3275911f * z);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float tail = 0.5f * p * t * vm_exp(-0.5f * x * x);
    return x < 0 ? tail : 1.0f - tail;
}

#endif
#endif
