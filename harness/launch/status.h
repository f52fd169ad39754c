/* How far the runs of a folder of results are: `peftlab status DIR`. */
#ifndef HARNESS_LAUNCH_STATUS_H
#define HARNESS_LAUNCH_STATUS_H

#include "base/text.h"

/* Every run counts once in the first four. */
struct status {
    size_t finished;  /* collapsed ones included                                         */
    size_t running;   /* a live process holds the claim                                  */
    size_t failed;    /* diverged ones included                                          */
    size_t left;      /* expected by the last `run` and not begun, or interrupted        */
    size_t collapsed, diverged, interrupted; /* of those above                           */
    double seconds_left; /* estimate from the runs that ended, NAN without one           */
};

/* Reads DIR/runs.tsv (the runs that the last `run` there expected) and DIR/runs. ERR_INPUT when DIR holds neither. Adds
 * to
 * *failures (may be NULL) a line `name<TAB>status<TAB>message` for each failed run. */
bool status_read(const char *dir, struct status *s, struct text *failures, struct arena *a, struct err *e);

/* The same as a table: csv of one header and one row, or Markdown with a list of the failed runs below. */
bool status_text(const char *dir, bool csv, struct text *out, struct arena *a, struct err *e);

#endif
