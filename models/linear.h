/* A linear site's forward and backward, overrides included. */
#ifndef MODELS_LINEAR_H
#define MODELS_LINEAR_H

#include "models/model.h"

/* y [tokens, out] = x [tokens, in] Wᵀ + b, or what the override makes of it. */
void linear_forward(const struct linear *l, struct pass *p, int tokens, const real *x, real *y);

/* Adds the requested gradients of W and b, and dx [tokens, in] = dy W + beta * dx where dx is not NULL. x may be NULL
 * when linear_needs_input is false. False only when the tap fails. */
bool linear_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                     real beta, real *panels, struct err *e);

/* The same without the override: what overrides are made of. */
void linear_plain_forward(const struct linear *l, int tokens, const real *x, real *y);
bool linear_plain_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                           real beta, real *panels, struct err *e);

/* What the override kept of this pass's forward, or is to keep; NULL: backward computes it again. */
static inline real *linear_kept(const struct linear *l, const struct pass *p)
{
    return p->kept ? p->kept[l->number] : NULL;
}

/* Does backward need this site's input? Only where its weight's gradient is requested or tapped, or it is
 * overridden. */
bool linear_needs_input(const struct linear *l, bool probe);

#endif
