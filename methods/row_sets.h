/*
 * How many rows, and which: the arithmetic of row-based fine-tuning on scores alone. A set is one tensor's rows, or
 * those of query, key and value together, cut into `heads` groups that keep equally many.
 */
#ifndef METHODS_ROW_SETS_H
#define METHODS_ROW_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct row_set {
    size_t units;         /* rows (or columns)                              */
    size_t heads;         /* groups of equal size; 1: no grouping           */
    size_t keep;          /* of each head                                   */
    size_t cost;          /* scalars that one row of each head takes        */
    const double *score;  /* [units]                                        */
};

/* Rows of each head that are trained: frozen = units - int(units * ratio), trained rounded down to a multiple of
 * round_to, frozen per head = frozen / heads, and what remains of the head rounded down again, but at least round_to.
 * With rank > 0 frozen = units - rank and nothing is rounded. */
size_t row_set_keep(size_t units, size_t heads, double ratio, size_t rank, size_t round_to);

/* Numbers of the `keep` highest scores of each head into idx [heads * keep], ascending; of equal scores the first. */
bool row_set_choose(const struct row_set *s, uint32_t *idx, struct arena *a, struct err *e);

/* Sets keep of every set anew: best rows of all sets together. What is ranked is a row of each head at once, the j-th
 * best of every head, by the mean of their scores. In this order each is kept that still fits into `room` scalars. */
bool row_sets_rank(struct row_set *s, size_t n, size_t room, struct arena *a, struct err *e);

#endif
