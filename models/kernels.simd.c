/*
 * Element-wise kernels: see kernels.h. Loops are written so that the compiler vectorises them; the build compiles this
 * file once per instruction set, each time into a table named KERNELS, and kernels.c chooses among the tables.
 */
#include "models/kernels_table.h"

#include <math.h>
#include <string.h>

#include <omp.h>

#include "models/philox.h"
#include "models/vmath.h"

static void k_add_bias(int rows, int cols, const real *bias, real *y)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++) {
        real *yr = y + (size_t)r * (size_t)cols;
        for (int c = 0; c < cols; c++)
            yr[c] += bias[c];
    }
}

static void k_fill_rows(int rows, int cols, const real *row, real *y)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++)
        memcpy(y + (size_t)r * (size_t)cols, row, (size_t)cols * sizeof *y);
}

/* One row; restrict holds for y alone: in place, x is NULL. */
static void scale_row(int n, const real *x, const real *restrict scale, const real *restrict bias, real *restrict y)
{
    if (x)
        memcpy(y, x, (size_t)n * sizeof *y);
    if (bias)
        for (int c = 0; c < n; c++)
            y[c] = y[c] * scale[c] + bias[c];
    else
        for (int c = 0; c < n; c++)
            y[c] *= scale[c];
}

static void k_scale_columns(int rows, int cols, const real *x, const real *scale, const real *bias, real *y)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * (size_t)cols;
        scale_row(cols, x == y ? NULL : x + at, scale, bias, y + at);
    }
}

static void k_add_scaled_columns(int rows, int cols, const real *x, const real *scale, real *y)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++) {
        const real *restrict xr = x + (size_t)r * (size_t)cols;
        real *restrict yr = y + (size_t)r * (size_t)cols;
        for (int c = 0; c < cols; c++)
            yr[c] += xr[c] * scale[c];
    }
}

enum { SLICE = 4096 }; /* elements handed to a thread at a time */

/* Loops with so much arithmetic look too few lines ahead for what comes from memory: this asks for them. Past the end
 * it does nothing. */
enum { NEAR = 256, AHEAD = 512 };
static inline __attribute__((always_inline)) void fetch(const real *x)
{
    for (size_t i = 0; i < NEAR; i += 64 / sizeof *x)
        __builtin_prefetch(x + AHEAD + i);
}

static inline void gelu_near(size_t n, const real *x, real *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * vm_normal_cdf(x[i]);
}

static inline void gelu_and_slope_near(size_t n, real *x, real *y)
{
    const real inv_sqrt_2pi = (real)0.39894228040143267794;
    for (size_t i = 0; i < n; i++) {
        real v = x[i], cdf = vm_normal_cdf(v);
        y[i] = v * cdf;
        x[i] = cdf + v * inv_sqrt_2pi * vm_exp((real)-0.5 * v * v);
    }
}

static void k_gelu_forward(size_t n, const real *x, real *y)
{
#pragma omp parallel for schedule(static)
    for (size_t at = 0; at < n; at += NEAR) {
        fetch(x + at);
        gelu_near(n - at < NEAR ? n - at : NEAR, x + at, y + at);
    }
}

static void k_gelu_and_slope(size_t n, real *x, real *y)
{
#pragma omp parallel for schedule(static)
    for (size_t at = 0; at < n; at += NEAR) {
        fetch(x + at);
        gelu_and_slope_near(n - at < NEAR ? n - at : NEAR, x + at, y + at);
    }
}

static void k_multiply(size_t n, const real *x, real *y)
{
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < n; from += SLICE) {
        size_t to = from + SLICE < n ? from + SLICE : n;
        for (size_t i = from; i < to; i++)
            y[i] *= x[i];
    }
}

/* Sum in 16 partial sums: vectorises without reassociation, always in the same order. */
enum { LANES = 16 };

static real fold_lanes(const real lane[LANES])
{
    real s8[8], s4[4];
    for (int i = 0; i < 8; i++)
        s8[i] = lane[i] + lane[i + 8];
    for (int i = 0; i < 4; i++)
        s4[i] = s8[i] + s8[i + 4];
    return (s4[0] + s4[2]) + (s4[1] + s4[3]);
}

static real sum(int n, const real *x)
{
    real lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    for (int j = 0; i < n; i++, j++)
        lane[j] += x[i];
    return fold_lanes(lane);
}

