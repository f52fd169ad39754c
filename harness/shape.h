/*
 * Shapes of the buffers of a run. One function serves `plan` and the trainer, so that what is declared is what is
 * taken. Capacities are those of packer_init with the same rows and piece_tokens.
 */
#ifndef HARNESS_SHAPE_H
#define HARNESS_SHAPE_H

#include "harness/spec.h"
#include "models/model.h"

/* Rows that are cut into pieces together: of a micro-batch (ceil(batch_size / gradient_accumulation_steps)), or of the
 * whole batch where the method wants it unsplit (method_env). */
size_t run_rows_together(const struct run_spec *r, bool unsplit);

/* The piece_tokens argument of packer_init and packer_next: 0 where all these rows are one piece (unsplit,
 * micro_batch: none). */
int run_piece_tokens(const struct run_spec *r, bool unsplit);

/* Shape of the workspace for n rows of `shortest` to `longest` tokens (of a dataset, or what plan assumes). */
struct workspace_shape run_workspace_shape(const struct run_spec *r, bool unsplit, size_t n, int longest,
                                           int shortest);

#endif
