/*
 * One ranking over the entries of several tensors that are seen one after the other: the k entries with the largest
 * scores of all, without ever holding the scores of more than one tensor and k candidates. The result is that of a
 * top-k over the tensors joined in the order of their numbers, whatever order they arrive in.
 */
#ifndef METHODS_ENTRY_RANKING_H
#define METHODS_ENTRY_RANKING_H

#include "base/arena.h"
#include "models/real.h"

struct entry_ranking; /* opaque */

/* For k entries of tensors numbered [0, n_tensors), in the arena (MEM_SCRATCH). NULL when memory is out. */
struct entry_ranking *entry_ranking_open(size_t n_tensors, size_t k, struct arena *a, struct err *e);

/* The scores [n] of one tensor, once for each: magnitudes count; of equal ones the smaller tensor number, then the
 * smaller offset wins. */
void entry_ranking_add(struct entry_ranking *r, size_t tensor, const real *score, size_t n);

/* What is kept of one tensor so far: n offsets, ascending, and their scores. Valid until the next add. */
struct entries_kept {
    size_t n;
    const uint32_t *offset;
    const real *score;
};
struct entries_kept entry_ranking_kept(const struct entry_ranking *r, size_t tensor);

#endif
