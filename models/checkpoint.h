/*
 * Pretrained weights: model.safetensors, or its shards with an index, of a model source. Parameters that a file holds
 * as aligned F32 are used where they lie in its private mapping, so that no weight is ever in memory twice; other types
 * are converted once, matrices that are to be held as bfloat16 (param.h) among them unless the file has them so.
 *
 * One checkpoint serves one load: training writes into its mapping (never into the file).
 */
#ifndef MODELS_CHECKPOINT_H
#define MODELS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/io.h"
#include "models/model.h"
#include "models/source.h"

struct checkpoint; /* opaque */

/* What loading did, for the program to say. Lists live in the arena of the load. */
struct checkpoint_report {
    bool random;               /* the source has no weights: everything was initialised      */
    const char **initialised;  /* [n_initialised] head parameters that the file does not hold */
    size_t n_initialised;
    size_t n_mapped, n_converted, n_ignored; /* parameters used in place, converted; tensors of the file not used */
    size_t bytes_mapped, bytes_converted;
};

/* Opens the weights of a source and checks the files' structure. A zoo model without weights is open and random; a
 * directory without model.safetensors is an error that says what is there instead. Memory from the arena; close it. */
struct checkpoint *checkpoint_open(const struct model_source *source, struct arena *a, struct err *e);

/* Unmaps the files: weights that were used in place are gone. NULL is allowed. */
void checkpoint_close(struct checkpoint *c);

/* True when there are no weights: loading initialises everything. */
bool checkpoint_is_random(const struct checkpoint *c);

/* SHA-256 of the weights: of the file, or for shards of the lines `<digest>  <file>`; "random" without weights. File
 * digests come through digest_file and its cache. */
bool checkpoint_digest(const struct checkpoint *c, char hex[IO_DIGEST], struct err *e);

/* Everything checkpoint_load can find wrong, without loading: each parameter of the model must be there under its name
 * (with or without the `bert.` or `roberta.` prefix, LayerNorm's weight and bias also as gamma and beta),
 * floating-point and of its shape. Only head parameters may be missing. A head of another shape, such as a classifier
 * of another number of labels, is an error unless reinit_head. Errors name file, tensor and shapes. */
bool checkpoint_check(const struct checkpoint *c, const struct model *m, bool reinit_head, struct err *e);

/* Gives every parameter of the registry (added ones apart) its weights. Parameters in place are counted in the arena as
 * MEM_MAPPED, converted and initialised ones are allocated as MEM_WEIGHTS. Missing head parameters, and all those of a
 * model without weights, come from init_param under `seed`. */
bool checkpoint_load(struct checkpoint *c, struct model *m, uint64_t seed, bool reinit_head, struct arena *a,
                     struct checkpoint_report *report, struct err *e);

#endif
