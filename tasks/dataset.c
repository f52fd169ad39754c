/* Tokenised examples, packed: see dataset.h. */
#include "tasks/dataset.h"

#include <assert.h>
#include <string.h>

/* Tokens collect in blocks until their number is known; then they are copied into arrays that fit exactly. */
enum { BLOCK_TOKENS = 1 << 16 };

struct block {
    struct block *next;
    int32_t *ids, *types; /* [room] */
    size_t used, room;
};

struct collector {
    struct arena *scratch;
    struct block *first, *last;
    int max_length;
};

/* Makes sure that a whole sequence fits into the last block. */
static bool block_room(struct collector *c, struct err *e)
{
    size_t most = (size_t)c->max_length;
    if (c->last && c->last->room - c->last->used >= most)
        return true;
    struct block *b = ARENA_NEW(c->scratch, MEM_DATA, struct block, 1, e);
    TRY(b);
    b->room = most > BLOCK_TOKENS ? most : BLOCK_TOKENS;
    TRY(b->ids = ARENA_NEW(c->scratch, MEM_DATA, int32_t, b->room, e));
    TRY(b->types = ARENA_NEW(c->scratch, MEM_DATA, int32_t, b->room, e));
    *(c->last ? &c->last->next : &c->first) = b;
    c->last = b;
    return true;
}

/* Tokenises one example to the end of the last block; *n tokens. */
static bool collect(struct collector *c, const struct tokenizer *t, const struct example *x, size_t *n, struct err *e)
{
    TRY(block_room(c, e));
    struct arena_mark mark = arena_mark(c->scratch);
    struct encoding got;
    bool ok = tokenizer_encode(t, x->text_a, x->a_size, x->text_b, x->b_size, c->max_length, &got, c->scratch, e);
    if (ok) {
        assert(got.n > 0 && got.n <= c->max_length);
        struct block *b = c->last;
        *n = (size_t)got.n;
        memcpy(b->ids + b->used, got.ids, *n * sizeof(int32_t));
        memcpy(b->types + b->used, got.types, *n * sizeof(int32_t));
        b->used += *n;
    }
    arena_release(c->scratch, mark);
    return ok;
}

static bool alloc_rows(struct dataset *d, const struct examples *x, struct arena *a, struct err *e)
{
    *d = (struct dataset){.task = x->task, .n = x->n};
    TRY(d->start = ARENA_NEW(a, MEM_DATA, size_t, d->n + 1, e));
    TRY(d->row = ARENA_NEW(a, MEM_DATA, int32_t, d->n, e));
    if (x->task->kind == TASK_REGRESSION)
        return (d->score = ARENA_NEW(a, MEM_DATA, float, d->n, e)) != NULL;
    return (d->label = ARENA_NEW(a, MEM_DATA, int32_t, d->n, e)) != NULL;
}

static void set_row(struct dataset *d, size_t i, const struct example *x)
{
    d->row[i] = x->row;
    if (d->label)
        d->label[i] = x->label;
    else
        d->score[i] = x->score;
}

static void note_length(struct dataset *d, int n, int max_length)
{
    d->longest = n > d->longest ? n : d->longest;
    d->shortest = d->shortest == 0 || n < d->shortest ? n : d->shortest;
    d->full += n == max_length;
}

static bool copy_tokens(struct dataset *d, const struct block *b, struct arena *a, struct err *e)
{
    TRY(d->ids = ARENA_NEW(a, MEM_DATA, int32_t, d->start[d->n], e));
    TRY(d->types = ARENA_NEW(a, MEM_DATA, int32_t, d->start[d->n], e));
    for (size_t at = 0; b; at += b->used, b = b->next) {
        memcpy(d->ids + at, b->ids, b->used * sizeof(int32_t));
        memcpy(d->types + at, b->types, b->used * sizeof(int32_t));
    }
    return true;
}

bool dataset_build(struct dataset *d, const struct examples *x, const struct tokenizer *t, int max_length,
                   struct arena *a, struct arena *scratch, struct err *e)
{
    assert(a != scratch && max_length > 0);
    struct arena_mark mark = arena_mark(scratch);
    struct collector c = {.scratch = scratch, .max_length = max_length};
    bool ok = alloc_rows(d, x, a, e);
    for (size_t i = 0; ok && i < d->n; i++) {
        size_t n = 0;
        ok = collect(&c, t, &x->item[i], &n, e);
        d->start[i + 1] = d->start[i] + n;
        set_row(d, i, &x->item[i]);
        note_length(d, (int)n, max_length);
    }
    ok = ok && copy_tokens(d, c.first, a, e);
    arena_release(scratch, mark);
    return ok;
}

size_t dataset_bytes(size_t n, size_t tokens)
{
    return mem_round((n + 1) * sizeof(size_t)) + 2 * mem_round(n * sizeof(int32_t)) +
           2 * mem_round(tokens * sizeof(int32_t));
}
