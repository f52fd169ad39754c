/*
 * A head start for the head, taken back afterwards. The gradient of a fresh model flows through a random head; some
 * steps of the head alone give a selection a head that has learnt something. What the head learnt is then forgotten, so
 * that runs with and without differ in nothing but what was selected.
 */
#ifndef METHODS_HEAD_START_H
#define METHODS_HEAD_START_H

#include "methods/method.h"

struct head_start; /* opaque */

/* `steps` steps of the head's trained parameters on training batches `first` and on, with dropout as in training
 * (methods/warmup.h). In the arena; NULL when memory is out. */
struct head_start *head_start_take(const struct method_env *env, long first, long steps, struct arena *a,
                                   struct err *e);

/* The head as it was, bit by bit. */
void head_start_undo(struct head_start *h);

#endif
