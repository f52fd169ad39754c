/* Metrics: hand-computed values, scikit-learn's and scipy's, what is undefined, collapse. */
#include "tests/test.h"

#include <math.h>

#include "base/json.h"
#include "tasks/metrics.h"

static struct err e;

static double value_of(const char *name, const struct outcome *o, bool *degenerate)
{
    double v = -7;
    ASSERT_OK(metric_compute(metric_find(name), o, test_arena(), &v, degenerate, &e), &e);
    return v;
}

static void expect(const char *name, const struct outcome *o, double wanted, bool undefined)
{
    bool degenerate = !undefined;
    ASSERT_NEAR(value_of(name, o, &degenerate), wanted, 1e-12);
    assert_int_equal(degenerate, undefined);
}

static struct outcome classes(const int32_t *label, const int32_t *prediction, size_t n, int k)
{
    return (struct outcome){.n = n, .n_labels = k, .label = label, .prediction = prediction};
}

static struct outcome scores(const float *score, const float *value, size_t n)
{
    return (struct outcome){.n = n, .n_labels = 1, .score = score, .value = value};
}

/* TP 3, FN 1, FP 2, TN 4. */
TEST(binary_by_hand)
{
    const int32_t t[] = {1, 1, 1, 1, 0, 0, 0, 0, 0, 0}, p[] = {1, 1, 1, 0, 1, 1, 0, 0, 0, 0};
    struct outcome o = classes(t, p, 10, 2);
    expect("accuracy", &o, 0.7, false);
    expect("f1", &o, 6.0 / 9.0, false);
    expect("matthews_correlation", &o, (3 * 4 - 2 * 1) / sqrt(5.0 * 4 * 6 * 5), false);
    ASSERT_NEAR(metric_majority(&o), 0.6, 1e-15);
}

/* R_K of three classes: t = (3, 2, 1), p = (2, 3, 1), c = 4, s = 6: (24 - 13) / sqrt(22 * 22). */
TEST(three_classes_by_hand)
{
    const int32_t t[] = {0, 0, 0, 1, 1, 2}, p[] = {0, 0, 1, 1, 1, 2};
    struct outcome o = classes(t, p, 6, 3);
    expect("matthews_correlation", &o, (6.0 * 5 - 13) / 22.0, false);
}

TEST(correlations_by_hand)
{
    const float x[] = {1, 2, 3, 4}, y[] = {2, 2, 4, 8};
    struct outcome o = scores(x, y, 4);
    expect("pearson", &o, 10.0 / sqrt(5.0 * 24.0), false);
    expect("spearmanr", &o, 4.5 / sqrt(5.0 * 4.5), false); /* ranks of y: 1.5 1.5 3 4 */
}

TEST(undefined_is_zero_and_flagged)
{
    const int32_t t[] = {0, 1, 0, 1}, same[] = {1, 1, 1, 1}, none[] = {0, 0, 0, 0};
    const float x[] = {1, 2, 3, 4}, flat[] = {2, 2, 2, 2}, bad[] = {1, NAN, 2, INFINITY};
    struct outcome o = classes(t, same, 4, 2), zero = classes(none, none, 4, 2), empty = classes(t, t, 0, 2);
    struct outcome r = scores(x, flat, 4), nan_ = scores(x, bad, 4), nothing = scores(x, x, 0),
                   single = scores(x, x, 1);
    expect("matthews_correlation", &o, 0, true);
    expect("f1", &o, 2.0 / 3.0, false);
    expect("f1", &zero, 0, true);
    expect("accuracy", &empty, 0, true);
    expect("matthews_correlation", &empty, 0, true);
    const struct outcome *all[] = {&r, &nan_, &nothing, &single};
    for (int i = 0; i < 4; i++) {
        expect("pearson", all[i], 0, true);
        expect("spearmanr", all[i], 0, true);
    }
}

TEST(collapse)
{
    const int32_t t[] = {0, 1, 0, 1}, same[] = {1, 1, 1, 1}, good[] = {0, 1, 1, 1};
    const float x[] = {0, 1, 4, 5}, flat[] = {2.5f, 2.5f, 2.5f, 2.51f}, fine[] = {2, 2.2f, 2.5f, 2.4f};
    struct outcome o[] = {classes(t, same, 4, 2), classes(t, good, 4, 2), classes(same, same, 4, 2), scores(x, flat, 4),
                          scores(x, fine, 4)};
    const bool wanted[] = {true, false, false, true, false};
    for (int i = 0; i < 5; i++)
        assert_int_equal(metric_collapsed(&o[i]), wanted[i]);
}

TEST(argmax_takes_the_first_and_no_nan)
{
    assert_int_equal(metric_argmax((const float[]){1, 3, 3}, 3), 1);
    assert_int_equal(metric_argmax((const float[]){NAN, -5, -6}, 3), 1);
    assert_int_equal(metric_argmax((const float[]){2, NAN, 1}, 3), 0);
}

TEST(table_is_complete)
{
    static const char *const names[] = {"accuracy", "f1", "matthews_correlation", "pearson", "spearmanr"};
    for (int i = 0; i < 5; i++) {
        const struct metric *m = metric_find(names[i]);
        assert_non_null(m);
        assert_true(m->title && m->help && m->compute && m->greater_is_better);
        assert_true(m->classification != m->regression);
    }
    assert_null(metric_find("precision"));
}

/* ---- against scikit-learn and scipy ---- */

static int32_t *ints(json_t *array)
{
    int32_t *v = ARENA_NEW(test_arena(), MEM_DATA, int32_t, json_array_size(array), &e);
    for (size_t i = 0; i < json_array_size(array); i++)
        v[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return v;
}

static float *reals(json_t *array)
{
    float *v = ARENA_NEW(test_arena(), MEM_DATA, float, json_array_size(array), &e);
    for (size_t i = 0; i < json_array_size(array); i++)
        v[i] = (float)json_number_value(json_array_get(array, i));
    return v;
}

static struct outcome golden_outcome(json_t *c)
{
    json_t *t = json_object_get(c, "labels"), *p = json_object_get(c, "predictions");
    if (strcmp(json_string_value(json_object_get(c, "kind")), "regression") == 0)
        return scores(reals(t), reals(p), json_array_size(t));
    return classes(ints(t), ints(p), json_array_size(t), (int)json_integer_value(json_object_get(c, "classes")));
}

TEST(golden)
{
    json_t *root = json_read(PEFTLAB_SOURCE_DIR "/tests/golden/metrics.json", &e), *c, *wanted;
    ASSERT_OK(root, &e);
    size_t i, compared = 0;
    const char *name;
    json_array_foreach(json_object_get(root, "cases"), i, c) {
        struct outcome o = golden_outcome(c);
        json_object_foreach(json_object_get(c, "metrics"), name, wanted) {
            bool degenerate;
            double v = value_of(name, &o, &degenerate);
            if (fabs(v - json_number_value(wanted)) > 1e-9)
                fail_msg("%s, %s: %.15g, the library says %.15g", json_string_value(json_object_get(c, "name")), name,
                         v, json_number_value(wanted));
            compared++;
        }
    }
    assert_true(compared >= 30);
    json_decref(root);
}
