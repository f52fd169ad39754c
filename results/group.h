/*
 * How runs are named, ordered and gathered in tables and plots: titles of tasks and metrics, the order of the columns
 * of published GLUE tables, and the distinct values of a key over a list of runs.
 */
#ifndef RESULTS_GROUP_H
#define RESULTS_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "results/run_record.h"
#include "results/table.h"

/* `SST-2` for sst2, `syn-entail` for synth_entailment; a name that is not known is its own title. */
const char *task_title(const char *task);

/* `Matthews correlation` for matthews_correlation. */
const char *metric_title(const char *metric);

/* `sift density=0.008`; the method alone when its variant is `default`. */
char *method_label(struct arena *a, const struct run_record *r, struct err *e);

/* One key more than tables have: the method with the words of its variant, numbers left out. A sweep of a number is one
 * family; `select=random` beside it is another. */
enum { GROUP_FAMILY = TABLE_SEED + 1 };

/* `sift select=random` for variant density=0.008+select=random. */
char *family_label(struct arena *a, const struct run_record *r, struct err *e);

/* Do two runs have the same value of the key? TABLE_METHOD compares the method alone. */
bool group_same(enum table_key key, const struct run_record *a, const struct run_record *b);

/* Order of two runs by a key: tasks as in published tables; methods by the integer `order` of /meta (their place in the
 * spec), then by trainable parameters, most first, then by name; the rest by name or number. */
int group_compare(enum table_key key, const struct run_record *a, const struct run_record *b);

/* One run for each distinct combination of the keys (-1 ends the list), in order. */
struct run_pick {
    const struct run_record **run; /* [n] */
    size_t n;
};
bool group_distinct(struct run_pick *p, const struct run_list *l, const int *keys, struct arena *a, struct err *e);

/* Do all keys (-1 ends the list) agree? */
bool group_match(const int *keys, const struct run_record *a, const struct run_record *b);

/* Does the run count as measured (finished or collapsed)? */
bool run_measured(const struct run_record *r);

/* Mean seconds of a training step and tokens per second while training, NaN when not recorded. */
double run_step_seconds(const struct run_record *r);
double run_tokens_per_second(const struct run_record *r);

#endif
