/*
 * A named tensor as files hold it: type, shape, bytes; and its conversion to the numbers that models compute with.
 */
#ifndef MODELS_TENSOR_H
#define MODELS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Descriptions of data in memory, for writing. */
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
