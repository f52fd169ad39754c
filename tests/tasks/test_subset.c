/* Subsets: reproducible, nested, stratified, in file order; the tokenised form and what it costs. */
#include "tests/test.h"

#include "tasks/dataset.h"

static struct err e;

static const struct task *task(const char *name)
{
    const struct task *t = task_open(name, NULL, NULL, test_arena(), &e);
    ASSERT_OK(t, &e);
    return t;
}

/* n rows, sorted: class 1 in the first quarter of a classification, growing scores in a regression, so that whoever
 * ignores the strata or the order is seen. */
static struct examples rows(const char *name, size_t n)
{
    struct examples x = {.task = task(name), .n = n};
    x.item = ARENA_NEW(test_arena(), MEM_DATA, struct example, n, &e);
    for (size_t i = 0; i < n; i++) {
        x.item[i] = (struct example){.text_a = "a", .a_size = 1, .row = (int32_t)i};
        if (x.task->kind == TASK_REGRESSION)
            x.item[i].score = 5 * (float)i / (float)n;
        else
            x.item[i].label = i < n / 4;
    }
    return x;
}

static bool in_order(const struct examples *x)
{
    for (size_t i = 1; i < x->n; i++)
        if (x->item[i - 1].row >= x->item[i].row)
            return false;
    return true;
}

static bool has(const struct examples *x, int32_t row)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->item[i].row == row)
            return true;
    return false;
}

static size_t ones(const struct examples *x)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        n += x->item[i].label == 1;
    return n;
}

TEST(samples_are_nested_and_ordered)
{
    struct examples small = rows("sst2", 200), large = rows("sst2", 200), other = rows("sst2", 200);
    ASSERT_OK(examples_sample(&small, 20, 42, test_arena(), &e), &e);
    ASSERT_OK(examples_sample(&large, 80, 42, test_arena(), &e), &e);
    ASSERT_OK(examples_sample(&other, 20, 43, test_arena(), &e), &e);
    assert_int_equal(small.n, 20);
    assert_int_equal(large.n, 80);
    assert_true(in_order(&small) && in_order(&large));
    size_t shared = 0;
    for (size_t i = 0; i < small.n; i++) {
        assert_true(has(&large, small.item[i].row));
        shared += has(&other, small.item[i].row);
    }
    assert_true(shared < 15);
    ASSERT_OK(examples_sample(&large, 1000, 42, test_arena(), &e), &e);
    assert_int_equal(large.n, 80);
}

TEST(per_class)
{
    struct examples x = rows("sst2", 200), y = rows("sst2", 200), r = rows("stsb", 20);
    ASSERT_OK(examples_per_class(&x, 30, 42, test_arena(), &e), &e);
    assert_int_equal(x.n, 60);
    assert_int_equal(ones(&x), 30);
    assert_true(in_order(&x));
    ASSERT_ERR(examples_per_class(&y, 51, 42, test_arena(), &e), &e,
               "per_class is 51; class `positive` of task sst2 has only 50 rows");
    ASSERT_ERR(examples_per_class(&r, 2, 42, test_arena(), &e), &e,
               "per_class needs classes; task stsb is a regression");
}

TEST(holdout_is_stratified)
{
    struct examples x = rows("sst2", 200), rest, held;
    ASSERT_OK(examples_split(&x, 0.1, "holdout", 42, &rest, &held, test_arena(), &e), &e);
    assert_int_equal(rest.n, 180);
    assert_int_equal(held.n, 20);
    assert_int_equal(ones(&held), 5);
    assert_true(in_order(&rest) && in_order(&held));
    for (size_t i = 0; i < held.n; i++)
        assert_false(has(&rest, held.item[i].row));
}

TEST(regression_is_split_by_quarter)
{
    struct examples x = rows("stsb", 101), rest, held;
    ASSERT_OK(examples_split(&x, 0.5, "dev_half", 42, &rest, &held, test_arena(), &e), &e);
    assert_int_equal(rest.n + held.n, 101);
    int quarter[4] = {0};
    for (size_t i = 0; i < held.n; i++)
        quarter[(int)(held.item[i].score / 1.25f)]++;
    for (int k = 0; k < 4; k++)
        assert_in_range(quarter[k], 12, 14);
}

TEST(small_strata_keep_a_row_on_each_side)
{
    struct examples x = rows("sst2", 8), rest, held; /* two rows of class 1 */
    ASSERT_OK(examples_split(&x, 0.01, "holdout", 1, &rest, &held, test_arena(), &e), &e);
    assert_int_equal(held.n, 2);
    assert_int_equal(ones(&held), 1);
    ASSERT_OK(examples_split(&x, 0.99, "holdout", 1, &rest, &held, test_arena(), &e), &e);
    assert_int_equal(rest.n, 2);
}

TEST(subset_as_a_spec_asks)
{
    struct examples x, held;
    struct subset s = {.train_samples = 300, .train_holdout = 0.2};
    const struct task *t = task("synth_sentiment");
    ASSERT_OK(examples_load_train(&x, &held, t, NULL, &s, 0, 42, test_arena(), &e), &e);
    assert_int_equal(x.n + held.n, 300);
    assert_in_range(held.n, 59, 61);
    s = (struct subset){.train_samples = 3000}; /* more than the file states: the generator makes them */
    ASSERT_OK(examples_load_train(&x, &held, t, NULL, &s, 0, 42, test_arena(), &e), &e);
    assert_int_equal(x.n, 3000);
    assert_int_equal(held.n, 0);
    ASSERT_OK(examples_load_train(&x, &held, t, NULL, &(struct subset){.per_class = 50}, 7, 42, test_arena(), &e), &e);
    assert_int_equal(x.n, 7);
    s = (struct subset){.per_class = 5, .train_samples = 10};
    ASSERT_ERR(examples_load_train(&x, &held, t, NULL, &s, 0, 42, test_arena(), &e), &e,
               "per_class and train_samples exclude each other");
}

TEST(memory_failure_is_an_error)
{
    const struct task *t = task("synth_entailment");
    struct subset s = {.train_samples = 40, .train_holdout = 0.5};
    for (long n = 0;; n++) {
        struct arena *a = arena_create(NULL);
        struct examples x, held;
        arena_fail_at(n);
        bool ok = examples_load_train(&x, &held, t, NULL, &s, 0, 42, a, &e);
        arena_fail_at(-1);
        arena_destroy(a);
        if (ok)
            break;
        assert_int_equal(e.code, ERR_ENV);
        assert_true(n < 10000);
        n += n > 20 ? 97 : 0;
    }
}
