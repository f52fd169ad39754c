/*
 * Passes over magnitudes, made for each instruction set by topk.simd.c: internal to topk. The bits of a non-negative
 * IEEE number, read as an integer, are ordered as the number is; of all NaNs the key is the largest.
 */
#ifndef METHODS_TOPK_TABLE_H
#define METHODS_TOPK_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "models/isa.h"
#include "models/real.h"

#ifdef PEFTLAB_F64
typedef int64_t key_bits;
#define KEY_MAX INT64_MAX
#define KEY_INFINITY 0x7ff0000000000000
#else
typedef int32_t key_bits;
#define KEY_MAX INT32_MAX
#define KEY_INFINITY 0x7f800000
#endif

struct topk_passes {
    /* key[i] of v[i]. */
    void (*keys)(const real *v, size_t n, key_bits *key);
    /* How many keys are at least `least`, which is above 0. */
    size_t (*count)(const key_bits *key, size_t n, key_bits least);
    /* Those from lo to hi, side by side into in [n], which has room for all; how many. *above: those beyond hi. */
    size_t (*between)(const real *v, size_t n, key_bits lo, key_bits hi, key_bits *in, size_t *above);
    /* v[i] = other[i] (NULL: 0) where the key of score[i] is below `least`. */
    void (*mask)(const real *score, size_t n, key_bits least, real *v, const real *other);
};

#endif
