/*
 * labels: cli
 * From a spec to table, pictures, evaluation and export, with the program itself; and what must not change a run:
 * measurements, cuts into micro-batches and pieces.
 */
#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "results/run_record.h"
#include "tests/test.h"

static struct err e;

static char *format(const char *fmt, const char *a, const char *b)
{
    char buf[4096];
    snprintf(buf, sizeof buf, fmt, a, b);
    return arena_strdup(test_arena(), buf, &e);
}

/* A tiny BERT without classifier and a vocabulary of letters, in ./model; the test's directory is where we work. */
static void set_up(void)
{
    struct text t = {.arena = test_arena()};
    ASSERT_OK(text_add(&t, &e, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"), &e);
    for (char c = 'a'; c <= 'z'; c++)
        ASSERT_OK(text_add(&t, &e, "%c\n##%c\n", c, c), &e);
    ASSERT_OK(io_mkdirs(test_path("model"), &e), &e);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "model.safetensors" : "config.json";
        ASSERT_OK(io_copy(test_arena(), format("%s/tests/golden/encoder/cls2/%s", PEFTLAB_SOURCE_DIR, name),
                          test_path(i ? "model/model.safetensors" : "model/config.json"), &e), &e);
    }
    test_file("model/vocab.txt", t.s);
    test_file("spec.yaml", "name: tiny\nmodel: model\ntasks: [synth_sentiment]\nmethods: [full, lora, sift, head]\n"
                           "train: {max_steps: 12, batch_size: 8, max_seq_length: 24, learning_rate: 1.0e-3,\n"
                           "        hidden_dropout_prob: 0.1}\nmeasure: {gradients: {every: 5}}\n");
    assert_int_equal(chdir(test_dir()), 0);
}

/* Runs `peftlab ARGUMENTS` with its output in ./stdout and ./stderr; the exit code. */
static int peftlab(const char *arguments)
{
    int status = system(format("%s %s >stdout 2>stderr </dev/null", PEFTLAB_PROGRAM, arguments));
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *output(const char *file)
{
    const char *text = io_read(test_arena(), file, 0, NULL, &e);
    ASSERT_OK(text, &e);
    return text;
}

static void expect(int code, const char *arguments)
{
    int got = peftlab(arguments);
    if (got != code)
        fail_msg("peftlab %s: exit code %d\n%s", arguments, got, output("stderr"));
}

/* Path of the only run of a method in a results directory. */
static const char *run_of(const char *dir, const char *method)
{
    const char *found = NULL;
    DIR *d = opendir(format("%s/runs%s", dir, ""));
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));)
        if (text_ends(f->d_name, ".h5") && strstr(f->d_name, format("--%s--%s", method, "")))
            found = format("%s/runs/%s", dir, f->d_name);
    closedir(d);
    assert_non_null(found);
    return found;
}

static struct run_record read_run(const char *dir, const char *method)
{
    struct run_record r;
    ASSERT_OK(run_record_read(&r, test_arena(), run_of(dir, method), RUN_READ_ALL, &e), &e);
    return r;
}

TEST(from_spec_to_table_and_pictures)
{
    set_up();
    expect(0, "run spec.yaml --out out --limit 60");
    expect(0, "table out --format csv");
    assert_true(text_starts(output("stdout"), "task,model,method,variant,metric,n,mean,std,median,trainable\n"));
    expect(0, "status out --format csv");
    assert_non_null(strstr(output("stdout"), "\n4,0,0,0,"));
    expect(0, "plot out");
    const char *const made[] = {"params", "memory", "curves-synth_sentiment", "gradients-synth_sentiment"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(io_exists(format("out/plots/%s.png%s", made[i], "")));
        assert_true(io_exists(format("out/plots/%s.gp%s", made[i], "")));
        assert_true(io_exists(format("out/plots/%s.dat%s", made[i], "")));
    }
    expect(0, "run spec.yaml --out out --limit 60");
    assert_non_null(strstr(output("stderr"), "4 skipped, having a result"));
}

TEST(every_run_can_be_evaluated_and_exported)
{
    set_up();
    expect(0, "run spec.yaml --out out");
    const char *const methods[] = {"full", "lora", "sift", "head"};
    for (size_t i = 0; i < 4; i++) {
        struct run_record r = read_run("out", methods[i]);
        char line[64];
        snprintf(line, sizeof line, "accuracy\t%.6f\n", run_record_last(&r, "accuracy"));
        expect(0, format("eval %s --task synth_sentiment%s", run_of("out", methods[i]), ""));
        assert_string_equal(output("stdout"), line);
        assert_int_equal(peftlab(format("export %s --to hf exported-%s", run_of("out", methods[i]), methods[i])), 0);
        assert_true(io_exists(format("exported-%s/vocab.txt%s", methods[i], "")));
        expect(0, format("eval exported-%s --task synth_sentiment%s", methods[i], ""));
        double value = atof(output("stdout") + strlen("accuracy\t"));
        ASSERT_NEAR(value, run_record_last(&r, "accuracy"), 0.01); /* folded weights may turn a row on the edge */
    }
    expect(2, "eval nothing --task synth_sentiment");
    expect(2, "export nothing.h5 --to hf dir");
}

