/* Option tables: every type, ranges, defaults, texts, and the exact message for every wrong value. */
#include "tests/test.h"

#include <math.h>

#include "base/opt.h"

struct options {
    bool fold;
    long long r, steps, ceiling, blocks;
    double density, rate, decay, shift;
    const char *name, *from;
    int select;
    struct opt_strings targets, none;
};
#define AT(field) offsetof(struct options, field)

static const struct opt table[] = {
    {"fold", OPT_BOOL, AT(fold), 1, 0, 1, NULL, "fold at the end"},
    {"r", OPT_INT, AT(r), 8, 1, 1024, NULL, "rank"},
    {"steps", OPT_INT, AT(steps), -1, -1, INFINITY, NULL, "steps"},
    {"ceiling", OPT_INT, AT(ceiling), 0, -INFINITY, 5, NULL, "a number with an upper limit alone"},
    {.name = "blocks", .type = OPT_INT, .offset = AT(blocks), .dflt = 0, .min = 1, .max = INFINITY, .nullable = true},
    {.name = "density", .type = OPT_REAL, .offset = AT(density), .dflt = 0.008, .min = 0, .max = 1, .open_min = true,
     .help = "share of the entries"},
    {.name = "rate", .type = OPT_REAL, .offset = AT(rate), .dflt = 5e-5, .min = 0, .max = INFINITY, .open_min = true},
    {.name = "decay", .type = OPT_REAL, .offset = AT(decay), .dflt = 0, .min = 0, .max = 1, .open_max = true},
    {.name = "shift", .type = OPT_REAL, .offset = AT(shift), .dflt = 0, .min = -INFINITY, .max = INFINITY},
    {"name", OPT_STRING, AT(name), 0, 0, 0, "linear", "a word"},
    {.name = "from", .type = OPT_STRING, .offset = AT(from), .nullable = true, .help = "a word or nothing"},
    {"select", OPT_ENUM, AT(select), 1, 0, 0, "gradient|random|magnitude", "how entries are chosen"},
    {"target_modules", OPT_STRINGS, AT(targets), 0, 0, 0, "query,value", "sites"},
    {"none", OPT_STRINGS, AT(none), 0, 0, 0, NULL, "an empty list"},
    {0},
};

static struct options o;
static struct err e;

static bool bind(const char *text, const char *const *skip)
{
    struct arena *a = test_arena();
    ASSERT_OK(opt_defaults(table, &o, a, &e), &e);
    struct yaml *y = yaml_parse(a, "f.yaml", text, strlen(text), &e);
    ASSERT_OK(y, &e);
    return opt_bind(table, &o, y, "method sift", skip, a, &e);
}

static const char *value(const char *name)
{
    return opt_value_text(opt_find(table, name), &o, test_arena(), &e);
}

TEST(defaults)
{
    ASSERT_OK(bind("", NULL), &e);
    assert_true(o.fold && o.r == 8 && o.steps == -1 && o.density == 0.008 && o.select == 1);
    assert_string_equal(o.name, "linear");
    assert_null(o.from);
    assert_int_equal(o.targets.n, 2);
    assert_string_equal(o.targets.word[0], "query");
    assert_string_equal(o.targets.word[1], "value");
    assert_null(o.targets.at);
    assert_int_equal(o.none.n, 0);
}

TEST(an_integer_may_be_not_given)
{
    const struct opt *blocks = opt_find(table, "blocks");
    ASSERT_OK(bind("", NULL), &e);
    assert_true(o.blocks == 0);
    assert_string_equal(value("blocks"), "none");
    assert_string_equal(opt_default_text(blocks, test_arena(), &e), "none");
    ASSERT_OK(bind("blocks: null", NULL), &e);
    assert_true(o.blocks == 0);
    ASSERT_OK(bind("blocks: 13", NULL), &e);
    assert_string_equal(value("blocks"), "13");
    assert_false(bind("blocks: 0", NULL));
}

TEST(every_type_is_bound)
{
    ASSERT_OK(bind("fold: false\nr: 16\nsteps: 0\nceiling: -7\ndensity: 1\nrate: 1e3\ndecay: .1\nshift: -1.5E2\n"
                   "name: cosine\nfrom: warm\nselect: magnitude\ntarget_modules: [key, 'a,b']\nnone: one\n", NULL), &e);
    assert_true(!o.fold && o.r == 16 && o.steps == 0 && o.ceiling == -7);
    assert_true(o.density == 1 && o.rate == 1000 && o.decay == .1 && o.shift == -150);
    assert_string_equal(o.name, "cosine");
    assert_string_equal(o.from, "warm");
    assert_int_equal(o.select, 2);
    assert_int_equal(o.targets.n, 2);
    assert_string_equal(o.targets.word[1], "a,b");
    assert_int_equal(o.targets.at->line, 12);
    assert_int_equal(o.none.n, 1);
    assert_string_equal(o.none.word[0], "one");
}

