/*
 * Products of float matrices on the bfloat16 matrix unit (AMX): see split_gemm.h.
 *
 * x = x1 + x2 + x3 with x1 = bf16(x), x2 = bf16(x - x1), x3 = bf16(x - x1 - x2): three numbers of 8 significant bits
 * hold the 24 of a float. Of the nine products of a pair, the six with i + j <= 4 are summed in float; what is left out
 * is below 2^-23 of |a b|, of the size of a rounding error (Henry, Tang and Heinecke 2019, "Leveraging the
 * bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", arXiv:1904.06376, section III). The
 * unit takes denormals for zero: values below 2^-126, and what is left of numbers below 2^-110 after their first part.
 * Infinities become NaN.
 *
 * Layout, after Goto and van de Geijn 2008: A is packed in panels of 32 rows, B in panels of 32 columns, both for
 * K_BLOCK of the inner dimension at a time; a panel holds, for every 32 of these, two tiles of each of the three parts.
 * One call of the micro-kernel adds a 32 x 32 block of C, held in four of the eight tile registers. K_BLOCK is such
 * that a panel of A stays in the first-level cache; STRIP panels of B stay in the second.
 *
 * Every thread computes a rectangle of C and packs what that needs into panels of its own, even if another thread packs
 * the same: lines that another processor has written or read cost more than splitting the numbers again. Every element
 * of C is summed by one thread in the order of k.
 */
#define _DEFAULT_SOURCE /* syscall, madvise */
#include "models/split_gemm.h"

#ifdef PEFTLAB_AMX

#include <immintrin.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <omp.h>

enum {
    PARTS = 3,
    TILE = 16,                        /* rows of a tile                                     */
    DEPTH = 32,                       /* bfloat16 numbers in a row of a tile                */
    PANEL = 2 * TILE,                 /* rows of A, columns of B in a panel                 */
    TILE_SIZE = TILE * DEPTH,
    STEP_SIZE = 2 * PARTS * TILE_SIZE, /* of a panel, for DEPTH of k: part 1 of both tiles, part 2, part 3 */
    K_BLOCK = 128,
    PANEL_SIZE = K_BLOCK / DEPTH * STEP_SIZE,
    STRIP = 32,                       /* panels: 1,024 columns of C that are finished before the next panel of A */
    STRIP_SIZE = STRIP * PANEL_SIZE,
    HUGE_PAGE = 2 << 20,
    MAX_THREADS = 64                  /* more would have no panels */
};

/* Eight tiles of 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_of_row[16];
    uint8_t rows[16];
} tile_config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

/* Where a thread's panels go; touched as far as they are used. */
struct room {
    _Alignas(HUGE_PAGE) uint16_t a[STRIP_SIZE], b[STRIP_SIZE];
};
static struct room rooms[MAX_THREADS];

/* ---- availability ------------------------------------------------------------------------------------------------ */

