/*
 * labels: cli
 * A whole run of every method, and of the options of each that change what a run keeps: what is left of it computes the
 * same, a checkpoint goes on to the same bits, and what is exported is an ordinary model.
 */
#include "tests/test.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "harness/delta.h"
#include "harness/reload.h"
#include "harness/session.h"
#include "tests/harness/small_run.h"

static struct err e;
static const struct run_env env = {.out = "out", .threads = 1};

/* Beside the defaults of every method. */
static const char *const more[] = {
    "lora: {use_rslora: true, lora_dropout: 0.2, target_modules: all-linear}",
    "sift: {compat: reference}",
    "sift: {density: 0.2, target_modules: all, select: random}",
    "sift: {density: 0.1, refresh_every: 3}",
    "sift: {density: 0.1, ranking: global, refresh_every: 4, select_after: 3}",
    "sift: {select: fisher, ranking: global}",
    "sift: {budget: match lora}",
    "rowsft: {ranking: global, unit: column}",
    "rowsft: {importance: zotaylor, init: kaiming, train_layernorm: true}",
    "smt: {block: 4, density: 0.3, warmup_steps: 2, compat: reference}",
    "smt: {block: 4, density: 0.1, warmup_steps: 2, ranking: matrix, pools: mixture}",
    "rowsft: {importance: qmtaylor, taylor_batches: 3, train_embeddings: true}",
    "sparsegrad: {phase0: update, train_rest: false, k: 20}",
    "sparsegrad: {compat: reference}",
    "dora: {target_modules: all-linear, lora_dropout: 0.1}",
    "gmt: {keep_ratio: 0.05, granularity: global}",
    "gradtopk: {k: 10, state: lazy}",
    "houlsby: {variant: original, budget: 20%}",
    "full: {train: {optim: sgd, momentum: 0.9}}",
};

/* A tiny BERT and a vocabulary of letters in ./model; the test's directory is where we work. */
static void set_up(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    char from[512], to[64];
    assert_int_equal(chdir(test_dir()), 0);
    ASSERT_OK(io_mkdirs("model", &e), &e);
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, PEFTLAB_SOURCE_DIR "/tests/golden/encoder/cls2/%s", files[i]);
        snprintf(to, sizeof to, "model/%s", files[i]);
        ASSERT_OK(io_copy(test_arena(), from, to, &e), &e);
    }
    test_file("model/vocab.txt", small_vocabulary());
    ASSERT_OK(io_mkdirs("out/runs", &e), &e);
}

/* 12 steps with dropout, checkpoints after 5 and 10; in `model` (a directory) with one entry of `methods`. */
static struct run_spec *prepared(const char *model, const char *entry)
{
    char text[1024];
    snprintf(text, sizeof text,
             "model: %s\ntasks: [synth_sentiment]\nmethods:\n  - %s\n"
             "train: {max_steps: 12, batch_size: 8, max_seq_length: 24, learning_rate: 1.0e-2, weight_decay: 0.1,\n"
             "        hidden_dropout_prob: 0.1, save_steps: 5, eval_strategy: steps, eval_steps: 2}\n",
             model, entry);
    return small_prepared(text, &env);
}

static const char *file_of(const struct run_spec *r, const char *ending) { return small_file(r, &env, ending); }

static struct run_record record_of(const struct run_spec *r) { return small_record(r, &env); }

static void each(void (*check)(const char *entry))
{
    log_set_level(LOG_QUIET);
    set_up();
    for (const struct method *const *m = method_table; *m; m++)
        check((*m)->name);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        check(more[i]);
}

static void expect_scores(const struct predictions *got, const struct predictions *want, double tolerance)
{
    assert_int_equal(got->rows, want->rows);
    assert_true(got->rows > 0);
    double largest = 0;
    for (size_t i = 0; i < want->rows * want->labels; i++)
        largest = fmax(largest, fabs((double)want->scores[i]));
    for (size_t i = 0; i < want->rows * want->labels; i++)
        ASSERT_NEAR(got->scores[i], want->scores[i], tolerance * largest);
}

/* Evaluates a run's model with its weights from a delta, or, without one, as it is loaded. */
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

static void reload_last(const struct run_spec *r, const struct run_record *record)
{
    struct session s;
    evaluated(&s, r, file_of(r, ".safetensors"));
    expect_scores(&s.record.predictions, &record->predictions, 0);
    session_close(&s);
}

