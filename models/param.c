/* Parameters and gradient requests: see param.h. */
#include "models/param.h"

#include <assert.h>
#include <string.h>

size_t param_size(const struct param *p) { return (size_t)p->rows * (size_t)p->cols; }

struct param *param_add(struct param_list *list, const struct param *like, struct arena *a, struct err *e)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct param **item = ARENA_NEW(a, MEM_DATA, struct param *, cap, e);
        TRY(item);
        if (list->n)
            memcpy(item, list->item, list->n * sizeof *item);
        list->item = item;
        list->cap = cap;
    }
    struct param *p = ARENA_NEW(a, MEM_DATA, struct param, 1, e);
    TRY(p);
    *p = *like;
    p->name = arena_strdup(a, like->name, e);
    TRY(p->name);
    list->item[list->n++] = p;
    return p;
}

struct param *param_find(const struct param_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->item[i]->name, name) == 0)
            return list->item[i];
    return NULL;
}

size_t param_number(const struct param_list *list, const struct param *p)
{
    size_t i = 0;
    while (i < list->n && list->item[i] != p)
        i++;
    assert(i < list->n);
    return i;
}

static size_t request_size(const struct param *p, enum grad_form form, size_t n, int block)
{
    switch (form) {
    case GRAD_NONE: return 0;
    case GRAD_DENSE: return param_size(p);
    case GRAD_ROWS: return n * (size_t)p->cols;
    case GRAD_COLS: return n * (size_t)p->rows;
    case GRAD_BLOCKS: return n * (size_t)block * (size_t)block;
    case GRAD_ENTRIES: return n;
    }
    return 0;
}

void param_request(struct param *p, enum grad_form form, size_t n, int block)
{
    assert(form != GRAD_BLOCKS || (block > 0 && p->rows % block == 0 && p->cols % block == 0));
    size_t size = request_size(p, form, n, block);
    assert(size <= param_size(p));
    bool nothing = size == 0, whole = size == param_size(p);
    p->grad = (struct grad){.form = nothing ? GRAD_NONE : whole ? GRAD_DENSE : form,
                            .block = form == GRAD_BLOCKS && !whole ? block : 0,
                            .n = nothing || whole ? 0 : n,
                            .size = size};
}

void param_request_pooled(struct param *p, enum grad_form form, size_t n, int block)
{
    param_request(p, form, n, block);
    p->pooled = form;
    p->pooled_block = block;
}

/* Scalars of the smallest unit above `above` among the pooled parameters (SIZE_MAX: none), and how many such units
 * there are. */
static size_t next_unit(const struct param_list *list, size_t above, size_t *units)
{
    size_t unit = SIZE_MAX;
    for (size_t i = 0; i < list->n; i++) {
        const struct param *p = list->item[i];
        size_t each = p->pooled == GRAD_NONE ? 0 : request_size(p, p->pooled, 1, p->pooled_block);
        if (each <= above || each > unit)
            continue;
        *units = (each == unit ? *units : 0) + param_units(p, p->pooled, p->pooled_block);
        unit = each;
    }
    return unit;
}

/* Most units that fit into `size` scalars: the smallest ones first. */
static size_t most_units(const struct param_list *list, size_t size)
{
    size_t n = 0, there = 0;
    for (size_t unit = next_unit(list, 0, &there); unit <= size; unit = next_unit(list, unit, &there)) {
        size_t fit = size / unit < there ? size / unit : there;
        n += fit;
        size -= fit * unit;
    }
    return n;
}

/* Room for all pooled requests: as many scalars as asked for, and indices for however they are shared out. */
static struct grad_pool pool_room(const struct param_list *list)
{
    struct grad_pool pool = {0};
    for (size_t i = 0; i < list->n; i++)
        pool.size += list->item[i]->pooled == GRAD_NONE ? 0 : list->item[i]->grad.size;
    pool.n = most_units(list, pool.size);
    return pool;
}

void param_bytes(const struct param_list *list, size_t bytes[MEM_TAGS])
{
    struct grad_pool pool = pool_room(list);
    if (pool.size)
        bytes[MEM_GRADIENTS] += mem_round(pool.size * sizeof(real)) + mem_round(pool.n * sizeof(uint32_t));
    for (size_t i = 0; i < list->n; i++) {
        const struct param *p = list->item[i];
        if (p->grad.form != GRAD_NONE && p->pooled == GRAD_NONE)
            bytes[MEM_GRADIENTS] += mem_round(p->grad.size * sizeof(real));
        if (p->grad.n && p->pooled == GRAD_NONE)
            bytes[MEM_GRADIENTS] += mem_round(p->grad.n * sizeof(uint32_t));
        if (p->added)
            bytes[MEM_WEIGHTS] += mem_round(param_size(p) * sizeof(real));
    }
}

/* Gives every pooled parameter its part of the room, in the order of the list. */
static void lay_out_pool(struct param_list *list)
{
    size_t v = 0, idx = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct grad *g = &list->item[i]->grad;
        if (list->item[i]->pooled == GRAD_NONE)
            continue;
        g->v = g->size ? list->pool.v + v : NULL;
        g->idx = g->n ? list->pool.idx + idx : NULL;
        v += g->size;
        idx += g->n;
    }
    assert(v <= list->pool.size && idx <= list->pool.n);
}

void param_deal(struct param_list *list, const size_t *n)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->item[i]->pooled != GRAD_NONE)
            param_request(list->item[i], list->item[i]->pooled, n[i], list->item[i]->pooled_block);
    lay_out_pool(list);
}

