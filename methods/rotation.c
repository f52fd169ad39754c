/* Changes of basis: see rotation.h. */
#include "methods/rotation.h"

#include <string.h>

#include "models/blas.h"

enum { SLICE = 256 };

void rotate(const struct rotation *r, bool left, bool right, real *m, real *room)
{
    real *from = m, *to = room;
    if (!r->p)
        return;
    if (left) {
        blas_gemm(BLAS_N, BLAS_N, r->out, r->in, r->out, 1, r->p, r->out, from, r->in, 0, to, r->in);
        from = room, to = m;
    }
    if (right)
        blas_gemm(BLAS_N, BLAS_T, r->out, r->in, r->in, 1, from, r->in, r->q, r->in, 0, to, r->in);
    if (left != right)
        memcpy(m, room, (size_t)r->out * (size_t)r->in * sizeof *m);
}

void rotate_out(const struct rotation *r, real *b, real *room)
{
    if (!r->p)
        return;
    memcpy(room, b, (size_t)r->out * sizeof *b);
    blas_gemm(BLAS_N, BLAS_N, r->out, 1, r->out, 1, r->p, r->out, room, 1, 0, b, 1);
}

/* to[k] += value * basis[j] over columns `from` to `from + length` of vectors of n, for each entry (i, j) of D: j is
 * the column and k the row of the entry, or the other way round. */
static void add_slice(const struct rotation *r, bool by_row, const uint32_t *idx, size_t n, const real *value,
                      size_t from, size_t length, real *to)
{
    size_t in = (size_t)r->in, width = by_row ? (size_t)r->out : in;
    const real *basis = by_row ? r->p : r->q;
    for (size_t e = 0; e < n; e++) {
        size_t row = idx[e] / in, col = idx[e] % in;
        const real *restrict x = basis + (by_row ? row : col) * width + from, a = value[e];
        real *restrict y = to + (by_row ? col : row) * width + from;
        for (size_t s = 0; s < length; s++)
            y[s] += a * x[s];
    }
}

/* Threads share the vectors' components, not the entries: every sum runs in the order of the entries. */
static void add_vectors(const struct rotation *r, bool by_row, const uint32_t *idx, size_t n, const real *value,
                        real *to)
{
    size_t width = (size_t)(by_row ? r->out : r->in);
#pragma omp parallel for schedule(static) if (width > SLICE)
    for (size_t from = 0; from < width; from += SLICE)
        add_slice(r, by_row, idx, n, value, from, width - from < SLICE ? width - from : SLICE, to);
}

void rotate_back(const struct rotation *r, const uint32_t *idx, size_t n, const real *value, real *w, real *room)
{
    if (!r->p) {
        for (size_t e = 0; e < n; e++)
            w[idx[e]] += value[e];
        return;
    }
    memset(room, 0, (size_t)r->out * (size_t)r->in * sizeof *room);
    if (r->out > r->in) { /* room = (P D)ᵀ [in, out], w += P D Qᵀ */
        add_vectors(r, true, idx, n, value, room);
        blas_gemm(BLAS_T, BLAS_N, r->out, r->in, r->in, 1, room, r->out, r->q, r->in, 1, w, r->in);
    } else { /* room = D Qᵀ [out, in], w += P D Qᵀ */
        add_vectors(r, false, idx, n, value, room);
        blas_gemm(BLAS_T, BLAS_N, r->out, r->in, r->out, 1, r->p, r->out, room, r->in, 1, w, r->in);
    }
}

double rotation_back_flops(const struct rotation *r, size_t n)
{
    double out = r->out, in = r->in, large = out > in ? out : in, small = out > in ? in : out;
    return r->p ? 2 * (double)n * large + 2 * out * in * small : 0;
}
