/* The table before it is text: blocks of rows of cells, made by table_grid.c, rendered by table_md.c, table_latex.c. */
#ifndef RESULTS_TABLE_GRID_H
#define RESULTS_TABLE_GRID_H

#include "results/group.h"
#include "results/stats.h"
#include "results/table.h"

enum table_rank { RANK_NONE, RANK_SECOND, RANK_BEST };

struct table_cell {
    size_t runs;               /* of any status                                       */
    size_t status[RUN_STATUSES];
    struct summary s;          /* of the measured values, in per cent                 */
    double value;              /* mean or median, NaN when nothing was measured       */
    double mismatched;         /* MNLI: the same of accuracy_mm, NaN elsewhere        */
    enum table_rank rank;      /* within its column of the block                      */
};

struct table_row {
    const char *label;
    struct table_cell *cell;   /* [columns]                                           */
    struct table_cell average; /* over the columns, only where every one has a value  */
    long long trainable[2];    /* least and most over its runs, -1: not known         */
    double per_cent;           /* of all parameters without the head, NaN: not known  */
    double step_ms, tokens, peak_mib; /* means over columns (peak: largest), NaN where a column is missing */
};

struct table_block {
    const char *title; /* what its rows have in common, NULL: there is one block */
    struct table_row *row;
    size_t rows;
};

struct table_grid {
    const char **column; /* [columns] titles                                           */
    size_t columns;
    bool average;        /* is there an average column?                                */
    bool cost;           /* are there columns of parameters, time and memory?          */
    struct table_block *block;
    size_t blocks;
    size_t n;            /* measured runs that most cells have; others state theirs    */
    struct text caption; /* sentences, plain text; `±` and `×` in UTF-8                */
    const char **note;   /* [notes] † and ‡, each a sentence                           */
    size_t notes, note_cap;
};

/* Value of a run's headline metric by the selection, in per cent; NaN when it was not measured. */
double table_value(const struct run_record *r, const char *metric, enum table_select select);

bool table_grid_make(struct table_grid *g, const struct run_list *l, const struct table_options *o, struct arena *a,
                     struct err *e);

/* Marks of a cell: "" or "†" (some collapsed), "‡" (some have no value). */
const char *table_marks(const struct table_cell *c);

/* The value as it is printed: `83.1`, MNLI's `84.3/84.6`. buf has at least 32 bytes. */
const char *table_value_text(const struct table_cell *c, char *buf);

/* Word for a cell without any value: `failed`, `diverged`, `interrupted` or `–`. */
const char *table_no_value(const struct table_cell *c);

/* Renderers. */
bool table_md(struct text *out, const struct table_grid *g, const struct table_options *o, struct err *e);
bool table_latex(struct text *out, const struct table_grid *g, const struct table_options *o, struct err *e);
bool table_csv(struct text *out, const struct run_list *l, const struct table_options *o, struct err *e);

#endif
