/* config.json: defaults, what is refused and how it is said, the zoo's sizes. */
#include "tests/test.h"

#include "base/io.h"
#include "models/config.h"
#include "models/model.h"

static struct err e;

/* A source that is the test's directory, with this config.json. */
static struct model_source *source_of(const char *config)
{
    static struct model_source s;
    test_file("config.json", config);
    ASSERT_OK(model_source_open(&s, test_dir(), NULL, test_arena(), &e), &e);
    return &s;
}

static struct model_config read_ok(const char *config)
{
    struct model_config c;
    ASSERT_OK(model_config_read(&c, source_of(config), test_arena(), &e), &e);
    return c;
}

TEST(missing_keys_take_the_defaults_of_the_type)
{
    struct model_config b = read_ok("{\"model_type\": \"bert\"}"), r = read_ok("{\"model_type\": \"roberta\"}");
    assert_int_equal(b.vocab_size, 30522);
    assert_int_equal(b.max_position_embeddings, 512);
    assert_int_equal(b.pad_token_id, 0);
    assert_int_equal(b.num_labels, 2);
    assert_int_equal(r.vocab_size, 50265);
    assert_int_equal(r.type_vocab_size, 2);
    assert_int_equal(r.pad_token_id, 1);
    ASSERT_NEAR(r.layer_norm_eps, 1e-12, 0);
    ASSERT_NEAR(b.hidden_dropout_prob, .1, 0);
    assert_true(b.classifier_dropout < 0);
    assert_int_equal(model_config_max_tokens(&b), 512);
    assert_int_equal(model_config_max_tokens(&r), 510);
    assert_string_equal(model_config_prefix(&b), "bert.");
    assert_string_equal(model_config_prefix(&r), "roberta.");
}

TEST(null_is_like_missing_and_values_are_read)
{
    struct model_config c = read_ok("{\"model_type\": \"bert\", \"pad_token_id\": null, \"hidden_size\": 24,"
                                    " \"num_attention_heads\": 3, \"vocab_size\": 96, \"hidden_dropout_prob\": 0,"
                                    " \"classifier_dropout\": 0.25, \"layer_norm_eps\": 1e-5, \"use_cache\": true}");
    assert_int_equal(c.pad_token_id, 0);
    assert_int_equal(c.hidden_size, 24);
    assert_int_equal(c.num_attention_heads, 3);
    assert_int_equal(c.vocab_size, 96);
    ASSERT_NEAR(c.hidden_dropout_prob, 0, 0);
    ASSERT_NEAR(c.classifier_dropout, .25, 0);
    ASSERT_NEAR(c.layer_norm_eps, 1e-5, 0);
}

