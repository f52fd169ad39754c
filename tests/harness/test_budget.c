/* budget: which value a knob gets, where it shows, and what is said when a budget cannot be met. */
#include "tests/test.h"

#include <unistd.h>

#include "harness/run.h"

static const struct spec *runs_with(const char *text, const char *const *overrides, size_t n)
{
    struct err e = {0};
    assert_int_equal(chdir(test_dir()), 0);
    test_file("x.yaml", text);
    const struct spec *s = spec_read("x.yaml", overrides, n, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    return s;
}

static const struct spec *runs_of(const char *text) { return runs_with(text, NULL, 0); }

static size_t trained(const struct run_spec *r)
{
    struct err e = {0};
    struct run_plan plan;
    ASSERT_OK(run_plan(r, &plan, &e), &e);
    return plan.trainable;
}

static const struct value *config_of(const struct run_spec *r, const char *key)
{
    for (size_t i = 0; i < r->config.n; i++)
        if (strcmp(r->config.v[i].key, key) == 0)
            return &r->config.v[i];
    fail_msg("no %s in /config", key);
    return NULL;
}

#define ROBERTA "model: zoo:roberta-base\ntasks: cola\nmethods:\n"

/* LoRA on query and value of 12 layers trains 12 * 2 * r (768 + 768) = 36,864 r scalars: 800,000 has room for 21 of
 * them. The model has 124,647,170 scalars, its head 592,130: half a per cent of the rest is 620,275, 16 of them. */
TEST(an_integer_knob_gets_the_largest_value_within_the_budget)
{
    const struct spec *s = runs_of(ROBERTA "  - lora: {grid: {budget: [800000, 0.5%, 73727, 73728]}}\n");
    static const long long r[] = {21, 16, 1, 2};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(config_of(&s->run[i], "method.r")->i, r[i]);
        assert_int_equal(trained(&s->run[i]), 36864 * r[i]);
    }
}

/* SIFT trains floor(589,824 density) + 1 entries of each of 48 matrices and floor(768 density) + 1 of their biases.
 * Half a per cent: 620,275 / 48 = 12,922 a pair. density = 0.021879 gives 12,904 + 1 and 16 + 1; one entry more would
 * be 12,923. 294,912 / 48 = 6,144 = 6,135 + 1 + 7 + 1, from 6,135 / 589,824 = .0104014 to 6,136 / 589,824 = .0104031.
 */
TEST(a_real_knob_gets_the_shortest_decimal)
{
    const struct spec *s = runs_of(ROBERTA "  - sift: {grid: {budget: [0.5%, match lora, 226848]}}\n");
    static const char *const names[] = {"density=0.021879", "density=0.010403", "density=0.008"};
    static const size_t counts[] = {48 * 12922, 294912, 226848};
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            assert_string_equal(s->run[i].variant, names[i]);
        assert_int_equal(trained(&s->run[i]), counts[i]);
    }
}

/* The count of the spec's own entry, its first variant, wherever it stands; without one, of the method's defaults. */
TEST(match_means_the_entry_of_the_spec)
{
    const struct spec *s = runs_of(ROBERTA "  - sift: {budget: match lora}\n  - lora: {grid: {r: [2, 4]}}\n");
    assert_int_equal(trained(&s->run[0]), trained(&s->run[1]));
    assert_int_equal(trained(&s->run[1]), 2 * 36864);
    s = runs_of(ROBERTA "  - sift: {budget: match lora}\n  - lora: {budget: 0.1%}\n");
    assert_int_equal(trained(&s->run[1]), 3 * 36864); /* 124,055 */
    assert_int_equal(trained(&s->run[0]), 3 * 36864);
    assert_int_equal(trained(&runs_of(ROBERTA "  - sift: {budget: match lora}\n")->run[0]), 294912);
}

/* What a method trains by default is a budget that it meets exactly; the knob is a number among its options. */
TEST(every_method_meets_its_own_default)
{
    char text[256];
    for (const struct method *const *m = method_table; *m; m++) {
        if (!(*m)->knob)
            continue;
        const struct opt *row = opt_find((*m)->options, (*m)->knob);
        assert_true(row && (row->type == OPT_INT || row->type == OPT_REAL));
        snprintf(text, sizeof text, ROBERTA "  - %s\n", (*m)->name);
        size_t n = trained(&runs_of(text)->run[0]);
        snprintf(text, sizeof text, ROBERTA "  - %s: {budget: %zu}\n", (*m)->name, n);
        assert_int_equal(trained(&runs_of(text)->run[0]), n);
    }
}

