/*
 * labels: cli
 * Large models on small machines: activation checkpointing changes no bit of any method's run; frozen weights held as
 * bfloat16 give, bit for bit, what float32 weights of the rounded values give, in training, evaluation, export and
 * resume, whatever the checkpoint's own type.
 */
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/delta.h"
#include "harness/reload.h"
#include "harness/session.h"
#include "models/bf16.h"
#include "models/safetensors.h"
#include "tests/harness/small_run.h"

static struct err e;
static const struct run_env env = {.out = "out", .threads = 1};

/* Beside the defaults of every method. */
static const char *const more[] = {
    "lora: {lora_dropout: 0.2, target_modules: all-linear}",
    "dora: {target_modules: [query], lora_dropout: 0.1}",
    "ia3: {target_modules: [key], feedforward_modules: []}",
    "sift: {density: 0.1, refresh_every: 3}",
    "sift: {density: 0.1, ranking: global, refresh_every: 4, select_after: 3}",
    "rowsft: {ranking: global, unit: column, target_modules: [query]}",
    "rowsft: {importance: wanda}",
    "smt: {block: 4, density: 0.1, warmup_steps: 2, ranking: matrix, pools: mixture}",
    "gmt: {keep_ratio: 0.05}",
    "gradtopk: {k: 10, state: lazy}",
    "houlsby: {variant: original}",
};

/* Weights whose matrices have values of bfloat16, as F32 in ./plain, as BF16 in ./narrow; ./raw has them unrounded. */
static void write_models(void)
{
    struct safetensors f;
    ASSERT_OK(safetensors_open(&f, PEFTLAB_SOURCE_DIR "/tests/golden/encoder/cls2/model.safetensors", test_arena(),
                               &e), &e);
    struct tensor *plain = ARENA_NEW(test_arena(), MEM_DATA, struct tensor, f.n, &e);
    struct tensor *narrow = ARENA_NEW(test_arena(), MEM_DATA, struct tensor, f.n, &e);
    for (size_t i = 0; i < f.n; i++) {
        const struct tensor *t = &f.tensor[i];
        size_t n = tensor_count(t);
        real *w = ARENA_NEW(test_arena(), MEM_DATA, real, n, &e);
        uint16_t *half = ARENA_NEW(test_arena(), MEM_DATA, uint16_t, n, &e);
        ASSERT_OK(w && half, &e);
        plain[i] = narrow[i] = *t;
        if (t->ndim != 2)
            continue;
        tensor_to_real(t, w);
        bf16_narrow(n, w, half);
        narrow[i] = tensor_matrix(t->name, TENSOR_BF16, (size_t)t->shape[0], (size_t)t->shape[1], half);
        tensor_to_real(&narrow[i], w);
        plain[i] = tensor_matrix(t->name, TENSOR_F32, (size_t)t->shape[0], (size_t)t->shape[1], w);
    }
    ASSERT_OK(safetensors_write("raw/model.safetensors", f.tensor, f.n, NULL, test_arena(), &e), &e);
    ASSERT_OK(safetensors_write("plain/model.safetensors", plain, f.n, NULL, test_arena(), &e), &e);
    ASSERT_OK(safetensors_write("narrow/model.safetensors", narrow, f.n, NULL, test_arena(), &e), &e);
    safetensors_close(&f);
}

static void set_up(void)
{
    static const char *const dirs[] = {"raw", "plain", "narrow"};
    log_set_level(LOG_QUIET);
    assert_int_equal(chdir(test_dir()), 0);
    for (int i = 0; i < 3; i++) {
        char path[64];
        ASSERT_OK(io_mkdirs(dirs[i], &e), &e);
        snprintf(path, sizeof path, "%s/config.json", dirs[i]);
        ASSERT_OK(io_copy(test_arena(), PEFTLAB_SOURCE_DIR "/tests/golden/encoder/cls2/config.json", path, &e), &e);
        snprintf(path, sizeof path, "%s/vocab.txt", dirs[i]);
        test_file(path, small_vocabulary());
    }
    write_models();
    ASSERT_OK(io_mkdirs("out/runs", &e), &e);
}

