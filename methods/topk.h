/* Exact selection of the largest magnitudes, in O(n) and without scratch, in one array or over several together. */
#ifndef METHODS_TOPK_H
#define METHODS_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/real.h"

/* Offsets of the k (<= n < 2^32) entries of v with the largest |v|, in ascending order of offset, into out [k]. Of
 * equal magnitudes the smaller offset wins. NaN counts as larger than infinity, all NaNs as equal: a broken gradient
 * gives a defined selection. The same for any number of threads. */
void topk(const real *v, size_t n, size_t k, uint32_t *out);

struct topk_span {
    const real *v; /* [n] */
    size_t n;
};

/* What separates the k largest of all spans together from the rest. */
struct topk_cut {
    uint64_t key;  /* of the k-th largest magnitude                      */
    size_t ties;   /* how many that equal it still belong to the k; SIZE_MAX: all */
};

/* The cut for the k (<= sum of n) largest |v| over the spans, its ties SIZE_MAX where it keeps all that equal the k-th;
 * for k == 0 one that keeps nothing. */
struct topk_cut topk_find_cut(const struct topk_span *span, size_t n_spans, size_t k);

/* The cut in one row, faster for some hundred or thousand entries. room [n] is overwritten;
 * 0 < k <= n. */
struct topk_cut topk_find_row_cut(const real *v, size_t n, size_t k, real *room);

/* Is v among them? Asked once for every entry, in the order of spans and offsets: ties are handed out as they come. */
bool topk_keeps(struct topk_cut *cut, real v);

/* v[i] = other[i] (NULL: 0) where the cut, whose ties are SIZE_MAX, does not keep score[i]; `score` may be v. For some
 * thousand values at a time, by one thread. */
void topk_mask(const struct topk_cut *cut, const real *score, size_t n, real *v, const real *other);

#endif
