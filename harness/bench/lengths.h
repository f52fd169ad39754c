/* How long the sequences of a benchmark are: one length, or the lengths that sentences of a task have. */
#ifndef HARNESS_BENCH_LENGTHS_H
#define HARNESS_BENCH_LENGTHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum { LENGTH_QUANTILES = 32 };

/* Mean length in each 32nd of a training set sorted by length. */
struct length_mix {
    const char *name;
    int quantile[LENGTH_QUANTILES];
};

struct lengths {
    const char *word;             /* as on the command line               */
    const struct length_mix *mix; /* NULL: all of `fixed`                 */
    int fixed;
};

/* A number of tokens or the name of a mix. */
bool lengths_parse(struct lengths *l, const char *word, struct err *e);

/* Batches after which the lengths repeat: one of a fixed length, at least 128 sequences of a mix. */
size_t lengths_cycle(const struct lengths *l, size_t batch);

/* The lengths of n sequences. A mix gives each quantile its share of them and shuffles, always in the same way, so that
 * a batch holds long and short ones as a random batch of the task does. */
void lengths_fill(const struct lengths *l, int32_t *length, size_t n);

#endif
