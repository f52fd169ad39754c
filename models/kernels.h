/*
 * Element-wise work between the matrix products. Rows are tokens. Every result is independent of the number of threads:
 * an output element is computed by one thread in a fixed order, and sums over tokens run in token order.
 */
#ifndef MODELS_KERNELS_H
#define MODELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "models/real.h"

/* y [rows, cols] += bias [cols] in each row. */
void add_bias(int rows, int cols, const real *bias, real *y);

/* Each row of y [rows, cols] = row [cols]. */
void fill_rows(int rows, int cols, const real *row, real *y);

/* y [rows, cols] = x * scale [cols] (+ bias [cols]) in each row; bias NULL: none; y may be x. */
void scale_columns(int rows, int cols, const real *x, const real *scale, const real *bias, real *y);

/* y [rows, cols] += x * scale [cols] in each row. */
void add_scaled_columns(int rows, int cols, const real *x, const real *scale, real *y);

/* GELU with the exact erf: y = x Phi(x). In fp32 Phi comes from a rational form good to 3e-7; y may be x. */
void gelu_forward(size_t n, const real *x, real *y);

/* y = x Phi(x), and x becomes GELU's slope Phi(x) + x phi(x), for the price of little more than one of them. */
void gelu_and_slope(size_t n, real *x, real *y);

/* y *= x. */
void multiply(size_t n, const real *x, real *y);

/* LayerNorm over the columns (biased variance, as torch): xhat = (x - mean) * rstd, y = xhat * w + b. xhat may be x; y
 * may be NULL. rstd [rows]. */
void layernorm_forward(int rows, int cols, real eps, const real *x, const real *w, const real *b, real *xhat,
                       real *rstd, real *y);

/* y = xhat * w + b again, bit for bit as layernorm_forward gave it. */
void layernorm_output(int rows, int cols, const real *xhat, const real *w, const real *b, real *y);

/* dx = rstd * (g - mean(g) - xhat * mean(g * xhat)), g = dy * w; dx may be dy. */
void layernorm_backward(int rows, int cols, const real *xhat, const real *rstd, const real *w, const real *dy,
                        real *dx);

/* Softmax of each row in place. */
void softmax_rows(int rows, int cols, real *x);

/* With q = p * mask the probabilities after dropout and dq their gradient, row by row: dx = q * dq - p * sum(q * dq);
 * dx may be dq, and q is p without dropout. */
void softmax_backward_rows(int rows, int cols, const real *p, const real *q, const real *dq, real *dx);

/* out[c] += sum over rows of a[., c], or of a[., c] * b[., c]. */
void add_column_sums(int rows, int cols, const real *a, real *out);
void add_column_dots(int rows, int cols, const real *a, const real *b, real *out);

/* y += x; y = tanh(x); dx = dy * (1 - y²). */
void add_to(size_t n, const real *x, real *y);
void tanh_forward(size_t n, const real *x, real *y);
void tanh_backward(size_t n, const real *y, const real *dy, real *dx);

/*
 * Inverted dropout with counter-based masks: element i of a sequence has 16 bits of its own, half i / 64 % 8 of the
 * eight halves (low before high) of Philox under `key` with counter (i / 512 * 64 + i % 64, row, site, step). It is
 * kept when they are at least P = round(p * 2^16), and divided by 1 - P / 2^16: the expectation is exact, p right to
 * 2^-17. The mask depends on nothing else: not on packing, order, pieces or threads. Applies, in place, to n elements
 * of the sequence, the first of which has number `from`.
 */
struct dropout {
    struct rng_key key;
    uint32_t row, site, step;
    double p;
};
void dropout_range(const struct dropout *d, size_t from, size_t n, real *x);

/* The same over packed sequences: x [start[n_seq], cols]; d->row is taken from row[]. */
void dropout_packed(const struct dropout *d, int n_seq, const int32_t *start, const int32_t *row, int cols, real *x);

/* y = x, which is bfloat16. */
void widen_bf16(size_t n, const uint16_t *x, real *y);

/* Name of the instruction set that is used: "avx512", "avx2" or "base". */
const char *kernels_isa(void);

#endif