/* 8 steps with dropout in pieces of about two sequences; `train` are further options. */
static struct run_spec *prepared(const char *model, const char *entry, const char *train)
{
    char text[1024];
    snprintf(text, sizeof text,
             "model: %s\ntasks: [synth_sentiment]\nmethods:\n  - %s\n"
             "train: {max_steps: 8, batch_size: 8, max_seq_length: 24, learning_rate: 1.0e-2, weight_decay: 0.1,\n"
             "        hidden_dropout_prob: 0.1, piece_tokens: 50, save_steps: 3, eval_strategy: steps,\n"
             "        eval_steps: 4, %s}\n",
             model, entry, train);
    return small_prepared(text, &env);
}

static const char *file_of(const struct run_spec *r, const char *ending) { return small_file(r, &env, ending); }

/* What a run came to: its record and the bytes of the delta. */
struct result {
    const struct run_spec *run;
    struct run_record record;
    struct io_piece delta;
};

static struct result read_result(const struct run_spec *r)
{
    struct result x = {.run = r, .record = small_record(r, &env)};
    x.delta.data = io_read(test_arena(), file_of(r, ".safetensors"), 0, &x.delta.size, &e);
    ASSERT_OK(x.delta.data, &e);
    return x;
}

static struct result result_of(const char *model, const char *entry, const char *train)
{
    struct run_spec *r = prepared(model, entry, train);
    ASSERT_OK(run_execute(r, &env, &e), &e);
    return read_result(r);
}

static void expect_scores(const struct predictions *a, const struct predictions *b)
{
    assert_true(a->rows > 0);
    assert_int_equal(a->rows, b->rows);
    assert_memory_equal(a->scores, b->scores, a->rows * a->labels * sizeof *a->scores);
}

/* Losses, predictions and trained weights. */
static void expect_same(const struct result *a, const struct result *b)
{
    const struct series_column *x = series_find(&a->record.train, "loss"), *y = series_find(&b->record.train, "loss");
    assert_int_equal(b->record.train.rows, 8);
    assert_memory_equal(x->v, y->v, 8 * sizeof *x->v);
    expect_scores(&a->record.predictions, &b->record.predictions);
    assert_int_equal(a->delta.size, b->delta.size);
    assert_memory_equal(a->delta.data, b->delta.data, a->delta.size);
}