/* Linux gives a process the tile registers on demand (arch_prctl). */
static bool granted(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static bool cpu_has_unit(void)
{
    unsigned a = 7, b = 0, c = 0, d = 0;
    __asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
    bool amx = (d >> 22 & 1) && (d >> 24 & 1); /* AMX-BF16, AMX-TILE */
    return amx && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

enum use { UNKNOWN, NEVER, LARGE, ALWAYS };

static enum use use_here(void)
{
    const char *choice = getenv("PEFTLAB_GEMM");
    if ((choice && strcmp(choice, "openblas") == 0) || !cpu_has_unit() || !granted())
        return NEVER;
    (void)madvise(rooms, sizeof rooms, MADV_HUGEPAGE);
    return choice && strcmp(choice, "amx") == 0 ? ALWAYS : LARGE;
}

static enum use use(void)
{
    static _Atomic int known = UNKNOWN; /* asked once: the answer cannot change */
    if (known == UNKNOWN)
        known = (int)use_here();
    return (enum use)known;
}

bool split_gemm_available(void) { return use() != NEVER; }

bool split_gemm_pays(int m, int n, int k, bool thin)
{
    if (m == 0 || n == 0 || k == 0 || (omp_in_parallel() && omp_get_thread_num() >= MAX_THREADS))
        return false;
    return use() == ALWAYS || (blas_shares(m, n, k) && !thin);
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

static inline __m512 widen(__m256i bf16)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

/* 32 floats, as three vectors of 32 bfloat16. */
static inline void split_row(__m512 low, __m512 high, __m512i part[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        part[i] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
        low = _mm512_sub_ps(low, widen(_mm512_castsi512_si256(part[i])));
        high = _mm512_sub_ps(high, widen(_mm512_extracti64x4_epi64(part[i], 1)));
    }
}

/* The same of two rows, whose numbers alternate in the result. */
static inline void split_pair(__m512 even, __m512 odd, __m512i part[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        __m512i e = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
        __m512i o = _mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd)), 16);
        part[i] = _mm512_or_si512(e, o);
        even = _mm512_sub_ps(even, _mm512_castsi512_ps(_mm512_slli_epi32(e, 16)));
        odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(o));
    }
}

/* 16 x 16 double words, in four rounds of exchanges. */
static inline void transpose(__m512i r[TILE])
{
    __m512i t[TILE];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* What the next panel will read; it may lie behind the end of the matrix, where this does nothing. */
static inline void fetch(const float *x) { _mm_prefetch((const char *)x, _MM_HINT_T0); }

static inline __mmask16 first(int n)
{
    return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

static inline void store_tiles(__m512i tile[PARTS][TILE], bool turned, uint16_t *to)
{
    for (int i = 0; i < PARTS; i++) {
        if (turned)
            transpose(tile[i]);
        for (int r = 0; r < TILE; r++)
            _mm512_store_si512(to + i * 2 * TILE_SIZE + r * DEPTH, tile[i][r]);
    }
}

/* The three tiles of x [n, depth], k along its rows: a row of A, or (turned) of B given transposed. */
static void pack_rows(const float *x, size_t ld, int n, int depth, __m512 scale, bool turned, uint16_t *to)
{
    __m512i tile[PARTS][TILE];
    for (int r = 0; r < TILE; r++) {
        fetch(x + (size_t)(r + PANEL) * ld);
        fetch(x + (size_t)(r + PANEL) * ld + TILE);
        __m512i part[PARTS];
        __m512 low = _mm512_setzero_ps(), high = low;
        if (r < n) {
            low = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(first(depth), x + (size_t)r * ld));
            high = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(first(depth - 16), x + (size_t)r * ld + 16));
        }
        split_row(low, high, part);
        for (int i = 0; i < PARTS; i++)
            tile[i][r] = part[i];
    }
    store_tiles(tile, turned, to);
}

/* The three tiles of x [depth, n], k down its columns: rows of B, or (turned) of A given transposed. Row p of a tile of
 * B holds rows 2p and 2p + 1 of the matrix, alternating. */
static void pack_columns(const float *x, size_t ld, int n, int depth, __m512 scale, bool turned, uint16_t *to)
{
    __m512i tile[PARTS][TILE];
    for (int p = 0; p < TILE; p++) {
        fetch(x + (size_t)(2 * p) * ld + PANEL);
        fetch(x + (size_t)(2 * p + 1) * ld + PANEL);
        __m512i part[PARTS];
        __m512 even = _mm512_setzero_ps(), odd = even;
        if (2 * p < depth)
            even = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(first(n), x + (size_t)(2 * p) * ld));
        if (2 * p + 1 < depth)
            odd = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(first(n), x + (size_t)(2 * p + 1) * ld));
        split_pair(even, odd, part);
        for (int i = 0; i < PARTS; i++)
            tile[i][p] = part[i];
    }
    store_tiles(tile, turned, to);
}

