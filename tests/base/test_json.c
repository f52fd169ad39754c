/* JSON: places of syntax errors, types and ranges of members. */
#include "tests/test.h"

#include "base/json.h"

static struct err e;

static json_t *parse(const char *text) { return json_parse("f.json", text, strlen(text), &e); }

TEST(syntax_errors_have_a_place)
{
    ASSERT_ERR(parse("{\"a\": 1,\n \"b\": }"), &e, "f.json:2:7: unexpected token near '}'");
    ASSERT_ERR(parse("{\"a\": 1, \"a\": 2}"), &e, "f.json:1:12: duplicate object key near '\"a\"'");
    ASSERT_ERR(parse(""), &e, "f.json:1: '[' or '{' expected near end of file");
    ASSERT_ERR(parse("{\"a\": 1"), &e, "f.json:1:7: '}' expected near end of file");
    assert_int_equal(e.code, ERR_INPUT);
    assert_null(parse("{\"a\": \"\xff\"}"));
    assert_null(parse("{\"a\": \"\\u0000\"}"));
    assert_null(parse("{} x"));
    assert_null(parse("{\"a\": NaN}"));
    assert_null(parse("{\"a\": 1e999}"));
    assert_null(parse("{\"a\": 99999999999999999999}"));
}

TEST(deep_nesting_is_an_error)
{
    static char text[200001];
    memset(text, '[', sizeof text - 1);
    assert_null(parse(text));
    assert_string_equal(e.msg, "maximum parsing depth reached near '['");
}

TEST(files_are_named_in_errors)
{
    char expected[1024];
    const char *path = test_file("x.json", "[1,]");
    snprintf(expected, sizeof expected, "%s:1:4: unexpected token near ']'", path);
    ASSERT_ERR(json_read(path, &e), &e, expected);
    const char *none = test_path("none.json");
    snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory", none);
    ASSERT_ERR(json_read(none, &e), &e, expected);
    json_t *j = json_read(test_file("y.json", "{\"a\": [1, 2]}"), &e);
    ASSERT_OK(j, &e);
    assert_int_equal(json_array_size(json_object_get(j, "a")), 2);
    json_decref(j);
}

TEST(members_are_read_by_type)
{
    json_t *j = parse("{\"i\": 12, \"r\": 0.5, \"ri\": 3, \"b\": true, \"s\": \"gelu\", \"n\": null}");
    long long i = -1;
    double r = -1, ri = -1;
    bool b = false;
    const char *s = "unset";
    ASSERT_OK(json_get_int(j, "f", "i", 0, 12, &i, &e), &e);
    ASSERT_OK(json_get_real(j, "f", "r", &r, &e), &e);
    ASSERT_OK(json_get_real(j, "f", "ri", &ri, &e), &e);
    ASSERT_OK(json_get_bool(j, "f", "b", &b, &e), &e);
    ASSERT_OK(json_get_string(j, "f", "s", &s, &e), &e);
    assert_int_equal(i, 12);
    assert_true(r == 0.5 && ri == 3 && b);
    assert_string_equal(s, "gelu");
    json_decref(j);
}

TEST(missing_and_null_members_keep_the_default)
{
    json_t *j = parse("{\"n\": null}");
    static const char *const keys[] = {"n", "missing"};
    for (int k = 0; k < 2; k++) {
        long long i = 7;
        double r = 7;
        bool b = true;
        const char *s = "default";
        ASSERT_OK(json_get_int(j, "f", keys[k], 0, 1, &i, &e), &e);
        ASSERT_OK(json_get_real(j, "f", keys[k], &r, &e), &e);
        ASSERT_OK(json_get_bool(j, "f", keys[k], &b, &e), &e);
        ASSERT_OK(json_get_string(j, "f", keys[k], &s, &e), &e);
        assert_true(i == 7 && r == 7 && b);
        assert_string_equal(s, "default");
    }
    json_decref(j);
}

TEST(members_of_another_type_are_errors)
{
    json_t *j = parse("{\"i\": 12, \"f\": 3.0, \"s\": \"x\"}");
    long long i;
    double r;
    bool b;
    const char *s;
    ASSERT_ERR(json_get_int(j, "c.json", "i", 0, 11, &i, &e), &e, "c.json: `i` is 12; it must lie in [0, 11]");
    ASSERT_ERR(json_get_int(j, "c.json", "i", 13, 20, &i, &e), &e, "c.json: `i` is 12; it must lie in [13, 20]");
    ASSERT_ERR(json_get_int(j, "c.json", "f", 0, 11, &i, &e), &e, "c.json: `f` must be an integer");
    ASSERT_ERR(json_get_real(j, "c.json", "s", &r, &e), &e, "c.json: `s` must be a number");
    ASSERT_ERR(json_get_bool(j, "c.json", "i", &b, &e), &e, "c.json: `i` must be true or false");
    ASSERT_ERR(json_get_string(j, "c.json", "i", &s, &e), &e, "c.json: `i` must be a string");
    json_decref(j);
}

TEST(what_is_no_object_has_no_members)
{
    json_t *j = parse("[]");
    long long i;
    ASSERT_ERR(json_get_int(j, "c.json", "hidden_size", 0, 1, &i, &e), &e,
               "c.json: must be a JSON object, to hold `hidden_size`");
    json_decref(j);
}
