/*
 * labels: cli
 * The program itself, killed, interrupted, run twice and out of space: what was stopped goes on to the same bits. A
 * model of two small layers on a synthetic task keeps a run short.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "harness/launch/claim.h"
#include "results/run_record.h"
#include "tests/test.h"

static const char head[] = "name: tiny\n"
                           "model: model\n"
                           "tasks: [synth_sentiment]\n"
                           "train: {max_steps: 60, batch_size: 4, max_seq_length: 24, learning_rate: 1.0e-3,\n"
                           "        eval_strategy: steps, eval_steps: 25, hidden_dropout_prob: 0.1}\n";

static char *joined(const char *a, const char *b)
{
    struct err e;
    char *s = arena_printf(test_arena(), &e, "%s%s", a, b);
    assert_non_null(s);
    return s;
}

static void write_vocabulary(void)
{
    struct err e;
    struct text t = {.arena = test_arena()};
    assert_true(text_add(&t, &e, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"));
    for (char c = 'a'; c <= 'z'; c++)
        assert_true(text_add(&t, &e, "%c\n##%c\n", c, c));
    test_file("model/vocab.txt", t.s);
}

/* Makes the test's directory the place to work in, with the model and spec.yaml. */
static void set_up(const char *methods)
{
    struct err e;
    const char *model = PEFTLAB_SOURCE_DIR "/tests/golden/encoder/cls2/";
    ASSERT_OK(io_mkdirs(test_path("model"), &e), &e);
    ASSERT_OK(io_copy(test_arena(), joined(model, "config.json"), test_path("model/config.json"), &e), &e);
    ASSERT_OK(io_copy(test_arena(), joined(model, "model.safetensors"), test_path("model/model.safetensors"), &e), &e);
    write_vocabulary();
    test_file("spec.yaml", joined(head, methods));
    assert_int_equal(chdir(test_dir()), 0);
}

enum { ARGUMENTS = 16 };

/* Starts `peftlab run spec.yaml --limit 40 ARGUMENTS` with its output in the files `stdout` and `stderr`; files of at
 * most `largest` bytes (0: any) can be written. */
static pid_t start(const char *const *arguments, rlim_t largest)
{
    const char *argv[ARGUMENTS] = {PEFTLAB_PROGRAM, "run", "spec.yaml", "--limit", "40"};
    for (int i = 0; arguments[i]; i++)
        argv[5 + i] = arguments[i];
    pid_t pid = fork();
    assert_true(pid >= 0); /* the caller sends signals to it */
    if (pid != 0)
        return pid;
    int out = open("stdout", O_WRONLY | O_CREAT | O_TRUNC, 0600),
        err = open("stderr", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, 1);
    dup2(err, 2);
    if (largest)
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){largest, largest});
    execv(PEFTLAB_PROGRAM, (char **)(void *)argv);
    _exit(127);
}
#define START(...) start((const char *const[]){__VA_ARGS__, NULL}, 0)

static int end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#define RUN(...) end_of(START(__VA_ARGS__))

static const char *messages(void)
{
    struct err e;
    const char *text = io_read(test_arena(), "stderr", 0, NULL, &e);
    assert_non_null(text);
    return text;
}

