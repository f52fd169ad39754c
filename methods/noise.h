/*
 * Normal noise that need not be kept: each number depends on a stream's key, a step and a place alone, so that it can
 * be made again wherever it is needed, in any order and by any number of threads.
 */
#ifndef METHODS_NOISE_H
#define METHODS_NOISE_H

#include <stddef.h>

#include "base/rng.h"
#include "models/real.h"

enum { NOISE_CHUNK = 2048 }; /* a convenient length of `out`; a multiple of 4 */

/* out [n]: standard normal numbers at the places `at` (a multiple of 4) to at + n - 1 of step `step`. In single
 * precision, whatever real is. Philox block `at / 4` gives four words and, by Box and Muller, four numbers. */
void noise_normal(struct rng_key key, uint32_t step, size_t at, real *out, size_t n);

#endif
