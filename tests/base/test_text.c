/* Text tools: nearest words, patterns, paths, numbers, growing strings. */
#include "tests/test.h"

#include "base/text.h"

static struct err e;

TEST(distance_counts_edits_and_swaps)
{
    assert_int_equal(text_distance("density", "density"), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("densty", "density"), 1);  /* insert      */
    assert_int_equal(text_distance("densitty", "density"), 1); /* delete      */
    assert_int_equal(text_distance("densipy", "density"), 1);  /* replace     */
    assert_int_equal(text_distance("desnity", "density"), 1);  /* swap        */
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("ca", "abc"), 3); /* a swapped pair is not edited again */
    assert_int_equal(text_distance("Full", "full"), 1);
}

TEST(distance_cuts_long_words)
{
    char a[200], b[200];
    memset(a, 'x', 199);
    memset(b, 'x', 199);
    a[199] = b[199] = 0;
    b[150] = 'y';
    assert_int_equal(text_distance(a, b), 0);
    b[10] = 'y';
    assert_int_equal(text_distance(a, b), 1);
}

TEST(nearest_is_what_was_meant_or_nothing)
{
    static const char *const words[] = {"learning_rate", "weight_decay", "warmup_ratio", "sst2", "stsb", "r", NULL};
    assert_string_equal(text_nearest("learning_rat", words), "learning_rate");
    assert_string_equal(text_nearest("weigth_decay", words), "weight_decay");
    assert_string_equal(text_nearest("SST-2", words), "sst2");
    assert_string_equal(text_nearest("STS-B", words), "stsb");
    assert_string_equal(text_nearest("r", words), "r");
    assert_null(text_nearest("q", words));      /* every letter would be replaced */
    assert_null(text_nearest("", words));
    assert_null(text_nearest("dropout", words));
    assert_null(text_nearest("x", (const char *const[]){NULL}));
}

TEST(nearest_prefers_the_same_case_then_the_first)
{
    assert_string_equal(text_nearest("Abc", (const char *const[]){"abc", "Abc", NULL}), "Abc");
    assert_string_equal(text_nearest("abx", (const char *const[]){"aby", "abz", NULL}), "aby");
}

TEST(nearest_of_an_endless_word_is_nothing)
{
    char word[1000];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    assert_null(text_nearest(word, (const char *const[]){"density", NULL}));
}

TEST(did_you_mean_is_the_tail_of_a_message)
{
    static const char *const words[] = {"density", NULL};
    char buf[64], small[8];
    assert_string_equal(text_did_you_mean("densty", words, buf, sizeof buf), "; did you mean `density`?");
    assert_string_equal(text_did_you_mean("rank", words, buf, sizeof buf), "");
    assert_string_equal(text_did_you_mean("densty", words, small, sizeof small), "; did y");
}