/* The weights of the best evaluation, where that is not the last. */
static void reload_best(const struct run_spec *r, const struct run_record *record)
{
    struct session s;
    if (!io_exists(file_of(r, ".best.safetensors")))
        return;
    evaluated(&s, r, file_of(r, ".best.safetensors"));
    assert_true(series_find(&s.record.eval, "loss")->v[0] ==
                series_find(&record->eval, "loss")->v[record->best_row]);
    session_close(&s);
}

static void export(const struct run_spec *r, const struct run_record *record)
{
    struct session s;
    if (r->method->unmergeable) {
        assert_false(reload_export(file_of(r, ".h5"), EXPORT_HF, false, "exported", &e));
        assert_int_equal(e.code, ERR_INPUT);
        return;
    }
    ASSERT_OK(reload_export(file_of(r, ".h5"), EXPORT_HF, false, "exported", &e), &e);
    evaluated(&s, prepared("exported", "head"), NULL);
    expect_scores(&s.record.predictions, &record->predictions, 1e-5);
    session_close(&s);
}

/* What a method keeps is what was planned: its notes, too. */
static void expect_planned(const struct run_spec *r, const struct run_record *record)
{
    struct run_plan plan;
    ASSERT_OK(run_plan(r, &plan, &e), &e);
    assert_int_equal(record->memory.peak[MEM_METHOD], plan.bytes[MEM_METHOD]);
    assert_true(record->memory.peak[MEM_GRADIENTS] <= plan.bytes[MEM_GRADIENTS]);
    assert_int_equal(record->trainable, plan.trainable);
    assert_int_equal(record->trainable_with_head, plan.trainable_with_head);
    assert_int_equal(record->total, plan.total);
}

/* The same bits from the delta; from the exported directory, folded into plain weights, to 1e-5. */
static void leavings(const char *entry)
{
    print_message("%s\n", entry);
    struct run_spec *r = prepared("model", entry);
    ASSERT_OK(run_execute(r, &env, &e), &e);
    struct run_record record = record_of(r);
    expect_planned(r, &record);
    reload_last(r, &record);
    reload_best(r, &record);
    export(r, &record);
}

TEST(what_a_run_leaves_predicts_the_same) { each(leavings); }

/* keep: full stores all weights, and still what was trained of them. */
TEST(full_weights_reloaded_predict_the_same_bits)
{
    static const char *const entries[] = {
        "lora",
        "sift: {density: 0.1}",
        "sift: {density: 0.1, refresh_every: 3}",
        "sift: {density: 0.1, ranking: global, refresh_every: 3}",
        "rowsft",
        "rowsft: {ranking: global}",
        "smt: {block: 4, warmup_steps: 2}",
    };
    log_set_level(LOG_QUIET);
    set_up();
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct run_spec *r = prepared("model", entries[i]);
        r->keep = KEEP_FULL;
        ASSERT_OK(run_execute(r, &env, &e), &e);
        struct run_record record = record_of(r);
        reload_last(r, &record);
        reload_best(r, &record);
    }
}

/* A run whose result cannot be written (a directory has its name) leaves its last checkpoint. */
static void resume(const char *entry)
{
    print_message("%s\n", entry);
    struct run_spec *r = prepared("model", entry);
    const char *result = file_of(r, ".h5"), *kept = "whole.safetensors";
    ASSERT_OK(run_execute(r, &env, &e), &e);
    struct run_record whole = record_of(r);
    assert_int_equal(rename(file_of(r, ".safetensors"), kept), 0);
    assert_int_equal(unlink(result), 0);

    assert_int_equal(mkdir(result, 0777), 0);
    assert_false(run_execute(r, &env, &e));
    assert_true(io_exists(file_of(r, ".ckpt")));
    assert_int_equal(rmdir(result), 0);
    ASSERT_OK(run_execute(r, &env, &e), &e);
    struct run_record again = record_of(r);
    expect_scores(&again.predictions, &whole.predictions, 0);
    const struct series_column *x = series_find(&whole.train, "loss"), *y = series_find(&again.train, "loss");
    assert_int_equal(again.train.rows, 12);
    assert_memory_equal(x->v, y->v, 12 * sizeof *x->v);
    size_t n, m;
    const char *a = io_read(test_arena(), kept, 0, &n, &e), *b;
    ASSERT_OK(b = io_read(test_arena(), file_of(r, ".safetensors"), 0, &m, &e), &e);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
}

TEST(a_checkpoint_goes_on_to_the_same_bits) { each(resume); }
