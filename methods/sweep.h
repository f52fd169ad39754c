/*
 * Gradients summed over probes before training, tensor by tensor: what selections need that look at more than one
 * batch. The sums are dense, in scratch that is gone when the arena's mark is released; the peak is reported with the
 * selection, not with the training.
 */
#ifndef METHODS_SWEEP_H
#define METHODS_SWEEP_H

#include "methods/warmup.h"

enum sweep_unit {
    SWEEP_BATCHES, /* gradients of the mean loss of training batches `first` to `first + count - 1`     */
    SWEEP_EXAMPLES /* gradients of `count` single examples, those of training batch `first` and on     */
};

struct sweep {
    struct param *const *target; /* [n] */
    size_t n;
    enum sweep_unit unit;
    long first, count;
    bool dropout;
    bool squares;                /* g² in place of g, entry by entry */
    struct warmup *warmup;       /* NULL, or what takes a step on each batch meanwhile; it moves the targets too */
};

/* The sums: [n] arrays of param_size(target[i]), NULL when memory is out. Sets and clears `tapped`. */
real **sweep_gradients(const struct method_env *env, const struct sweep *s, struct arena *a, struct err *e);

/* Gradient of the mean loss of these examples of training batch `number`, added to sum [n] (as sweep_gradients gives
 * it). */
bool sweep_add(const struct method_env *env, const struct sweep *s, const struct probe_batch *b, real **sum,
               struct err *e);

#endif
