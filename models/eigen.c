/*
 * Eigenvectors: see eigen.h. LAPACK's divide-and-conquer driver is called under its Fortran name, which OpenBLAS
 * exports: the C interface's ssyevd passes the size of the work space through a float, which from n = 2895 on rounds
 * it to less than is needed.
 */
#include "models/eigen.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Lengths of the character arguments come last, as gfortran passes them. */
extern void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
                    double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t jobz_length,
                    size_t uplo_length);

static void swap_rows(size_t n, double *a, double *b)
{
    for (size_t j = 0; j < n; j++) {
        double x = a[j];
        a[j] = b[j];
        b[j] = x;
    }
}

static void make_largest_positive(size_t n, double *row)
{
    size_t at = 0;
    for (size_t j = 1; j < n; j++)
        if (fabs(row[j]) > fabs(row[at]))
            at = j;
    for (size_t j = 0; j < n && row[at] < 0; j++)
        if (j != at)
            row[j] = -row[j];
    row[at] = fabs(row[at]);
}

/* Column-major columns are row-major rows; LAPACK's order is ascending. */
static void arrange(size_t n, double *a, double *value)
{
    for (size_t i = 0; i < n / 2; i++) {
        swap_rows(n, a + i * n, a + (n - 1 - i) * n);
        swap_rows(1, value + i, value + n - 1 - i);
    }
    for (size_t i = 0; i < n; i++)
        make_largest_positive(n, a + i * n);
}

static bool solve(int n, double *a, double *value, struct arena *arena, struct err *e)
{
    int lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n, info = 0;
    double *work = ARENA_NEW(arena, MEM_SCRATCH, double, (size_t)lwork, e);
    TRY(work);
    int *iwork = ARENA_NEW(arena, MEM_SCRATCH, int, (size_t)liwork, e);
    TRY(iwork);
    dsyevd_("V", "L", &n, a, &n, value, work, &lwork, iwork, &liwork, &info, 1, 1);
    return info == 0 || err_set(e, ERR_RUN, "no eigenvectors of a %d x %d matrix were found", n, n);
}

size_t eigen_bytes(size_t n) { return (1 + 6 * n + 2 * n * n) * sizeof(double) + (3 + 5 * n) * sizeof(int); }

static bool is_finite(size_t n, const double *a)
{
    for (size_t i = 0; i < n * n; i++)
        if (!isfinite(a[i]))
            return false;
    return true;
}

bool eigen_symmetric(int n, double *a, double *value, struct arena *arena, struct err *e)
{
    struct arena_mark mark = arena_mark(arena);
    if (!is_finite((size_t)n, a))
        return err_set(e, ERR_RUN, "a %d x %d matrix has entries that are not finite, and no eigenvectors", n, n);
    bool ok = solve(n, a, value, arena, e);
    arena_release(arena, mark);
    if (ok)
        arrange((size_t)n, a, value);
    return ok;
}
