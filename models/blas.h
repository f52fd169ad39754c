/* Matrix products in the precision of `real`, row-major. Leading dimensions are row strides. */
#ifndef MODELS_BLAS_H
#define MODELS_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "models/real.h"

enum blas_op { BLAS_N, BLAS_T };

/* C [m,n] = alpha * op(A) [m,k] * op(B) [k,n] + beta * C. Any of m, n, k may be 0. */
void blas_gemm(enum blas_op ta, enum blas_op tb, int m, int n, int k, real alpha, const real *a, int lda,
               const real *b, int ldb, real beta, real *c, int ldc);

/* Y [m,n] = X [m,k] Wᵀ + bias [n] in every row, W [n,k]. */
void blas_linear(int m, int n, int k, const real *x, const real *w, const real *bias, real *y);

/* OpenBLAS's own product, whatever else blas_gemm may use: the rate that `bench` compares with. */
void blas_gemm_openblas(enum blas_op ta, enum blas_op tb, int m, int n, int k, real alpha, const real *a, int lda,
                        const real *b, int ldb, real beta, real *c, int ldc);

/* Does OpenBLAS share a product of this size among threads, so that its bits hang on their number? */
bool blas_shares(int m, int n, int k);

/* What large products of floats are computed by: "openblas", or "amx" (models/split_gemm.h). */
const char *blas_gemm_name(void);

/* C [n,n] += op(A) [n,k] * op(A)ᵀ, the entries on and above the diagonal alone. */
void blas_gram(enum blas_op ta, int n, int k, const real *a, int lda, real *c, int ldc);

/* True when the loaded OpenBLAS is the OpenMP build; its configuration and kernel names for results. */
bool blas_is_openmp(void);
const char *blas_config(void);
const char *blas_corename(void);

/* Threads of all parallel regions, matrix products included. */
void blas_set_threads(int n);
int blas_threads(void);

#endif
