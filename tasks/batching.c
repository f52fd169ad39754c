/* Order of batches and cutting into pieces: see batching.h. */
#include "tasks/batching.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

static long long epoch_steps(size_t n, size_t batch_size) { return (long long)((n + batch_size - 1) / batch_size); }

bool order_init(struct order *o, size_t n, size_t batch_size, uint64_t seed, struct arena *a, struct err *e)
{
    assert(n > 0 && n <= INT32_MAX && batch_size > 0);
    *o = (struct order){.seed = seed, .n = n, .batch_size = batch_size, .epoch = -1};
    o->steps_per_epoch = epoch_steps(n, batch_size);
    return (o->rows = ARENA_NEW(a, MEM_DATA, int32_t, n, e)) != NULL;
}

/* Each epoch has a stream of its own, so its permutation depends on nothing before it. */
static void shuffle_epoch(struct order *o, long long epoch)
{
    char name[40];
    snprintf(name, sizeof name, "order/%lld", epoch);
    struct rng r = rng_stream(o->seed, name);
    for (size_t i = 0; i < o->n; i++)
        o->rows[i] = (int32_t)i;
    if (!o->fixed)
        rng_shuffle(&r, o->rows, o->n);
    o->epoch = epoch;
}

const int32_t *order_batch(struct order *o, long long step, size_t *n)
{
    assert(step >= 0);
    if (step / o->steps_per_epoch != o->epoch)
        shuffle_epoch(o, step / o->steps_per_epoch);
    size_t from = (size_t)(step % o->steps_per_epoch) * o->batch_size;
    *n = o->n - from < o->batch_size ? o->n - from : o->batch_size;
    return o->rows + from;
}

long long order_steps(size_t n, size_t batch_size, double epochs)
{
    return (long long)ceil(epochs * (double)epoch_steps(n, batch_size));
}

static size_t length(const struct dataset *d, size_t i) { return d->start[i + 1] - d->start[i]; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t packer_bytes(int max_seq, int max_tok)
{
    size_t s = (size_t)max_seq, t = (size_t)max_tok;
    return 2 * mem_round(t * sizeof(int32_t)) + mem_round((s + 1) * sizeof(int32_t)) +
           2 * mem_round(s * sizeof(int32_t)) + mem_round(s * sizeof(float));
}

bool packer_init(struct packer *p, const struct dataset *d, int piece_tokens, size_t rows, struct arena *a,
                 struct err *e)
{
    size_t longest = (size_t)d->longest, shortest = d->shortest > 0 ? (size_t)d->shortest : 1;
    rows = least(rows, d->n);
    size_t tok = rows * longest;
    if (piece_tokens > 0)
        tok = least(tok, (size_t)piece_tokens > longest ? (size_t)piece_tokens : longest);
    size_t seq = least(rows, tok / shortest);
    if (tok > INT_MAX)
        return err_set(e, ERR_INPUT, "a piece of %zu tokens is too long; set piece_tokens", tok);
    *p = (struct packer){.max_seq = (int)seq, .max_tok = (int)tok};
    p->ids = ARENA_NEW(a, MEM_DATA, int32_t, tok, e);
    p->types = ARENA_NEW(a, MEM_DATA, int32_t, tok, e);
    p->start = ARENA_NEW(a, MEM_DATA, int32_t, seq + 1, e);
    p->row = ARENA_NEW(a, MEM_DATA, int32_t, seq, e);
    p->label = ARENA_NEW(a, MEM_DATA, int32_t, seq, e);
    p->score = ARENA_NEW(a, MEM_DATA, float, seq, e);
    return p->ids && p->types && p->start && p->row && p->label && p->score;
}

static void pack_one(struct packer *p, const struct dataset *d, size_t i, int s, int tok)
{
    assert(s < p->max_seq && (size_t)tok + length(d, i) <= (size_t)p->max_tok);
    memcpy(p->ids + tok, d->ids + d->start[i], length(d, i) * sizeof(int32_t));
    memcpy(p->types + tok, d->types + d->start[i], length(d, i) * sizeof(int32_t));
    p->start[s] = tok;
    p->row[s] = d->row[i];
    if (d->label)
        p->label[s] = d->label[i];
    else
        p->score[s] = d->score[i];
}

bool packer_next(struct packer *p, const struct dataset *d, const int32_t *rows, size_t n, int piece_tokens, size_t *at,
                 struct batch *piece)
{
    int s = 0, tok = 0;
    for (; *at < n; ++*at, s++) {
        size_t i = rows ? (size_t)rows[*at] : *at;
        if (s > 0 && piece_tokens > 0 && (size_t)tok + length(d, i) > (size_t)piece_tokens)
            break;
        pack_one(p, d, i, s, tok);
        tok += (int)length(d, i);
    }
    p->start[s] = tok;
    *piece = (struct batch){.n_seq = s, .n_tok = tok, .ids = p->ids, .types = p->types, .start = p->start,
                            .row = p->row};
    piece->label = d->label ? p->label : NULL;
    piece->score = d->label ? NULL : p->score;
    return s > 0;
}

size_t packer_tokens(const struct dataset *d, const int32_t *rows, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += length(d, rows ? (size_t)rows[i] : i);
    return sum;
}
