/*
 * The safetensors format: named tensors in one file, read through a private mapping and written without a second copy.
 *
 * A file is a header length (8 bytes, little-endian), a JSON header that gives for each tensor its dtype, shape and byte
 * range behind the header, and the data. Used for checkpoints, exported models and deltas, saved training state, and golden
 * files.
 */
#ifndef MODELS_SAFETENSORS_H
#define MODELS_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "models/real.h"

/* Name in files, bytes of an element. Only the first four are floating-point. */
#define TENSOR_TYPE_LIST(X)                                                                                            \
    X(F64, 8) X(F32, 4) X(F16, 2) X(BF16, 2) X(I64, 8) X(I32, 4) X(I16, 2) X(I8, 1) X(U64, 8) X(U32, 4) X(U16, 2)     \
    X(U8, 1) X(BOOL, 1)

enum tensor_type {
#define X(name, size) TENSOR_##name,
    TENSOR_TYPE_LIST(X)
#undef X
        TENSOR_TYPES
};

#ifdef PEFTLAB_F64
#define TENSOR_REAL TENSOR_F64
#else
#define TENSOR_REAL TENSOR_F32
#endif

enum { TENSOR_MAX_DIMS = 8 };

struct tensor {
    const char *name;
    enum tensor_type type;
    int ndim;                        /* 0: a scalar                              */
    int64_t shape[TENSOR_MAX_DIMS];
    const void *data;                /* row-major, little-endian; read from a file it may be misaligned */
    size_t bytes;
};

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

/* Tensor of a name, or NULL. */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);

/* Tensor of a name with this type and, unless negative, this number of elements; NULL with an error that names file
 * and tensor: for files whose contents are known. */
const struct tensor *safetensors_need(const struct safetensors *s, const char *name, enum tensor_type type,
                                      long long count, struct err *e);

/* Value of a key of __metadata__, or NULL. */
const char *safetensors_metadata(const struct safetensors *s, const char *key);

/* Writes the tensors (with io_write_pieces: whole or not at all) without copying their data. They keep their order, but
 * wider elements come first so that all data are aligned. `metadata` is key, value, ..., NULL (or NULL); "format": "pt" is
 * added, as other readers expect. Names must differ (assert). The arena is used for the header and given back. */
bool safetensors_write(const char *path, const struct tensor *tensors, size_t n, const char *const *metadata,
                       struct arena *a, struct err *e);

/* Descriptions for writing. */
struct tensor tensor_scalar(const char *name, enum tensor_type type, const void *data);
struct tensor tensor_vector(const char *name, enum tensor_type type, size_t n, const void *data);
struct tensor tensor_matrix(const char *name, enum tensor_type type, size_t rows, size_t cols, const void *data);

/* Number of elements; name of a type ("F32") and bytes of one of its elements. */
size_t tensor_count(const struct tensor *t);
const char *tensor_type_name(enum tensor_type type);
size_t tensor_type_size(enum tensor_type type);
bool tensor_is_float(enum tensor_type type);

/* Shape as text, "[768, 768]", into buf; returns buf. */
const char *tensor_shape_text(const struct tensor *t, char *buf, size_t size);

/* Elements of a floating-point tensor (assert) as reals or doubles, all of them, from any alignment. */
void tensor_to_real(const struct tensor *t, real *out);
void tensor_to_double(const struct tensor *t, double *out);

#endif
