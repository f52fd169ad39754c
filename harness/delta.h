/*
 * What was trained, as a safetensors file: for every parameter with a request its trained values under its own name,
 * and beside a partial request the list of its indices as `<name>.index` with form and block in the metadata
 * (`<name>.form`: rows, cols, blocks or entries). Where requests have moved, values and indices are those of all
 * entries that were ever trained, and `<name>.mask` lists the ones that are trained now. What a selection has moved
 * beyond what is trained stands whole under `<name>.moved`. A full file holds every parameter whole, and the same
 * lists. Reading it into a model with the same requests gives the same weights.
 */
#ifndef HARNESS_DELTA_H
#define HARNESS_DELTA_H

#include "models/model.h"
#include "models/safetensors.h"

/* Tensors of the delta, in the arena; values are gathered copies for partial requests. `extra` leaves room at the
 * end. */
bool delta_tensors(const struct model *m, size_t extra, struct arena *a, struct tensor **tensor, size_t *n,
                   const char ***metadata, struct err *e);

/* Writes the delta, or with `full` every parameter of the model whole. Adds key, value, ..., NULL to the metadata.
 * *bytes: size of the values and indices. */
bool delta_write(const struct model *m, const char *path, bool full, const char *const *metadata, size_t *bytes,
                 struct err *e);

/* Fills weights (and indices of partial requests) of a model that was planned and allocated the same way. */
bool delta_apply(struct model *m, const struct safetensors *file, struct arena *a, struct err *e);
bool delta_read(struct model *m, const char *path, struct err *e);

/* The trained values outside the head, for a model that trains the same: with `values` copied, otherwise only compared
 * (what shares a room or moves is compared in full when it is copied). *given (may be NULL) becomes true where a
 * request got its indices. */
bool delta_start(struct model *m, const struct safetensors *file, bool values, bool *given, struct arena *a,
                 struct err *e);

/* Bytes of the trained values and their indices. */
size_t delta_bytes(const struct model *m);

#endif
