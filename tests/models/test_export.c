/* Hugging Face directories: what is exported is a model source again, with the same weights, head and tokenizer. */
#include "tests/test.h"

#include "base/io.h"
#include "base/json.h"
#include "models/checkpoint.h"
#include "models/export.h"

static struct err e;

static const char golden[] = PEFTLAB_SOURCE_DIR "/tests/golden/encoder/";

/* Opens a source and loads its model; reports what loading did. */
static struct checkpoint *load(const char *name, int labels, struct model_source *s, struct model *m,
                               struct checkpoint_report *report)
{
    struct model_config c;
    ASSERT_OK(model_source_open(s, name, NULL, test_arena(), &e), &e);
    ASSERT_OK(model_config_read(&c, s, test_arena(), &e), &e);
    c.num_labels = labels;
    ASSERT_OK(model_build(m, &c, test_arena(), &e), &e);
    struct checkpoint *k = checkpoint_open(s, test_arena(), &e);
    ASSERT_OK(k, &e);
    ASSERT_OK(checkpoint_load(k, m, 3, false, test_arena(), report, &e), &e);
    return k;
}

static void assert_same_weights(const struct model *a, const struct model *b)
{
    assert_int_equal(a->params.n, b->params.n);
    for (size_t i = 0; i < a->params.n; i++) {
        assert_string_equal(a->params.item[i]->name, b->params.item[i]->name);
        assert_memory_equal(a->params.item[i]->w, b->params.item[i]->w, param_size(a->params.item[i]) * sizeof(real));
    }
}

static const char *config_string(const json_t *config, const char *key)
{
    const char *value = "";
    ASSERT_OK(json_get_string(config, "config.json", key, &value, &e), &e);
    return value;
}

TEST(an_exported_model_is_loaded_again)
{
    static const char *const names[] = {"entailment", "neutral", "contradiction"};
    struct model_source s, s2;
    struct model m, m2;
    struct checkpoint_report report;
    const char *to = test_path("out/model");
    struct checkpoint *k = load(arena_printf(test_arena(), &e, "%scls3", golden), 3, &s, &m, &report);
    m.params.item[5]->w[0] += 1;
    ASSERT_OK(export_hf(&m, &s, names, to, test_arena(), &e), &e);
    struct checkpoint *k2 = load(to, 3, &s2, &m2, &report);
    assert_int_equal(report.n_mapped + report.n_converted, m.params.n);
    assert_int_equal(report.n_ignored, 0);
    assert_same_weights(&m, &m2);

    const char *const *labels;
    int n;
    ASSERT_OK(model_config_labels(&s2, &labels, &n, test_arena(), &e), &e);
    assert_int_equal(n, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(labels[i], names[i]);
    json_t *config = json_read(test_path("out/model/config.json"), &e);
    ASSERT_OK(config, &e);
    assert_string_equal(config_string(config, "problem_type"), "single_label_classification");
    assert_string_equal(json_string_value(json_array_get(json_object_get(config, "architectures"), 0)),
                        "BertForSequenceClassification");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(config, "label2id"), "neutral")), 1);
    const char *text = io_read(test_arena(), test_path("out/model/config.json"), 0, NULL, &e);
    assert_non_null(strstr(text, "\"layer_norm_eps\": 1e-12,")); /* as it was written, not 9.9999999999999998e-13 */
    assert_non_null(strstr(text, "\"initializer_range\": 0.2,"));
    json_decref(config);
    checkpoint_close(k);
    checkpoint_close(k2);
}

