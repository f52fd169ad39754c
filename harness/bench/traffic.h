/* Bytes that a step must move between memory and processor, counted from the mathematics: every operand of every
 * operation read once and every result written once, weights again for each piece. Caches make the true number smaller,
 * repeated reads make it larger; it is the denominator of the arithmetic intensity in rooflines. */
#ifndef HARNESS_BENCH_TRAFFIC_H
#define HARNESS_BENCH_TRAFFIC_H

#include "harness/session.h"

double step_traffic(const struct session *s, double tokens, bool train);

#endif
