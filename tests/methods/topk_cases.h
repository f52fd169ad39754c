/* Selection by magnitude against sorting: the cases that both precisions run. */
#ifndef TESTS_METHODS_TOPK_CASES_H
#define TESTS_METHODS_TOPK_CASES_H

#include "tests/test.h"

#include <math.h>

#include "base/rng.h"
#include "methods/topk.h"

enum { MOST = 3000 };

static const real *sorted_values;

static int larger_first(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    double x = fabs((double)sorted_values[i]), y = fabs((double)sorted_values[j]);
    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

static int ascending(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return (i > j) - (i < j);
}

static void compare(const real *v, size_t n, size_t k)
{
    static uint32_t want[MOST], got[MOST + 1];
    for (size_t i = 0; i < n; i++)
        want[i] = (uint32_t)i;
    sorted_values = v;
    qsort(want, n, sizeof *want, larger_first);
    qsort(want, k, sizeof *want, ascending);
    got[k] = 12345;
    topk(v, n, k, got);
    assert_memory_equal(got, want, k * sizeof *want);
    assert_int_equal(got[k], 12345);
    if (k == 0)
        return;
    static real room[MOST];
    struct topk_cut cut = topk_find_row_cut(v, n, k, room);
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        if (topk_keeps(&cut, v[i])) {
            assert_true(found < k && want[found] == i);
            found++;
        }
    assert_int_equal(found, k);
}

static void each_count(const real *v, size_t n)
{
    const size_t counts[] = {0, 1, 2, n / 100, n / 20 + 1, n / 2, n - 1, n};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        compare(v, n, counts[i]);
}

static inline void check_random_values(void)
{
    static real v[MOST];
    struct rng r = rng_stream(1, "topk");
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < MOST; i++)
            v[i] = (real)(rng_normal(&r) * pow(10, -3 * rng_normal(&r)));
        each_count(v, MOST);
    }
}

static inline void check_ties(void)
{
    static real v[MOST];
    struct rng r = rng_stream(2, "topk");
    for (int values = 1; values < 12; values++) {
        for (size_t i = 0; i < MOST; i++)
            v[i] = (real)rng_below(&r, (uint32_t)values) * (real)0.25 * (rng_below(&r, 2) ? 1 : -1);
        each_count(v, MOST);
    }
    uint32_t got[2];
    topk((const real[]){1, -2, 2, -2, 2}, 5, 2, got);
    assert_int_equal(got[0], 1);
    assert_int_equal(got[1], 2);
}

static inline void check_edges(void)
{
    static real v[MOST];
    real x = 1;
    for (size_t i = 0; i < MOST; i++, x = (real)nextafterf((float)x, 2))
        v[(i * 7) % MOST] = i % 2 ? x : -x;
    each_count(v, MOST);
    const real edge[] = {0, (real)-0.0, INFINITY, (real)1e-45, -INFINITY, (real)3e38, (real)-1e-45, 0};
    for (size_t k = 0; k <= 8; k++)
        compare(edge, 8, k);
}

static inline void check_nan(void)
{
    uint32_t got[3];
    const real v[] = {1, INFINITY, NAN, -3, -NAN, NAN};
    topk(v, 6, 3, got);
    assert_true(got[0] == 2 && got[1] == 4 && got[2] == 5);
    topk(v, 6, 2, got);
    assert_true(got[0] == 2 && got[1] == 4);
}

/* Long enough for a sample to give the range: patterns, many ties, a sample that misleads. */
static inline void check_long_arrays(void)
{
    enum { LONG = 300000 };
    static real v[LONG];
    static uint32_t got[LONG];
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < LONG; i++) {
            size_t mixed = i * 7919 % LONG;
            v[i] = kind == 0 ? (real)mixed + 1 : kind == 1 ? (real)(mixed % 50) : i < LONG / 100 ? (real)(LONG - i) : 0;
        }
        for (size_t k = 1; k <= LONG; k = k * 7 + 3) {
            size_t above = 0, at = 0;
            topk(v, LONG, k, got);
            real least = v[got[0]];
            for (size_t i = 0; i < k; i++)
                least = v[got[i]] < least ? v[got[i]] : least;
            for (size_t i = 0; i < LONG; i++) {
                bool mine = at < k && got[at] == i;
                at += mine;
                above += v[i] > least;
                assert_true(mine || v[i] <= least);
            }
            assert_true(at == k && above < k);
        }
    }
}

#endif