TEST(what_is_not_named_keeps_its_default)
{
    ASSERT_OK(bind("r: 4\n", NULL), &e);
    assert_true(o.r == 4 && o.density == 0.008 && o.fold);
}

TEST(quotes_and_null)
{
    ASSERT_OK(bind("from: null\nname: 'null'\n", NULL), &e);
    assert_null(o.from);
    assert_string_equal(o.name, "null");
    ASSERT_OK(bind("from: \"~\"\nname: \"\"\n", NULL), &e);
    assert_string_equal(o.from, "~");
    assert_string_equal(o.name, "");
    ASSERT_OK(bind("from:\n", NULL), &e);
    assert_null(o.from);
    ASSERT_OK(bind("select: 'random'\ntarget_modules: ['null']\n", NULL), &e);
    assert_string_equal(o.targets.word[0], "null");
    ASSERT_OK(bind("target_modules: []\n", NULL), &e);
    assert_int_equal(o.targets.n, 0);
}

TEST(wrong_values_name_their_place_and_what_is_right)
{
    static const struct {
        const char *text, *message;
    } wrong[] = {
        {"fold: yes", "f.yaml:1:7: fold is `yes`; it must be true or false"},
        {"fold: 'true'", "f.yaml:1:7: fold is `true`; it must be true or false"},
        {"fold: 1", "f.yaml:1:7: fold is `1`; it must be true or false"},
        {"fold:", "f.yaml:1:6: fold is ``; it must be true or false"},
        {"r: 1e3", "f.yaml:1:4: r is `1e3`; it must be an integer in plain decimal digits"},
        {"r: 8.0", "f.yaml:1:4: r is `8.0`; it must be an integer in plain decimal digits"},
        {"r: '8'", "f.yaml:1:4: r is `8`; it must be an integer in plain decimal digits"},
        {"r: 0x8", "f.yaml:1:4: r is `0x8`; it must be an integer in plain decimal digits"},
        {"r:", "f.yaml:1:3: r is ``; it must be an integer in plain decimal digits"},
        {"r: 99999999999999999999",
         "f.yaml:1:4: r is `99999999999999999999`; it must be an integer in plain decimal digits"},
        {"r: 0", "f.yaml:1:4: range: r is 0; it must lie in [1, 1024]"},
        {"r: 1025", "f.yaml:1:4: range: r is 1025; it must lie in [1, 1024]"},
        {"steps: -2", "f.yaml:1:8: range: steps is -2; it must be >= -1"},
        {"ceiling: 6", "f.yaml:1:10: range: ceiling is 6; it must be <= 5"},
        {"density: 0", "f.yaml:1:10: range: density is 0; it must lie in (0, 1]"},
        {"density: 1.5", "f.yaml:1:10: range: density is 1.5; it must lie in (0, 1]"},
        {"density: nan", "f.yaml:1:10: density is `nan`; it must be a number"},
        {"density: .nan", "f.yaml:1:10: density is `.nan`; it must be a number"},
        {"shift: .inf", "f.yaml:1:8: shift is `.inf`; it must be a number"},
        {"shift: inf", "f.yaml:1:8: shift is `inf`; it must be a number"},
        {"shift: 1e999", "f.yaml:1:8: shift is `1e999`; it must be a number"},
        {"shift: '1'", "f.yaml:1:8: shift is `1`; it must be a number"},
        {"shift: 5 %", "f.yaml:1:8: shift is `5 %`; it must be a number"},
        {"rate: 0", "f.yaml:1:7: range: rate is 0; it must be > 0"},
        {"decay: 1", "f.yaml:1:8: range: decay is 1; it must lie in [0, 1)"},
        {"name:", "f.yaml:1:6: name is empty; it must be a word"},
        {"name: [a]", "f.yaml:1:7: name is a list; it must be a word"},
        {"r: {a: 1}", "f.yaml:1:4: r is a map; it must be an integer"},
        {"density: [1]", "f.yaml:1:10: density is a list; it must be a number"},
        {"fold: [1]", "f.yaml:1:7: fold is a list; it must be true or false"},
        {"select: gradiant", "f.yaml:1:9: select is `gradiant`; it must be one of gradient | random | magnitude"},
        {"select: grad", "f.yaml:1:9: select is `grad`; it must be one of gradient | random | magnitude"},
        {"select:", "f.yaml:1:8: select is ``; it must be one of gradient | random | magnitude"},
        {"target_modules: {a: 1}", "f.yaml:1:17: target_modules is a map; it must be a list of words"},
        {"target_modules: [a, [b]]", "f.yaml:1:21: target_modules must be a list of words"},
        {"target_modules: [a, ]\nnone: [null]", "f.yaml:2:8: none must be a list of words"},
        {"target_modules:", "f.yaml:1:16: target_modules must be a list of words"},
        {"densty: 1", "f.yaml:1:1: unknown key `densty` for method sift; did you mean `density`?"},
        {"r: 1\n\nwild: 2", "f.yaml:3:1: unknown key `wild` for method sift"},
        {"- r", "f.yaml:1:1: the options of method sift are a list; they must be a map"},
        {"word", "f.yaml:1:1: the options of method sift are a scalar; they must be a map"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(bind(wrong[i].text, NULL));
        assert_int_equal(e.code, ERR_INPUT);
        ASSERT_ERR(false, &e, wrong[i].message);
    }
}

TEST(keys_of_the_caller_are_left_alone_but_suggested)
{
    static const char *const skip[] = {"train", "budget", NULL};
    ASSERT_OK(bind("train: {x: 1}\nr: 2\n", skip), &e);
    assert_int_equal(o.r, 2);
    ASSERT_ERR(bind("trian: {x: 1}\n", skip), &e,
               "f.yaml:1:1: unknown key `trian` for method sift; did you mean `train`?");
}

TEST(no_map_changes_nothing)
{
    struct arena *a = test_arena();
    ASSERT_OK(opt_defaults(table, &o, a, &e), &e);
    ASSERT_OK(opt_bind(table, &o, NULL, "x", NULL, a, &e), &e);
    assert_int_equal(o.r, 8);
}

TEST(values_as_text)
{
    ASSERT_OK(bind("rate: 2.0e-5\ndecay: 0.1\nshift: 1000000\n", NULL), &e);
    assert_string_equal(value("fold"), "true");
    assert_string_equal(value("r"), "8");
    assert_string_equal(value("steps"), "-1");
    assert_string_equal(value("density"), "0.008");
    assert_string_equal(value("rate"), "2e-05");
    assert_string_equal(value("decay"), "0.1");
    assert_string_equal(value("shift"), "1000000");
    assert_string_equal(value("name"), "linear");
    assert_string_equal(value("from"), "none");
    assert_string_equal(value("select"), "random");
    assert_string_equal(value("target_modules"), "query,value");
    assert_string_equal(value("none"), "");
}

/* Results are identified by these texts: two values must never share one. */
TEST(different_numbers_have_different_texts)
{
    static const double numbers[] = {0.1,    1. / 3, 2. / 3, 1e-8, 1e22, 0.30000000000000004,
                                     5e-324, 1.7976931348623157e308};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        o.shift = numbers[i];
        assert_true(strtod(value("shift"), NULL) == numbers[i]);
    }
    o.shift = 0.3;
    assert_string_equal(value("shift"), "0.3");
}

