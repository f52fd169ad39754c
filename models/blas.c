/* OpenBLAS behind blas.h, and the matrix unit where there is one. */
#include "models/blas.h"

#include <cblas.h>
#include <omp.h>

#include "models/kernels.h"
#include "models/split_gemm.h"

void blas_gemm_openblas(enum blas_op ta, enum blas_op tb, int m, int n, int k, real alpha, const real *a, int lda,
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

bool blas_shares(int m, int n, int k) { return (double)m * n * k > 0x1p18; }

/* A side is as short as LoRA's rank. Rows of A as it stands are tokens: no bit may hang on their number. */
static bool is_thin(enum blas_op ta, int m, int n, int k)
{
    enum { THIN = 16 };
    return n <= THIN || k <= THIN || (ta == BLAS_T && m <= THIN);
}

#ifdef PEFTLAB_F64

static bool by_unit(int m, int n, int k, bool thin) { return thin && m < 0 && n < 0 && k < 0; }
#define SPLIT_GEMM(...) ((void)0)

#else

static bool by_unit(int m, int n, int k, bool thin) { return split_gemm_available() && split_gemm_pays(m, n, k, thin); }
#define SPLIT_GEMM(...) split_gemm(__VA_ARGS__)

#endif

/* Strips of the longer side of C, each by one thread: OpenBLAS shares thin products badly. */
static void by_strips(enum blas_op ta, enum blas_op tb, int m, int n, int k, real alpha, const real *a, int lda,
                      const real *b, int ldb, real beta, real *c, int ldc)
{
    enum { STRIP = 128 };
    bool down = m >= n;
    int whole = down ? m : n;
#pragma omp parallel for schedule(static)
    for (int at = 0; at < whole; at += STRIP) {
        int some = whole - at < STRIP ? whole - at : STRIP;
        size_t row = down ? (size_t)at : 0, column = down ? 0 : (size_t)at;
        const real *rows = a + row * (ta == BLAS_T ? 1 : (size_t)lda);
        const real *columns = b + column * (tb == BLAS_T ? (size_t)ldb : 1);
        blas_gemm_openblas(ta, tb, down ? some : m, down ? n : some, k, alpha, rows, lda, columns, ldb, beta,
                           c + row * (size_t)ldc + column, ldc);
    }
}

const char *blas_gemm_name(void) { return by_unit(1 << 10, 1 << 10, 1 << 10, false) ? "amx" : "openblas"; }

void blas_gemm(enum blas_op ta, enum blas_op tb, int m, int n, int k, real alpha, const real *a, int lda,
               const real *b, int ldb, real beta, real *c, int ldc)
{
    bool thin = is_thin(ta, m, n, k);
    if (by_unit(m, n, k, thin))
        SPLIT_GEMM(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, NULL, c, ldc);
    else if (thin && blas_shares(m, n, k))
        by_strips(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    else
        blas_gemm_openblas(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/* The bias goes first: OpenBLAS would fill with zeros what it adds to. */
void blas_linear(int m, int n, int k, const real *x, const real *w, const real *bias, real *y)
{
    if (by_unit(m, n, k, is_thin(BLAS_N, m, n, k))) {
        SPLIT_GEMM(BLAS_N, BLAS_T, m, n, k, 1, x, k, w, k, 0, bias, y, n);
        return;
    }
    fill_rows(m, n, bias, y);
    blas_gemm(BLAS_N, BLAS_T, m, n, k, 1, x, k, w, k, 1, y, n);
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