static void each(void (*check)(const char *entry))
{
    set_up();
    for (const struct method *const *m = method_table; *m; m++)
        check((*m)->name);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        check(more[i]);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Activation checkpointing */

static void checkpointing(const char *entry)
{
    print_message("%s\n", entry);
    struct result none = result_of("raw", entry, "activation_checkpointing: none");
    struct result layer = result_of("raw", entry, "activation_checkpointing: layer");
    expect_same(&none, &layer);
    assert_true(layer.record.memory.peak[MEM_ACTIVATIONS] <= none.record.memory.peak[MEM_ACTIVATIONS]);
}

TEST(checkpointing_changes_no_bit) { each(checkpointing); }

/* ---------------------------------------------------------------------------------------------------------------------
 * Frozen weights */

static size_t weights_of(const struct run_record *r)
{
    return r->memory.peak[MEM_WEIGHTS] + r->memory.peak[MEM_MAPPED];
}

static void bfloat16(const char *entry)
{
    print_message("%s\n", entry);
    struct result plain = result_of("plain", entry, "frozen_dtype: float32");
    struct result converted = result_of("plain", entry, "frozen_dtype: bfloat16");
    struct result mapped = result_of("narrow", entry, "frozen_dtype: bfloat16");
    expect_same(&plain, &converted);
    expect_same(&plain, &mapped);
    assert_true(weights_of(&converted.record) <= weights_of(&plain.record));
    assert_true(weights_of(&mapped.record) <= weights_of(&converted.record) + 64 * 60);
}

TEST(frozen_bfloat16_computes_what_float32_does) { each(bfloat16); }

/* Matrices of the encoder are 14,336 of 16,000 scalars or so: held as two bytes where nothing trains them. */
TEST(frozen_bfloat16_halves_what_is_frozen)
{
    set_up();
    struct result plain = result_of("raw", "head", "frozen_dtype: float32");
    struct result half = result_of("raw", "head", "frozen_dtype: bfloat16");
    double saved = (double)(weights_of(&plain.record) - weights_of(&half.record)) / (double)weights_of(&plain.record);
    ASSERT_NEAR(saved, .47, .03);
    struct result full = result_of("raw", "full", "frozen_dtype: bfloat16");
    ASSERT_NEAR((double)weights_of(&full.record), (double)weights_of(&plain.record), 64 * 60);
    assert_memory_not_equal(plain.record.predictions.scores, half.record.predictions.scores,
                            plain.record.predictions.rows * plain.record.predictions.labels * sizeof(float));
}

/* Evaluates a run's model with its weights from a delta. */
static void evaluated(struct session *s, const struct run_spec *r, const char *delta)
{
    bool improved;
    ASSERT_OK(session_open(s, r, &env, SESSION_EVALUATE, &e), &e);
    if (delta)
        ASSERT_OK(delta_read(&s->model, delta, &e), &e);
    for (size_t i = 0; i < r->task->n_metrics; i++)
        ASSERT_OK(run_record_metric(&s->record, r->task->metric[i].name, &e), &e);
    ASSERT_OK(session_start(s, true, &e) && evaluate(s, &improved, &e), &e);
}

static void expect_reloaded(const struct result *x, const char *ending)
{
    struct session s;
    evaluated(&s, x->run, file_of(x->run, ending));
    expect_scores(&s.record.predictions, &x->record.predictions);
    session_close(&s);
}

/* keep: full stores the rounded matrices as they are. */
TEST(what_a_run_leaves_is_reloaded)
{
    set_up();
    struct result lora = result_of("raw", "lora", "frozen_dtype: bfloat16");
    expect_reloaded(&lora, ".safetensors");
    struct run_spec *r = prepared("raw", "sift: {density: 0.1}", "frozen_dtype: bfloat16");
    r->keep = KEEP_FULL;
    ASSERT_OK(run_execute(r, &env, &e), &e);
    struct result sift = read_result(r);
    expect_reloaded(&sift, ".safetensors");
}

/* An exported model is plain, and has the rounded values that were trained on: in place the same bits. */
TEST(exports_predict_the_same)
{
    set_up();
    struct session s;
    struct result sift = result_of("raw", "sift: {density: 0.1}", "frozen_dtype: bfloat16");
    ASSERT_OK(reload_export(file_of(sift.run, ".h5"), EXPORT_HF, false, "exported", &e), &e);
    evaluated(&s, prepared("exported", "head", "frozen_dtype: float32"), NULL);
    expect_scores(&s.record.predictions, &sift.record.predictions);
    session_close(&s);
}

/* `peftlab eval` on what was exported: the card tells what was held how. The numbers of both outputs agree. */
static void expect_evaluated(const char *dir, const struct result *x, double tolerance)
{
    struct text out = {.arena = test_arena()};
    size_t n, m;
    ASSERT_OK(reload_eval(file_of(x->run, ".h5"), "synth_sentiment", false, "run.tsv", &env, &out, &e), &e);
    ASSERT_OK(reload_eval(dir, "synth_sentiment", false, "dir.tsv", &env, &out, &e), &e);
    char *a = io_read(test_arena(), "run.tsv", 0, &n, &e), *b = io_read(test_arena(), "dir.tsv", 0, &m, &e);
    ASSERT_OK(a && b, &e);
    for (a = strchr(a, '\n'), b = strchr(b, '\n'); *a && *b; a += strspn(a, "\t\n"), b += strspn(b, "\t\n"))
        ASSERT_NEAR(strtod(a, &a), strtod(b, &b), tolerance);
    assert_true(*a == *b);
}

TEST(adapters_and_deltas_predict_the_same)
{
    static const struct {
        const char *entry;
        enum export_to to;
        double tolerance; /* SHiRA's W0 + (W - W0) is W to rounding */
    } rows[] = {
        {"lora", EXPORT_PEFT, 0},
        {"ia3", EXPORT_PEFT, 0},
        {"sift: {density: 0.1, target_modules: [query.weight]}", EXPORT_PEFT, 1e-6},
        {"lora", EXPORT_DELTA, 0},
        {"sift: {density: 0.1}", EXPORT_DELTA, 0},
        {"bitfit", EXPORT_DELTA, 0},
    };
    set_up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char dir[32];
        snprintf(dir, sizeof dir, "exported%zu", i);
        struct result x = result_of("raw", rows[i].entry, "frozen_dtype: bfloat16");
        ASSERT_OK(reload_export(file_of(x.run, ".h5"), rows[i].to, false, dir, &e), &e);
        expect_evaluated(dir, &x, rows[i].tolerance);
    }
}

