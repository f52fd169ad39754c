/*
 * Order and shape of batches. The order of an epoch is a permutation drawn from the stream "order" of (seed, epoch), so
 * any step can be found again without replaying those before it. A batch's rows are cut into pieces of about
 * `piece_tokens` tokens at sequence ends; the cuts depend on lengths and piece_tokens alone.
 */
#ifndef TASKS_BATCHING_H
#define TASKS_BATCHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/batch.h"
#include "tasks/dataset.h"

struct order {
    uint64_t seed;
    size_t n;                  /* rows */
    size_t batch_size;         /* rows of an optimizer step; the last of an epoch may have fewer */
    long long steps_per_epoch;
    bool fixed;                /* every epoch has the rows in their order: for measurements          */
    long long epoch;           /* whose permutation `rows` holds, -1: none yet */
    int32_t *rows;             /* [n] */
};

/* Prepares the order of n > 0 rows; the memory is counted as MEM_DATA. */
bool order_init(struct order *o, size_t n, size_t batch_size, uint64_t seed, struct arena *a, struct err *e);

/* Indices (into the dataset) of the rows of optimizer step `step` (0-based, over all epochs), valid until the next
 * call;
 * *n of them. No allocation. */
const int32_t *order_batch(struct order *o, long long step, size_t *n);

/* Optimizer steps of so many epochs, a fraction of an epoch rounded up, as in Hugging Face's Trainer. */
long long order_steps(size_t n, size_t batch_size, double epochs);

/* Buffers of one piece. */
struct packer {
    int max_seq, max_tok;
    int32_t *ids, *types; /* [max_tok] */
    int32_t *start;       /* [max_seq + 1] */
    int32_t *row, *label; /* [max_seq] */
    float *score;         /* [max_seq] */
};

/* Capacity for every piece of at most `rows` rows of d at piece_tokens (0: a whole list of rows is one piece). */
bool packer_init(struct packer *p, const struct dataset *d, int piece_tokens, size_t rows, struct arena *a,
                 struct err *e);

/* Bytes that packer_init takes for such a capacity: what `plan` declares. */
size_t packer_bytes(int max_seq, int max_tok);

/* Fills *piece with the next rows of the list, from *at (0 at first), which it moves; false when nothing is left.
 * `rows` are indices into d, NULL for 0, 1, 2, ...: the rows of a file in order. A sequence longer than piece_tokens is
 * a piece of its own. The piece points into the packer's buffers: valid until the next call. */
bool packer_next(struct packer *p, const struct dataset *d, const int32_t *rows, size_t n, int piece_tokens, size_t *at,
                 struct batch *piece);

/* Tokens of a list of rows. */
size_t packer_tokens(const struct dataset *d, const int32_t *rows, size_t n);

#endif
