/*
 * The comparison table of a folder of results: cells are mean and standard deviation (or median) of the headline metric
 * over seeds. What was not measured is never printed as a number; runs that failed, diverged or collapsed are marked.
 */
#ifndef RESULTS_TABLE_H
#define RESULTS_TABLE_H

#include "base/text.h"
#include "results/run_record.h"

enum table_format { TABLE_MD, TABLE_CSV, TABLE_LATEX };
enum table_select { TABLE_BEST, TABLE_LAST };
enum table_aggregate { TABLE_MEAN, TABLE_MEDIAN };
enum table_key { TABLE_METHOD, TABLE_TASK, TABLE_MODEL, TABLE_VARIANT, TABLE_SEED };

struct table_options { /* all zero: markdown, best, mean, methods by tasks (set `columns` to TABLE_TASK) */
    enum table_format format;
    enum table_select select;
    enum table_aggregate aggregate;
    enum table_key rows, columns;
};

/* Words of the options for the command line, NULL-terminated, in the order of the enums. */
extern const char *const table_format_words[], *const table_select_words[], *const table_aggregate_words[],
    *const table_key_words[];

/* Appends the table to *out (scratch memory comes from its arena). ERR_INPUT when rows and columns are the same key. */
bool table_write(struct text *out, const struct run_list *runs, const struct table_options *o, struct err *e);

#endif
