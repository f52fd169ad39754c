/*
 * What the gradient measurement keeps: for every measured step and every parameter a histogram of log10|g|, counts
 * outside of it, the norm, the share of it held by the largest entries and by the entries that are trained. Gradients
 * are those of the logical batch before clipping.
 */
#ifndef RESULTS_GRADIENT_LOG_H
#define RESULTS_GRADIENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Bins of equal width in log10|g| over [1e-14, 1e2): 12.5 a decade. */
enum { GRADIENT_BINS = 200, GRADIENT_TOPS = 5 };
#define GRADIENT_LOG10_MIN (-14.0)
#define GRADIENT_LOG10_MAX 2.0

/* The shares of the entries whose part of the norm is recorded: .001 .005 .01 .05 .1 */
extern const double gradient_top[GRADIENT_TOPS];

/* Bin of |g| > 0: 0..GRADIENT_BINS-1, -1 below the range, GRADIENT_BINS at its end, above it and for NaN. */
int gradient_bin(double magnitude);

/* Lower edge of bin i as log10|g|; i = GRADIENT_BINS gives the end of the range. */
double gradient_edge(int i);

/* One parameter at one step. */
struct gradient_cell {
    uint32_t bin[GRADIENT_BINS];
    uint64_t zero;      /* entries that are exactly 0                                                        */
    uint64_t underflow; /* 0 < |g| < 1e-14                                                                   */
    uint64_t overflow;  /* |g| >= 1e2, infinities and NaN included                                           */
    double norm;        /* Euclidean                                                                         */
    double top[GRADIENT_TOPS]; /* ||g restricted to its largest q n entries|| / ||g||; NaN when the norm is 0 */
    double captured;    /* ||g restricted to the trained entries|| / ||g||; NaN when the norm is 0           */
};

struct gradient_log {
    struct arena *arena; /* the only member to set by hand */
    const char **name;   /* [params]                       */
    uint64_t *size;      /* [params] entries of each       */
    size_t params;
    int64_t *step;               /* [steps]                */
    struct gradient_cell *cell;  /* [steps, params]        */
    size_t steps, step_cap;
};

/* Names the parameters (copied) and makes room for `steps` measurements. Once, before the first gradient_log_step. */
bool gradient_log_open(struct gradient_log *l, size_t params, const char *const *names, const uint64_t *sizes,
                       size_t steps, struct err *e);

/* Begins a measured step; returns its [params] zeroed cells, NULL when memory is out. */
struct gradient_cell *gradient_log_step(struct gradient_log *l, int64_t step, struct err *e);

/* Measures one dense gradient into *cell. `scratch` [n] is overwritten. `trained` lists the offsets (ascending, count
 * n_trained) of the entries that are trained; NULL with n_trained == n: all, NULL with 0: none. */
void gradient_measure(struct gradient_cell *cell, const float *g, size_t n, const uint32_t *trained, size_t n_trained,
                      uint32_t *scratch);

#endif