static const char *last_message(void)
{
    char *text = joined(messages(), "");
    size_t n = strlen(text);
    assert_true(n > 0 && text[n - 1] == '\n');
    text[n - 1] = 0;
    const char *line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

static void expect_exit(int code, int expected)
{
    if (code != expected)
        fail_msg("exit code %d, not %d:\n%s", code, expected, messages());
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

/* Names in DIR/runs with this ending, ordered; how many there are. */
static size_t files(const char *dir, const char *ending, const char **name)
{
    size_t n = 0;
    DIR *d = opendir(joined(dir, "/runs"));
    for (struct dirent *f; d && (f = readdir(d));)
        if (text_ends(f->d_name, ending) && !text_ends(f->d_name, ".best.safetensors") && n < 16)
            name[n++] = joined(f->d_name, "");
    if (d)
        closedir(d);
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && strcmp(name[k - 1], name[k]) > 0; k--) {
            const char *t = name[k];
            name[k] = name[k - 1];
            name[k - 1] = t;
        }
    return n;
}

static size_t count(const char *dir, const char *ending)
{
    const char *name[16];
    return files(dir, ending, name);
}

/* Waits until a file with this ending is there, or the process has ended. */
static bool appeared(const char *dir, const char *ending, pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    while (count(dir, ending) == 0) {
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        if (info.si_pid == pid)
            return false;
        nap();
    }
    return true;
}

static void same_file(const char *a, const char *b)
{
    struct err e;
    size_t n, m;
    const char *x = io_read(test_arena(), a, 0, &n, &e), *y = io_read(test_arena(), b, 0, &m, &e);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
}

/* Every column but the clock's. */
static void same_series(const struct series *a, const struct series *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->columns, b->columns);
    assert_true(a->rows > 0);
    for (size_t c = 0; c < a->columns; c++) {
        const char *name = a->column[c].name;
        for (size_t i = 0; strcmp(name, "seconds") != 0 && i < a->rows; i++) {
            double x = series_get(a, name, i), y = series_get(b, name, i);
            if (memcmp(&x, &y, sizeof x) != 0)
                fail_msg("%s in row %zu: %.17g and %.17g", name, i, x, y);
        }
    }
}

static void same_result(const char *a, const char *b)
{
    struct err e;
    struct run_record x, y;
    ASSERT_OK(run_record_read(&x, test_arena(), a, RUN_READ_ALL, &e), &e);
    ASSERT_OK(run_record_read(&y, test_arena(), b, RUN_READ_ALL, &e), &e);
    assert_string_equal(x.hash, y.hash);
    assert_int_equal(x.status, y.status);
    assert_int_equal(x.best_row, y.best_row);
    same_series(&x.train, &y.train);
    same_series(&x.eval, &y.eval);
    assert_int_equal(x.predictions.rows, y.predictions.rows);
    assert_true(x.predictions.rows > 0);
    assert_memory_equal(x.predictions.scores, y.predictions.scores,
                        x.predictions.rows * x.predictions.labels * sizeof(float));
}

/* Both folders hold the same `n` runs, to the last bit of weights, curves and predictions. */
static void same_runs(const char *a, const char *b, size_t n)
{
    const char *x[16], *y[16];
    assert_int_equal(files(a, ".h5", x), n);
    assert_int_equal(files(b, ".h5", y), n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(x[i], y[i]);
        same_result(joined(joined(a, "/runs/"), x[i]), joined(joined(b, "/runs/"), y[i]));
    }
    assert_int_equal(files(a, ".safetensors", x), n);
    assert_int_equal(files(b, ".safetensors", y), n);
    for (size_t i = 0; i < n; i++)
        same_file(joined(joined(a, "/runs/"), x[i]), joined(joined(b, "/runs/"), y[i]));
    assert_int_equal(count(b, ".ckpt") + count(b, ".claim") + count(b, ".part"), 0);
}

/* Kills each worker once, when it has written its first checkpoint. */
static size_t kill_workers(pid_t pid, const char *dir, size_t runs)
{
    size_t killed = 0;
    long last = 0;
    siginfo_t info = {.si_pid = 0};
    while (killed < runs && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != pid) {
        const char *claim[16];
        struct claim_owner owner;
        nap();
        if (count(dir, ".ckpt") <= killed || files(dir, ".claim", claim) == 0)
            continue;
        for (size_t i = 0, n = files(dir, ".claim", claim); i < n; i++)
            if (claim_is_held(joined(joined(dir, "/runs/"), claim[i]), &owner) && owner.pid != last &&
                kill((pid_t)owner.pid, SIGKILL) == 0) {
                last = owner.pid;
                killed++;
            }
    }
    return killed;
}