static real dot(int n, const real *x, const real *y)
{
    real lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j] * y[i + j];
    for (int j = 0; i < n; i++, j++)
        lane[j] += x[i] * y[i];
    return fold_lanes(lane);
}

static void k_layernorm_forward(int rows, int cols, real eps, const real *x, const real *w, const real *b, real *xhat,
                                real *rstd, real *y)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++) {
        const real *xr = x + (size_t)r * (size_t)cols;
        real *hr = xhat + (size_t)r * (size_t)cols;
        real mean = sum(cols, xr) / (real)cols;
        for (int c = 0; c < cols; c++)
            hr[c] = xr[c] - mean;
        real inv = 1 / (real)sqrt((double)(dot(cols, hr, hr) / (real)cols + eps));
        rstd[r] = inv;
        for (int c = 0; c < cols; c++)
            hr[c] *= inv;
        if (!y)
            continue;
        real *yr = y + (size_t)r * (size_t)cols;
        for (int c = 0; c < cols; c++)
            yr[c] = hr[c] * w[c] + b[c];
    }
}

static void k_layernorm_output(int rows, int cols, const real *xhat, const real *w, const real *b, real *y)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            y[(size_t)r * (size_t)cols + (size_t)c] = xhat[(size_t)r * (size_t)cols + (size_t)c] * w[c] + b[c];
}

static void k_layernorm_backward(int rows, int cols, const real *xhat, const real *rstd, const real *w, const real *dy,
                                 real *dx)
{
#pragma omp parallel for schedule(static)
    for (int r = 0; r < rows; r++) {
        const real *h = xhat + (size_t)r * (size_t)cols, *d = dy + (size_t)r * (size_t)cols;
        real *out = dx + (size_t)r * (size_t)cols;
        for (int c = 0; c < cols; c++)
            out[c] = d[c] * w[c];
        real mean = sum(cols, out) / (real)cols, along = dot(cols, out, h) / (real)cols;
        for (int c = 0; c < cols; c++)
            out[c] = rstd[r] * (out[c] - mean - h[c] * along);
    }
}

/* In LANES maxima, as sum(): a single one would be a chain of dependent comparisons. */
static real largest(int n, const real *x)
{
    real lane[LANES], top;
    for (int j = 0; j < LANES; j++)
        lane[j] = x[0];
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    top = lane[0];
    for (int j = 1; j < LANES; j++)
        top = lane[j] > top ? lane[j] : top;
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
}

static void k_softmax_rows(int rows, int cols, real *x)
{
    for (int r = 0; r < rows; r++) {
        real *xr = x + (size_t)r * (size_t)cols, top = largest(cols, xr);
        for (int c = 0; c < cols; c++)
            xr[c] = vm_exp(xr[c] - top);
        real inv = 1 / sum(cols, xr);
        for (int c = 0; c < cols; c++)
            xr[c] *= inv;
    }
}

static void k_softmax_backward_rows(int rows, int cols, const real *p, const real *q, const real *dq, real *dx)
{
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * (size_t)cols;
        const real *pr = p + at, *qr = q + at, *dr = dq + at;
        real *out = dx + at, along = dot(cols, qr, dr);
        for (int c = 0; c < cols; c++)
            out[c] = qr[c] * dr[c] - pr[c] * along;
    }
}

/* Columns in strips, rows in order inside a strip: each sum is one thread's, in token order. Strips are wide, so that
 * a row is read in long runs, but leave something for every thread. */
enum { STRIP = 1024 };

static int strip_of(int cols)
{
    int threads = omp_get_max_threads(), each = ((cols + threads - 1) / threads + LANES - 1) / LANES * LANES;
    return each < STRIP ? each : STRIP;
}

static void k_add_column_sums(int rows, int cols, const real *a, real *out)
{
    const int strip = strip_of(cols);
#pragma omp parallel for schedule(static)
    for (int from = 0; from < cols; from += strip) {
        int n = cols - from < strip ? cols - from : strip;
        real s[STRIP] = {0};
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < n; c++)
                s[c] += a[(size_t)r * (size_t)cols + (size_t)(from + c)];
        for (int c = 0; c < n; c++)
            out[from + c] += s[c];
    }
}

