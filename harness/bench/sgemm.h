/*
 * The limit that steps are measured against: OpenBLAS's own SGEMM on the shape's largest product,
 * y [1024, intermediate] = x [1024, hidden] Wᵀ. Its buffers come from the system for each slice and go back after it:
 * they are not part of the memory that is measured.
 */
#ifndef HARNESS_BENCH_SGEMM_H
#define HARNESS_BENCH_SGEMM_H

#include "base/err.h"

/* Operations per second over at least so many seconds, in 1e9; one product goes before them. */
bool sgemm_gflops(int hidden, int intermediate, double seconds, double *gflops, struct err *e);

#endif
