/* Summaries of a few numbers: what stands in the cell of a table. */
#ifndef RESULTS_STATS_H
#define RESULTS_STATS_H

#include <stddef.h>

struct summary {
    size_t n;
    double mean, median, min, max; /* NaN when n is 0                     */
    double std;                    /* ddof 1; NaN when n is less than 2   */
};

/* Of the numbers in v[0..n) that are not NaN; v is sorted. */
struct summary summarize(double *v, size_t n);

#endif
