/*
 * Lines and fields of GLUE's TSV files: fields are separated by tabs and nothing else (a quotation mark is a character
 * like any other), lines end with \n or \r\n, the last one may end without, a byte-order mark is skipped.
 */
#ifndef TASKS_TSV_H
#define TASKS_TSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum { TSV_LINE_MAX = 1 << 20 }; /* bytes of a line */

struct tsv {
    const char *path;
    const char *next, *end; /* what is left of the file                           */
    const char *text;       /* the present line, without its end                  */
    size_t size;
    int line;               /* its number, 1-based; 0 before the first tsv_next   */
};

/* Reads the file into the arena; an empty one is an error. */
bool tsv_open(struct tsv *f, const char *path, struct arena *a, struct err *e);

/* Moves to the next line; *more is false at the end (blank lines at the end of the file count as the end). A NUL byte
 * and a line of more than TSV_LINE_MAX bytes are errors. */
bool tsv_next(struct tsv *f, bool *more, struct err *e);

/* Number of fields of the present line: tabs + 1. */
long long tsv_fields(const struct tsv *f);

/* Field number i, which must be there. */
const char *tsv_field(const struct tsv *f, long long i, size_t *size);

/* Column (1-based, in characters) at which a place in the line stands. */
int tsv_column(const struct tsv *f, const char *place);

#endif
