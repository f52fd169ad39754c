/* What a benchmark prints. Internal to the benchmark. */
#ifndef HARNESS_BENCH_TABLE_H
#define HARNESS_BENCH_TABLE_H

#include "harness/cli_impl.h"
#include "results/bench_record.h"

/* csv has all in one; Markdown comes in two tables. */
enum bench_table { BENCH_CSV, BENCH_SPEED, BENCH_MEMORY };

/* A table with its header. */
bool bench_table_begin(struct cli_table *t, enum bench_table kind, struct arena *a, struct err *e);

/* `full`: the same case with full fine-tuning, against whose step the time of the selection is counted; NULL: not
 * measured. */
bool bench_table_row(struct cli_table *t, enum bench_table kind, const struct bench_record *r,
                     const struct bench_record *full, struct err *e);

#endif
