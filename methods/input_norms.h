/* Norms of the inputs of linear sites, channel by channel, over probes: Wanda's second factor. */
#ifndef METHODS_INPUT_NORMS_H
#define METHODS_INPUT_NORMS_H

#include "methods/method.h"

/* ||x_j||, the root of the sum of squares over all tokens of training batches 0 to batches - 1 without dropout: [n]
 * arrays of site[i]->in in scratch. No site may be overridden. NULL when a probe or memory fails. */
double **input_norms(const struct method_env *env, struct linear *const *site, size_t n, long batches,
                     struct arena *a, struct err *e);

#endif