/* One operand: which of its two layouts it has, and which of them the tiles want turned. */
struct operand {
    const float *x;
    size_t ld;
    bool along;  /* k runs along its rows */
    bool turned;
    int n;       /* rows of A, columns of B */
    __m512 scale;
};

static const float *element(const struct operand *o, int i, int k)
{
    return o->along ? o->x + (size_t)i * o->ld + k : o->x + (size_t)k * o->ld + i;
}

/* Panel number p, for `depth` of the inner dimension from k on. */
static void pack_panel(const struct operand *o, int p, int k, int depth, uint16_t *to)
{
    for (int at = 0; at < depth; at += DEPTH, to += STEP_SIZE)
        for (int half = 0; half < 2; half++) {
            int i = p * PANEL + half * TILE, n = o->n - i < TILE ? o->n - i : TILE;
            const float *x = n > 0 ? element(o, i, k + at) : o->x;
            (o->along ? pack_rows : pack_columns)(x, o->ld, n, depth - at, o->scale, o->turned, to + half * TILE_SIZE);
        }
}

/* ---- the micro-kernel -------------------------------------------------------------------------------------------- */

/* What the block of C is before: itself, a bias in every row, or zero. */
struct start {
    const float *from;
    size_t bytes_of_row; /* 0: the same row again and again */
};

#define MULTIPLY()                                                                                                     \
    do {                                                                                                               \
        _tile_dpbf16ps(0, 4, 6);                                                                                       \
        _tile_dpbf16ps(1, 4, 7);                                                                                       \
        _tile_dpbf16ps(2, 5, 6);                                                                                       \
        _tile_dpbf16ps(3, 5, 7);                                                                                       \
    } while (0)
#define LOAD_A(part)                                                                                                   \
    do {                                                                                                               \
        _tile_loadd(4, a + (2 * (part)-2) * TILE_SIZE, 64);                                                            \
        _tile_loadd(5, a + (2 * (part)-1) * TILE_SIZE, 64);                                                            \
    } while (0)
#define LOAD_B(part)                                                                                                   \
    do {                                                                                                               \
        _tile_loadd(6, b + (2 * (part)-2) * TILE_SIZE, 64);                                                            \
        _tile_loadd(7, b + (2 * (part)-1) * TILE_SIZE, 64);                                                            \
    } while (0)

