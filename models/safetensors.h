/*
 * The safetensors format: named tensors in one file, read through a private mapping and written without a second copy.
 *
 * A file is a header length (8 bytes, little-endian), a JSON header that gives for each tensor its dtype, shape and
 * byte range behind the header, and the data. Used for checkpoints, exported models and deltas, saved training state,
 * and golden files.
 */
#ifndef MODELS_SAFETENSORS_H
#define MODELS_SAFETENSORS_H

#include "base/arena.h"
#include "models/tensor.h"

/* A file that is open for reading. Everything but the mapping lives in the arena given to safetensors_open. */
struct safetensors {
    const char *path;
    struct tensor *tensor;           /* [n] in the order of their data           */
    const struct tensor **by_name;   /* [n] the same in alphabetical order       */
    size_t n;
    const char **metadata;           /* [2 * n_metadata] key, value, key, ...    */
    size_t n_metadata;
    unsigned char *map;              /* private and writable; NULL when parsed from memory */
    size_t map_size;
};

/* Maps the file and checks all of it but the numbers: lengths, header, dtypes, shapes, ranges without overlap, hole or
 * rest. Errors (ERR_INPUT) name the file and the tensor. The mapping is MAP_PRIVATE and writable: what is written to a
 * tensor never reaches the file. Close it with safetensors_close once this has succeeded. */
bool safetensors_open(struct safetensors *s, const char *path, struct arena *a, struct err *e);

/* The same for a file in memory, which must stay there and is never written; `name` stands for it in messages. */
bool safetensors_parse(struct safetensors *s, const char *name, const void *data, size_t size, struct arena *a,
                       struct err *e);

/* Unmaps; tensor data is gone. Harmless when zeroed, closed or parsed from memory. */
void safetensors_close(struct safetensors *s);

/* Lets go of the memory behind a tensor that was read and will not be read soon: it comes back from the file. Nothing
 * may have been written to it. */
void safetensors_drop(const struct safetensors *s, const struct tensor *t);

/* Tensor of a name, or NULL. */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);

/* Tensor of a name with this type and, unless negative, this number of elements; NULL with an error that names file
 * and tensor: for files whose contents are known. */
const struct tensor *safetensors_need(const struct safetensors *s, const char *name, enum tensor_type type,
                                      long long count, struct err *e);

/* Value of a key of __metadata__, or NULL. */
const char *safetensors_metadata(const struct safetensors *s, const char *key);

/* Writes the tensors (with io_write_pieces: whole or not at all) without copying their data. They keep their order, but
 * wider elements come first so that all data are aligned. `metadata` is key, value, ..., NULL (or NULL); "format": "pt"
 * is added, as other readers expect. Names must differ (assert). The arena is used for the header and given back. */
bool safetensors_write(const char *path, const struct tensor *tensors, size_t n, const char *const *metadata,
                       struct arena *a, struct err *e);

#endif
