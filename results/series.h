/*
 * A series: named columns of doubles that grow row by row, kept in an arena. The trainer appends to one per group of
 * curves (/train, /eval, /method); the writer stores each column as a dataset. A value that was not set is NaN.
 */
#ifndef RESULTS_SERIES_H
#define RESULTS_SERIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct series_column {
    const char *name;        /* copied into the arena                                  */
    const char *units;       /* "1" for pure numbers                                   */
    const char *description; /* one line                                               */
    double *v;               /* [row_cap]; rows beyond `rows` are unspecified          */
};

struct series {
    struct arena *arena; /* the only member to set by hand; the rest starts as zero */
    struct series_column *column;
    size_t columns, column_cap;
    size_t rows, row_cap;
};

/* Declares a column (NaN in the rows that exist). An existing one keeps its place and text. */
bool series_column(struct series *s, const char *name, const char *units, const char *description, struct err *e);

/* Makes room for `rows` rows in all, so that appending them later allocates nothing. */
bool series_reserve(struct series *s, size_t rows, struct err *e);

/* Begins a new row, every value NaN. */
bool series_row(struct series *s, struct err *e);

/* Sets a value of the last row; a name that is new becomes a column with units "1" and no description. */
bool series_set(struct series *s, const char *name, double value, struct err *e);

/* Column by name, or NULL; value of a row, NaN when the column or the row does not exist. */
const struct series_column *series_find(const struct series *s, const char *name);
double series_get(const struct series *s, const char *name, size_t row);

#endif
