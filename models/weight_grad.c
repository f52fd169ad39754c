/*
 * Weight gradients for every form of request: see weight_grad.h.
 *
 * gW = dyᵀ x is one GEMM when it is wanted densely. Rows gather the columns of dy, columns those of x, blocks take
 * sub-matrices of both, and all then are small GEMMs. Single entries are dot products (entries.c); above one in eight,
 * bands of rows by GEMM followed by a gather are faster. No form ever holds the dense gradient.
 */
#include "models/weight_grad.h"

#include <string.h>

#include "models/blas.h"
#include "models/entries.h"
#include "models/kernels.h"

enum { BAND = 256, THIN = 8 }; /* rows of a band; one entry in so many is still thin */

bool weight_grad_wanted(const struct param *p, const struct pass *pass)
{
    bool shown = pass->tap && p->tapped;
    return shown || (!pass->probe && p->grad.form != GRAD_NONE);
}

static bool show(struct param *p, const struct pass *pass, struct err *e)
{
    return pass->tap->see(pass->tap->self, p, pass->tap->dense, e);
}

static bool is_shown(const struct param *p, const struct pass *pass) { return pass->tap && p->tapped; }
static bool is_requested(const struct param *p, const struct pass *pass)
{
    return !pass->probe && p->grad.form != GRAD_NONE;
}

static void dense(const struct param *p, int tokens, const real *x, const real *dy, real beta, real *g)
{
    blas_gemm(BLAS_T, BLAS_N, p->rows, p->cols, tokens, 1, dy, p->rows, x, p->cols, beta, g, p->cols);
}

void gather_columns(int tokens, int width, const real *x, const uint32_t *idx, size_t n, real *out)
{
#pragma omp parallel for schedule(static)
    for (int t = 0; t < tokens; t++)
        for (size_t i = 0; i < n; i++)
            out[(size_t)t * n + i] = x[(size_t)t * (size_t)width + idx[i]];
}

static void rows(struct param *p, int tokens, const real *x, const real *dy, real *panels)
{
    int n = (int)p->grad.n;
    gather_columns(tokens, p->rows, dy, p->grad.idx, p->grad.n, panels);
    blas_gemm(BLAS_T, BLAS_N, n, p->cols, tokens, 1, panels, n, x, p->cols, 1, p->grad.v, p->cols);
}

static void columns(struct param *p, int tokens, const real *x, const real *dy, real *panels)
{
    int n = (int)p->grad.n;
    gather_columns(tokens, p->cols, x, p->grad.idx, p->grad.n, panels);
    blas_gemm(BLAS_T, BLAS_N, p->rows, n, tokens, 1, dy, p->rows, panels, n, 1, p->grad.v, n);
}

static void blocks(struct param *p, int tokens, const real *x, const real *dy)
{
    const struct grad *g = &p->grad;
    size_t side = (size_t)g->block, across = (size_t)p->cols / side;
    for (size_t i = 0; i < g->n; i++)
        blas_gemm(BLAS_T, BLAS_N, g->block, g->block, tokens, 1, dy + g->idx[i] / across * side, p->rows,
                  x + g->idx[i] % across * side, p->cols, 1, g->v + i * side * side, g->block);
}

static bool is_thin(const struct param *p) { return p->grad.n * THIN < param_size(p); }

static void entries_by_dots(struct param *p, int tokens, const real *x, const real *dy, real *panels)
{
    struct entries e = {p->rows, p->cols, p->grad.n, p->grad.idx};
    entry_grads(&e, tokens, x, dy, panels, p->grad.v);
}

static void entries_by_bands(struct param *p, int tokens, const real *x, const real *dy, real *band)
{
    const struct grad *g = &p->grad;
    size_t i = 0, cols = (size_t)p->cols;
    for (int from = 0; from < p->rows; from += BAND) {
        int n = p->rows - from < BAND ? p->rows - from : BAND;
        size_t first = (size_t)from * cols, end = first + (size_t)n * cols;
        if (i == g->n || g->idx[i] >= end)
            continue;
        blas_gemm(BLAS_T, BLAS_N, n, p->cols, tokens, 1, dy + from, p->rows, x, p->cols, 0, band, p->cols);
        for (; i < g->n && g->idx[i] < end; i++)
            g->v[i] += band[g->idx[i] - first];
    }
}

