/* Random masks of entries: the controls that a chosen mask is compared with. */
#ifndef METHODS_ENTRY_MASK_H
#define METHODS_ENTRY_MASK_H

#include "base/arena.h"
#include "base/rng.h"

/* k of n offsets, every set equally likely, ascending, into idx [k]. */
void entry_mask_random(struct rng *r, size_t n, size_t k, uint32_t *idx);

/* The mask idx [n] of a matrix [rows, cols] with its rows and its columns in a random order each: as many entries in
 * some row and in some column as before, but no row or column keeps its meaning. Ascending before and after. */
bool entry_mask_permute(struct rng *r, int rows, int cols, uint32_t *idx, size_t n, struct arena *a, struct err *e);

#endif
