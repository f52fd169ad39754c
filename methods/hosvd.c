/* Bases from gradients: see hosvd.h. */
#include "methods/hosvd.h"

#include "models/blas.h"
#include "models/eigen.h"

bool hosvd_open(struct hosvd *h, int out, int in, struct arena *a, struct err *e)
{
    *h = (struct hosvd){.out = out, .in = in};
    TRY(h->gram_out = ARENA_NEW(a, MEM_SCRATCH, real, (size_t)out * (size_t)out, e));
    return (h->gram_in = ARENA_NEW(a, MEM_SCRATCH, real, (size_t)in * (size_t)in, e)) != NULL;
}

void hosvd_add(struct hosvd *h, const real *g)
{
    blas_gram(BLAS_N, h->out, h->in, g, h->in, h->gram_out, h->out);
    blas_gram(BLAS_T, h->in, h->out, g, h->in, h->gram_in, h->in);
}

/* Rows of a symmetric matrix -> rows of its eigenvectors, through double. */
static bool decompose(size_t n, double *a, real *basis, struct arena *arena, struct err *e)
{
    double *value = ARENA_NEW(arena, MEM_SCRATCH, double, n, e);
    TRY(value && eigen_symmetric((int)n, a, value, arena, e));
    for (size_t i = 0; i < n * n; i++)
        basis[i] = (real)a[i];
    return true;
}

static bool basis_of(size_t n, const real *gram, real *basis, struct arena *arena, struct err *e)
{
    struct arena_mark mark = arena_mark(arena);
    double *a = ARENA_NEW(arena, MEM_SCRATCH, double, n * n, e);
    TRY(a);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            a[i * n + j] = a[j * n + i] = (double)gram[i * n + j];
    bool ok = decompose(n, a, basis, arena, e);
    arena_release(arena, mark);
    return ok;
}

bool hosvd_bases(const struct hosvd *h, real *p, real *q, struct arena *a, struct err *e)
{
    return basis_of((size_t)h->out, h->gram_out, p, a, e) && basis_of((size_t)h->in, h->gram_in, q, a, e);
}

size_t hosvd_bytes(size_t n)
{
    return sizeof(double) * (n * n + n) + eigen_bytes(n);
}

bool random_basis(int n, struct rng *r, real *basis, struct arena *arena, struct err *e)
{
    struct arena_mark mark = arena_mark(arena);
    size_t side = (size_t)n;
    double *a = ARENA_NEW(arena, MEM_SCRATCH, double, side * side, e);
    TRY(a);
    for (size_t i = 0; i < side; i++)
        for (size_t j = i; j < side; j++)
            a[i * side + j] = a[j * side + i] = rng_normal(r) * (i == j ? 1.4142135623730951 : 1);
    bool ok = decompose(side, a, basis, arena, e);
    arena_release(arena, mark);
    return ok;
}