/* Its delta holds what was trained before the mask moved on. */
TEST(a_moving_mask_is_evaluated_as_it_was_trained)
{
    char line[64];
    set_up();
    test_file("moving.yaml", "include: spec.yaml\nname: moving\ntrain: {learning_rate: 3.0e-2}\n"
                             "methods:\n- sift: {ranking: global, density: 0.05, refresh_every: 2}\n");
    expect(0, "run moving.yaml --out out");
    struct run_record r = read_run("out", "sift");
    snprintf(line, sizeof line, "accuracy\t%.6f\n", run_record_last(&r, "accuracy"));
    expect(0, format("eval %s --task synth_sentiment%s", run_of("out", "sift"), ""));
    assert_string_equal(output("stdout"), line);
}

static void assert_same_run(const struct run_record *a, const struct run_record *b, double tolerance)
{
    const struct series_column *x = series_find(&a->train, "loss"), *y = series_find(&b->train, "loss");
    assert_int_equal(a->train.rows, b->train.rows);
    for (size_t i = 0; i < a->train.rows; i++)
        ASSERT_NEAR(x->v[i], y->v[i], tolerance);
    assert_int_equal(a->predictions.rows, b->predictions.rows);
    for (size_t i = 0; i < a->predictions.rows * a->predictions.labels; i++)
        ASSERT_NEAR(a->predictions.scores[i], b->predictions.scores[i], tolerance);
}

TEST(measuring_changes_no_bit)
{
    set_up();
    expect(0, "run spec.yaml --out with --limit 60 methods=[sift]");
    expect(0, "run spec.yaml --out without --limit 60 methods=[sift] measure=null");
    struct run_record with = read_run("with", "sift"), without = read_run("without", "sift");
    assert_int_equal(with.gradients.steps, 3);
    assert_int_equal(without.gradients.steps, 0);
    assert_same_run(&with, &without, 0);
}

TEST(the_same_spec_twice_gives_the_same_bits)
{
    set_up();
    expect(0, "run spec.yaml --out one --limit 60 methods=[lora]");
    expect(0, "run spec.yaml --out two --limit 60 methods=[lora]");
    struct run_record one = read_run("one", "lora"), two = read_run("two", "lora");
    assert_same_run(&one, &two, 0);
}

/* The meter against the system's own figure. Beside the tagged memory a process holds its libraries, OpenBLAS's buffers
 * (24 MB), texts, records and measurements: 96 MB cover them here. Sanitizers keep shadow memory of their own. */
TEST(tagged_memory_explains_the_resident_set)
{
#ifndef __SANITIZE_ADDRESS__
    set_up();
    expect(0, "run spec.yaml --out out --limit 60");
    const char *const methods[] = {"full", "lora", "sift", "head"};
    for (size_t i = 0; i < 4; i++) {
        struct run_record r = read_run("out", methods[i]);
        assert_true(r.memory.peak_live > 0 && r.peak_rss > 0);
        assert_true((double)r.peak_rss <= 1.02 * (double)r.memory.peak_live + 96e6);
    }
#endif
}

TEST(micro_batches_and_pieces_are_implementation)
{
    set_up();
    expect(0, "run spec.yaml --out whole --limit 60 methods=[full]");
    expect(0, "run spec.yaml --out cut --limit 60 methods=[full] train.gradient_accumulation_steps=4");
    expect(0, "run spec.yaml --out small --limit 60 methods=[full] train.piece_tokens=30");
    expect(0, "run spec.yaml --out none --limit 60 methods=[full] train.micro_batch=none");
    struct run_record whole = read_run("whole", "full"), cut = read_run("cut", "full"),
                      small = read_run("small", "full"), none = read_run("none", "full");
    assert_same_run(&whole, &cut, 1e-4);
    assert_same_run(&whole, &small, 1e-4);
    assert_same_run(&whole, &none, 1e-4);
}

TEST(early_stopping_and_both_weights)
{
    set_up();
    expect(0, "run spec.yaml --out out --limit 60 methods=[full] train.max_steps=40 train.eval_strategy=steps "
              "train.eval_steps=4 train.early_stopping_patience=2");
    struct run_record r = read_run("out", "full");
    const char *run = run_of("out", "full");
    size_t stem = strlen(run) - strlen(".h5");
    char path[1024];
    snprintf(path, sizeof path, "%.*s.safetensors", (int)stem, run);
    assert_true(io_exists(path));
    snprintf(path, sizeof path, "%.*s.best.safetensors", (int)stem, run);
    assert_int_equal(io_exists(path), r.best_row != (long long)r.eval.rows - 1);
    assert_true(r.best_row >= 0);
}