/* c [32, 32] = start + a b over `steps` times DEPTH; `next`, or NULL: the block that comes after it. */
static inline void micro_kernel(int steps, const uint16_t *a, const uint16_t *b, struct start s, float *c, size_t ldc,
                                const float *next)
{
    size_t bytes = ldc * sizeof *c;
    if (s.from) {
        const char *from = (const char *)s.from;
        _tile_loadd(0, from, s.bytes_of_row);
        _tile_loadd(1, from + 64, s.bytes_of_row);
        _tile_loadd(2, from + TILE * s.bytes_of_row, s.bytes_of_row);
        _tile_loadd(3, from + TILE * s.bytes_of_row + 64, s.bytes_of_row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int k = 0; k < steps; k++, a += STEP_SIZE, b += STEP_SIZE) {
        if (next)
            for (int r = 8 * k; r < 8 * k + 8; r++) {
                _mm_prefetch((const char *)(next + (size_t)r * ldc), _MM_HINT_T0);
                _mm_prefetch((const char *)(next + (size_t)r * ldc + TILE), _MM_HINT_T0);
            }
        LOAD_B(1); /* the small ones first: they would be rounded away one by one; each load serves two products */
        LOAD_A(3);
        MULTIPLY();
        LOAD_A(2);
        MULTIPLY();
        LOAD_B(2);
        MULTIPLY();
        LOAD_A(1);
        MULTIPLY();
        LOAD_B(3);
        MULTIPLY();
        LOAD_B(1);
        MULTIPLY();
    }
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + TILE, bytes);
    _tile_stored(2, c + TILE * ldc, bytes);
    _tile_stored(3, c + TILE * ldc + TILE, bytes);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

struct product {
    struct operand a, b;
    float *c;
    size_t ldc;
    const float *bias;
    bool add; /* to what stands in c */
    int m, n, k;
};

/* A block at the edge goes through a full one of its own. */
static void edge_block(const struct product *p, int steps, const uint16_t *a, const uint16_t *b, int i, int j,
                       bool first_k)
{
    _Alignas(64) float block[PANEL * PANEL];
    int rows = p->m - i < PANEL ? p->m - i : PANEL, cols = p->n - j < PANEL ? p->n - j : PANEL;
    const __mmask16 left = first(cols), right = first(cols - TILE);
    bool add = p->add || !first_k;
    for (int r = 0; r < rows; r++) {
        const float *from = add ? p->c + (size_t)(i + r) * p->ldc + j : p->bias ? p->bias + j : NULL;
        __m512 zero = _mm512_setzero_ps();
        _mm512_store_ps(block + r * PANEL, from ? _mm512_maskz_loadu_ps(left, from) : zero);
        _mm512_store_ps(block + r * PANEL + TILE, from ? _mm512_maskz_loadu_ps(right, from + TILE) : zero);
    }
    for (int r = rows; r < PANEL; r++)
        memset(block + r * PANEL, 0, PANEL * sizeof *block);
    micro_kernel(steps, a, b, (struct start){block, PANEL * sizeof *block}, block, PANEL, NULL);
    for (int r = 0; r < rows; r++) {
        float *to = p->c + (size_t)(i + r) * p->ldc + j;
        _mm512_mask_storeu_ps(to, left, _mm512_load_ps(block + r * PANEL));
        _mm512_mask_storeu_ps(to + TILE, right, _mm512_load_ps(block + r * PANEL + TILE));
    }
}

static void full_block(const struct product *p, int steps, const uint16_t *a, const uint16_t *b, int i, int j,
                       bool first_k)
{
    float *c = p->c + (size_t)i * p->ldc + j;
    struct start s = {NULL, 0};
    if (p->add || !first_k)
        s = (struct start){c, p->ldc * sizeof *c};
    else if (p->bias)
        s = (struct start){p->bias + j, 0};
    micro_kernel(steps, a, b, s, c, p->ldc, p->n - j >= 2 * PANEL ? c + PANEL : NULL);
}

static int panels(int n) { return (n + PANEL - 1) / PANEL; }
static int least(int a, int b) { return a < b ? a : b; }

/* A rectangle of C, in panels of A and of B. */
struct rectangle {
    int i0, i1, j0, j1;
};

static int cut(int from, int to, int part, int parts) { return from + (to - from) * part / parts; }

/* Rows i0 to i1 of panels, with the strip of B that is packed: one panel of A after the other, which `packed` says to
 * be there already. It is needed again, and so kept, where there are several strips. */
static void strip(const struct product *p, struct rectangle r, int k, bool packed, bool keep, struct room *room)
{
    int depth = least(K_BLOCK, p->k - k), steps = (depth + DEPTH - 1) / DEPTH;
    for (int j = r.j0; j < r.j1; j++)
        pack_panel(&p->b, j, k, depth, room->b + (j - r.j0) * PANEL_SIZE);
    for (int i = r.i0; i < r.i1; i++) {
        uint16_t *a = room->a + (keep ? (i - r.i0) * PANEL_SIZE : 0);
        if (!packed)
            pack_panel(&p->a, i, k, depth, a);
        for (int j = r.j0; j < r.j1; j++) {
            bool whole = p->m - i * PANEL >= PANEL && p->n - j * PANEL >= PANEL;
            (whole ? full_block : edge_block)(p, steps, a, room->b + (j - r.j0) * PANEL_SIZE, i * PANEL, j * PANEL,
                                              k == 0);
        }
    }
}

/* Where more than one strip is needed, the panels of A must have room. */
static void rectangle(const struct product *p, struct rectangle r, struct room *room)
{
    int strips = (r.j1 - r.j0 + STRIP - 1) / STRIP;
    for (int k = 0; k < p->k; k += K_BLOCK)
        for (int s = 0; s < strips; s++)
            strip(p, (struct rectangle){r.i0, r.i1, cut(r.j0, r.j1, s, strips), cut(r.j0, r.j1, s + 1, strips)}, k,
                  s > 0, strips > 1, room);
}

static void by_one(const struct product *p, struct rectangle r, struct room *room)
{
    int parts = r.j1 - r.j0 > STRIP ? (r.i1 - r.i0 + STRIP - 1) / STRIP : 1;
    _tile_loadconfig(&tile_config);
    for (int s = 0; s < parts; s++)
        rectangle(p, (struct rectangle){cut(r.i0, r.i1, s, parts), cut(r.i0, r.i1, s + 1, parts), r.j0, r.j1}, room);
    _tile_release();
}

/* The grid of `threads` rectangles, so many one above the other, whose sides are shortest: least is packed. */
static int rows_of_grid(int threads, int down, int across)
{
    int best = 1;
    double least_sides = (double)down + (double)across / threads;
    for (int rows = 2; rows <= threads; rows++) {
        double sides = (double)down / rows + (double)across * rows / threads;
        if (threads % rows == 0 && sides <= least_sides)
            best = rows, least_sides = sides;
    }
    return best;
}

static void multiply_packed(const struct product *p)
{
    int down = panels(p->m), across = panels(p->n);
    if (omp_in_parallel()) {
        by_one(p, (struct rectangle){0, down, 0, across}, &rooms[omp_get_thread_num()]);
        return;
    }
#pragma omp parallel num_threads(least(omp_get_max_threads(), MAX_THREADS))
    {
        int t = omp_get_thread_num(), threads = omp_get_num_threads();
        int rows = rows_of_grid(threads, down, across), columns = threads / rows;
        by_one(p, (struct rectangle){cut(0, down, t / columns, rows), cut(0, down, t / columns + 1, rows),
                                     cut(0, across, t % columns, columns), cut(0, across, t % columns + 1, columns)},
               &rooms[t]);
    }
}

static struct operand operand(const float *x, int ld, bool along, bool turned, int n, float scale)
{
    return (struct operand){.x = x, .ld = (size_t)ld, .along = along, .turned = turned, .n = n,
                            .scale = _mm512_set1_ps(scale)};
}

static void scale_rows(int m, int n, float beta, float *c, int ldc)
{
    for (int r = 0; r < m; r++)
        for (int j = 0; j < n; j++)
            c[(size_t)r * (size_t)ldc + (size_t)j] *= beta;
}

void split_gemm(enum blas_op ta, enum blas_op tb, int m, int n, int k, float alpha, const float *a, int lda,
                const float *b, int ldb, float beta, const float *bias, float *c, int ldc)
{
    struct product p = {.a = operand(a, lda, ta == BLAS_N, ta == BLAS_T, m, alpha),
                        .b = operand(b, ldb, tb == BLAS_T, tb == BLAS_T, n, 1),
                        .c = c, .ldc = (size_t)ldc, .bias = bias, .add = beta != 0, .m = m, .n = n, .k = k};
    if (beta != 0 && beta != 1)
        scale_rows(m, n, beta, c, ldc);
    multiply_packed(&p);
}

#else

bool split_gemm_available(void) { return false; }
bool split_gemm_pays(int m, int n, int k, bool thin) { return thin && m < 0 && n < 0 && k < 0; }

void split_gemm(enum blas_op ta, enum blas_op tb, int m, int n, int k, float alpha, const float *a, int lda,
                const float *b, int ldb, float beta, const float *bias, float *c, int ldc)
{
    (void)ta, (void)tb, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)lda, (void)b, (void)ldb, (void)beta;
    (void)bias, (void)c, (void)ldc;
}

#endif