TEST(descriptions)
{
    static const struct {
        const char *name, *type, *dflt, *range;
    } rows[] = {
        {"fold", "true or false", "true", "true | false"},
        {"r", "an integer", "8", "[1, 1024]"},
        {"steps", "an integer", "-1", ">= -1"},
        {"ceiling", "an integer", "0", "<= 5"},
        {"density", "a number", "0.008", "(0, 1]"},
        {"rate", "a number", "5e-05", "> 0"},
        {"decay", "a number", "0", "[0, 1)"},
        {"shift", "a number", "0", "any"},
        {"name", "a word", "linear", "a word"},
        {"from", "a word", "none", "a word"},
        {"select", "a word", "random", "gradient | random | magnitude"},
        {"target_modules", "a list of words", "query,value", "a list of words"},
        {"none", "a list of words", "none", "a list of words"},
    };
    struct arena *a = test_arena();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct opt *row = opt_find(table, rows[i].name);
        assert_non_null(row);
        assert_string_equal(opt_type_name(row), rows[i].type);
        assert_string_equal(opt_default_text(row, a, &e), rows[i].dflt);
        assert_string_equal(opt_range_text(row, a, &e), rows[i].range);
    }
    assert_null(opt_find(table, "unknown"));
}

TEST(lack_of_memory_is_a_clean_error)
{
    struct arena *a = test_arena();
    const char *text = "target_modules: [a, b]\nselect: random\n";
    struct yaml *y = yaml_parse(a, "f.yaml", text, strlen(text), &e);
    for (long n = 0;; n++) {
        arena_fail_at(n);
        bool ok = opt_defaults(table, &o, a, &e) && opt_bind(table, &o, y, "method sift", NULL, a, &e);
        arena_fail_at(-1);
        if (ok) {
            assert_true(n > 2);
            break;
        }
        assert_int_equal(e.code, ERR_ENV);
    }
}
