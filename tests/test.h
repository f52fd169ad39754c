/*
 * What every test file includes. A test is `TEST(name) { ... }` at the start of a line (the build finds it there and
 * makes a CTest case of it); it runs in a process of its own with cmocka's assertions. `test_data()` ends a test
 * that needs real data where there is none.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"

struct test_case {
    const char *name;
    void (*run)(void **state);
    struct test_case *next;
};
void test_register(struct test_case *c);

#define TEST(id)                                                                     \
    static void test_##id(void **state);                                             \
    static struct test_case test_case_##id = {#id, test_##id, NULL};                 \
    __attribute__((constructor)) static void test_register_##id(void)                \
    {                                                                                \
        test_register(&test_case_##id);                                              \
    }                                                                                \
    static void test_##id(void **state __attribute__((unused)))

/* Fails the test with the error's text when a fallible call did not succeed. */
#define ASSERT_OK(expr, e)                                                           \
    do {                                                                             \
        if (!(expr)) {                                                               \
            char test_text[2048];                                                    \
            err_format((e), test_text, sizeof test_text);                            \
            fail_msg("%s: %s", #expr, test_text);                                    \
        }                                                                            \
    } while (0)

/* Fails unless the call failed with exactly this text (file:line:col: message). */
#define ASSERT_ERR(expr, e, expected)                                                \
    do {                                                                             \
        char test_text[2048];                                                        \
        assert_false(expr);                                                          \
        err_format((e), test_text, sizeof test_text);                                \
        assert_string_equal(test_text, (expected));                                  \
    } while (0)

/* |a - b| <= tol, with the values in the message. */
#define ASSERT_NEAR(a, b, tol)                                                       \
    do {                                                                             \
        double test_a = (double)(a), test_b = (double)(b), test_t = (double)(tol);   \
        double test_d = test_a > test_b ? test_a - test_b : test_b - test_a;         \
        if (!(test_d <= test_t))                                                     \
            fail_msg("%s = %.9g, %s = %.9g: differ by %.3g, allowed %.3g", #a,       \
                     test_a, #b, test_b, test_d, test_t);                            \
    } while (0)

/* $PEFTLAB_DATA, or skips the test with a message. */
const char *test_data(void);

/* A fresh empty directory that is removed when the test ends; a path of a file in it. Static storage, a few live. */
const char *test_dir(void);
const char *test_path(const char *name);

/* An arena of the test's own, destroyed when the test ends. */
struct arena *test_arena(void);

/* Writes text to test_path(name) and returns that path. */
const char *test_file(const char *name, const char *text);

#endif
