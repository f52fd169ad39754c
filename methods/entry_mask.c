/* Random masks: see entry_mask.h. */
#include "methods/entry_mask.h"

#include <string.h>

#include "methods/mask.h"

void entry_mask_random(struct rng *r, size_t n, size_t k, uint32_t *idx)
{
    struct mask_draw d = {*r, n, k};
    for (size_t i = 0, found = 0; found < k; i++)
        if (mask_drawn(&d))
            idx[found++] = (uint32_t)i;
    *r = d.rng;
}

static int32_t *random_order(struct rng *r, size_t n, struct arena *a, struct err *e)
{
    int32_t *order = ARENA_NEW(a, MEM_SCRATCH, int32_t, n, e);
    TRY(order);
    for (size_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    rng_shuffle(r, order, n);
    return order;
}

/* A mask by rows: entries [start[i], start[i + 1]) stand in row i. */
struct by_rows {
    uint32_t *idx; /* [n] a copy */
    size_t *start; /* [rows + 1] */
};

static bool split_rows(struct by_rows *m, size_t rows, size_t cols, const uint32_t *idx, size_t n, struct arena *a,
                       struct err *e)
{
    TRY(m->idx = ARENA_NEW(a, MEM_SCRATCH, uint32_t, n, e));
    TRY(m->start = ARENA_NEW(a, MEM_SCRATCH, size_t, rows + 1, e));
    memcpy(m->idx, idx, n * sizeof *idx);
    for (size_t i = 0; i < n; i++)
        m->start[idx[i] / cols + 1]++;
    for (size_t i = 0; i < rows; i++)
        m->start[i + 1] += m->start[i];
    return true;
}

static bool permute_in(struct rng *r, size_t rows, size_t cols, uint32_t *idx, size_t n, struct arena *a,
                       struct err *e)
{
    struct by_rows old;
    int32_t *row = random_order(r, rows, a, e), *column = row ? random_order(r, cols, a, e) : NULL;
    bool *hit = column ? ARENA_NEW(a, MEM_SCRATCH, bool, cols, e) : NULL;
    TRY(hit && split_rows(&old, rows, cols, idx, n, a, e));
    for (size_t i = 0, found = 0; i < rows; i++) {
        size_t from = old.start[row[i]], to = old.start[row[i] + 1];
        for (size_t k = from; k < to; k++)
            hit[column[old.idx[k] % cols]] = true;
        for (size_t j = 0; from < to && j < cols; j++) {
            if (hit[j])
                idx[found++] = (uint32_t)(i * cols + j);
            hit[j] = false;
        }
    }
    return true;
}

bool entry_mask_permute(struct rng *r, int rows, int cols, uint32_t *idx, size_t n, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    bool ok = permute_in(r, (size_t)rows, (size_t)cols, idx, n, a, e);
    arena_release(a, mark);
    return ok;
}