TEST(killed_runs_go_on_to_the_same_bits)
{
    set_up("methods: [full, sift, lora]\n");
    expect_exit(RUN("--threads", "1", "--out", "whole"), 0);
    pid_t pid = START("--threads", "1", "--out", "killed", "train.save_steps=5");
    assert_int_equal(kill_workers(pid, "killed", 3), 3);
    expect_exit(end_of(pid), 1);
    assert_int_equal(count("killed", ".ckpt"), 3);
    assert_int_equal(count("killed", ".h5"), 0);
    assert_non_null(strstr(messages(), "killed by signal 9"));
    assert_string_equal(last_message(), "3 of 3 runs failed, 0 diverged");
    expect_exit(RUN("--threads", "1", "--out", "killed", "train.save_steps=5"), 0);
    assert_non_null(strstr(messages(), "3 go on from a checkpoint"));
    same_runs("whole", "killed", 3);
}

TEST(going_on_with_other_threads_is_told)
{
    set_up("methods: [full]\n");
    pid_t pid = START("--threads", "1", "--out", "killed", "train.save_steps=5");
    assert_int_equal(kill_workers(pid, "killed", 1), 1);
    expect_exit(end_of(pid), 1);
    expect_exit(RUN("--threads", "2", "--out", "killed", "train.save_steps=5"), 0);
    assert_non_null(strstr(messages(), "threads were 1 in the steps before and are 2 now"));
}

/* One run, killed once and gone on with. */
static void killed_once(const char *methods)
{
    set_up(methods);
    expect_exit(RUN("--threads", "1", "--out", "whole"), 0);
    pid_t pid = START("--threads", "1", "--out", "killed", "train.save_steps=5");
    assert_int_equal(kill_workers(pid, "killed", 1), 1);
    expect_exit(end_of(pid), 1);
    expect_exit(RUN("--threads", "1", "--out", "killed", "train.save_steps=5"), 0);
    assert_non_null(strstr(messages(), "from a checkpoint"));
    same_runs("whole", "killed", 1);
}

/* Shares that a ranking dealt out, and entries that were trained before the mask moved on, are in the checkpoint. */
TEST(a_killed_run_with_a_moving_mask_goes_on_to_the_same_bits)
{
    killed_once("methods:\n- sift: {ranking: global, density: 0.02, refresh_every: 2}\n");
}

/* So are bases, weights that moved before training, and optimizer state of a size that depends on the training. */
TEST(a_killed_run_with_growing_state_goes_on_to_the_same_bits)
{
    killed_once("methods:\n- sparsegrad: {k: 5, compat: reference}\n");
}

/* Wherever the signal falls: while loading, training, evaluating or between two runs. */
TEST(interrupted_runs_go_on_to_the_same_bits)
{
    set_up("methods: [full, sift]\nseeds: [7]\n");
    expect_exit(RUN("--threads", "1", "--out", "whole"), 0);
    int interrupted = 0;
    for (int round = 0; round < 8; round++) {
        pid_t pid = START("--threads", "1", "--out", "broken");
        bool began = appeared("broken", ".claim", pid);
        for (int i = 0; i < 8 * round; i++)
            nap();
        kill(pid, round % 2 ? SIGTERM : SIGINT);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status == 0 || (began && WIFSIGNALED(status)))
            break; /* all runs were done: the program was at its end, where signals are the system's again */
        assert_true(WIFEXITED(status));
        expect_exit(WEXITSTATUS(status), 130);
        assert_non_null(strstr(last_message(), "the same command goes on"));
        assert_int_equal(count("broken", ".claim"), 0);
        interrupted += began;
    }
    assert_true(interrupted > 0);
    expect_exit(RUN("--threads", "1", "--out", "broken"), 0);
    same_runs("whole", "broken", 2);
}

TEST(two_workers_give_the_bits_of_one)
{
    set_up("methods: [full, sift]\nseeds: [1, 2]\n");
    expect_exit(RUN("--threads", "1", "--out", "one"), 0);
    expect_exit(RUN("--jobs", "2", "--threads", "2", "--out", "two"), 0);
    same_runs("one", "two", 4);
}

