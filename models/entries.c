/*
 * Gradients of single entries, g_i = dy[:, row]ᵀ x[:, column]. Tokens lie apart in both matrices, so panels of some
 * tokens are transposed first, small enough for the second-level cache, and each entry is then a dot product of two
 * contiguous runs: about as many multiply-adds as there are entries and tokens, in memory order.
 */
#include "models/entries.h"

#include "models/blas.h"
#include "models/entries_table.h"

ISA_DECLARE(struct entry_kernels, entry_);

/* Panels that are worked on at a time: one a thread. */
static int lanes(int tokens)
{
    int panels = (tokens + ENTRY_PANEL - 1) / ENTRY_PANEL, threads = blas_threads();
    return panels < threads ? panels : threads;
}

size_t entry_grads_scratch(int cols, size_t n, int tokens)
{
    return (size_t)lanes(tokens) * entry_panel_room(cols, n);
}

void entry_grads(const struct entries *e, int tokens, const real *x, const real *dy, real *room, real *g)
{
    ISA_CHOOSE(entry_)->grads(e, tokens, lanes(tokens), x, dy, room, g);
}

void transpose(int rows, int cols, const real *x, real *xt) { ISA_CHOOSE(entry_)->transpose(rows, cols, x, xt); }
