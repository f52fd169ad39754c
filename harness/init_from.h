/*
 * `init_from:` of a method's entry: training starts from what was trained before, from a PEFT adapter, a delta
 * directory of ours, or a result file. The head is never taken: tasks have heads of their own. Sparse methods go on
 * with the indices of their source, and select none.
 */
#ifndef HARNESS_INIT_FROM_H
#define HARNESS_INIT_FROM_H

#include "harness/spec.h"

/* The key `init_from`, bound to a struct source: one row. */
extern const struct opt init_from_options[];

/* Before a run starts (r->init_from is not NULL): the source is opened, compared with the method's options and with the
 * tensors that its plan has, and digested into r->init_digest. Errors stand at the option that disagrees, else at the
 * key. */
bool init_from_check(struct run_spec *r, struct arena *a, struct err *e);

/* Puts the values (and indices) into a model that has memory and whose method has attached. *given: some requests got
 * their indices. */
bool init_from_load(const struct run_spec *r, struct model *m, bool *given, struct err *e);

#endif
