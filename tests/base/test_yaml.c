/* YAML trees: places, limits, what is refused. */
#include "tests/test.h"

#include "base/yaml.h"

static struct err e;

static struct yaml *parse(const char *text)
{
    return yaml_parse(test_arena(), "f.yaml", text, strlen(text), &e);
}

TEST(places_of_nodes_and_keys)
{
    struct yaml *y = parse("a: 1\nb:\n  - x\n  - {c: yes}\n");
    ASSERT_OK(y, &e);
    struct yaml *b = yaml_get(y, "b");
    assert_int_equal(yaml_count(b), 2);
    assert_int_equal(b->key_line, 2);
    struct yaml *c = yaml_get(b->child->next, "c");
    assert_int_equal(c->line, 4);
    assert_int_equal(c->key_col, 6);
    assert_int_equal(c->col, 9);
    assert_string_equal(c->value, "yes");
}

TEST(refuses_what_specs_do_not_need)
{
    ASSERT_ERR(parse("a: 1\nb: 2\na: 3\n"), &e, "f.yaml:3:1: key `a` is given twice; first in line 1");
    ASSERT_ERR(parse("a: &x 1\n"), &e, "f.yaml:1:4: anchors (&name) are not supported");
    ASSERT_ERR(parse("a: *x\n"), &e, "f.yaml:1:4: aliases (*name) are not supported");
    ASSERT_ERR(parse("a: !!int 3\n"), &e, "f.yaml:1:4: tags (!name) are not supported");
    ASSERT_ERR(parse("a: 1\n---\nb: 2\n"), &e, "f.yaml:2:1: a second document (---) is not supported");
    ASSERT_ERR(parse("<<: {a: 1}\n"), &e, "f.yaml:1:1: merge keys (<<) are not supported");
    ASSERT_ERR(parse("a: [1, 2\n"), &e, "f.yaml:2:1: did not find expected ',' or ']'");
}

TEST(deep_nesting_is_refused_quickly)
{
    char text[4096];
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ASSERT_ERR(parse(text), &e, "f.yaml:1:65: nested more than 64 levels deep");
}

TEST(empty_is_an_empty_map)
{
    struct yaml *y = parse("# nothing\n");
    ASSERT_OK(y, &e);
    assert_int_equal(y->kind, YAML_MAP);
    assert_int_equal(yaml_count(y), 0);
}

TEST(unknown_key_names_the_nearest)
{
    const char *const known[] = {"density", "select", NULL};
    struct yaml *y = parse("densty: 1\n");
    ASSERT_ERR(yaml_only_keys(y, known, "method sift", &e), &e,
               "f.yaml:1:1: unknown key `densty` for method sift; did you mean `density`?");
}

static const struct yaml *at(const struct yaml *list, int i)
{
    const struct yaml *y = list->child;
    while (i-- > 0)
        y = y->next;
    return y;
}

static void assert_place(const struct yaml *y, int line, int col)
{
    assert_int_equal(y->line, line);
    assert_int_equal(y->col, col);
}

TEST(places_of_list_items)
{
    struct yaml *y = parse("- a\n-   b\n-\n- [c,\n   d]\n- {k: v}\n-\n  - deep\n- |\n  text\n");
    ASSERT_OK(y, &e);
    assert_place(at(y, 0), 1, 3);
    assert_place(at(y, 1), 2, 5);
    assert_place(at(y, 2), 3, 2); /* nothing after the dash: right behind it */
    assert_place(at(at(y, 3), 0), 4, 4);
    assert_place(at(at(y, 3), 1), 5, 4);
    assert_place(yaml_get(at(y, 4), "k"), 6, 7);
    assert_place(at(at(y, 5), 0), 8, 5);
    assert_place(at(y, 6), 9, 3);
    assert_string_equal(at(y, 6)->value, "text\n");
}

TEST(places_of_missing_values)
{
    struct yaml *y = parse("a:\nb: \n  c:\n");
    ASSERT_OK(y, &e);
    assert_place(yaml_get(y, "a"), 1, 3);
    assert_true(yaml_is_null(yaml_get(y, "a")));
    assert_place(yaml_get(yaml_get(y, "b"), "c"), 3, 5);
}

