/*
 * A linear site whose weight's gradient is taken in another basis, Pᵀ gW Q for gW = dyᵀ x summed over the step. Each
 * side is rotated where that is cheaper for the step's T tokens, with the same result:
 *
 *     P: on dy [T, out] for 2 T out² operations, or on gW for 2 out² in: on dy iff T < in
 *     Q: on x  [T, in]  for 2 T in²,             or on gW for 2 out in²: on x  iff T < out
 *
 * W itself, forward and dx are untouched.
 */
#ifndef METHODS_ROTATED_SITE_H
#define METHODS_ROTATED_SITE_H

#include "methods/rotation.h"
#include "models/model.h"

/* State of all sites of one role. */
struct rotated_site {
    struct rotation rotation;
    bool dy, x; /* rotated on the way in this step; else the step's gradient is */
};

/* Takes the site's place: its state is *s. */
void rotated_site_put(struct linear *l, struct rotated_site *s);

/* Decides for a step of so many tokens. */
void rotated_site_choose(struct rotated_site *s, size_t tokens);

/* Rotates what was not rotated on the way; room [out, in]. */
void rotated_site_finish(const struct rotated_site *s, real *g, real *room);

/* Operations of both rotations for a step of so many tokens. */
double rotated_site_flops(const struct rotated_site *s, double tokens);

#endif