/* A pooled request may become anything of its form. */
static size_t pooled_scratch(const struct param *p, int tokens)
{
    size_t dots = entry_grads_scratch(p->cols, param_size(p) / THIN, tokens), bands = (size_t)BAND * (size_t)p->cols;
    switch (p->pooled) {
    case GRAD_ROWS: return (size_t)p->rows * (size_t)tokens;
    case GRAD_COLS: return (size_t)p->cols * (size_t)tokens;
    case GRAD_ENTRIES: return dots > bands ? dots : bands;
    default: return 0;
    }
}

size_t weight_grad_scratch(const struct param *p, int tokens)
{
    size_t n = p->grad.n;
    if (p->pooled != GRAD_NONE)
        return pooled_scratch(p, tokens);
    switch (p->grad.form) {
    case GRAD_ROWS:
    case GRAD_COLS: return n * (size_t)tokens;
    case GRAD_ENTRIES:
        return is_thin(p) ? entry_grads_scratch(p->cols, n, tokens) : (size_t)BAND * (size_t)p->cols;
    default: return 0;
    }
}

bool weight_grad_linear(struct param *p, const struct pass *pass, int tokens, const real *x, const real *dy,
                        real *panels, struct err *e)
{
    if (is_shown(p, pass)) {
        dense(p, tokens, x, dy, 0, pass->tap->dense);
        TRY(show(p, pass, e));
    }
    if (!is_requested(p, pass))
        return true;
    switch (p->grad.form) {
    case GRAD_NONE: break;
    case GRAD_DENSE: dense(p, tokens, x, dy, param_grad_beta(p), p->grad.v); break;
    case GRAD_ROWS: rows(p, tokens, x, dy, panels); break;
    case GRAD_COLS: columns(p, tokens, x, dy, panels); break;
    case GRAD_BLOCKS: blocks(p, tokens, x, dy); break;
    case GRAD_ENTRIES:
        if (is_thin(p))
            entries_by_dots(p, tokens, x, dy, panels);
        else
            entries_by_bands(p, tokens, x, dy, panels);
        break;
    }
    return true;
}

/* What vectors share: sums [cols] are added to a dense request or gathered into a partial one (rows of a [1, n] tensor
 * make no sense, columns, blocks of one and entries are the same numbers). */
static void add_vector(struct param *p, const real *sums)
{
    struct grad *g = &p->grad;
    if (g->form == GRAD_DENSE)
        add_to(g->size, sums, g->v);
    else
        for (size_t i = 0; i < g->n; i++)
            g->v[i] += sums[g->idx[i]];
}

/* Column sums of dy, or of dy * xhat, into a stack buffer, strip by strip of columns. */
static bool vector_grad(struct param *p, const struct pass *pass, int tokens, const real *xhat, const real *dy,
                        struct err *e)
{
    if (is_requested(p, pass) && p->grad.form == GRAD_DENSE && !is_shown(p, pass)) {
        if (xhat)
            add_column_dots(tokens, p->cols, dy, xhat, p->grad.v);
        else
            add_column_sums(tokens, p->cols, dy, p->grad.v);
        return true;
    }
    real sums[8192];
    size_t n = (size_t)p->cols;
    real *s = is_shown(p, pass) ? pass->tap->dense : sums;
    if (s == sums && n > sizeof sums / sizeof *sums)
        return err_set(e, ERR_INPUT, "%s has %zu entries; partial gradients of vectors reach to 8192", p->name, n);
    memset(s, 0, n * sizeof *s);
    if (xhat)
        add_column_dots(tokens, p->cols, dy, xhat, s);
    else
        add_column_sums(tokens, p->cols, dy, s);
    if (is_requested(p, pass))
        add_vector(p, s);
    return is_shown(p, pass) ? show(p, pass, e) : true;
}

bool weight_grad_bias(struct param *p, const struct pass *pass, int tokens, const real *dy, struct err *e)
{
    return !weight_grad_wanted(p, pass) || vector_grad(p, pass, tokens, NULL, dy, e);
}

bool weight_grad_norm(const struct norm *n, const struct pass *pass, int tokens, const real *xhat, const real *dy,
                      struct err *e)
{
    TRY(!weight_grad_wanted(n->w, pass) || vector_grad(n->w, pass, tokens, xhat, dy, e));
    return weight_grad_bias(n->b, pass, tokens, dy, e);
}