static void k_add_column_dots(int rows, int cols, const real *a, const real *b, real *out)
{
    const int strip = strip_of(cols);
#pragma omp parallel for schedule(static)
    for (int from = 0; from < cols; from += strip) {
        int n = cols - from < strip ? cols - from : strip;
        real s[STRIP] = {0};
        for (int r = 0; r < rows; r++) {
            size_t at = (size_t)r * (size_t)cols + (size_t)from;
            for (int c = 0; c < n; c++)
                s[c] += a[at + (size_t)c] * b[at + (size_t)c];
        }
        for (int c = 0; c < n; c++)
            out[from + c] += s[c];
    }
}

static void k_add_to(size_t n, const real *x, real *y)
{
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < n; from += SLICE) {
        size_t to = from + SLICE < n ? from + SLICE : n;
        for (size_t i = from; i < to; i++)
            y[i] += x[i];
    }
}

static void k_tanh_forward(size_t n, const real *x, real *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (real)tanh((double)x[i]);
}

static void k_tanh_backward(size_t n, const real *y, const real *dy, real *dx)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = dy[i] * (1 - y[i] * y[i]);
}

enum { BLOCKS = PHILOX_BLOCKS };

static void philox_blocks(const struct dropout *d, uint32_t row, uint32_t first, uint32_t word[4][BLOCKS])
{
    for (uint32_t j = 0; j < BLOCKS; j++) {
        word[0][j] = first + j;
        word[1][j] = row;
        word[2][j] = d->site;
        word[3][j] = d->step;
    }
    philox_rounds(d->key, word);
}

/* What 512 elements are multiplied with, 64 from each half of the words. */
static void dropout_factors(const struct dropout *d, uint32_t row, uint32_t group, uint32_t limit, real scale,
                            real factor[8 * BLOCKS])
{
    uint32_t word[4][BLOCKS];
    philox_blocks(d, row, group * BLOCKS, word);
    for (int w = 0; w < 4; w++) {
        for (int j = 0; j < BLOCKS; j++)
            factor[2 * w * BLOCKS + j] = (word[w][j] & 0xffff) >= limit ? scale : 0;
        for (int j = 0; j < BLOCKS; j++)
            factor[(2 * w + 1) * BLOCKS + j] = word[w][j] >> 16 >= limit ? scale : 0;
    }
}

/* Elements [from, to) of a sequence; x points at the first of them. */
static void dropout_run(const struct dropout *d, uint32_t row, size_t from, size_t to, real *x)
{
    enum { GROUP = 8 * BLOCKS };
    const uint32_t limit = (uint32_t)(d->p * 0x1p16 + .5);
    const real scale = (real)(1 / (1 - limit / 0x1p16));
    for (size_t i = from; i < to;) {
        real factor[GROUP];
        size_t begin = i / GROUP * GROUP, end = begin + GROUP < to ? begin + GROUP : to;
        dropout_factors(d, row, (uint32_t)(begin / GROUP), limit, scale, factor);
        for (; i < end; i++)
            x[i - from] *= factor[i - begin];
    }
}

static void k_dropout_range(const struct dropout *d, size_t from, size_t n, real *x)
{
    if (d->p > 0)
        dropout_run(d, d->row, from, from + n, x);
}

/* Slices of the whole piece go to the threads, so that a long sequence is shared too. */
static void k_dropout_packed(const struct dropout *d, int n_seq, const int32_t *start, const int32_t *row, int cols,
                             real *x)
{
    if (d->p <= 0)
        return;
    const size_t total = (size_t)start[n_seq] * (size_t)cols;
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < total; from += SLICE) {
        size_t to = from + SLICE < total ? from + SLICE : total;
        for (int s = 0; s < n_seq; s++) {
            size_t begin = (size_t)start[s] * (size_t)cols, end = (size_t)start[s + 1] * (size_t)cols;
            size_t lo = from > begin ? from : begin, hi = to < end ? to : end;
            if (lo < hi)
                dropout_run(d, (uint32_t)row[s], lo - begin, hi - begin, x + lo);
        }
    }
}

static void widen_run(size_t n, const uint16_t *restrict x, real *restrict y)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)x[i] << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        y[i] = (real)f;
    }
}

static void k_widen_bf16(size_t n, const uint16_t *x, real *y)
{
    enum { RUN = 1 << 14 };
#pragma omp parallel for schedule(static)
    for (size_t at = 0; at < n; at += RUN)
        widen_run(n - at < RUN ? n - at : RUN, x + at, y + at);
}

const struct kernels KERNELS = {
#define X(name, parameters, arguments) k_##name,
    KERNEL_LIST(X)
#undef X
};
