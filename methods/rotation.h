/*
 * A change of basis on both sides of a matrix [out, in]: M -> Pᵀ M Q for orthogonal P [out, out], Q [in, in], and the
 * way back for a few entries. Bases are stored with a vector a row, p = Pᵀ and q = Qᵀ; both NULL: nothing changes.
 */
#ifndef METHODS_ROTATION_H
#define METHODS_ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/real.h"

struct rotation {
    int out, in;
    real *p, *q;
};

/* m <- Pᵀ m Q, or one side of it alone; room [out, in]. 2 out² in operations for P, 2 out in² for Q. */
void rotate(const struct rotation *r, bool left, bool right, real *m, real *room);

/* b [out] <- Pᵀ b; room [out]. */
void rotate_out(const struct rotation *r, real *b, real *room);

/* w += P D Qᵀ, D zero but for value [n] at idx [n]; room [out, in]. The sparse factor meets the larger basis first, a
 * vector of it for each entry, and one product with the smaller basis remains: 2 n max(out, in) + 2 out in min(out, in)
 * operations. */
void rotate_back(const struct rotation *r, const uint32_t *idx, size_t n, const real *value, real *w, real *room);

/* Operations of `rotate_back` for n entries. */
double rotation_back_flops(const struct rotation *r, size_t n);

#endif