/* Two programs in one folder share the work; each run is done once. */
TEST(two_programs_share_a_folder)
{
    set_up("methods: [full, head]\nseeds: [1, 2]\n");
    expect_exit(RUN("--threads", "1", "--out", "one"), 0);
    pid_t first = START("--threads", "1", "--out", "shared");
    appeared("shared", ".claim", first);
    int code = RUN("--threads", "1", "--out", "shared");
    expect_exit(end_of(first), 0);
    expect_exit(code, 0);
    same_runs("one", "shared", 4);
}

TEST(a_diverging_run_does_not_stop_the_sweep)
{
    set_up("methods:\n- full: {train: {learning_rate: 1.0e+30, max_grad_norm: 0}}\n- head\n");
    expect_exit(RUN("--threads", "1", "--out", "out"), 1);
    assert_int_equal(count("out", ".h5"), 2);
    assert_non_null(strstr(messages(), "  diverged  synth_sentiment--model--full--"));
    assert_non_null(strstr(last_message(), " diverged: "));
    expect_exit(RUN("--threads", "1", "--out", "out"), 1); /* it would diverge again */
    assert_non_null(strstr(messages(), "tiny: 2 runs, 0 to do"));
}

TEST(a_full_disk_is_the_environments_fault)
{
    set_up("methods: [full]\n");
    expect_exit(RUN("--threads", "1", "--out", "whole"), 0);
    expect_exit(end_of(start((const char *const[]){"--threads", "1", "--out", "full", NULL}, 20000)), 3);
    assert_non_null(strstr(last_message(), "File too large"));
    assert_int_equal(count("full", ".h5") + count("full", ".part") + count("full", ".claim"), 0);
    expect_exit(RUN("--threads", "1", "--out", "full"), 0);
    same_runs("whole", "full", 1);
}

TEST(a_cut_result_is_made_again)
{
    const char *name[16];
    set_up("methods: [head]\n");
    expect_exit(RUN("--threads", "1", "--out", "whole"), 0);
    expect_exit(RUN("--threads", "1", "--out", "cut"), 0);
    assert_int_equal(files("cut", ".h5", name), 1);
    assert_int_equal(truncate(joined("cut/runs/", name[0]), 9000), 0);
    expect_exit(RUN("--threads", "1", "--out", "cut"), 0);
    same_runs("whole", "cut", 1);
}

TEST(a_cut_checkpoint_starts_the_run_anew)
{
    const char *name[16];
    set_up("methods: [full]\n");
    expect_exit(RUN("--threads", "1", "--out", "whole"), 0);
    pid_t pid = START("--threads", "1", "--out", "cut", "train.save_steps=5");
    assert_int_equal(kill_workers(pid, "cut", 1), 1);
    expect_exit(end_of(pid), 1);
    assert_int_equal(files("cut", ".ckpt", name), 1);
    assert_int_equal(truncate(joined("cut/runs/", name[0]), 5000), 0);
    expect_exit(RUN("--threads", "1", "--out", "cut"), 0);
    assert_non_null(strstr(messages(), "starts anew: cut/runs/"));
    same_runs("whole", "cut", 1);
}

#ifdef __linux__
TEST(workers_of_a_killed_launcher_save_and_stop)
{
    set_up("methods: [full]\n");
    pid_t pid = START("--threads", "1", "--out", "out", "train.save_steps=5", "train.max_steps=1000000");
    assert_true(appeared("out", ".ckpt", pid));
    assert_int_equal(kill(pid, SIGKILL), 0);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 20000 && count("out", ".claim"); i++)
        nap();
    assert_int_equal(count("out", ".claim"), 0);
    assert_int_equal(count("out", ".ckpt"), 1);
    assert_non_null(strstr(messages(), "interrupted in step"));
}
#endif

TEST(wrong_input_starts_no_run)
{
    set_up("methods: [full, head]\n");
    test_file("model/vocab.txt", "");
    expect_exit(RUN("--threads", "1", "--out", "out"), 2);
    assert_false(io_exists("out"));
}
