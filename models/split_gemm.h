/*
 * Single-precision matrix products on the bfloat16 matrix unit (Intel AMX) by splitting every operand into three
 * bfloat16 numbers: as accurate as SGEMM, and faster where the processor has the unit.
 */
#ifndef MODELS_SPLIT_GEMM_H
#define MODELS_SPLIT_GEMM_H

#include <stdbool.h>

#include "models/blas.h"

/* Has the processor the unit, does the system grant it, was it built in, and did nobody switch it off
 * (PEFTLAB_GEMM=openblas in the environment)? */
bool split_gemm_available(void);

/* Is a product of this size to be computed so? Small and thin ones are not, where one side is so short that packing the
 * others is most of the work; all are with PEFTLAB_GEMM=amx, for tests. */
bool split_gemm_pays(int m, int n, int k, bool thin);

/* The contract of blas_gemm, for m, n, k > 0 and where the unit is available; bias [n], or NULL, is added to every row
 * (beta must be 0 then). Bits depend on neither the number of threads nor on m: rows may be cut as one likes. Called by
 * one thread, or by the threads of one parallel region (each then computes its own product alone). */
void split_gemm(enum blas_op ta, enum blas_op tb, int m, int n, int k, float alpha, const float *a, int lda,
                const float *b, int ldb, float beta, const float *bias, float *c, int ldc);

#endif
