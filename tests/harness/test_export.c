/*
 * labels: cli
 * What a run has trained, exported each way and evaluated again; directories that are wrong; runs that start from what
 * was trained before.
 */
#include "tests/test.h"

#include <math.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/init_from.h"
#include "harness/reload.h"
#include "harness/session.h"
#include "models/safetensors.h"

static struct err e;
static const struct run_env env = {.out = "out", .threads = 1};

/* Only the matrices of two modules: what SHiRA can hold. */
#define SPARSE "sift: {density: 0.1, target_modules: [query.weight, value.weight]}"

static const char *format(const char *fmt, const char *a, const char *b)
{
    char buf[2048];
    snprintf(buf, sizeof buf, fmt, a, b);
    const char *s = arena_strdup(test_arena(), buf, &e);
    ASSERT_OK(s, &e);
    return s;
}

/* A tiny BERT without classifier and a vocabulary of letters in ./model; the test's directory is where we work. */
static void set_up(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    struct text t = {.arena = test_arena()};
    log_set_level(LOG_QUIET);
    assert_int_equal(chdir(test_dir()), 0);
    ASSERT_OK(io_mkdirs("model", &e) && io_mkdirs("out/runs", &e), &e);
    for (int i = 0; i < 2; i++)
        ASSERT_OK(io_copy(test_arena(), format("%s/tests/golden/encoder/cls2/%s", PEFTLAB_SOURCE_DIR, files[i]),
                          format("model/%s%s", files[i], ""), &e), &e);
    ASSERT_OK(text_add(&t, &e, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"), &e);
    for (char c = 'a'; c <= 'z'; c++)
        ASSERT_OK(text_add(&t, &e, "%c\n##%c\n", c, c), &e);
    ASSERT_OK(io_write("model/vocab.txt", t.s, t.len, &e), &e);
}

static struct run_spec *spec_of(const char *entry, const char *train)
{
    const char *text = format("model: model\ntasks: [synth_sentiment]\nmethods:\n  - %s\n"
                              "train: {batch_size: 8, max_seq_length: 24, select_on: dev, %s}\n", entry, train);
    ASSERT_OK(io_write("spec.yaml", text, strlen(text), &e), &e);
    struct spec *s = spec_read("spec.yaml", NULL, 0, 60, test_arena(), &e);
    ASSERT_OK(s, &e);
    return &s->run[0];
}

/* Runs an entry of `methods`; the path of its result. */
static const char *trained(const char *entry, const char *train)
{
    struct run_spec *r = spec_of(entry, train);
    ASSERT_OK(run_prepare(r, &env, test_arena(), &e), &e);
    ASSERT_OK(run_execute(r, &env, &e), &e);
    const char *path = run_path(r, &env, ".h5", test_arena(), &e);
    ASSERT_OK(path, &e);
    return path;
}

#define TWO_STEPS "max_steps: 2, learning_rate: 1.0e-2"
#define STAY "max_steps: 1, learning_rate: 0"

static const char *predictions(const char *what)
{
    struct text out = {.arena = test_arena()};
    ASSERT_OK(reload_eval(what, "synth_sentiment", false, "predictions.tsv", &env, &out, &e), &e);
    const char *text = io_read(test_arena(), "predictions.tsv", 0, NULL, &e);
    ASSERT_OK(text, &e);
    assert_true(strlen(text) > 1000);
    return text;
}

/* The same numbers in the same places. */
static void expect_near(const char *a, const char *b, double tolerance)
{
    char *x, *y;
    a = strchr(a, '\n'), b = strchr(b, '\n');
    for (size_t n = 0;; n++) {
        double u = strtod(a, &x), v = strtod(b, &y);
        if (x == a) {
            assert_true(y == b && n > 100);
            return;
        }
        ASSERT_NEAR(u, v, tolerance);
        a = x, b = y;
    }
}

/* tolerance 0: bit by bit (scores have 9 digits); below 0: the method has no such form. */
static void export_once(const char *run, const char *want, enum export_to to, double tolerance)
{
    static const char *const words[] = {EXPORT_WORDS};
    const char *dir = format("%s.%s", run, words[to]);
    bool ok = reload_export(run, to, false, dir, &e);
    assert_int_equal(ok, tolerance >= 0);
    if (!ok)
        assert_int_equal(e.code, ERR_INPUT);
    else if (tolerance > 0)
        expect_near(predictions(dir), want, tolerance);
    else
        assert_string_equal(predictions(dir), want);
}

TEST(every_export_predicts_the_same)
{
    static const struct {
        const char *entry;
        double hf, peft; /* a delta is always exact */
    } rows[] = {
        {"full", 1e-6, -1},    {"head", 1e-6, -1},           {"lora: {lora_alpha: 16, r: 4}", 1e-6, 0},
        {"sift", 1e-6, -1},    {SPARSE, 1e-6, 1e-6},         {"lora: {target_modules: all-linear, r: 2}", 1e-6, 0},
        {"dora", 1e-6, 0},     {"ia3", 1e-6, 0},             {"rowsft: {bias: false, ratio: 0.3}", 1e-6, 1e-6},
        {"houlsby", -1, -1},   {"bitfit", 1e-6, -1},         {"gmt: {target_modules: [query.weight]}", 1e-6, 1e-6},
    };
    set_up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("%s\n", rows[i].entry);
        const char *run = trained(rows[i].entry, TWO_STEPS), *want = predictions(run);
        export_once(run, want, EXPORT_HF, rows[i].hf);
        export_once(run, want, EXPORT_PEFT, rows[i].peft);
        export_once(run, want, EXPORT_DELTA, 0);
    }
}

static void expect_refused(const char *entry, enum export_to to, const char *message)
{
    ASSERT_ERR(reload_export(trained(entry, TWO_STEPS), to, false, "refused", &e), &e, message);
}

TEST(what_has_no_form_says_why)
{
    set_up();
    expect_refused("houlsby", EXPORT_PEFT, "PEFT has no form for what houlsby adds to a model; --to delta keeps it");
    expect_refused("head", EXPORT_PEFT,
                   "head changed nothing but the head: PEFT has no adapter for it; --to hf writes the whole model");
    expect_refused("bitfit", EXPORT_PEFT,
                   "bitfit trained `bert.embeddings.LayerNorm.bias`, and PEFT's form for sparse changes (SHIRA) has "
                   "only weights of linear modules; --to delta keeps what was trained, --to hf writes the whole model");
    /* 40 x 16: at most r = floor(40 * 16 / 56) = 11, room for 616 of 640 entries; 628 are trained */
    expect_refused("sift: {density: 0.98, target_modules: [intermediate.dense.weight]}", EXPORT_PEFT,
                   "sift trained `bert.encoder.layer.0.intermediate.dense.weight`, and PEFT's form for sparse "
                   "changes (SHIRA) has no room for so many entries: it would need r = 12, the most is 11; --to delta "
                   "keeps what was trained, --to hf writes the whole model");
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Files */

static void open_file(struct safetensors *f, const char *path)
{
    ASSERT_OK(safetensors_open(f, path, test_arena(), &e), &e);
}

TEST(adapters_have_pefts_names_and_only_keys_that_old_releases_know)
{
    static const char *const known[] = {"peft_type", "task_type", "base_model_name_or_path", "inference_mode",
                                        "modules_to_save", "r", "lora_alpha", "lora_dropout", "bias", "fan_in_fan_out",
                                        "target_modules", NULL};
    struct safetensors f;
    const char *key;
    json_t *v;
    set_up();
    ASSERT_OK(reload_export(trained("lora", TWO_STEPS), EXPORT_PEFT, false, "adapter", &e), &e);
    open_file(&f, "adapter/adapter_model.safetensors");
    assert_int_equal(f.n, 2 * 2 * 2 + 4);
    assert_string_equal(safetensors_metadata(&f, "format"), "pt");
    const struct tensor *a =
        safetensors_find(&f, "base_model.model.bert.encoder.layer.1.attention.self.value.lora_A.weight");
    assert_true(a && a->shape[0] == 8 && a->shape[1] == 16);
    assert_non_null(safetensors_find(&f, "base_model.model.bert.pooler.dense.weight"));
    assert_non_null(safetensors_find(&f, "base_model.model.classifier.bias"));
    safetensors_close(&f);
    json_t *config = json_read("adapter/adapter_config.json", &e);
    ASSERT_OK(config, &e);
    json_object_foreach(config, key, v) {
        bool found = false;
        for (const char *const *k = known; *k; k++)
            found |= strcmp(*k, key) == 0;
        if (!found)
            fail_msg("key %s", key);
    }
    assert_string_equal(json_string_value(json_object_get(config, "base_model_name_or_path")), "model");
    assert_true(io_exists("adapter/README.md"));
    json_decref(config);
}

/* r = 1: 32 cells of a 16 x 16 weight, of which 26 = floor(.1 * 256) + 1 were trained; the first untouched ones fill it
 * up. Added to the base they give what was trained. */
TEST(shira_is_filled_up_with_zeros_in_row_major_order)
{
    struct safetensors f;
    set_up();
    ASSERT_OK(reload_export(trained(SPARSE, TWO_STEPS), EXPORT_PEFT, false, "adapter", &e), &e);
    open_file(&f, "adapter/adapter_model.safetensors");
    const struct tensor *v = safetensors_find(&f, "base_model.model.bert.encoder.layer.0.attention.self.query."
                                              "shira_weight");
    const struct tensor *index = safetensors_find(&f, "base_model.model.bert.encoder.layer.0.attention.self.query."
                                                  "shira_indices");
    assert_true(v && v->ndim == 1 && v->shape[0] == 32);
    assert_true(index && index->type == TENSOR_I32 && index->shape[0] == 2 && index->shape[1] == 32);
    const float *value = v->data;
    const int32_t *at = index->data;
    size_t zeros = 0;
    for (size_t i = 0; i < 32; i++) {
        zeros += value[i] == 0;
        if (i)
            assert_true(at[i] * 16 + at[32 + i] > at[i - 1] * 16 + at[32 + i - 1]);
    }
    assert_in_range(zeros, 6, 12); /* a gradient may be 0 in both steps */
    safetensors_close(&f);
}

/* An adapter directory with one thing wrong. */
static void expect_wrong(const char *message)
{
    struct text out = {.arena = test_arena()};
    ASSERT_ERR(reload_eval("adapter", "synth_sentiment", false, NULL, &env, &out, &e), &e, message);
}

static void write_config(const char *text)
{
    ASSERT_OK(io_write("adapter/adapter_config.json", text, strlen(text), &e), &e);
}

#define RIGHT "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"model\", \"r\": 8"

TEST(adapters_that_are_wrong_say_so_in_one_line)
{
    size_t size;
    set_up();
    ASSERT_OK(reload_export(trained("lora", TWO_STEPS), EXPORT_PEFT, false, "adapter", &e), &e);
    assert_int_equal(unlink("adapter/peftlab.json"), 0);
    write_config(RIGHT "}");
    predictions("adapter"); /* no more than this is needed */
    write_config(RIGHT "8}");
    expect_wrong("adapter/adapter_config.json: r is 88; the rank of `bert.encoder.layer.0.attention.self.query` is "
                 "at most 16");
    write_config("{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"model\", \"r\": 4}");
    expect_wrong("adapter/adapter_model.safetensors: tensor `base_model.model.bert.encoder.layer.0.attention.self."
                 "query.lora_A.weight` has shape [8, 16]; the model needs [4, 16]");
    write_config("{\"peft_type\": \"PROMPT_TUNING\"}");
    expect_wrong("adapter/adapter_config.json: `peft_type` is `PROMPT_TUNING`; LORA (also with use_dora), IA3 and "
                 "SHIRA can be read");
    write_config("{\"r\": 8}");
    expect_wrong("adapter/adapter_config.json: `peft_type` is missing");
    write_config(RIGHT ", \"rank_pattern\": {\"query\": 4}}");
    expect_wrong("adapter/adapter_config.json: `rank_pattern` is given; only adapters without it can be read");
    write_config("{\"peft_type\": ");
    assert_false(reload_eval("adapter", "synth_sentiment", false, NULL, &env, &(struct text){.arena = test_arena()},
                             &e));
    assert_string_equal(e.file, "adapter/adapter_config.json");
    assert_int_equal(e.line, 1);
    write_config(RIGHT "}");
    char *bytes = io_read(test_arena(), "adapter/adapter_model.safetensors", 0, &size, &e);
    ASSERT_OK(bytes && io_write("adapter/adapter_model.safetensors", bytes, size - 5, &e), &e);
    assert_false(reload_eval("adapter", "synth_sentiment", false, NULL, &env, &(struct text){.arena = test_arena()},
                             &e));
    assert_string_equal(e.file, "adapter/adapter_model.safetensors");
    assert_int_equal(rename("adapter/adapter_model.safetensors", "adapter/adapter_model.bin"), 0);
    expect_wrong("adapter/adapter_model.bin: is a pickle, which runs code where it is read; convert it to "
                 "adapter_model.safetensors");
}

static void write_shira(const struct tensor *t, size_t n)
{
    ASSERT_OK(safetensors_write("adapter/adapter_model.safetensors", t, n, NULL, test_arena(), &e), &e);
}

TEST(shira_that_is_wrong_says_so)
{
    static const float v[2] = {1, 2};
    static const int32_t index[4] = {0, 15, 3, 15}, outside[4] = {0, 16, 3, 15};
#define KEY "base_model.model.bert.encoder.layer.0.attention.self.query.shira_"
    set_up();
    ASSERT_OK(io_mkdirs("adapter", &e), &e);
    write_config("{\"peft_type\": \"SHIRA\", \"base_model_name_or_path\": \"model\", \"r\": 1}");
    struct tensor t[2] = {tensor_vector(KEY "weight", TENSOR_F32, 2, v),
                          tensor_matrix(KEY "indices", TENSOR_I32, 2, 2, index)};
    write_shira(t, 2);
    predictions("adapter");
    write_shira(t, 1);
    expect_wrong("adapter/adapter_model.safetensors: tensor `" KEY "weight`: its indices or its values are missing");
    t[1].data = outside;
    write_shira(t, 2);
    expect_wrong("adapter/adapter_model.safetensors: tensor `" KEY "indices`: an index lies outside of the weight");
    t[1] = tensor_vector(KEY "indices", TENSOR_I32, 4, index);
    write_shira(t, 2);
    expect_wrong("adapter/adapter_model.safetensors: tensor `" KEY "indices`: must be int32 [2, n], with as many "
                 "columns as there are values");
    t[0].name = "bert.pool.shira_weight", t[1].name = "bert.pool.shira_indices";
    write_shira(t, 2);
    expect_wrong("adapter/adapter_model.safetensors: 2 tensors belong to no linear module of the model");
}

TEST(a_delta_belongs_to_its_base)
{
    struct text out = {.arena = test_arena()};
    set_up();
    ASSERT_OK(reload_export(trained("lora", TWO_STEPS), EXPORT_DELTA, false, "delta", &e), &e);
    ASSERT_OK(reload_export(trained("full", TWO_STEPS), EXPORT_HF, false, "other", &e), &e);
    assert_int_equal(rename("other/model.safetensors", "model/model.safetensors"), 0);
    assert_false(reload_eval("delta", "synth_sentiment", false, NULL, &env, &out, &e));
    assert_non_null(strstr(e.msg, "was trained on other weights than model has now"));
    assert_int_equal(unlink("delta/peftlab.json"), 0);
    ASSERT_ERR(reload_eval("delta", "synth_sentiment", false, NULL, &env, &out, &e), &e,
               "delta/peftlab.json: is missing: it says which model and method the delta belongs to");
}

/* ---------------------------------------------------------------------------------------------------------------------
 * init_from */

static const char *weights_of(const char *run)
{
    return arena_printf(test_arena(), &e, "%.*s.safetensors", (int)strlen(run) - 3, run);
}

/* Tensors of both files whose name holds `part`: the same bytes. Their number. */
static size_t expect_same(const char *one, const char *two, const char *part)
{
    struct safetensors a, b;
    size_t n = 0;
    open_file(&a, one);
    open_file(&b, two);
    for (size_t i = 0; i < a.n; i++) {
        const struct tensor *t = &a.tensor[i], *u = safetensors_find(&b, t->name);
        if (!strstr(t->name, part))
            continue;
        assert_true(u && u->bytes == t->bytes);
        assert_memory_equal(t->data, u->data, t->bytes);
        n++;
    }
    safetensors_close(&a);
    safetensors_close(&b);
    return n;
}

/* A run with learning rate 0 that starts from `source` keeps what it got. */
static void start_from(const char *method, const char *options, const char *source, const char *first,
                       const char *part, size_t tensors)
{
    const char *entry = format(format("%s: {init_from: %%s%s}", method, options), source, "");
    print_message("%s\n", entry);
    const char *run = trained(entry, STAY);
    assert_int_equal(expect_same(weights_of(first), weights_of(run), part), tensors);
    assert_true(predictions(run)[0] == 'i'); /* and needs the source no more */
}

TEST(training_starts_from_adapters_deltas_and_runs)
{
    set_up();
    const char *lora = trained("lora", TWO_STEPS);
    ASSERT_OK(reload_export(lora, EXPORT_PEFT, false, "lora.peft", &e), &e);
    ASSERT_OK(reload_export(lora, EXPORT_DELTA, false, "lora.delta", &e), &e);
    start_from("lora", "", "lora.peft", lora, "lora_", 8);
    start_from("lora", "", "lora.delta", lora, "lora_", 8);
    start_from("lora", "", lora, lora, "lora_", 8);
    const char *sift = trained("sift: {density: 0.1}", TWO_STEPS);
    ASSERT_OK(reload_export(sift, EXPORT_DELTA, false, "sift.delta", &e), &e);
    start_from("sift", ", density: 0.1", "sift.delta", sift, "encoder", 2 * 2 * 8); /* values and indices */
    const char *full = trained("full", TWO_STEPS);
    start_from("full", "", full, full, "encoder", 2 * 16);
    const char *dora = trained("dora", TWO_STEPS);
    ASSERT_OK(reload_export(dora, EXPORT_PEFT, false, "dora.peft", &e), &e);
    start_from("dora", "", "dora.peft", dora, "lora_", 12);
}

/* The head of the source is another task's. */
TEST(the_head_is_not_taken)
{
    struct safetensors a, b;
    set_up();
    const char *lora = trained("lora", TWO_STEPS), *plain = trained("lora", STAY);
    const char *run = trained(format("lora: {init_from: %s}%s", lora, ""), STAY);
    assert_int_equal(expect_same(weights_of(plain), weights_of(run), "classifier"), 2);
    open_file(&a, weights_of(lora));
    open_file(&b, weights_of(run));
    const struct tensor *x = safetensors_find(&a, "classifier.weight"), *y = safetensors_find(&b, "classifier.weight");
    assert_memory_not_equal(x->data, y->data, x->bytes);
    safetensors_close(&a);
    safetensors_close(&b);
}

/* Keys as in a training checkpoint (with the adapter's name), and bare. */
static void rename_keys(const char *from, const char *to, bool bare)
{
    struct safetensors f;
    open_file(&f, from);
    struct tensor *t = ARENA_NEW(test_arena(), MEM_DATA, struct tensor, f.n, &e);
    ASSERT_OK(t, &e);
    for (size_t i = 0; i < f.n; i++) {
        const char *name = f.tensor[i].name, *weight = strstr(name, ".weight");
        t[i] = f.tensor[i];
        t[i].name = bare ? name + strlen("base_model.model.bert.") * (strstr(name, "lora_") != NULL)
                         : weight && strstr(name, "lora_")
                               ? arena_printf(test_arena(), &e, "%.*s.default.weight", (int)(weight - name), name)
                               : name;
    }
    ASSERT_OK(safetensors_write(to, t, f.n, NULL, test_arena(), &e), &e);
    safetensors_close(&f);
}

TEST(keys_may_have_the_adapters_name_or_no_prefix)
{
    set_up();
    const char *lora = trained("lora", TWO_STEPS);
    ASSERT_OK(reload_export(lora, EXPORT_PEFT, false, "adapter", &e), &e);
    ASSERT_OK(io_copy(test_arena(), "adapter/adapter_model.safetensors", "first.safetensors", &e), &e);
    for (int bare = 0; bare < 2; bare++) {
        rename_keys("first.safetensors", "adapter/adapter_model.safetensors", bare);
        start_from("lora", "", "adapter", lora, "lora_", 8);
    }
}

TEST(another_source_is_another_run)
{
    set_up();
    ASSERT_OK(reload_export(trained("lora", TWO_STEPS), EXPORT_PEFT, false, "adapter", &e), &e);
    struct run_spec *r = spec_of("lora: {init_from: adapter}", STAY);
    ASSERT_OK(run_prepare(r, &env, test_arena(), &e), &e);
    assert_string_equal(r->variant, "init_from=adapter");
    const char *before = format("%s%s", r->identity, "");
    rename_keys("adapter/adapter_model.safetensors", "adapter/adapter_model.safetensors", false);
    r = spec_of("lora: {init_from: adapter}", STAY);
    ASSERT_OK(run_prepare(r, &env, test_arena(), &e), &e);
    assert_string_not_equal(r->identity, before);
}

static void expect_mismatch(const char *entry, const char *message)
{
    struct run_spec *r = spec_of(entry, STAY);
    ASSERT_ERR(run_prepare(r, &env, test_arena(), &e), &e, message);
}

TEST(sources_that_do_not_fit_are_located_errors)
{
    set_up();
    const char *sift = trained("sift: {density: 0.1}", TWO_STEPS);
    ASSERT_OK(reload_export(trained("lora: {lora_alpha: 16}", TWO_STEPS), EXPORT_PEFT, false, "adapter", &e), &e);
    ASSERT_OK(reload_export(sift, EXPORT_DELTA, false, "delta", &e), &e);
    expect_mismatch("lora: {init_from: adapter, lora_alpha: 16, r: 4}",
                    "spec.yaml:4:51: init_from: r is 8 in adapter/adapter_config.json and 4 here");
    expect_mismatch("lora: {init_from: adapter}",
                    "spec.yaml:4:23: init_from: lora_alpha is 16 in adapter/adapter_config.json and 8 here");
    expect_mismatch("lora: {init_from: adapter, lora_alpha: 16, target_modules: [query]}",
                    "spec.yaml:4:64: init_from: target_modules is [\"query\", \"value\"] in "
                    "adapter/adapter_config.json and [\"query\"] here: nothing here takes its "
                    "`base_model.model.bert.encoder.layer.0.attention.self.value.lora_A.weight`");
    expect_mismatch("sift: {init_from: adapter}", "spec.yaml:4:23: init_from: adapter/adapter_config.json: is an "
                    "adapter of PEFT, which does not know sift");
    expect_mismatch("sift: {init_from: delta, density: 0.2}",
                    "spec.yaml:4:23: init_from: delta/delta.safetensors: tensor "
                    "`bert.encoder.layer.0.attention.self.query.weight.index` has 26 elements; it must have 52");
    expect_mismatch("full: {init_from: delta}", "spec.yaml:4:23: init_from: delta/delta.safetensors: tensor "
                    "`bert.embeddings.word_embeddings.weight` is missing");
    expect_mismatch("lora: {init_from: nowhere}", "spec.yaml:4:23: init_from: nowhere: is not there");
    expect_mismatch("lora: {init_from: spec.yaml}",
                    "spec.yaml:4:23: init_from: spec.yaml: is neither a directory nor a result file (.h5)");
    ASSERT_OK(io_write("mnli.bin", "PK", 2, &e), &e);
    expect_mismatch("lora: {init_from: mnli.bin}",
                    "spec.yaml:4:23: init_from: mnli.bin: is a pickle, which runs code where it is read; convert it to "
                    "a directory with adapter_config.json and adapter_model.safetensors");
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Real data */

/* LoRA of rank 8 on query and value of roberta-base, trained on MRPC with PEFT: its tensors land where they belong. */
TEST(a_published_adapter_is_read)
{
    struct model_config config;
    struct run_bare bare;
    struct safetensors f;
    bool given;
    const char *dir = format("%s/adapters/%s", test_data(), "peft_roberta-base_mrpc");
    if (!io_exists(format("%s/%s", dir, "adapter_config.json")))
        skip();
    set_up();
    const char *text = format("model: zoo:roberta-base\ntasks: [synth_sentiment]\n"
                              "methods:\n  - lora: {lora_alpha: 16, init_from: %s}\n%s", dir, "");
    struct spec *s = spec_parse("spec", text, NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    struct run_spec *r = &s->run[0];
    ASSERT_OK(init_from_check(r, test_arena(), &e), &e);
    ASSERT_OK(run_model_config(r, &config, test_arena(), &e) &&
              run_build_bare(r, &config, &bare, test_arena(), &e) &&
              param_allocate(&bare.model.params, test_arena(), &e) && init_from_load(r, &bare.model, &given, &e), &e);
    open_file(&f, format("%s/%s", dir, "adapter_model.safetensors"));
    size_t n = 0;
    for (size_t i = 0; i < bare.model.params.n; i++) {
        const struct param *p = bare.model.params.item[i];
        const struct tensor *t = safetensors_find(&f, format("base_model.model.%s%s", p->name, ""));
        if (!p->added)
            continue;
        assert_non_null(t);
        assert_memory_equal(p->w, t->data, t->bytes);
        n++;
    }
    assert_int_equal(n, 48);
    safetensors_close(&f);
}
