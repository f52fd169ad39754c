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
