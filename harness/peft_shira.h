/*
 * SHiRA, PEFT's form for sparse changes of weights: beside each module `shira_weight` [n], values that are added to its
 * weight at `shira_indices` [2, n] (rows, columns; int32, here in row-major order), with n = r (in + out) for one
 * integer r of the whole adapter.
 *
 * Source: Bhardwaj et al. 2024, arXiv:2406.13175; layout of PEFT from version 0.16 on.
 */
#ifndef HARNESS_PEFT_SHIRA_H
#define HARNESS_PEFT_SHIRA_H

#include "harness/peft_dir.h"

/* Is this a tensor of SHiRA, `<module>.shira_weight` or `.shira_indices`? */
bool peft_shira_is(const char *name);

/* Checks the deltas of an adapter, and with `values` adds them to the model's weights. */
bool peft_shira_add(const struct peft_dir *d, struct model *m, bool values, struct err *e);

/* The deltas of a model against its base (the same parameters before training) as tensors with PEFT's keys, in the
 * arena; room: [2 * m->n_sites]. *r: the adapter's; *modules: their names as a JSON list. What has no such form (other
 * parameters than weights of linear modules, too many entries) is an error that says so; `method` is named in it. */
bool peft_shira_tensors(const struct model *m, const struct model *base, const char *method, struct tensor *room,
                        size_t *n, long long *r, const char **modules, struct arena *a, struct err *e);

#endif
