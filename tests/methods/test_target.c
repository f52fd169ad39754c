/* Patterns for modules and parameters, and the messages about those that match nothing. */
#include "tests/methods/fixture.h"

#include "methods/target.h"

static struct err e;
static struct run r;

static void open_model(void)
{
    struct run_spec s = run_spec("head", NULL, NULL);
    ASSERT_OK(run_plan(&r, &s, &e), &e);
}

static size_t count_params(const char *word)
{
    struct opt_strings patterns = {&word, 1, NULL};
    struct param **found;
    size_t n;
    ASSERT_OK(target_params(&r.model, &patterns, NULL, r.arena, &found, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        assert_true(!found[i]->head && (strcmp(word, "all") == 0 || target_matches_param(word, found[i])));
    return n;
}

static size_t count_linears(const char *word)
{
    struct opt_strings patterns = {&word, 1, NULL};
    struct linear **found;
    size_t n;
    ASSERT_OK(target_linears(&r.model, &patterns, NULL, r.arena, &found, &n, &e), &e);
    return n;
}

TEST(suffixes_and_globs)
{
    static const char name[] = "bert.encoder.layer.0.attention.self.query";
    assert_true(target_matches("query", name));
    assert_true(target_matches("self.query", name));
    assert_true(target_matches(name, name));
    assert_true(target_matches("layer.0.*", name));
    assert_true(target_matches("q*y", name));
    assert_true(target_matches("layer.?.attention.*.query", name));
    assert_false(target_matches("uery", name));
    assert_false(target_matches("self", name));
    assert_false(target_matches("layer.1.*", name));
    assert_false(target_matches("", name));
}

TEST(counts_on_two_layers)
{
    open_model();
    assert_int_equal(count_params("query"), 4);
    assert_int_equal(count_params("query.weight"), 2);
    assert_int_equal(count_params("output.dense"), 8);
    assert_int_equal(count_params("attention.output.dense"), 4);
    assert_int_equal(count_params("LayerNorm"), 10);
    assert_int_equal(count_params("word_embeddings"), 1);
    assert_int_equal(count_params("layer.1.*"), 16);
    assert_int_equal(count_params("all-linear"), 24);
    assert_int_equal(count_params("all"), 5 + 2 * 16);
    assert_int_equal(count_params("dense"), 12);
    assert_int_equal(count_linears("query"), 2);
    assert_int_equal(count_linears("output.dense"), 4);
    assert_int_equal(count_linears("dense"), 6);
    assert_int_equal(count_linears("all-linear"), 12);
    assert_int_equal(count_linears("layer.0.attention.*"), 4);
    run_close(&r);
}

TEST(two_patterns_take_a_module_once)
{
    const char *words[] = {"query", "attention.*"};
    struct opt_strings patterns = {words, 2, NULL};
    struct linear **found;
    size_t n;
    open_model();
    ASSERT_OK(target_linears(&r.model, &patterns, NULL, r.arena, &found, &n, &e), &e);
    assert_int_equal(n, 8);
    assert_ptr_equal(found[0], &r.model.block[0].query);
    assert_ptr_equal(found[7], &r.model.block[1].attention_output);
    run_close(&r);
}

static void refused(const char *method, const char *options, const char *message)
{
    struct run_spec s = run_spec(method, options, NULL);
    e = (struct err){0};
    ASSERT_ERR(run_plan(&r, &s, &e), &e, message);
    run_close(&r);
}

TEST(messages)
{
    refused("lora", "{target_modules: [query, valeu]}",
            "test.yaml:1:26: `valeu` in target_modules matches no linear module of the encoder; did you mean `value`?");
    refused(
        "lora", "{target_modules: all}",
        "test.yaml:1:18: `all` in target_modules means every parameter; for every linear module write `all-linear`");
    refused("lora", "{target_modules: classifier}",
            "test.yaml:1:18: `classifier` in target_modules matches only the head, which every method trains");
    refused("lora", "{target_modules: LayerNorm}",
            "test.yaml:1:18: `LayerNorm` in target_modules matches no linear module of the encoder");
    refused("lora", "{target_modules: []}", "test.yaml:1:18: target_modules is empty; name at least one module");
    refused("sift", "{target_modules: [query, attention.outptu.dense]}",
            "test.yaml:1:26: `attention.outptu.dense` in target_modules matches no module of the encoder; did you mean "
            "`attention.output.dense`?");
    refused("sift", "{target_modules: [zzzzzzzz]}",
            "test.yaml:1:19: `zzzzzzzz` in target_modules matches no module of the encoder");
    refused("lora", "{target_modules: query, r: 17}",
            "test.yaml:1:28: r is 17; the rank of `bert.encoder.layer.0.attention.self.query` is at most 16");
    refused("sift", "{density: 1.5}", "test.yaml:1:11: range: density is 1.5; it must lie in (0, 1]");
}
