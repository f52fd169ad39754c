/* What entries.simd.c makes for each instruction set: internal to entries. */
#ifndef MODELS_ENTRIES_TABLE_H
#define MODELS_ENTRIES_TABLE_H

#include "models/entries.h"
#include "models/isa.h"

enum {
    ENTRY_PANEL = 128, /* tokens  */
    ENTRY_STRIP = 64,  /* rows    */
    ENTRY_BLOCK = 1536 /* columns */
};

/* Sums over one panel; whole cache lines, since no load of a dot product should touch two. */
static inline size_t entry_sums_room(size_t n) { return (n + 15) / 16 * 16; }

/* Reals of room for one panel: the two transposes, and the sums. */
static inline size_t entry_panel_room(int cols, size_t n)
{
    size_t block = (size_t)(cols < ENTRY_BLOCK ? cols : ENTRY_BLOCK);
    return (ENTRY_STRIP + block) * ENTRY_PANEL + entry_sums_room(n);
}

struct entry_kernels {
    void (*grads)(const struct entries *e, int tokens, int lanes, const real *x, const real *dy, real *room, real *g);
    void (*transpose)(int rows, int cols, const real *x, real *xt);
};

#endif