/* A limit: all of the targets. */
TEST(the_whole_range_of_a_knob)
{
    const struct spec *s = runs_of(ROBERTA "  - sift: {target_modules: [query], grid: {budget: [7087104, 24]}}\n");
    assert_int_equal(trained(&s->run[0]), 12 * (768 * 768 + 768));
    assert_true(config_of(&s->run[0], "method.density")->d == 1);
    assert_int_equal(trained(&s->run[1]), 24); /* one entry of each of 24 tensors */
    assert_true(config_of(&s->run[1], "method.density")->d == 1e-6);
}

/* Each model has its own count, and so its own knob; what is written for all of them is the budget. */
TEST(models_are_solved_apart)
{
    const struct spec *s = runs_of("model: [zoo:roberta-base, zoo:roberta-large]\ntasks: [cola, mrpc]\nmethods:\n"
                                   "  - lora: {budget: 0.5%}\n");
    assert_string_equal(s->run[0].variant, "r=16");
    assert_string_equal(s->run[1].variant, "r=18");
    assert_string_equal(s->run[2].variant, "r=16");
    assert_non_null(strstr(s->resolved, "\n      budget: '0.5%'  # x.yaml:4\n"));
    assert_non_null(strstr(s->run[1].resolved, "\n      r: 18  # budget 0.5%, x.yaml:4\n"));
}

/* Two runs that came to the same knob are one and the same, however they came to it; different knobs are different. */
TEST(a_run_is_what_its_knob_is)
{
    const struct spec *s = runs_of(ROBERTA "  - lora: {budget: 0.5%}\n  - lora: {budget: 0.4%}\n");
    const struct spec *stated = runs_of(ROBERTA "  - lora: {r: 16}\n");
    assert_string_not_equal(s->run[0].config_digest, s->run[1].config_digest);
    assert_string_not_equal(s->run[0].variant, s->run[1].variant);
    assert_string_equal(s->run[0].config_digest, stated->run[0].config_digest);
    assert_string_equal(s->run[0].variant, stated->run[0].variant);
}

