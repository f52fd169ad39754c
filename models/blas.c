/* OpenBLAS behind blas.h. */
#include "models/blas.h"

#include <cblas.h>
#include <omp.h>

void blas_gemm(enum blas_op ta, enum blas_op tb, int m, int n, int k, real alpha, const real *a, int lda,
               const real *b, int ldb, real beta, real *c, int ldc)
{
    if (m == 0 || n == 0)
        return;
    CBLAS_TRANSPOSE opa = ta == BLAS_T ? CblasTrans : CblasNoTrans, opb = tb == BLAS_T ? CblasTrans : CblasNoTrans;
#ifdef PEFTLAB_F64
    cblas_dgemm(CblasRowMajor, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
#else
    cblas_sgemm(CblasRowMajor, opa, opb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
#endif
}

void blas_gram(enum blas_op ta, int n, int k, const real *a, int lda, real *c, int ldc)
{
    CBLAS_TRANSPOSE op = ta == BLAS_T ? CblasTrans : CblasNoTrans;
#ifdef PEFTLAB_F64
    cblas_dsyrk(CblasRowMajor, CblasUpper, op, n, k, 1, a, lda, 1, c, ldc);
#else
    cblas_ssyrk(CblasRowMajor, CblasUpper, op, n, k, 1, a, lda, 1, c, ldc);
#endif
}

bool blas_is_openmp(void) { return openblas_get_parallel() == OPENBLAS_OPENMP; }
const char *blas_config(void) { return openblas_get_config(); }
const char *blas_corename(void) { return openblas_get_corename(); }

void blas_set_threads(int n)
{
    omp_set_num_threads(n);
    openblas_set_num_threads(n);
}

int blas_threads(void) { return omp_get_max_threads(); }
