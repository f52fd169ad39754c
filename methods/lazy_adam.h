/*
 * Adam for gradients whose few non-zero entries change from step to step, as PyTorch's SparseAdam: on the entries of
 * this step's gradient, and on no others,
 *
 *     m += (1-b1)(g - m);  v += (1-b2)(g² - v);  delta = -lr sqrt(1-b2^t)/(1-b1^t) * m / (sqrt(v) + eps)
 *
 * with t the tensor's own steps, not the entry's, and without decay. Where the training's optimizer is SGD, delta =
 * -lr g (no momentum).
 *
 * PyTorch keeps m and v for every entry. Here they exist where a gradient was ever seen: eight neighbours share a line
 * of memory, taken from the run's arena when the first of them is touched. The result is that of the dense state.
 */
#ifndef METHODS_LAZY_ADAM_H
#define METHODS_LAZY_ADAM_H

#include "methods/method.h"

struct lazy_adam; /* opaque */

/* Bytes that lazy_adam_create takes for tensors of these sizes, and what they can grow to. */
void lazy_adam_bytes(const size_t *size, size_t n, size_t bytes[MEM_TAGS]);

struct lazy_adam *lazy_adam_create(const size_t *size, size_t n, struct arena *a, struct err *e);

/* One step of tensor i at learning rate lr: g [n], the gradient of the entries idx [n] (ascending), becomes what is to
 * be added to them. */
bool lazy_adam_step(struct lazy_adam *s, size_t i, const struct optim_options *o, double lr, const uint32_t *idx,
                    size_t n, real *g, struct err *e);

/* Entries that there is state for. */
size_t lazy_adam_entries(const struct lazy_adam *s);

/* m and v of an entry of tensor i; zero where nothing is stored. */
void lazy_adam_look(const struct lazy_adam *s, size_t i, uint32_t entry, real *m, real *v);

/* As the `state` hook of a method: what is restored may be larger than what there is. When memory for it is out, the
 * next step says so. */
void lazy_adam_state(struct lazy_adam *s, void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u);

#endif
