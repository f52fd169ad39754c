/*
 * Tensors of files: see tensor.h. Half precision is IEEE 754 binary16 (5 exponent bits, bias 15); bfloat16 is the upper
 * half of a binary32.
 */
#include "models/tensor.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files hold little-endian numbers and are used as they lie");

static const struct {
    const char *name;
    size_t size;
} types[] = {
#define X(name, size) {#name, size},
    TENSOR_TYPE_LIST(X)
#undef X
};

const char *tensor_type_name(enum tensor_type type) { return types[type].name; }
size_t tensor_type_size(enum tensor_type type) { return types[type].size; }
bool tensor_is_float(enum tensor_type type) { return type <= TENSOR_BF16; }

size_t tensor_count(const struct tensor *t) { return t->bytes / types[t->type].size; }

const char *tensor_shape_text(const struct tensor *t, char *buf, size_t size)
{
    size_t n = (size_t)snprintf(buf, size, "[");
    for (int i = 0; i < t->ndim && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    if (n < size)
        snprintf(buf + n, size - n, "]");
    return buf;
}

struct tensor tensor_scalar(const char *name, enum tensor_type type, const void *data)
{
    return (struct tensor){.name = name, .type = type, .data = data, .bytes = types[type].size};
}

struct tensor tensor_vector(const char *name, enum tensor_type type, size_t n, const void *data)
{
    struct tensor t = tensor_scalar(name, type, data);
    t.ndim = 1;
    t.shape[0] = (int64_t)n;
    t.bytes *= n;
    return t;
}

struct tensor tensor_matrix(const char *name, enum tensor_type type, size_t rows, size_t cols, const void *data)
{
    struct tensor t = tensor_vector(name, type, rows * cols, data);
    t.ndim = 2;
    t.shape[0] = (int64_t)rows;
    t.shape[1] = (int64_t)cols;
    return t;
}

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float float_of_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;
    if (exponent == 31) /* infinity, NaN */
        return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { /* zero, subnormal: fraction · 2^-24, exact in a float */
        float f = ldexpf((float)fraction, -24);
        return sign ? -f : f;
    }
    return float_of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

/* Element i as a double; memcpy because files align nothing. */
static double element(const struct tensor *t, size_t i)
{
    const unsigned char *p = (const unsigned char *)t->data + i * types[t->type].size;
    uint16_t half;
    float f;
    double d;
    switch (t->type) {
    case TENSOR_F64:
        memcpy(&d, p, sizeof d);
        return d;
    case TENSOR_F32:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case TENSOR_F16:
        memcpy(&half, p, sizeof half);
        return (double)float_of_half(half);
    default:
        memcpy(&half, p, sizeof half);
        return (double)float_of_bits((uint32_t)half << 16);
    }
}

void tensor_to_real(const struct tensor *t, real *out)
{
    assert(tensor_is_float(t->type));
    size_t n = tensor_count(t);
    if (t->type == TENSOR_REAL && n)
        memcpy(out, t->data, t->bytes);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (real)element(t, i);
}

void tensor_to_double(const struct tensor *t, double *out)
{
    assert(tensor_is_float(t->type));
    for (size_t i = 0, n = tensor_count(t); i < n; i++)
        out[i] = element(t, i);
}
