/* Families of variants: what a plot draws as one sweep. */
#include "tests/test.h"

#include "results/group.h"

static struct err e;

static bool same(const char *method_a, const char *variant_a, const char *method_b, const char *variant_b)
{
    struct run_record a = {.method = method_a, .variant = variant_a}, b = {.method = method_b, .variant = variant_b};
    return group_same((enum table_key)GROUP_FAMILY, &a, &b);
}

TEST(numbers_do_not_part_a_family_but_words_do)
{
    assert_true(same("sift", "density=0.01", "sift", "density=0.05"));
    assert_true(same("sift", "density=0.01+learning_rate=0.0001", "sift", "density=0.05"));
    assert_true(same("sift", "default", "sift", "density=0.05"));
    assert_true(same("sift", "density=0.01+select=random", "sift", "density=0.05+select=random"));
    assert_false(same("sift", "density=0.01", "sift", "density=0.01+select=random"));
    assert_false(same("sift", "select=bottom", "sift", "select=random"));
    assert_false(same("sift", "select=random", "sift", "select=random+ranking=global"));
    assert_false(same("sift", "density=0.01", "gmt", "density=0.01"));
}

static const char *label(const char *method, const char *variant)
{
    struct run_record r = {.method = method, .variant = variant};
    const char *text = family_label(test_arena(), &r, &e);
    assert_non_null(text);
    return text;
}

TEST(a_family_is_called_by_its_words)
{
    assert_string_equal(label("sift", "density=0.01+select=random+bias=false"), "sift select=random+bias=false");
    assert_string_equal(label("lora", "r=4+learning_rate=0.001"), "lora");
    assert_string_equal(label("full", "default"), "full");
}
