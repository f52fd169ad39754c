/* Summaries: see stats.h. Two passes, so that equal numbers have a spread of exactly 0. */
#include "results/stats.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t drop_nan(double *v, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(v[i]))
            v[kept++] = v[i];
    return kept;
}

struct summary summarize(double *v, size_t n)
{
    struct summary s = {.mean = NAN, .median = NAN, .min = NAN, .max = NAN, .std = NAN};
    s.n = n = drop_nan(v, n);
    if (n == 0)
        return s;
    qsort(v, n, sizeof *v, ascending);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    s.mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (v[i] - s.mean) * (v[i] - s.mean);
    s.std = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
    s.median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
    s.min = v[0];
    s.max = v[n - 1];
    return s;
}
