/*
 * Weight gradients, in one file: one function per kind of site, every form of request honoured. All add to p->grad.v;
 * a tapped parameter is shown its dense gradient instead (see struct tap).
 */
#ifndef MODELS_WEIGHT_GRAD_H
#define MODELS_WEIGHT_GRAD_H

#include "models/model.h"

/* Linear weight: gW = dyᵀ x, dy [tokens, rows], x [tokens, cols]. `panels` is scratch of weight_grad_scratch reals. */
bool weight_grad_linear(struct param *p, const struct pass *pass, int tokens, const real *x, const real *dy,
                        real *panels, struct err *e);

/* Bias: gb = column sums of dy [tokens, cols]. */
bool weight_grad_bias(struct param *p, const struct pass *pass, int tokens, const real *dy, struct err *e);

/* LayerNorm: g_weight = column sums of dy * xhat, g_bias = column sums of dy. */
bool weight_grad_norm(const struct norm *n, const struct pass *pass, int tokens, const real *xhat, const real *dy,
                      struct err *e);

/* Embedding: g[id] += dy[t] for every token t; `skip` is the padding row, which has no gradient (-1: none). */
bool weight_grad_embedding(struct param *p, const struct pass *pass, int tokens, const int32_t *ids, int skip,
                           const real *dy, struct err *e);

/* Columns idx[0..n) of x [tokens, width], side by side: out [tokens, n]. */
void gather_columns(int tokens, int width, const real *x, const uint32_t *idx, size_t n, real *out);

/* Reals of scratch that weight_grad_linear needs for a weight of these sizes and request. */
size_t weight_grad_scratch(const struct param *p, int tokens);

/* Is the gradient of p computed in this pass at all? */
bool weight_grad_wanted(const struct param *p, const struct pass *pass);

#endif
