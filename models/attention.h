/*
 * Multi-head self-attention over packed sequences (Vaswani et al. 2017): for each sequence and head,
 * ctx = dropout(softmax(Q Kᵀ / sqrt(d))) V. Probabilities are not kept: backward computes them again, so that memory
 * stays linear in the length.
 */
#ifndef MODELS_ATTENTION_H
#define MODELS_ATTENTION_H

#include "models/kernels.h"
#include "models/model.h"

struct attention {
    int heads, hidden;      /* hidden = heads * d                                   */
    struct dropout dropout; /* on the probabilities; p = 0: none. Element = head, query, key */
    int max_len;            /* longest sequence the scratch has room for            */
    real *scratch;          /* attention_scratch(...) reals                         */
};

/* Reals of scratch for all threads. */
size_t attention_scratch(int hidden, int heads, int max_len, int threads);

/* q, k, v, ctx [n_tok, hidden]. */
void attention_forward(const struct attention *a, const struct batch *b, const real *q, const real *k, const real *v,
                       real *ctx);

/* Replaces q, k, v by their gradients. */
void attention_backward(const struct attention *a, const struct batch *b, const real *dctx, real *q, real *k, real *v);

#endif
