/*
 * The work of entries.c for one instruction set.
 *
 * A tile of W x W reals, W to a register, is transposed by log2 W rounds of interleaving register i with register
 * i + W/2: each round moves one bit of an element's column number into its row number.
 *
 * Dot products are sums of 16 lanes, folded in halves, whatever the registers hold: all instruction sets give the same
 * bits.
 */
#include "models/entries_table.h"

#include <stdbool.h>
#include <string.h>

#include "models/vector.h"

enum { W = VECTOR_WIDTH, LANES = 16 };

/* -------------------------------------------------------------------------------------------------------------------
 * Transposes */

/* to (rows of stride to_ld) = transpose of W x W reals at `from`. */
static inline void transpose_tile(const real *from, size_t ld, real *to, size_t to_ld)
{
    VECTOR a[W], b[W];
#pragma GCC unroll 16
    for (int i = 0; i < W; i++)
        memcpy(&a[i], from + (size_t)i * ld, sizeof a[i]);
#pragma GCC unroll 4
    for (int round = 1; round < W; round *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < W / 2; i++) {
            b[2 * i] = VECTOR_ZIP_LOW(a[i], a[i + W / 2]);
            b[2 * i + 1] = VECTOR_ZIP_HIGH(a[i], a[i + W / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < W; i++)
            a[i] = b[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; i++)
        memcpy(to + (size_t)i * to_ld, &a[i], sizeof a[i]);
}

static void transpose_part(int rows, int cols, const real *x, size_t ld, real *xt, size_t xt_ld)
{
    for (int c = 0; c < cols; c++)
        for (int r = 0; r < rows; r++)
            xt[(size_t)c * xt_ld + (size_t)r] = x[(size_t)r * ld + (size_t)c];
}

/* W rows, or fewer, of x [., cols], read as so many streams. */
static inline void transpose_rows(int n, int cols, const real *x, size_t ld, real *xt, size_t xt_ld)
{
    int c = 0;
    for (; n == W && c + W <= cols; c += W)
        transpose_tile(x + c, ld, xt + (size_t)c * xt_ld, xt_ld);
    transpose_part(n, cols - c, x + c, ld, xt + (size_t)c * xt_ld, xt_ld);
}

/* xt [cols, rows] = transpose of x [rows, cols] of row stride ld. */
static void transpose_panel(int rows, int cols, const real *x, size_t ld, real *xt)
{
    for (int r = 0; r < rows; r += W)
        transpose_rows(rows - r < W ? rows - r : W, cols, x + (size_t)r * ld, ld, xt + r, (size_t)rows);
}

static void transpose_all(int rows, int cols, const real *x, real *xt)
{
    size_t ld = (size_t)cols;
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r += W)
        transpose_rows(rows - r < W ? rows - r : W, cols, x + (size_t)r * ld, ld, xt + r, (size_t)rows);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Dot products */

/* lane[j] = sum of x[i] y[i] over i = j, j + LANES, ... */
static inline void multiply(int n, const real *x, const real *y, real lane[LANES])
{
    memset(lane, 0, LANES * sizeof *lane);
    for (int i = 0; i < n; i++)
        lane[i % LANES] += x[i] * y[i];
}

/* The same for a whole panel, x in registers. */
static inline void multiply_panel(const VECTOR x[ENTRY_PANEL / W], const real *y, real lane[LANES])
{
    VECTOR sum[LANES / W] = {{0}}, b;
#pragma GCC unroll 64
    for (int i = 0; i < ENTRY_PANEL / W; i++) {
        memcpy(&b, y + i * W, sizeof b);
        sum[i % (LANES / W)] += x[i] * b;
    }
    memcpy(lane, sum, sizeof sum);
}

/* Dot products that wait for their lanes to be folded, LANES of them together. */
struct pending {
    real lane[LANES][LANES];
    size_t place[LANES];
    int n;
};

/* A dot product's lanes are added in halves: j and j + 8, of these j and j + 4, and so on. */
static inline void fold(struct pending *p, real *out)
{
    real at[LANES][LANES]; /* [lane][product] */
    transpose_panel(LANES, LANES, p->lane[0], LANES, at[0]);
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            for (int k = 0; k < LANES; k++)
                at[j][k] += at[j + half][k];
    for (int k = 0; k < p->n; k++)
        out[p->place[k]] = at[0][k];
    p->n = 0;
}

/* Rows and columns of the weight whose transposes stand in the cache. */
struct window {
    int tokens, row, rows, col, cols;
    real *dyt, *xt; /* [rows, tokens], [cols, tokens] */
};

/* out[i] for the entries of one row that lie inside the window, of columns from the list on. */
static inline void row_dots(const struct window *w, const uint32_t *idx, size_t n, uint32_t first, const real *d,
                            struct pending *p, size_t place, real *out)
{
    VECTOR x[ENTRY_PANEL / W];
    bool whole = w->tokens == ENTRY_PANEL;
    if (whole)
        memcpy(x, d, sizeof x);
    for (size_t i = 0; i < n; i++) {
        uint32_t c = idx[i] - first;
        if (c >= (uint32_t)w->cols)
            continue;
        if (whole)
            multiply_panel(x, w->xt + c * ENTRY_PANEL, p->lane[p->n]);
        else
            multiply(w->tokens, d, w->xt + c * (uint32_t)w->tokens, p->lane[p->n]);
        p->place[p->n++] = place + i;
        if (p->n == LANES)
            fold(p, out);
    }
}

/* out[i] for the entries inside the window. *at: of the first row's first entry -> of the next window's below. */
static void window_dots(const struct entries *e, const struct window *w, size_t *at, struct pending *p, real *out)
{
    for (int r = 0; r < w->rows; r++) {
        uint32_t first = (uint32_t)(w->row + r) * (uint32_t)e->cols;
        size_t n = 0;
        while (*at + n < e->n && e->idx[*at + n] - first < (uint32_t)e->cols)
            n++;
        row_dots(w, e->idx + *at, n, first + (uint32_t)w->col, w->dyt + (size_t)r * (size_t)w->tokens, p, *at, out);
        *at += n;
    }
}

/* out[i] = entry i's part of the sum, from one panel of tokens. dy comes in strips of rows that the first-level cache
 * holds, x in blocks of columns for the second. */
static void panel_dots(const struct entries *e, int tokens, const real *x, const real *dy, real *room, real *out)
{
    struct pending p = {.n = 0};
    struct window w = {.tokens = tokens, .dyt = room, .xt = room + (size_t)ENTRY_STRIP * ENTRY_PANEL};
    for (w.col = 0; w.col < e->cols; w.col += ENTRY_BLOCK) {
        size_t at = 0;
        w.cols = e->cols - w.col < ENTRY_BLOCK ? e->cols - w.col : ENTRY_BLOCK;
        transpose_panel(tokens, w.cols, x + w.col, (size_t)e->cols, w.xt);
        for (w.row = 0; w.row < e->rows; w.row += ENTRY_STRIP) {
            w.rows = e->rows - w.row < ENTRY_STRIP ? e->rows - w.row : ENTRY_STRIP;
            transpose_panel(tokens, w.rows, dy + w.row, (size_t)e->rows, w.dyt);
            window_dots(e, &w, &at, &p, out);
        }
    }
    fold(&p, out);
}

/* Panels go to the threads, whose transposes thus never leave their caches; `lanes` panels at a time, whose sums are
 * then added in their order. */
static void grads(const struct entries *e, int tokens, int lanes, const real *x, const real *dy, real *room, real *g)
{
    size_t each = entry_panel_room(e->cols, e->n), sums = each - entry_sums_room(e->n);
    int panels = (tokens + ENTRY_PANEL - 1) / ENTRY_PANEL;
#pragma omp parallel num_threads(lanes)
    for (int first = 0; first < panels; first += lanes) {
        int n = panels - first < lanes ? panels - first : lanes;
#pragma omp for schedule(static)
        for (int k = 0; k < n; k++) {
            int t = (first + k) * ENTRY_PANEL, m = tokens - t < ENTRY_PANEL ? tokens - t : ENTRY_PANEL;
            real *mine = room + (size_t)k * each;
            panel_dots(e, m, x + (size_t)t * (size_t)e->cols, dy + (size_t)t * (size_t)e->rows, mine, mine + sums);
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < e->n; i++)
            for (int k = 0; k < n; k++)
                g[i] += room[(size_t)k * each + sums + i];
    }
}

const struct entry_kernels ISA_TABLE(entry_) = {grads, transpose_all};
