/* Exact selection of the largest magnitudes, in O(n) and without scratch. */
#ifndef METHODS_TOPK_H
#define METHODS_TOPK_H

#include <stddef.h>
#include <stdint.h>

#include "models/real.h"

/* Offsets of the k (<= n < 2^32) entries of v with the largest |v|, in ascending order of offset, into out [k]. Of
 * equal magnitudes the smaller offset wins. NaN counts as larger than infinity, all NaNs as equal: a broken gradient
 * gives a defined selection. Deterministic, single-threaded; v is read four (float) or seven (double) times at most. */
void topk(const real *v, size_t n, size_t k, uint32_t *out);

#endif
