/* Clipping of all requested gradients by their global norm, as torch.nn.utils.clip_grad_norm_. */
#ifndef METHODS_CLIP_H
#define METHODS_CLIP_H

#include "models/param.h"

/* Euclidean norm of n numbers squared, in double, over fixed blocks: the same bits for any number of threads. */
double sum_of_squares(const real *v, size_t n);

/* Norm of all requested gradients together. */
double grad_norm(const struct param_list *params);

/* What gradients of this norm are to be multiplied with: max_norm / (norm + 1e-6), at most 1; 1 where max_norm <= 0 or
 * the norm is not finite. */
double clip_factor(double norm, double max_norm);

/* Scales all requested gradients by max_norm / (norm + 1e-6) where that is below 1; returns the norm before. max_norm
 * <= 0 only measures. A norm that is not finite is returned and nothing is scaled: the run has diverged. */
double clip_grad_norm(struct param_list *params, double max_norm);

#endif
