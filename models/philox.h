/*
 * Philox4x32-10 (Salmon et al., SC'11) on many counters at a time, for *.simd.c files: the bits of rng_block, which
 * tests compare. With fewer counters the compiler unrolls the loop instead of vectorising it.
 */
#ifndef MODELS_PHILOX_H
#define MODELS_PHILOX_H

#include <stdint.h>

#include "base/rng.h"

enum { PHILOX_BLOCKS = 64 };

/* word[w][j] is word w of counter j, and becomes word w of its block. */
static inline void philox_rounds(struct rng_key key, uint32_t word[4][PHILOX_BLOCKS])
{
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (int j = 0; j < PHILOX_BLOCKS; j++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * word[0][j], p1 = (uint64_t)0xCD9E8D57u * word[2][j];
            uint32_t w1 = word[1][j], w3 = word[3][j];
            word[0][j] = (uint32_t)(p1 >> 32) ^ w1 ^ k0;
            word[1][j] = (uint32_t)p1;
            word[2][j] = (uint32_t)(p0 >> 32) ^ w3 ^ k1;
            word[3][j] = (uint32_t)p0;
        }
}

#endif
