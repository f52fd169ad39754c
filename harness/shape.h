/*
 * Shapes of the buffers of a run. One function serves `plan` and the trainer, so that what is declared is what is
 * taken. Capacities are those of packer_init with the same rows and piece_tokens.
 */
#ifndef HARNESS_SHAPE_H
#define HARNESS_SHAPE_H

#include "harness/spec.h"
#include "models/model.h"

enum run_pass {
    PASS_TRAIN, /* pieces of one micro-batch: keeps what backward needs                             */
    PASS_EVAL,  /* rows of a file, batch_size at a time                                              */
    PASS_PROBE  /* a whole logical batch as one piece: per-layer checkpointing bounds its activations */
};

/* Rows that are cut into pieces together: of a micro-batch (ceil(batch_size / gradient_accumulation_steps)), else
 * batch_size. */
size_t run_pass_rows(const struct run_spec *r, enum run_pass pass);

/* The piece_tokens argument of packer_init and packer_next: 0 where all rows are one piece (a probe, micro_batch:
 * none). */
int run_piece_tokens(const struct run_spec *r, enum run_pass pass);

/* Shape of the workspace for n rows of `shortest` to `longest` tokens (of a dataset, or what plan assumes). */
struct workspace_shape run_workspace_shape(const struct run_spec *r, enum run_pass pass, size_t n, int longest,
                                           int shortest);

#endif
