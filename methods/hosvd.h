/*
 * Orthogonal bases for a stack of gradients G_1 ... G_n, each [out, in]: the two factors of its higher-order singular
 * value decomposition (Tucker 1966; De Lathauwer, De Moor, Vandewalle 2000). The factor of a mode is the left singular
 * vectors of the unfolding along it, and these are the eigenvectors of a Gram matrix that is a sum over the stack,
 *
 *     P: sum_t G_t G_tᵀ  [out, out],     Q: sum_t G_tᵀ G_t  [in, in],
 *
 * so that matrices are added one by one as they come and neither the stack nor an unfolding ever exists.
 */
#ifndef METHODS_HOSVD_H
#define METHODS_HOSVD_H

#include "base/arena.h"
#include "base/rng.h"
#include "models/real.h"

struct hosvd {
    int out, in;
    real *gram_out, *gram_in; /* [out, out], [in, in], on and above the diagonal */
};

/* Empty sums, in the arena's scratch. */
bool hosvd_open(struct hosvd *h, int out, int in, struct arena *a, struct err *e);

/* Adds g [out, in]. */
void hosvd_add(struct hosvd *h, const real *g);

/* The bases, a vector a row, the strongest first: p [out, out] holds Pᵀ, q [in, in] Qᵀ. Signs as eigen_symmetric sets
 * them. */
bool hosvd_bases(const struct hosvd *h, real *p, real *q, struct arena *a, struct err *e);

/* A random basis [n, n], every one equally likely up to signs: the eigenvectors of a symmetric Gaussian matrix. */
bool random_basis(int n, struct rng *r, real *basis, struct arena *a, struct err *e);

/* Bytes that hosvd_bases takes for a while for its larger side n. */
size_t hosvd_bytes(size_t n);

#endif
