/*
 * labels: cli
 * What a run takes is what `plan` says, within 2 %: every method, short and long sequences, with activation
 * checkpointing and frozen bfloat16 and without, the time of selection too. And what grows with the length of
 * sequences: nothing faster than the length, but for the scratch of attention.
 */
#include "tests/test.h"

#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/run.h"
#include "models/attention.h"
#include "models/blas.h"
#include "models/export.h"
#include "models/init.h"
#include "models/safetensors.h"
#include "results/run_record.h"

static struct err e;
static const struct run_env env = {.out = "out", .data = "data", .threads = 1};

enum { ROWS = 8, LONGEST = 128 };

static const char config[] =
    "{\"model_type\": \"bert\", \"vocab_size\": 57, \"hidden_size\": 128, \"num_hidden_layers\": 3,\n"
    " \"num_attention_heads\": 4, \"intermediate_size\": 512, \"max_position_embeddings\": 128}\n";

/* Random weights on disk, so that they can be mapped. */
static void write_weights(void)
{
    struct model_source source;
    struct model_config c;
    struct model m;
    struct arena *a = test_arena();
    ASSERT_OK(model_source_open(&source, "model", NULL, a, &e) && model_config_read(&c, &source, a, &e) &&
              model_build(&m, &c, a, &e), &e);
    struct tensor *t = ARENA_NEW(a, MEM_DATA, struct tensor, m.params.n, &e);
    ASSERT_OK(t, &e);
    for (size_t i = 0; i < m.params.n; i++) {
        struct param *p = m.params.item[i];
        ASSERT_OK(p->w = ARENA_NEW(a, MEM_WEIGHTS, real, param_size(p), &e), &e);
        init_param(&c, p, 1);
        t[i] = p->ndim == 1 ? tensor_vector(p->name, TENSOR_F32, (size_t)p->cols, p->w)
                            : tensor_matrix(p->name, TENSOR_F32, (size_t)p->rows, (size_t)p->cols, p->w);
    }
    ASSERT_OK(safetensors_write("model/model.safetensors", t, m.params.n, NULL, a, &e), &e);
}

/* Sentences of more letters than any model here takes: every row is cut to max_seq_length. */
static void write_rows(const char *path)
{
    struct text t = {.arena = test_arena()};
    for (int i = 0; i < ROWS; i++) {
        ASSERT_OK(text_add(&t, &e, "x\t%d\t\t", i % 2), &e);
        for (int k = 0; k < LONGEST + 8; k++)
            ASSERT_OK(text_add(&t, &e, "%c ", 'a' + (i * 7 + k * k) % 26), &e);
        ASSERT_OK(text_add(&t, &e, "\n"), &e);
    }
    test_file(path, t.s);
}

