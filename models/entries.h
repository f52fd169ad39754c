/* Gradients of single entries of a weight: see entries.c. */
#ifndef MODELS_ENTRIES_H
#define MODELS_ENTRIES_H

#include <stddef.h>
#include <stdint.h>

#include "models/real.h"

/* A list of entries of a weight [rows, cols]: idx[i] = row * cols + column, ascending. */
struct entries {
    int rows, cols;
    size_t n;
    const uint32_t *idx; /* [n] */
};

/* g[i] += sum over tokens of dy[t, row of entry i] * x[t, column of entry i]; dy [tokens, rows], x [tokens, cols].
 * room: entry_grads_scratch reals. The bits depend neither on the number of threads nor on the instruction set. */
void entry_grads(const struct entries *e, int tokens, const real *x, const real *dy, real *room, real *g);
size_t entry_grads_scratch(int cols, size_t n, int tokens);

/* xt [cols, rows] = transpose of x [rows, cols]. */
void transpose(int rows, int cols, const real *x, real *xt);

#endif
