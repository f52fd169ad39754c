/*
 * Masks over gradients: the k largest magnitudes of one tensor, or of several together, stay as they are, the rest
 * becomes 0 (or something else). Nothing is stored: a mask is the cut that separates its entries from the rest, or the
 * stream of random numbers that draws them. The same bits for any number of threads.
 */
#ifndef METHODS_MASK_H
#define METHODS_MASK_H

#include "base/rng.h"
#include "methods/topk.h"

/* How many of n entries a share keeps: max(1, floor(share n)), n for a share of 1. */
size_t mask_count(double share, size_t n);

/* v[i] = other[i] (NULL: 0) where the cut does not keep score[i]; `score` may be v. Ties that are used up are taken off
 * the cut, so that it goes on with the next tensor of a common ranking. */
void mask_below(const real *score, size_t n, struct topk_cut *cut, real *v, const real *other);

/* The k largest |v| stay, of equal ones those that come first; `ge`: all that equal the k-th stay too. */
void mask_topk(real *v, size_t n, size_t k, bool ge);

/* A random set of `kept` out of `n` entries, every set equally likely, drawn tensor by tensor. */
struct mask_draw {
    struct rng rng;
    size_t n, kept;
};

/* Is the next entry drawn? */
bool mask_drawn(struct mask_draw *d);

/* v[i] = other[i] (NULL: 0) for the next n entries where they are not drawn. */
void mask_undrawn(struct mask_draw *d, size_t n, real *v, const real *other);

#endif