static bool allocate_pool(struct param_list *list, struct arena *a, struct err *e)
{
    list->pool = pool_room(list);
    if (!list->pool.size)
        return true;
    TRY(list->pool.v = ARENA_NEW(a, MEM_GRADIENTS, real, list->pool.size, e));
    TRY(list->pool.idx = ARENA_NEW(a, MEM_GRADIENTS, uint32_t, list->pool.n, e));
    lay_out_pool(list);
    return true;
}

bool param_allocate(struct param_list *list, struct arena *a, struct err *e)
{
    TRY(allocate_pool(list, a, e));
    for (size_t i = 0; i < list->n; i++) {
        struct param *p = list->item[i];
        struct grad *g = &p->grad;
        if (g->form != GRAD_NONE && p->pooled == GRAD_NONE)
            TRY(g->v = ARENA_NEW(a, MEM_GRADIENTS, real, g->size, e));
        if (g->n && p->pooled == GRAD_NONE)
            TRY(g->idx = ARENA_NEW(a, MEM_GRADIENTS, uint32_t, g->n, e));
        if (p->added && !p->w)
            TRY(p->w = ARENA_NEW(a, MEM_WEIGHTS, real, param_size(p), e));
    }
    return true;
}

size_t param_units(const struct param *p, enum grad_form form, int block)
{
    switch (form) {
    case GRAD_ROWS: return (size_t)p->rows;
    case GRAD_COLS: return (size_t)p->cols;
    case GRAD_BLOCKS: return param_size(p) / ((size_t)block * (size_t)block);
    default: return param_size(p);
    }
}

void param_set_index(struct param *p, const uint32_t *idx)
{
    if (!p->grad.n)
        return;
    for (size_t i = 0; i < p->grad.n; i++)
        assert(idx[i] < param_units(p, p->grad.form, p->grad.block) && (i == 0 || idx[i] > idx[i - 1]));
    memcpy(p->grad.idx, idx, p->grad.n * sizeof *idx);
}

size_t param_touched_bytes(const struct param *p) { return (param_size(p) + 7) / 8; }

static void touch_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    (void)u, (void)compact;
    for (size_t i = at; i < at + length; i++)
        p->touched[i / 8] |= (uint8_t)(1u << i % 8);
}

void param_touch(struct param *p) { param_each_run(p, touch_run, NULL); }

size_t param_touched(const struct param *p, uint32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < param_size(p); i++) {
        if (!(p->touched[i / 8] >> i % 8 & 1))
            continue;
        if (out)
            out[n] = (uint32_t)i;
        n++;
    }
    return n;
}

size_t param_trainable(const struct param_list *list, bool with_head)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (!list->item[i]->watched && (with_head || !list->item[i]->head))
            n += list->item[i]->grad.size;
    return n;
}

static void zero(real *v, size_t n)
{
    enum { SLICE = 1 << 16 };
#pragma omp parallel for schedule(static) if (n > 4 * SLICE)
    for (size_t at = 0; at < n; at += SLICE)
        memset(v + at, 0, (n - at < SLICE ? n - at : SLICE) * sizeof *v);
}

void param_zero_grads(struct param_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct param *p = list->item[i];
        p->grad.unwritten = p->grad.form == GRAD_DENSE && p->pooled == GRAD_NONE && p->kind == PARAM_LINEAR;
        if (p->grad.form != GRAD_NONE && !p->grad.unwritten)
            zero(p->grad.v, p->grad.size);
    }
}

real param_grad_beta(struct param *p)
{
    real beta = p->grad.unwritten ? 0 : 1;
    p->grad.unwritten = false;
    return beta;
}

void param_settle_grad(struct param *p)
{
    if (param_grad_beta(p) == 0)
        zero(p->grad.v, p->grad.size);
}

static void each_block_row(const struct param *p, param_run_fn *run, void *u)
{
    const struct grad *g = &p->grad;
    size_t side = (size_t)g->block, across = (size_t)p->cols / side;
    for (size_t i = 0; i < g->n; i++)
        for (size_t r = 0; r < side; r++)
            run(u, p, (g->idx[i] / across * side + r) * (size_t)p->cols + g->idx[i] % across * side,
                (i * side + r) * side, side);
}

static void each_column_entry(const struct param *p, param_run_fn *run, void *u)
{
    const struct grad *g = &p->grad;
    for (size_t r = 0; r < (size_t)p->rows; r++)
        for (size_t i = 0; i < g->n; i++)
            run(u, p, r * (size_t)p->cols + g->idx[i], r * g->n + i, 1);
}

void param_each_run(const struct param *p, param_run_fn *run, void *u)
{
    const struct grad *g = &p->grad;
    size_t cols = (size_t)p->cols;
    switch (g->form) {
    case GRAD_NONE: break;
    case GRAD_DENSE: run(u, p, 0, 0, g->size); break;
    case GRAD_ROWS:
        for (size_t i = 0; i < g->n; i++)
            run(u, p, g->idx[i] * cols, i * cols, cols);
        break;
    case GRAD_COLS: each_column_entry(p, run, u); break;
    case GRAD_BLOCKS: each_block_row(p, run, u); break;
    case GRAD_ENTRIES:
        for (size_t i = 0; i < g->n; i++)
            run(u, p, g->idx[i], i, 1);
        break;
    }
}

struct copy {
    const real *from;
    real *to;
};

static void gather_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    (void)p;
    struct copy *c = u;
    memcpy(c->to + compact, c->from + at, length * sizeof(real));
}

static void scatter_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    (void)p;
    struct copy *c = u;
    memcpy(c->to + at, c->from + compact, length * sizeof(real));
}

void param_gather(const struct param *p, const real *dense, real *compact)
{
    param_each_run(p, gather_run, &(struct copy){dense, compact});
}

void param_scatter(struct param *p, const real *compact)
{
    param_each_run(p, scatter_run, &(struct copy){compact, p->w});
}
