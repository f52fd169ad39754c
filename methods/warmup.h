/*
 * Steps of ordinary dense training before a selection: SparseGrad's and SMT's published codes let the weights move
 * while they look at gradients, and a selection may wait until the head has learnt something. The optimizer is the
 * run's own, at its peak learning rates; gradients and optimizer state are dense and end with the selection. There is
 * no clipping.
 */
#ifndef METHODS_WARMUP_H
#define METHODS_WARMUP_H

#include "methods/method.h"

struct warmup; /* opaque */

/* Training of these parameters alone, in the arena (MEM_SCRATCH but for the optimizer's state). NULL when memory is
 * out. */
struct warmup *warmup_open(const struct method_env *env, struct param *const *moved, size_t n, struct arena *a,
                           struct err *e);

/* One step on training batch `number`. `watch` (may be NULL) is shown the dense gradient of each moved parameter. */
bool warmup_step(struct warmup *w, long number, bool dropout, struct tap *watch, struct err *e);

#endif
