/* What a benchmark prints. Internal to the benchmark. */
#ifndef HARNESS_BENCH_TABLE_H
#define HARNESS_BENCH_TABLE_H

#include "harness/cli_impl.h"
#include "results/bench_record.h"

/* Header and rows of both formats. `full`: the same case with full fine-tuning, against whose step the time of the
 * selection is counted; NULL: not measured. */
bool bench_table_header(struct cli_table *t, bool csv, struct err *e);
bool bench_table_row(struct cli_table *t, bool csv, const struct bench_record *r, const struct bench_record *full,
                     struct err *e);
size_t bench_table_columns(bool csv);

#endif