static void set_up(void)
{
    struct text t = {.arena = test_arena()};
    log_set_level(LOG_QUIET);
    blas_set_threads(1);
    assert_int_equal(chdir(test_dir()), 0);
    ASSERT_OK(io_mkdirs("model", &e) && io_mkdirs("data/glue/CoLA", &e) && io_mkdirs("out/runs", &e), &e);
    ASSERT_OK(text_add(&t, &e, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"), &e);
    for (char c = 'a'; c <= 'z'; c++)
        ASSERT_OK(text_add(&t, &e, "%c\n##%c\n", c, c), &e);
    test_file("model/vocab.txt", t.s);
    test_file("model/config.json", config);
    write_rows("data/glue/CoLA/train.tsv");
    write_rows("data/glue/CoLA/dev.tsv");
    write_weights();
}

static struct run_spec *spec_of(const char *entry, int length, const char *train)
{
    char text[1024];
    snprintf(text, sizeof text,
             "model: model\ntasks: [cola]\nmethods:\n  - %s\n"
             "train: {max_steps: 2, batch_size: 4, max_seq_length: %d, piece_tokens: 256, eval_strategy: \"no\",\n"
             "        select_on: dev, %s}\n",
             entry, length, train);
    test_file("spec.yaml", text);
    struct spec *s = spec_read("spec.yaml", NULL, 0, ROWS, test_arena(), &e);
    ASSERT_OK(s, &e);
    return &s->run[0];
}

static struct run_plan plan_of(const struct run_spec *r)
{
    struct run_plan plan;
    ASSERT_OK(run_plan(r, &plan, &e), &e);
    return plan;
}

static struct run_record record_of(struct run_spec *r)
{
    struct run_record record;
    r->keep = KEEP_NONE;
    ASSERT_OK(run_prepare(r, &env, test_arena(), &e) && run_execute(r, &env, &e), &e);
    const char *path = run_path(r, &env, ".h5", test_arena(), &e);
    ASSERT_OK(path && run_record_read(&record, test_arena(), path, RUN_READ_ALL, &e), &e);
    return record;
}

static void expect_within(const char *entry, size_t planned, size_t taken, bool at_most)
{
    double ratio = (double)planned / (double)taken;
    if (ratio < .98 || (ratio > 1.02 && !at_most))
        fail_msg("%s: planned %zu bytes, took %zu (%.3f)", entry, planned, taken, ratio);
}

/* The peak is training's or, where that is higher, selection's. */
static void check(const char *entry, int length, const char *train)
{
    struct run_spec *r = spec_of(entry, length, train);
    struct run_plan plan = plan_of(r);
    struct run_record record = record_of(r);
    size_t more = plan.bytes_select > plan.bytes_total ? plan.bytes_select : plan.bytes_total;
    print_message("%s: planned %zu, %zu in selection; took %zu\n", entry, plan.bytes_total, plan.bytes_select,
                  record.memory.peak_live);
    bool at_most = r->method->grows || strstr(entry, "qmtaylor"); /* classes are probed one after the other */
    expect_within(entry, more, record.memory.peak_live, at_most);
}

static void each(int length, const char *train)
{
    static const char *const more[] = {
        "sift: {select_batches: 2, density: 0.1}",
        "sift: {density: 0.05, ranking: global, refresh_every: 1}",
        "rowsft: {importance: qmtaylor}",
        "rowsft: {importance: wanda}",
        "smt: {warmup_steps: 1, block: 32, compat: reference}",
        "smt: {warmup_steps: 1, block: 32}",
        "sparsegrad: {phase0: update}",
        "lora: {target_modules: all-linear}",
    };
    set_up();
    for (const struct method *const *m = method_table; *m; m++)
        check((*m)->name, length, train);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        check(more[i], length, train);
}

TEST(short_sequences) { each(32, "frozen_dtype: float32"); }
TEST(long_sequences) { each(LONGEST, "frozen_dtype: float32"); }
TEST(short_sequences_checkpointed) { each(32, "activation_checkpointing: layer"); }
TEST(long_sequences_checkpointed_frozen_as_bfloat16)
{
    each(LONGEST, "activation_checkpointing: layer, frozen_dtype: bfloat16");
}
TEST(short_sequences_frozen_as_bfloat16) { each(32, "frozen_dtype: bfloat16"); }

/* A piece of one sequence, 256 tokens apart from 512 and 1024: but for attention's scratch (3 L² + L d a thread) the
 * second difference is nothing. */
TEST(nothing_kept_grows_with_the_square_of_the_length)
{
    size_t sum[3];
    assert_int_equal(chdir(test_dir()), 0);
    for (int i = 0; i < 3; i++) {
        char text[512];
        int length = 128 << i;
        snprintf(text, sizeof text, "model: zoo:bert-base\ntasks: [cola]\nmethods: [full]\n"
                 "train: {batch_size: 1, max_seq_length: %d, piece_tokens: %d}\n", length, length);
        test_file("spec.yaml", text);
        struct spec *s = spec_read("spec.yaml", NULL, 0, 0, test_arena(), &e);
        ASSERT_OK(s, &e);
        struct run_plan p = plan_of(&s->run[0]);
        sum[i] = p.bytes[MEM_ACTIVATIONS] + p.bytes[MEM_SCRATCH] -
                 attention_scratch(768, 12, length, blas_threads()) * sizeof(real);
    }
    ASSERT_NEAR((double)(sum[2] - sum[1]), 2 * (double)(sum[1] - sum[0]), 64 * 400);
}