/* Adds dy[t] to row ids[t] of g; threads share the columns, so that every sum runs in token order. */
static void scatter_rows(int cols, int tokens, const int32_t *ids, int skip, const real *dy, real *g)
{
    enum { STRIP = 32 };
#pragma omp parallel for schedule(static)
    for (int from = 0; from < cols; from += STRIP) {
        int n = cols - from < STRIP ? cols - from : STRIP;
        for (int t = 0; t < tokens; t++) {
            if (ids[t] == skip)
                continue;
            real *to = g + (size_t)ids[t] * (size_t)cols + (size_t)from;
            const real *d = dy + (size_t)t * (size_t)cols + (size_t)from;
            for (int c = 0; c < n; c++)
                to[c] += d[c];
        }
    }
}

/* Place of `key` in the ascending list, or n. */
static size_t find(const uint32_t *idx, size_t n, uint32_t key)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (idx[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void scatter_wanted_rows(struct param *p, int tokens, const int32_t *ids, int skip, const real *dy)
{
    size_t cols = (size_t)p->cols;
    for (int t = 0; t < tokens; t++) {
        size_t i = find(p->grad.idx, p->grad.n, (uint32_t)ids[t]);
        if (ids[t] == skip || i == p->grad.n || p->grad.idx[i] != (uint32_t)ids[t])
            continue;
        for (size_t c = 0; c < cols; c++)
            p->grad.v[i * cols + c] += dy[(size_t)t * cols + c];
    }
}

/* Entries of the rows that occur: the list is ascending, so a row's entries stand together. */
static void scatter_entries(struct param *p, int tokens, const int32_t *ids, int skip, const real *dy)
{
    const struct grad *g = &p->grad;
    uint32_t cols = (uint32_t)p->cols;
    for (int t = 0; t < tokens; t++) {
        uint32_t first = (uint32_t)ids[t] * cols;
        if (ids[t] == skip)
            continue;
        for (size_t i = find(g->idx, g->n, first); i < g->n && g->idx[i] < first + cols; i++)
            g->v[i] += dy[(size_t)t * cols + (g->idx[i] - first)];
    }
}

static void scatter_columns(struct param *p, int tokens, const int32_t *ids, int skip, const real *dy)
{
    const struct grad *g = &p->grad;
    for (int t = 0; t < tokens; t++)
        for (size_t i = 0; ids[t] != skip && i < g->n; i++)
            g->v[(size_t)ids[t] * g->n + i] += dy[(size_t)t * (size_t)p->cols + g->idx[i]];
}

static void scatter_blocks(struct param *p, int tokens, const int32_t *ids, int skip, const real *dy)
{
    const struct grad *g = &p->grad;
    size_t side = (size_t)g->block, across = (size_t)p->cols / side;
    for (int t = 0; t < tokens; t++) {
        size_t band = (size_t)ids[t] / side, inside = (size_t)ids[t] % side;
        if (ids[t] == skip)
            continue;
        for (size_t i = find(g->idx, g->n, (uint32_t)(band * across)); i < g->n && g->idx[i] / across == band; i++)
            for (size_t c = 0; c < side; c++)
                g->v[(i * side + inside) * side + c] +=
                    dy[(size_t)t * (size_t)p->cols + g->idx[i] % across * side + c];
    }
}

bool weight_grad_embedding(struct param *p, const struct pass *pass, int tokens, const int32_t *ids, int skip,
                           const real *dy, struct err *e)
{
    if (is_shown(p, pass)) {
        memset(pass->tap->dense, 0, param_size(p) * sizeof(real));
        scatter_rows(p->cols, tokens, ids, skip, dy, pass->tap->dense);
        TRY(show(p, pass, e));
    }
    if (!is_requested(p, pass))
        return true;
    switch (p->grad.form) {
    case GRAD_NONE: break;
    case GRAD_DENSE: scatter_rows(p->cols, tokens, ids, skip, dy, p->grad.v); break;
    case GRAD_ROWS: scatter_wanted_rows(p, tokens, ids, skip, dy); break;
    case GRAD_COLS: scatter_columns(p, tokens, ids, skip, dy); break;
    case GRAD_BLOCKS: scatter_blocks(p, tokens, ids, skip, dy); break;
    case GRAD_ENTRIES: scatter_entries(p, tokens, ids, skip, dy); break;
    }
    return true;
}
