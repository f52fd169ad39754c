/*
 * The operations that a layer's step is made of, each timed by itself over a piece of about 1,024 tokens, and the
 * bandwidth of the memory: what a roofline is drawn from (Williams, Waterman, Patterson 2009).
 *
 * Operations and bytes are counted from the mathematics: two for a multiply-add, one for any other function of a number
 * (erf, exp, a square root); every operand read once, every result written once.
 */
#ifndef HARNESS_BENCH_OPERATIONS_H
#define HARNESS_BENCH_OPERATIONS_H

#include "harness/bench/stepper.h"

/* Fills r->operation and r->bandwidth; memory of the list from `a`. */
bool measure_operations(const struct stepper *x, struct bench_record *r, struct arena *a, struct err *e);

#endif