/* The resolved spec makes the same runs. */
static void expect_round_trip(const char *text)
{
    struct err e = {0};
    const struct spec *s = runs_of(text), *again = spec_parse("again.yaml", s->resolved, NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(again, &e);
    assert_int_equal(again->n_runs, s->n_runs);
    for (size_t i = 0; i < s->n_runs; i++) {
        assert_string_equal(again->run[i].config_digest, s->run[i].config_digest);
        assert_string_equal(again->run[i].variant, s->run[i].variant);
    }
}

TEST(the_resolved_spec_makes_the_same_runs)
{
    expect_round_trip(ROBERTA "  - sift: {budget: match lora}\n  - lora: {grid: {r: [2, 4]}}\n");
    expect_round_trip("model: [zoo:mini, zoo:bert-tiny]\ntasks: cola\nmethods:\n  - sift: {budget: match lora}\n"
                      "  - lora: {grid: {budget: [1%, 2%]}}\n");
}

/* The stronger of budget and knob counts, as for any key. */
TEST(authority_of_budget_and_knob)
{
    const char *knob = "lora.r=3", *budget = "lora.budget=36864", *none = "lora.budget=null";
    const char *match = "lora.budget=match sift";
    const struct spec *s = runs_with(ROBERTA "  - lora: {budget: 0.5%}\n", &knob, 1);
    assert_string_equal(s->run[0].variant, "r=3");
    s = runs_with(ROBERTA "  - lora: {r: 4}\n", &budget, 1);
    assert_string_equal(s->run[0].variant, "r=1");
    assert_non_null(strstr(s->resolved, "r: 1  # budget 36864, command line\n"));
    assert_string_equal(runs_with(ROBERTA "  - lora: {budget: 0.5%}\n", &none, 1)->run[0].variant, "default");
    assert_string_equal(runs_with(ROBERTA "  - lora: {budget: 0.5%}\n", &match, 1)->run[0].variant, "r=6");
}

/* With the head left to the classifier the pooler is part of what a share is taken of. */
TEST(a_share_is_of_all_but_the_head)
{
    const char *text = "model: zoo:bert-base\ntasks: cola\nmethods:\n"
                       "  - sift: {target_modules: [all-linear], budget: 1%}\n";
    const char *classifier = "head=[classifier]";
    size_t without_pooler = 109483778 - 1538 - 590592, without = 109483778 - 1538;
    assert_in_range(trained(&runs_of(text)->run[0]), without_pooler / 100 - 200, without_pooler / 100);
    assert_in_range(trained(&runs_with(text, &classifier, 1)->run[0]), without / 100 - 200, without / 100);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * What cannot be */

struct wrong {
    const char *entry, *override, *message;
};

#define MINI "model: zoo:mini\ntasks: [cola]\nmethods:\n"

static const struct wrong wrong[] = {
    {"  - full: {budget: 0.5%}\n", NULL,
     "x.yaml:4:20: method full has no option that sets how much is trained: it takes no budget"},
    {"  - lora: {r: 4, budget: 0.5%}\n", NULL,
     "x.yaml:4:26: budget sets `r`, which is given too; give one of the two"},
    {"  - lora: {budget: 0.5%, grid: {r: [1, 2]}}\n", NULL,
     "x.yaml:4:20: budget sets `r`, which is given too; give one of the two"},
    {"  - lora: {budget: 0.5%, grid: {budget: [1%, 2%]}}\n", NULL,
     "x.yaml:4:33: `budget` has a fixed value too; give either the value or the list"},
    {"  - lora: {budget: half}\n", NULL,
     "x.yaml:4:20: budget is `half`; it must be a number of scalars (800000), a share of the model (0.5%), or `match "
     "METHOD`"},
    {"  - lora: {budget: 0.5}\n", NULL,
     "x.yaml:4:20: budget is `0.5`; it must be a number of scalars (800000), a share of the model (0.5%), or `match "
     "METHOD`"},
    {"  - lora: {budget: [1%]}\n", NULL, "x.yaml:4:20: budget is a list; it must be a word"},
    {"  - lora: {budget: 0}\n", NULL, "x.yaml:4:20: range: budget is 0; it must be > 0"},
    {"  - lora: {budget: -5}\n", NULL, "x.yaml:4:20: range: budget is -5; it must be > 0"},
    {"  - lora: {budget: 0%}\n", NULL, "x.yaml:4:20: range: budget is 0%; it must lie in (0, 100]%"},
    {"  - lora: {budget: 150%}\n", NULL, "x.yaml:4:20: range: budget is 150%; it must lie in (0, 100]%"},
    {"  - lora: {budget: half %}\n", NULL, "x.yaml:4:20: budget is `half %`; a share is written like 0.5%"},
    {"  - sift: {budget: match lroa}\n", NULL,
     "x.yaml:4:20: unknown method `lroa` in budget; did you mean `lora`?"},
    {"  - lora: {budget: match sift}\n  - sift: {budget: match lora}\n", NULL,
     "x.yaml:5:20: budget: `match lora` comes back to itself"},
    {"  - lora: {budget: match lora}\n", NULL, "x.yaml:4:20: budget: `match lora` comes back to itself"},
    {"  - lora: {budgt: 0.5%}\n", NULL,
     "x.yaml:4:12: unknown key `budgt` for method lora; did you mean `budget`?"},
    {"  - lora\nbudget: 0.5%\n", NULL,
     "x.yaml:5:1: unknown key `budget` for a spec; it belongs to an entry of `methods`"},
    {"  - lora\n", "lora.budget=match lroa",
     "command line: `lora.budget=match lroa`: unknown method `lroa` in budget; did you mean `lora`?"},

    /* Rank 1 of query and value in 4 layers of width 256: 4 * 2 * 512 = 4,096; rank 256: 1,048,576. */
    {"  - lora: {budget: 4095}\n", NULL,
     "x.yaml:4:20: range: budget is `4095`; the least that method lora trains in zoo:mini is 4096 scalars (r: 1)"},
    {"  - lora: {budget: 0.01%}\n", NULL,
     "x.yaml:4:20: range: budget is `0.01%` (538 scalars); the least that method lora trains in zoo:mini is "
     "4096 scalars (r: 1)"},
    {"  - lora: {budget: 1048577}\n", NULL,
     "x.yaml:4:20: range: budget is `1048577`; the most that method lora trains in zoo:mini is 1048576 scalars "
     "(r: 256)"},
    {"  - lora: {budget: match head}\n", NULL,
     "x.yaml:4:20: range: budget is `match head` (0 scalars); the least that method lora trains in zoo:mini is "
     "4096 scalars (r: 1)"},
    {"  - sift: {target_modules: [query], grid: {budget: [1%, 90%]}}\n", NULL,
     "x.yaml:4:57: range: budget is `90%` (4849459 scalars); the most that method sift trains in zoo:mini is "
     "263168 scalars (density: 1)"},
    /* Two of 257 scalars in each of 20 modules and of 1,025 in 4, set by another option than the knob. */
    {"  - rowsft: {rank: 2, per_head: false, budget: 1%}\n", NULL,
     "x.yaml:4:48: budget: method rowsft trains 18480 scalars in zoo:mini, whatever its `ratio`"},
    /* Two rows of each is the least (round_to), up to a ratio of 4 / 1,024. */
    {"  - rowsft: {per_head: false, budget: 18479}\n", NULL,
     "x.yaml:4:39: range: budget is `18479`; the least that method rowsft trains in zoo:mini is 18480 scalars (ratio: "
     "0.003)"},
    {"  - lora: {target_modules: [qery], budget: 1%}\n", NULL,
     "x.yaml:4:29: `qery` in target_modules matches no linear module of the encoder; did you mean `query`?"},
    {"  - lora: {r: 8}\n  - lora: {budget: match lora}\n", NULL,
     "x.yaml:5:5: method lora, variant default, makes the same runs as line 4"},
};

TEST(budgets_that_cannot_be)
{
    size_t failed = 0;
    assert_int_equal(chdir(test_dir()), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        char text[2048], spec[1024];
        snprintf(spec, sizeof spec, "%s%s", MINI, wrong[i].entry);
        test_file("x.yaml", spec);
        const struct spec *s = spec_read("x.yaml", &wrong[i].override, wrong[i].override != NULL, 0, test_arena(), &e);
        err_format(&e, text, sizeof text);
        bool right = !s && e.code == ERR_INPUT && strcmp(text, wrong[i].message) == 0;
        if (!right)
            fprintf(stderr, "%s  expected: %s\n  got:      %s\n", wrong[i].entry, wrong[i].message,
                    s ? "(no error)" : text);
        failed += !right;
    }
    assert_int_equal(failed, 0);
}

/* On one model a budget may come to a stated rank, on another not: each model's runs are compared. */
TEST(twins_on_the_second_model)
{
    struct err e = {0};
    assert_int_equal(chdir(test_dir()), 0);
    test_file("x.yaml", "model: [zoo:roberta-base, zoo:roberta-large]\ntasks: cola\nmethods:\n  - lora: {r: 18}\n"
                        "  - lora: {budget: 0.5%}\n");
    ASSERT_ERR(spec_read("x.yaml", NULL, 0, 0, test_arena(), &e), &e,
               "x.yaml:5:5: method lora, variant r=18, makes the same runs as line 4");
}

TEST(allocation_failures_are_errors)
{
    assert_int_equal(chdir(test_dir()), 0);
    test_file("x.yaml", "model: zoo:bert-tiny\ntasks: cola\nmethods:\n  - sift: {budget: match lora}\n");
    for (long n = 0; n < 40000; n += n < 200 ? 7 : 371) {
        struct err e = {0};
        struct arena *a = arena_create(NULL);
        arena_fail_at(n);
        const struct spec *s = a ? spec_read("x.yaml", NULL, 0, 0, a, &e) : NULL;
        arena_fail_at(-1);
        arena_destroy(a);
        if (s)
            return;
        assert_int_equal(e.code, ERR_ENV);
    }
    fail_msg("the spec was never read");
}
