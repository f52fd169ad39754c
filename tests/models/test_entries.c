/* Gradients of single entries against sums in double, for shapes that divide nothing.
 * labels: unit */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "models/blas.h"
#include "models/entries.h"
#include "models/model.h"
#include "models/weight_grad.h"

struct task {
    struct arena *arena;
    int rows, cols, tokens;
    size_t n;
    uint32_t *idx;
    real *x, *dy, *g;
};

/* Every `step`-th entry or so. */
static struct task task(int rows, int cols, int tokens, uint32_t step)
{
    struct err e;
    struct task t = {.arena = arena_create(NULL), .rows = rows, .cols = cols, .tokens = tokens};
    size_t size = (size_t)rows * (size_t)cols;
    struct rng r = rng_stream(3, "entries");
    t.idx = ARENA_NEW(t.arena, MEM_DATA, uint32_t, size, &e);
    t.x = ARENA_NEW(t.arena, MEM_DATA, real, (size_t)tokens * (size_t)cols, &e);
    t.dy = ARENA_NEW(t.arena, MEM_DATA, real, (size_t)tokens * (size_t)rows, &e);
    t.g = ARENA_NEW(t.arena, MEM_DATA, real, size, &e);
    for (size_t i = 0; i < (size_t)tokens * (size_t)cols; i++)
        t.x[i] = (real)rng_normal(&r);
    for (size_t i = 0; i < (size_t)tokens * (size_t)rows; i++)
        t.dy[i] = (real)rng_normal(&r);
    for (size_t i = rng_below(&r, step); i < size; i += 1 + rng_below(&r, 2 * step - 1))
        t.idx[t.n++] = (uint32_t)i;
    for (size_t i = 0; i < t.n; i++)
        t.g[i] = (real)i;
    return t;
}

static double sum(const struct task *t, uint32_t at)
{
    size_t row = at / (uint32_t)t->cols, col = at % (uint32_t)t->cols;
    double s = 0;
    for (size_t k = 0; k < (size_t)t->tokens; k++)
        s += (double)t->dy[k * (size_t)t->rows + row] * (double)t->x[k * (size_t)t->cols + col];
    return s;
}

static void compute(const struct task *t)
{
    struct err e;
    struct param p = {.name = "w", .kind = PARAM_LINEAR, .rows = t->rows, .cols = t->cols,
                      .grad = {.form = GRAD_ENTRIES, .n = t->n, .idx = t->idx, .v = t->g, .size = t->n}};
    struct pass pass = {0};
    real *room = ARENA_NEW(t->arena, MEM_SCRATCH, real, weight_grad_scratch(&p, t->tokens), &e);
    assert_true(room && weight_grad_linear(&p, &pass, t->tokens, t->x, t->dy, room, &e));
}

static void check(int rows, int cols, int tokens, uint32_t step)
{
    struct task t = task(rows, cols, tokens, step);
    compute(&t);
    assert_true(t.n > 0);
    for (size_t i = 0; i < t.n; i++)
        ASSERT_NEAR(t.g[i], (double)i + sum(&t, t.idx[i]), 1e-5 * (double)i + 2e-4);
    arena_destroy(t.arena);
}

TEST(entries_of_whole_tiles) { check(64, 48, 256, 30); }
TEST(entries_of_shapes_that_divide_nothing) { check(67, 53, 301, 20); }
TEST(entries_of_few_tokens) { check(70, 21, 5, 9); }
TEST(entries_of_more_columns_than_a_block) { check(65, 3079, 131, 900); }
TEST(entries_of_a_single_row_and_column)
{
    check(1, 40, 200, 9);
    check(40, 1, 200, 9);
}

/* One in four is above the switch to bands of rows. */
TEST(many_entries_go_through_bands)
{
    check(37, 29, 140, 4);
    check(300, 20, 33, 3);
}

TEST(entries_have_the_same_bits_on_any_number_of_threads)
{
    struct task t = task(67, 200, 900, 25);
    real *first = malloc(t.n * sizeof *first);
    for (int threads = 1; threads <= 5; threads++) {
        blas_set_threads(threads);
        for (size_t i = 0; i < t.n; i++)
            t.g[i] = (real)i;
        compute(&t);
        if (threads == 1)
            memcpy(first, t.g, t.n * sizeof *first);
        assert_memory_equal(first, t.g, t.n * sizeof *first);
    }
    blas_set_threads(1);
    free(first);
    arena_destroy(t.arena);
}

TEST(a_transpose_is_one)
{
    enum { R = 37, C = 50 };
    real x[R * C], xt[C * R];
    for (int i = 0; i < R * C; i++)
        x[i] = (real)i;
    transpose(R, C, x, xt);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++)
            assert_true(xt[c * R + r] == x[r * C + c]);
}