TEST(wrong_configurations_are_refused)
{
    static const struct {
        const char *config, *message;
    } cases[] = {
        {"[]", "is not a JSON object"},
        {"{}", "`model_type` is missing; supported are `bert` and `roberta`"},
        {"{\"model_type\": \"xlm-roberta\"}", "`model_type` is `xlm-roberta`; supported are `bert` and `roberta`"},
        {"{\"model_type\": 3}", "`model_type` must be a string"},
        {"{\"model_type\": \"bert\", \"hidden_act\": \"gelu_new\"}",
         "`hidden_act` is `gelu_new`; only `gelu` (its exact form) is supported"},
        {"{\"model_type\": \"bert\", \"hidden_act\": \"relu\"}",
         "`hidden_act` is `relu`; only `gelu` (its exact form) is supported"},
        {"{\"model_type\": \"bert\", \"position_embedding_type\": \"relative_key\"}",
         "`position_embedding_type` is `relative_key`; only `absolute` is supported"},
        {"{\"model_type\": \"bert\", \"is_decoder\": true}", "`is_decoder` is true; only encoders are supported"},
        {"{\"model_type\": \"bert\", \"hidden_size\": 100}",
         "`hidden_size` is 100: not a multiple of `num_attention_heads`, 12"},
        {"{\"model_type\": \"bert\", \"num_hidden_layers\": 0}",
         "`num_hidden_layers` is 0; it must lie in [1, 1024]"},
        {"{\"model_type\": \"bert\", \"vocab_size\": 3e4}", "`vocab_size` must be an integer"},
        {"{\"model_type\": \"bert\", \"vocab_size\": -1}", "`vocab_size` is -1; it must lie in [1, 2097152]"},
        {"{\"model_type\": \"bert\", \"hidden_dropout_prob\": 1.0}",
         "`hidden_dropout_prob` is 1; it must lie in [0, 1)"},
        {"{\"model_type\": \"bert\", \"classifier_dropout\": -0.1}",
         "`classifier_dropout` is -0.1; it must lie in [0, 1)"},
        {"{\"model_type\": \"bert\", \"layer_norm_eps\": 0}",
         "`layer_norm_eps` is 0; it must lie in [1e-15, 0.1)"},
        {"{\"model_type\": \"bert\", \"initializer_range\": \"small\"}", "`initializer_range` must be a number"},
        {"{\"model_type\": \"bert\", \"pad_token_id\": 30522}",
         "`pad_token_id` is 30522; it must be below `vocab_size`, 30522"},
        {"{\"model_type\": \"roberta\", \"max_position_embeddings\": 4, \"pad_token_id\": 2}",
         "`max_position_embeddings` is 4: too few for positions from 3 on"},
        {"{\"model_type\": \"bert\", \"vocab_size\": 2097152, \"hidden_size\": 32640}",
         "an embedding table has more than 4294967295 entries"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_config c;
        char expected[1024];
        snprintf(expected, sizeof expected, "%s: %s", test_path("config.json"), cases[i].message);
        ASSERT_ERR(model_config_read(&c, source_of(cases[i].config), test_arena(), &e), &e, expected);
        assert_int_equal(e.code, ERR_INPUT);
    }
}

TEST(syntax_errors_have_a_place)
{
    struct model_config c;
    assert_false(
        model_config_read(&c, source_of("{\"model_type\": \"bert\",\n  \"hidden_size\" 3}"), test_arena(), &e));
    assert_int_equal(e.line, 2);
    assert_false(
        model_config_read(&c, source_of("{\"model_type\": \"bert\", \"model_type\": \"bert\"}"), test_arena(), &e));
    assert_non_null(strstr(e.msg, "duplicate"));
}

TEST(labels_in_id_order)
{
    const char *const *names;
    int n;
    struct model_source *s = source_of("{\"id2label\": {\"1\": \"neutral\", \"0\": \"entailment\"}}");
    ASSERT_OK(model_config_labels(s, &names, &n, test_arena(), &e), &e);
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "entailment");
    assert_string_equal(names[1], "neutral");
    assert_null(names[2]);

    s = source_of("{\"model_type\": \"bert\"}");
    ASSERT_OK(model_config_labels(s, &names, &n, test_arena(), &e), &e);
    assert_int_equal(n, 0);
    assert_null(names);

    char expected[1024];
    snprintf(expected, sizeof expected, "%s: `id2label` has no name for id 1", test_path("config.json"));
    s = source_of("{\"id2label\": {\"0\": \"a\", \"2\": \"b\"}}");
    ASSERT_ERR(model_config_labels(s, &names, &n, test_arena(), &e), &e, expected);
}

static size_t zoo_size(const char *name, int labels)
{
    struct model_source s;
    struct model_config c;
    struct model m;
    ASSERT_OK(model_source_open(&s, name, NULL, test_arena(), &e), &e);
    ASSERT_OK(model_config_read(&c, &s, test_arena(), &e), &e);
    c.num_labels = labels;
    ASSERT_OK(model_build(&m, &c, test_arena(), &e), &e);
    size_t n = 0;
    for (size_t i = 0; i < m.params.n; i++)
        n += param_size(m.params.item[i]);
    return n;
}

/* The totals that the Hugging Face classes report for the published models. */
TEST(zoo_models_have_the_published_sizes)
{
    static const struct {
        const char *name;
        int labels;
        size_t total;
    } cases[] = {
        {"zoo:roberta-base", 1, 124646401},  {"zoo:roberta-base", 2, 124647170},  {"zoo:roberta-base", 3, 124647939},
        {"zoo:roberta-large", 1, 355360769}, {"zoo:roberta-large", 2, 355361794}, {"zoo:roberta-large", 3, 355362819},
        {"zoo:bert-base", 1, 109483009},     {"zoo:bert-base", 2, 109483778},     {"zoo:bert-base", 3, 109484547},
        {"zoo:bert-large", 2, 335143938},    {"zoo:bert-tiny", 2, 4386178},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(zoo_size(cases[i].name, cases[i].labels), cases[i].total);
}

TEST(zoo_is_complete)
{
    static const char *const expected[] = {"bert-base", "bert-large", "bert-tiny", "mini", "minilm",
                                           "roberta-base", "roberta-large"};
    const char **names = model_zoo_names(test_arena(), &e);
    ASSERT_OK(names, &e);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(names[i], expected[i]);
    assert_null(names[sizeof expected / sizeof *expected]);
}