/* A run whose result cannot be written (a directory has its name) leaves its last checkpoint, and goes on from it. */
TEST(a_checkpoint_goes_on_to_the_same_bits)
{
    static const char *const entries[] = {"lora", "sift: {density: 0.1, refresh_every: 3}"};
    set_up();
    for (size_t i = 0; i < 2; i++) {
        const char *train = "frozen_dtype: bfloat16, activation_checkpointing: layer";
        struct result whole = result_of("raw", entries[i], train);
        const char *result = file_of(whole.run, ".h5");
        assert_int_equal(unlink(result), 0);
        assert_int_equal(mkdir(result, 0777), 0);
        assert_false(run_execute(whole.run, &env, &e));
        assert_true(io_exists(file_of(whole.run, ".ckpt")));
        assert_int_equal(rmdir(result), 0);
        ASSERT_OK(run_execute(whole.run, &env, &e), &e);
        struct result again = read_result(whole.run);
        expect_same(&whole, &again);
    }
}

/* Another run's values lie on the same rounded base. */
TEST(training_starts_from_a_delta)
{
    static const char *const entries[] = {"lora", "sift: {density: 0.1}"};
    set_up();
    for (size_t i = 0; i < 2; i++) {
        char again[512];
        struct result first = result_of("plain", entries[i], "frozen_dtype: bfloat16");
        snprintf(again, sizeof again, "%s: {%sinit_from: %s}", first.run->method->name, i ? "density: 0.1, " : "",
                 file_of(first.run, ".h5"));
        struct result plain = result_of("plain", again, "frozen_dtype: float32");
        struct result half = result_of("plain", again, "frozen_dtype: bfloat16");
        expect_same(&plain, &half);
    }
}

/* Two bytes a weight is another model: another identity. Checkpointing is a run of its own, too: it costs otherwise. */
TEST(both_belong_to_the_identity)
{
    set_up();
    struct run_spec *a = prepared("raw", "head", "frozen_dtype: float32");
    struct run_spec *b = prepared("raw", "head", "frozen_dtype: bfloat16");
    struct run_spec *c = prepared("raw", "head", "activation_checkpointing: layer");
    assert_string_not_equal(a->identity, b->identity);
    assert_string_not_equal(a->identity, c->identity);
}

TEST(what_moves_frozen_weights_is_refused)
{
    set_up();
    test_file("spec.yaml", "model: raw\ntasks: [synth_sentiment]\nmethods:\n  - rowsft: {importance: zotaylor}\n"
                           "train: {max_seq_length: 24, frozen_dtype: bfloat16}\n");
    ASSERT_ERR(spec_read("spec.yaml", NULL, 0, 60, test_arena(), &e), &e,
               "spec.yaml:5:43: frozen_dtype is bfloat16, but rowsft moves frozen weights while it selects; it needs "
               "float32");
}