TEST(columns_count_characters)
{
    struct yaml *y = parse("{\xc3\xa9: 1, \xe6\x96\x87\xe5\xad\x97: 2, z: 3}");
    ASSERT_OK(y, &e);
    assert_int_equal(yaml_get(y, "z")->key_col, 15);
    assert_int_equal(yaml_get(y, "z")->col, 18);
}

TEST(a_byte_order_mark_is_no_column)
{
    struct yaml *y = parse("\xef\xbb\xbf" "a: 1\n");
    ASSERT_OK(y, &e);
    assert_int_equal(yaml_get(y, "a")->key_col, 1);
    assert_int_equal(yaml_get(y, "a")->col, 4);
    ASSERT_ERR(parse("\xef\xbb\xbf" "a: \xff\n"), &e, "f.yaml:1:4: invalid leading UTF-8 octet");
}

TEST(bytes_that_are_no_text_have_a_place)
{
    ASSERT_ERR(parse("a: 1\n\xc3\xa9: \xff\n"), &e, "f.yaml:2:4: invalid leading UTF-8 octet");
    ASSERT_ERR(parse("a: \xc3"), &e, "f.yaml:1:4: incomplete UTF-8 octet sequence");
    ASSERT_ERR(parse("a: \xc3(\n"), &e, "f.yaml:1:5: invalid trailing UTF-8 octet");
    ASSERT_ERR(parse("a: 1\nb: x\x07\n"), &e, "f.yaml:2:5: control characters are not allowed");
    ASSERT_ERR(parse("a: \"\\0\"\n"), &e, "f.yaml:1:4: a NUL character is not allowed");
    ASSERT_ERR(parse("\tb: 1\n"), &e, "f.yaml:1:1: found character that cannot start any token");
    static const char nul[] = "a: 1\nb\0c: 2\n";
    ASSERT_ERR(yaml_parse(test_arena(), "f.yaml", nul, sizeof nul - 1, &e), &e,
               "f.yaml:2:2: control characters are not allowed");
    static const char utf16[] = "\xff\xfe" "a\0:\0 \0001\0";
    ASSERT_ERR(yaml_parse(test_arena(), "f.yaml", utf16, sizeof utf16 - 1, &e), &e,
               "f.yaml:1:1: invalid leading UTF-8 octet");
}

TEST(quotes_make_a_string)
{
    struct yaml *y = parse("a: null\nb: 'null'\nc: ~\nd: \"~\"\ne: ''\nf: \"x\\ny\"\n");
    ASSERT_OK(y, &e);
    assert_true(yaml_is_null(yaml_get(y, "a")));
    assert_false(yaml_is_null(yaml_get(y, "b")));
    assert_true(yaml_is_null(yaml_get(y, "c")));
    assert_false(yaml_is_null(yaml_get(y, "d")));
    assert_false(yaml_is_null(yaml_get(y, "e")));
    assert_string_equal(yaml_get(y, "e")->value, "");
    assert_string_equal(yaml_get(y, "f")->value, "x\ny");
    assert_true(yaml_get(y, "b")->quoted);
    assert_false(yaml_get(y, "a")->quoted);
}

TEST(a_merge_key_in_quotes_is_a_word)
{
    ASSERT_OK(parse("'<<': 1\n"), &e);
    ASSERT_ERR(parse("a: 1\n'a': 2\n"), &e, "f.yaml:2:1: key `a` is given twice; first in line 1");
    ASSERT_ERR(parse("a: {b: 1, b: 2}\n"), &e, "f.yaml:1:11: key `b` is given twice; first in line 1");
    ASSERT_OK(parse("a: {b: 1}\nc: {b: 2}\n"), &e);
    ASSERT_ERR(parse("? [x, y]\n: 1\n"), &e, "f.yaml:1:3: a key must be a word");
    ASSERT_ERR(parse("- &x\n"), &e, "f.yaml:1:3: anchors (&name) are not supported");
    ASSERT_ERR(parse("*x\n"), &e, "f.yaml:1:1: aliases (*name) are not supported");
}

