/* The kernels as a list, from which the tables of the instruction sets and the public functions are made. */
#ifndef MODELS_KERNELS_TABLE_H
#define MODELS_KERNELS_TABLE_H

#include "models/kernels.h"

#define KERNEL_LIST(X)                                                                                                 \
    X(add_bias, (int rows, int cols, const real *bias, real *y), (rows, cols, bias, y))                                \
    X(fill_rows, (int rows, int cols, const real *row, real *y), (rows, cols, row, y))                                 \
    X(scale_columns, (int rows, int cols, const real *x, const real *scale, const real *bias, real *y),                \
      (rows, cols, x, scale, bias, y))                                                                                 \
    X(add_scaled_columns, (int rows, int cols, const real *x, const real *scale, real *y), (rows, cols, x, scale, y))  \
    X(gelu_forward, (size_t n, const real *x, real *y), (n, x, y))                                                     \
    X(gelu_and_slope, (size_t n, real *x, real *y), (n, x, y))                                                         \
    X(multiply, (size_t n, const real *x, real *y), (n, x, y))                                                         \
    X(layernorm_forward,                                                                                               \
      (int rows, int cols, real eps, const real *x, const real *w, const real *b, real *xhat, real *rstd, real *y),    \
      (rows, cols, eps, x, w, b, xhat, rstd, y))                                                                       \
    X(layernorm_output, (int rows, int cols, const real *xhat, const real *w, const real *b, real *y),                 \
      (rows, cols, xhat, w, b, y))                                                                                     \
    X(layernorm_backward,                                                                                              \
      (int rows, int cols, const real *xhat, const real *rstd, const real *w, const real *dy, real *dx),               \
      (rows, cols, xhat, rstd, w, dy, dx))                                                                             \
    X(softmax_rows, (int rows, int cols, real *x), (rows, cols, x))                                                    \
    X(softmax_backward_rows, (int rows, int cols, const real *p, const real *q, const real *dq, real *dx),             \
      (rows, cols, p, q, dq, dx))                                                                                      \
    X(add_column_sums, (int rows, int cols, const real *a, real *out), (rows, cols, a, out))                           \
    X(add_column_dots, (int rows, int cols, const real *a, const real *b, real *out), (rows, cols, a, b, out))         \
    X(add_to, (size_t n, const real *x, real *y), (n, x, y))                                                           \
    X(tanh_forward, (size_t n, const real *x, real *y), (n, x, y))                                                     \
    X(tanh_backward, (size_t n, const real *y, const real *dy, real *dx), (n, y, dy, dx))                              \
    X(dropout_range, (const struct dropout *d, size_t from, size_t n, real *x), (d, from, n, x))                       \
    X(dropout_packed,                                                                                                  \
      (const struct dropout *d, int n_seq, const int32_t *start, const int32_t *row, int cols, real *x),               \
      (d, n_seq, start, row, cols, x))                                                                                 \
    X(widen_bf16, (size_t n, const uint16_t *x, real *y), (n, x, y))

struct kernels {
#define X(name, parameters, arguments) void(*name) parameters;
    KERNEL_LIST(X)
#undef X
};

#endif