TEST(a_regression_is_exported_as_one)
{
    struct model_source s;
    struct model m;
    struct checkpoint_report report;
    struct checkpoint *k = load(arena_printf(test_arena(), &e, "%sreg", golden), 1, &s, &m, &report);
    ASSERT_OK(export_hf(&m, &s, NULL, test_path("out"), test_arena(), &e), &e);
    json_t *config = json_read(test_path("out/config.json"), &e);
    ASSERT_OK(config, &e);
    assert_string_equal(config_string(config, "problem_type"), "regression");
    assert_string_equal(json_string_value(json_object_get(json_object_get(config, "id2label"), "0")), "LABEL_0");
    assert_int_equal(json_object_size(json_object_get(config, "id2label")), 1);
    json_decref(config);
    checkpoint_close(k);
}

TEST(tokenizer_files_go_along)
{
    struct model_source s;
    struct model m;
    struct checkpoint_report report;
    size_t size;
    load("zoo:bert-tiny", 2, &s, &m, &report);
    s = (struct model_source){.name = "x", .label = "x", .dir = test_dir()};
    test_file("config.json", "{\"model_type\": \"bert\"}");
    test_file("vocab.txt", "[PAD]\n[UNK]\n");
    test_file("tokenizer_config.json", "{\"do_lower_case\": false}");
    ASSERT_OK(export_hf(&m, &s, NULL, test_path("out"), test_arena(), &e), &e);
    assert_string_equal(io_read(test_arena(), test_path("out/vocab.txt"), 0, &size, &e), "[PAD]\n[UNK]\n");
    assert_string_equal(io_read(test_arena(), test_path("out/tokenizer_config.json"), 0, &size, &e),
                        "{\"do_lower_case\": false}");
    assert_false(io_exists(test_path("out/tokenizer.json")));
}

TEST(a_roberta_of_the_zoo_is_exported_under_its_class)
{
    struct model_source s;
    struct model m, m2;
    struct checkpoint_report report;
    test_file("config.json", "{\"model_type\": \"roberta\", \"vocab_size\": 20, \"hidden_size\": 8,"
                             " \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"intermediate_size\": 8,"
                             " \"max_position_embeddings\": 10, \"num_labels\": 7}");
    struct model_config c;
    ASSERT_OK(model_source_open(&s, test_dir(), NULL, test_arena(), &e), &e);
    ASSERT_OK(model_config_read(&c, &s, test_arena(), &e), &e);
    ASSERT_OK(model_build(&m, &c, test_arena(), &e), &e);
    struct model_source zoo = {.name = "zoo:x", .label = "x", .zoo = "x"}; /* random: no such folder */
    struct checkpoint *k = checkpoint_open(&zoo, test_arena(), &e);
    ASSERT_OK(checkpoint_load(k, &m, 3, false, test_arena(), &report, &e), &e);
    ASSERT_OK(export_hf(&m, &s, NULL, test_path("out"), test_arena(), &e), &e);
    struct checkpoint *k2 = load(test_path("out"), 2, &s, &m2, &report);
    assert_same_weights(&m, &m2);
    json_t *config = json_read(test_path("out/config.json"), &e);
    ASSERT_OK(config, &e);
    assert_string_equal(json_string_value(json_array_get(json_object_get(config, "architectures"), 0)),
                        "RobertaForSequenceClassification");
    assert_null(json_object_get(config, "num_labels"));
    json_decref(config);
    checkpoint_close(k2);
}

TEST(what_cannot_be_exported_is_said)
{
    struct model_source s;
    struct model m;
    struct checkpoint_report report;
    struct checkpoint *k = load(arena_printf(test_arena(), &e, "%scls2", golden), 2, &s, &m, &report);
    m.config.pooling = POOLING_MEAN;
    ASSERT_ERR(export_hf(&m, &s, NULL, test_path("out"), test_arena(), &e), &e,
               "a model with `pooling: mean` has no Hugging Face form; only `pooling: pooler` has");
    m.config.pooling = POOLING_POOLER;
    assert_false(
        export_hf(&m, &s, NULL, arena_printf(test_arena(), &e, "%s/x", test_file("file", "")), test_arena(), &e));
    assert_int_equal(e.code, ERR_ENV);
    checkpoint_close(k);
}