/* Text of `n` keys k0, k1, ... in one map, in the test's arena. */
static char *map_of(int n)
{
    char *text = arena_alloc(test_arena(), MEM_DATA, (size_t)n * 12 + 1, &e), *s = text;
    for (int i = 0; i < n; i++)
        s += sprintf(s, "k%d: 1\n", i);
    return text;
}

TEST(many_keys_are_refused)
{
    struct yaml *y = parse(map_of(4096));
    ASSERT_OK(y, &e);
    assert_int_equal(yaml_count(y), 4096);
    ASSERT_ERR(parse(map_of(80000)), &e, "f.yaml:4097:1: more than 4096 keys in one map");
}

TEST(many_nodes_are_refused)
{
    size_t size = 1 << 19;
    char *text = arena_alloc(test_arena(), MEM_DATA, size + 1, &e);
    text[0] = '[';
    for (size_t i = 1; i + 1 < size; i += 2)
        memcpy(text + i, "a,", 2);
    assert_null(parse(text));
    assert_string_equal(e.msg, "more values than a spec can need (100000)");
    assert_int_equal(e.line, 1);
}

TEST(large_files_are_refused)
{
    char *text = arena_alloc(test_arena(), MEM_DATA, (1 << 20) + 2, &e);
    memset(text, ' ', (1 << 20) + 1);
    ASSERT_ERR(parse(text), &e, "f.yaml: is 1048577 bytes long; the limit is 1048576");
    text[1 << 20] = 0;
    ASSERT_OK(parse(text), &e);
}

TEST(files_are_read)
{
    char expected[1024];
    const char *path = test_file("spec.yaml", "name: x\n");
    struct yaml *y = yaml_read(test_arena(), path, &e);
    ASSERT_OK(y, &e);
    assert_string_equal(yaml_get(y, "name")->value, "x");
    assert_string_equal(y->file, path);
    const char *none = test_path("none.yaml");
    snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory", none);
    ASSERT_ERR(yaml_read(test_arena(), none, &e), &e, expected);
}

TEST(errors_at_the_value_and_at_the_key)
{
    struct yaml *y = parse("list:\n  - a\n  - key: value\n");
    ASSERT_OK(y, &e);
    const struct yaml *key = yaml_get(at(yaml_get(y, "list"), 1), "key");
    ASSERT_ERR(yaml_err(&e, key, "no `%s`", key->value), &e, "f.yaml:3:10: no `value`");
    ASSERT_ERR(yaml_err_key(&e, key, "no `%s`", key->key), &e, "f.yaml:3:5: no `key`");
    ASSERT_ERR(yaml_err_key(&e, at(yaml_get(y, "list"), 0), "item"), &e, "f.yaml:2:5: item");
}

TEST(lookups_of_what_is_not_there)
{
    struct yaml *y = parse("a: [1, 2]\n");
    ASSERT_OK(y, &e);
    assert_null(yaml_get(y, "b"));
    assert_null(yaml_get(NULL, "a"));
    assert_null(yaml_get(yaml_get(y, "a"), "0"));
    assert_int_equal(yaml_count(at(yaml_get(y, "a"), 0)), 0);
    assert_string_equal(yaml_kind_name(y), "a map");
    assert_string_equal(yaml_kind_name(yaml_get(y, "a")), "a list");
}

TEST(keys_are_asked_of_a_map)
{
    const char *const known[] = {"a", NULL};
    struct yaml *y = parse("x: [1]\ny:\nz: {a: 1}\n");
    ASSERT_OK(y, &e);
    ASSERT_ERR(yaml_only_keys(yaml_get(y, "x"), known, "train", &e), &e,
               "f.yaml:1:4: train is a list; it must be a map");
    ASSERT_OK(yaml_only_keys(yaml_get(y, "y"), known, "train", &e), &e);
    ASSERT_OK(yaml_only_keys(yaml_get(y, "z"), known, "train", &e), &e);
}

TEST(lack_of_memory_is_a_clean_error)
{
    const char *text = "a: [1, {b: c}]\nd: \"e\"\n";
    for (long n = 0;; n++) {
        arena_fail_at(n);
        struct yaml *y = parse(text);
        arena_fail_at(-1);
        if (y) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(e.code, ERR_ENV);
    }
}
