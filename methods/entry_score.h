/*
 * Scores of single entries: what a sparse method ranks a tensor's entries by, from the tensor's gradient g and its
 * weights w. Beside the gradient itself they are the controls that a claim for it needs.
 */
#ifndef METHODS_ENTRY_SCORE_H
#define METHODS_ENTRY_SCORE_H

#include "base/arena.h"
#include "base/rng.h"
#include "models/param.h"

enum entry_score {
    ENTRY_GRADIENT, /* |g|                                                                                     */
    ENTRY_SNIP,     /* |w g|: first-order change of the loss when the entry is removed (Lee et al. 2019)       */
    ENTRY_BOTTOM,   /* |g|, the smallest first                                                                 */
    ENTRY_OUTER     /* r_i c_j from the Euclidean norms of g's rows and columns: what a rank-1 gradient would have */
};

/* Is a score the gradient itself? The others are written into room. */
bool entry_score_is_gradient(enum entry_score what);

/* Numbers [rows, cols] of p whose magnitudes, taken from the largest down, rank its entries: g itself, or room [rows,
 * cols] filled. NULL when memory is out. */
const real *entry_score(enum entry_score what, const struct param *p, const real *g, real *room, struct arena *a,
                        struct err *e);

/* Independent random scores: every ranking of the n entries is equally likely. */
void entry_score_random(struct rng *r, size_t n, real *score);

#endif