TEST(globs)
{
    static const struct {
        const char *pattern, *s;
        bool match;
    } cases[] = {
        {"", "", true},          {"", "a", false},       {"*", "", true},
        {"*", "a.b", true},      {"a*", "b", false},     {"a?c", "abc", true},
        {"a?c", "ac", false},    {"?", "", false},       {"**", "x", true},
        {"*.query.*", "encoder.layer.0.attention.self.query.weight", true},
        {"*.query.*", "query.weight", false},
        {"layer.?.*", "layer.10.x", false},
        {"*b*c", "abbbd", false}, {"*ab", "aab", true},  {"a*b*c", "a1b2b3c", true},
        {"[ab]", "a", false},    {"[ab]", "[ab]", true}, {"a", "A", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (text_glob(cases[i].pattern, cases[i].s) != cases[i].match)
            fail_msg("glob `%s` on `%s`", cases[i].pattern, cases[i].s);
}

TEST(globs_do_not_explode)
{
    char s[4001];
    memset(s, 'a', 4000);
    s[4000] = 0;
    assert_false(text_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", s));
}

TEST(starts_and_ends)
{
    assert_true(text_starts("bert.encoder", "bert."));
    assert_false(text_starts("be", "bert"));
    assert_true(text_starts("x", ""));
    assert_true(text_ends("a.weight", ".weight"));
    assert_false(text_ends("weight", ".weight"));
    assert_true(text_ends("x", ""));
}

TEST(paths)
{
    struct arena *a = test_arena();
    assert_string_equal(text_path(a, "dir", "x.tsv", &e), "dir/x.tsv");
    assert_string_equal(text_path(a, "dir/", "x.tsv", &e), "dir/x.tsv");
    assert_string_equal(text_path(a, "dir", "/abs", &e), "/abs");
    assert_string_equal(text_path(a, "", "x", &e), "x");
    assert_string_equal(text_path(a, NULL, "x", &e), "x");
    assert_string_equal(text_dirname(a, "a/b/c", &e), "a/b");
    assert_string_equal(text_dirname(a, "c", &e), ".");
    assert_string_equal(text_dirname(a, "/c", &e), "/");
}

TEST(integers_are_plain_digits)
{
    static const char *const wrong[] = {"",   "-",   "+1",   " 1",  "1 ", "1e3", "8.0", "0x10",
                                        "1_000", "٣", "--1", "nan", "9223372036854775808", "-9223372036854775809"};
    long long v;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (text_to_long(wrong[i], &v))
            fail_msg("`%s` was taken for %lld", wrong[i], v);
    assert_true(text_to_long("0", &v) && v == 0);
    assert_true(text_to_long("-12", &v) && v == -12);
    assert_true(text_to_long("010", &v) && v == 10);
    assert_true(text_to_long("9223372036854775807", &v) && v == INT64_MAX);
    assert_true(text_to_long("-9223372036854775808", &v) && v == INT64_MIN);
}

TEST(reals_are_finite_decimals)
{
    static const char *const wrong[] = {"",     ".",    "-",   "e5",  "1e",   "1e+", " 1",  "1 ",  "nan", "inf",
                                        "-inf", "1e400", "0x1p3", "1,5", "1.2.3", "1f",  "1e5x", "--1"};
    double v;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (text_to_double(wrong[i], &v))
            fail_msg("`%s` was taken for %g", wrong[i], v);
    assert_true(text_to_double("2e-5", &v) && v == 2e-5);
    assert_true(text_to_double("2.0E-5", &v) && v == 2e-5);
    assert_true(text_to_double("-.5", &v) && v == -.5);
    assert_true(text_to_double("1.", &v) && v == 1);
    assert_true(text_to_double("+3", &v) && v == 3);
}

TEST(a_text_grows_and_stays_terminated)
{
    struct text t = {.arena = test_arena()};
    ASSERT_OK(text_add(&t, &e, "%s", ""), &e);
    assert_string_equal(t.s, "");
    size_t n = 0;
    for (int i = 0; i < 2000; i++) {
        char word[16];
        n += (size_t)snprintf(word, sizeof word, "%d,", i);
        ASSERT_OK(i % 2 ? text_add(&t, &e, "%d,", i) : text_add_bytes(&t, word, strlen(word), &e), &e);
        assert_int_equal(t.len, n);
        assert_int_equal(strlen(t.s), n);
    }
    assert_true(text_starts(t.s, "0,1,2,"));
    assert_true(text_ends(t.s, ",1998,1999,"));
    ASSERT_OK(text_add_bytes(&t, NULL, 0, &e), &e);
    assert_int_equal(t.len, n);
}

/* Sizes around the first capacity, where a room of exactly the bytes leaves none for the NUL. */
TEST(a_text_has_room_for_its_end)
{
    char bytes[300];
    memset(bytes, 'x', sizeof bytes);
    for (size_t n = 120; n < 300; n++) {
        struct text t = {.arena = test_arena()};
        ASSERT_OK(text_add_bytes(&t, bytes, n, &e), &e);
        assert_true(t.len < t.cap);
        assert_int_equal(strlen(t.s), n);
    }
}

TEST(a_text_survives_the_lack_of_memory)
{
    struct text t = {.arena = test_arena()};
    ASSERT_OK(text_add(&t, &e, "kept"), &e);
    arena_fail_at(0);
    assert_false(text_add(&t, &e, "%0200d", 1));
    arena_fail_at(-1);
    assert_string_equal(t.s, "kept");
    assert_int_equal(e.code, ERR_ENV);
}

static const char *wrapped(const char *markdown, size_t columns)
{
    struct text t = {.arena = test_arena()};
    ASSERT_OK(text_wrap(&t, markdown, columns, &e), &e);
    return t.s;
}

TEST(wrap_breaks_paragraphs_and_items_at_the_column)
{
    assert_string_equal(wrapped("one two three\nfour\n\nfive", 9), "one two\nthree\nfour\n\nfive\n");
    assert_string_equal(wrapped("- one two three\n- four", 9), "- one two\n  three\n- four\n");
    assert_string_equal(wrapped("äöü äöü", 7), "äöü äöü\n");
    assert_string_equal(wrapped("averylongword b\n\n", 4), "averylongword\nb\n");
}

TEST(wrap_leaves_tables_and_indented_lines_alone)
{
    const char *text = "| a long row | b |\n|---|---|\n\n    y = x W + b  (1)\n";
    assert_string_equal(wrapped(text, 6), text);
}
