/*
 * The launcher with invented runs: a shell script stands for the worker and leaves what the run's seed asks for. What a
 * run is (harness/run.h) is replaced by the few lines that the launcher needs of it.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "harness/launch/claim.h"
#include "harness/launch/launch.h"
#include "harness/launch/worker.h"
#include "tests/results/fixture.h"

volatile sig_atomic_t run_interrupted;
static size_t planned_bytes;      /* of every run */
static long long refused_seed = -1, executed_seed = -1;
static bool execute_ok = true;

bool run_prepare(struct run_spec *r, const struct run_env *env, struct arena *a, struct err *e)
{
    (void)env;
    if ((long long)r->seed == refused_seed)
        return err_at(e, ERR_INPUT, "train.tsv", 4, 1, "wrong");
    r->name = arena_printf(a, e, "cola--mini--sift--default--s%d--01234567", (int)r->seed);
    return r->name != NULL;
}

char *run_path(const struct run_spec *r, const struct run_env *env, const char *ending, struct arena *a, struct err *e)
{
    return arena_printf(a, e, "%s/runs/%s%s", env->out, r->name, ending);
}

bool run_plan(const struct run_spec *r, struct run_plan *plan, struct err *e)
{
    (void)r, (void)e;
    *plan = (struct run_plan){.bytes_total = planned_bytes};
    return true;
}

bool run_execute(const struct run_spec *r, const struct run_env *env, struct err *e)
{
    struct arena *a = test_arena();
    executed_seed = (long long)r->seed;
    assert_true(io_exists(run_path(r, env, ".claim", a, e)));
    return execute_ok || err_set(e, ERR_RUN, "seed %lld went wrong", executed_seed);
}

/* What the worker does for each seed; $3 is the run's name, for the arguments are `run --worker NAME spec.yaml`. */
static const char script[] =
    "#!/bin/sh\n"
    "test \"$2\" = --worker || exit 2\n"
    "cd \"$(dirname \"$0\")\" || exit 2\n"
    "echo \"$3 $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS $OMP_WAIT_POLICY\" >>calls\n"
    "tell() { eval \"printf %s '$1' >&$PEFTLAB_WORKER_REPORT\"; }\n"
    "result() { cp $1.h5 \"out/runs/$2.part\" && mv \"out/runs/$2.part\" \"out/runs/$2.h5\"; }\n"
    "case $3 in\n"
    "*--s1[0-9]--*) result finished $3;;\n"
    "*--s21--*) result failed $3; exit 1;;\n"
    "*--s22--*) kill -9 $$;;\n"
    "*--s23--*) result diverged $3; exit 1;;\n"
    "*--s24--*) result collapsed $3;;\n"
    "*--s25--*) tell 'x.h5: cannot be written: No space left on device'; exit 3;;\n"
    "*--s26--*) tell 'train.tsv:4:1: changed'; exit 2;;\n"
    "*--s27--*) exit 1;;\n"
    "*--s28--*) ;;\n"
    "*--s31--*) trap 'exit 130' TERM; kill -TERM $PPID; while :; do sleep 0.02; done;;\n"
    "*--s32--*) trap '' TERM; kill -TERM $PPID; sleep 1.3; kill -TERM $PPID; while :; do sleep 0.02; done;;\n"
    "*--s33--*) trap 'exit 130' TERM; while :; do sleep 0.02; done;;\n"
    "*--s4[0-9]--*) mkdir alone || echo together >>calls; sleep 0.2; rmdir alone; result finished $3;;\n"
    "*) exit 99;;\n"
    "esac\n";

static const struct task task = {.name = "cola"};
static const struct method method = {.name = "sift"};
static const char *const command[] = {"peftlab", "run", "spec.yaml", NULL};

struct sweep_case {
    struct run_spec run[8];
    struct spec spec;
    struct run_env env;
    struct launch_options o;
    struct launch_result result;
    struct err e;
};

static void write_template(const char *name, enum run_status status)
{
    struct err e;
    struct fixture f = fixture_one;
    f.status = status;
    f.metric = "matthews_correlation";
    struct run_record r = fixture_run(test_arena(), &f);
    if (status == RUN_DIVERGED)
        r.error = "loss is not finite in step 7";
    ASSERT_OK(run_record_write(&r, test_path(name), &e), &e);
}

/* A sweep of the seeds given (0 ends the list), with the script as its worker. */
static struct sweep_case *sweep(const int *seeds)
{
    static struct sweep_case c;
    struct err e;
    c = (struct sweep_case){.spec = {.path = "spec.yaml", .name = "sweep", .resolved = "name: sweep\n"}};
    c.spec.run = c.run;
    for (; seeds[c.spec.n_runs]; c.spec.n_runs++)
        c.run[c.spec.n_runs] = (struct run_spec){
            .task = &task, .method = &method, .variant = "default", .seed = (uint64_t)seeds[c.spec.n_runs]};
    c.env = (struct run_env){.out = arena_strdup(test_arena(), test_path("out"), &e), .threads = 1};
    c.o = (struct launch_options){.jobs = 1, .threads = 1, .argv = command};
    c.o.exe = arena_strdup(test_arena(), test_file("worker", script), &e);
    assert_int_equal(chmod(c.o.exe, 0700), 0);
    write_template("finished.h5", RUN_FINISHED);
    write_template("failed.h5", RUN_FAILED);
    write_template("diverged.h5", RUN_DIVERGED);
    write_template("collapsed.h5", RUN_COLLAPSED);
    return &c;
}
#define SWEEP(...) sweep((const int[]){__VA_ARGS__, 0})

static bool launch(struct sweep_case *c)
{
    unlink(test_path("calls"));
    c->e = (struct err){0};
    return launch_runs(&c->spec, &c->env, &c->o, &c->result, test_arena(), &c->e);
}

/* The workers that were started, a line for each. */
static const char *calls(void)
{
    struct err e;
    const char *path = test_path("calls");
    return io_exists(path) ? io_read(test_arena(), path, 0, NULL, &e) : "";
}

static size_t lines(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static const char *run_file(const char *seed, const char *ending)
{
    struct err e;
    return test_path(
        arena_printf(test_arena(), &e, "out/runs/cola--mini--sift--default--s%s--01234567%s", seed, ending));
}

static const char *content(const char *name)
{
    struct err e;
    const char *text = io_read(test_arena(), test_path(name), 0, NULL, &e);
    assert_non_null(text);
    return text;
}

TEST(every_run_gets_a_worker_once)
{
    struct sweep_case *c = SWEEP(11, 12, 13);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.finished, 3);
    assert_int_equal(lines(calls()), 3);
    assert_string_equal(content("out/spec.yaml"), "name: sweep\n");
    assert_string_equal(content("out/runs.tsv"), "run\ncola--mini--sift--default--s11--01234567\n"
                                                 "cola--mini--sift--default--s12--01234567\n"
                                                 "cola--mini--sift--default--s13--01234567\n");
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.finished, 0);
    assert_int_equal(c->result.skipped, 3);
    assert_int_equal(lines(calls()), 0);
    c->o.redo = true;
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.finished, 3);
    assert_int_equal(lines(calls()), 3);
}

TEST(one_bad_run_does_not_stop_the_others)
{
    struct sweep_case *c = SWEEP(21, 22, 23, 24, 27, 11);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_RUN);
    assert_string_equal(c->e.msg, "3 of 6 runs failed, 1 diverged");
    assert_int_equal(c->result.failed, 3);
    assert_int_equal(c->result.diverged, 1);
    assert_int_equal(c->result.finished, 2);
    assert_int_equal(c->result.collapsed, 1);
    assert_int_equal(lines(calls()), 6);

    assert_false(launch(c)); /* failed ones are tried again, the diverged one would diverge again */
    assert_int_equal(lines(calls()), 3);
    assert_null(strstr(calls(), "--s23--"));
    assert_int_equal(c->result.skipped, 3);
    assert_int_equal(c->result.diverged, 1);
}

TEST(a_killed_worker_is_reported)
{
    struct sweep_case *c = SWEEP(22, 11);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_RUN);
    assert_non_null(strstr(c->e.msg, "s22--01234567 failed: killed by signal 9"));
    assert_non_null(strstr(c->e.msg, "memory"));
    assert_int_equal(c->result.finished, 1);
}

TEST(the_result_says_why_it_failed)
{
    struct sweep_case *c = SWEEP(21);
    assert_false(launch(c));
    assert_string_equal(c->e.msg, "run cola--mini--sift--default--s21--01234567 failed: out of memory");
    c = SWEEP(23);
    assert_false(launch(c));
    assert_string_equal(c->e.msg,
                        "run cola--mini--sift--default--s23--01234567 diverged: loss is not finite in step 7");
}

TEST(exit_codes_in_their_order)
{
    struct sweep_case *c = SWEEP(21, 26, 25, 11);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_ENV);
    assert_string_equal(c->e.msg, "x.h5: cannot be written: No space left on device");
    c = SWEEP(21, 26, 11);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_INPUT);
    assert_string_equal(c->e.msg, "train.tsv:4:1: changed");
    c = SWEEP(25, 31);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_INTERRUPTED);
}

TEST(strict_counts_collapsed_runs)
{
    struct sweep_case *c = SWEEP(24, 11);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.collapsed, 1);
    c->o.strict = true; /* those of an earlier call, too */
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_RUN);
    assert_string_equal(c->e.msg, "1 of 2 runs collapsed");
}

TEST(fail_fast_starts_no_more)
{
    struct sweep_case *c = SWEEP(11, 21, 12, 13);
    c->o.fail_fast = true;
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_RUN);
    assert_int_equal(lines(calls()), 2);
    assert_int_equal(c->result.interrupted, 2);
}

TEST(fail_fast_stops_those_at_work)
{
    struct sweep_case *c = SWEEP(33, 21, 12);
    c->o.fail_fast = true;
    c->o.jobs = 2;
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_RUN);
    assert_null(strstr(calls(), "--s12--"));
    assert_int_equal(c->result.interrupted, 2);
}

TEST(workers_share_the_threads)
{
    struct sweep_case *c = SWEEP(11, 12, 13);
    c->o.jobs = 2;
    c->o.threads = 6;
    setenv("OMP_WAIT_POLICY", "active", 1);
    ASSERT_OK(launch(c), &c->e);
    assert_non_null(strstr(calls(), "s11--01234567 3 3 passive\n"));
    c->o.jobs = 1;
    c->o.redo = true;
    ASSERT_OK(launch(c), &c->e);
    assert_non_null(strstr(calls(), "s11--01234567 6 6 active\n"));
    c->o.jobs = 3;
    c->o.threads = 2;
    ASSERT_OK(launch(c), &c->e);
    assert_non_null(strstr(calls(), "s11--01234567 1 1 passive\n"));
}

TEST(runs_that_do_not_fit_together_wait)
{
    struct sweep_case *c = SWEEP(41, 42);
    c->o.jobs = 2;
    ASSERT_OK(launch(c), &c->e);
    assert_non_null(strstr(calls(), "together"));
    if (clock_memory_available() == 0)
        skip();
    c->o.redo = true;
    planned_bytes = clock_memory_available() / 3 * 2;
    ASSERT_OK(launch(c), &c->e);
    assert_null(strstr(calls(), "together"));
    assert_int_equal(c->result.finished, 2);
}

TEST(a_broken_result_is_made_again)
{
    struct sweep_case *c = SWEEP(11, 12);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(truncate(run_file("11", ".h5"), 3000), 0);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.finished, 1);
    assert_non_null(strstr(calls(), "--s11--"));
    assert_int_equal(lines(calls()), 1);
}

TEST(live_claims_are_left_and_dead_ones_taken)
{
    struct sweep_case *c = SWEEP(11, 12);
    struct err e;
    struct claim_owner owner;
    bool mine;
    ASSERT_OK(io_mkdirs(test_path("out/runs"), &e), &e);
    ASSERT_OK(claim_take(run_file("11", ".claim"), &mine, &owner, &e) && mine, &e);
    FILE *f = fopen(run_file("12", ".claim"), "w");
    assert_non_null(f);
    fprintf(f, "%s %ld 1 1700000000\n", owner.host, owner.pid);
    fclose(f);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.left, 1);
    assert_int_equal(c->result.finished, 1);
    assert_null(strstr(calls(), "--s11--"));
}

TEST(a_worker_without_a_result_was_too_late)
{
    struct sweep_case *c = SWEEP(28);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.left, 1);
}

TEST(interruption_waits_for_workers_and_starts_no_more)
{
    struct sweep_case *c = SWEEP(11, 31, 12);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_INTERRUPTED);
    assert_string_equal(c->e.msg, "interrupted: 2 of 3 runs not done; the same command goes on with them");
    assert_int_equal(lines(calls()), 2);
    assert_int_equal(c->result.finished, 1);
    assert_int_equal(c->result.interrupted, 2);
}

TEST(the_second_signal_kills)
{
    struct sweep_case *c = SWEEP(32, 12);
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_INTERRUPTED);
    assert_int_equal(lines(calls()), 1);
    assert_int_equal(c->result.interrupted, 2);
}

TEST(wrong_input_starts_nothing)
{
    struct sweep_case *c = SWEEP(11, 12);
    refused_seed = 12;
    ASSERT_ERR(launch(c), &c->e, "train.tsv:4:1: wrong");
    assert_int_equal(c->e.code, ERR_INPUT);
    assert_false(io_exists(test_path("out")));
    assert_string_equal(calls(), "");
}

TEST(a_folder_that_cannot_be_made)
{
    struct sweep_case *c = SWEEP(11);
    test_file("out", "a file");
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_ENV);
}

TEST(a_program_that_is_not_there)
{
    struct sweep_case *c = SWEEP(11);
    c->o.exe = "/nonexistent/peftlab";
    assert_false(launch(c));
    assert_int_equal(c->e.code, ERR_ENV);
}

TEST(dry_run_tells_and_does_nothing)
{
    struct sweep_case *c = SWEEP(11, 21, 23, 22);
    c->o.dry_run = true;
    ASSERT_OK(launch(c), &c->e);
    assert_false(io_exists(test_path("out")));
    assert_string_equal(c->result.plan, "run     cola--mini--sift--default--s11--01234567\n"
                                        "run     cola--mini--sift--default--s21--01234567\n"
                                        "run     cola--mini--sift--default--s23--01234567\n"
                                        "run     cola--mini--sift--default--s22--01234567\n");
    c->o.dry_run = false;
    assert_false(launch(c));
    FILE *f = fopen(run_file("22", ".ckpt"), "w");
    assert_non_null(f);
    fclose(f);
    c->o.dry_run = true;
    ASSERT_OK(launch(c), &c->e);
    assert_string_equal(c->result.plan, "skip    cola--mini--sift--default--s11--01234567  finished\n"
                                        "retry   cola--mini--sift--default--s21--01234567  failed\n"
                                        "skip    cola--mini--sift--default--s23--01234567  diverged\n"
                                        "resume  cola--mini--sift--default--s22--01234567\n");
    assert_string_equal(calls(), "");
}

/* A redo that was stopped leaves a checkpoint newer than the old result. */
TEST(an_interrupted_redo_goes_on)
{
    struct sweep_case *c = SWEEP(11);
    ASSERT_OK(launch(c), &c->e);
    FILE *f = fopen(run_file("11", ".ckpt"), "w");
    assert_non_null(f);
    fclose(f);
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, run_file("11", ".h5"), old, 0), 0);
    ASSERT_OK(launch(c), &c->e);
    assert_int_equal(c->result.finished, 1);
    ASSERT_OK(launch(c), &c->e); /* now the result is the newer one */
    assert_int_equal(c->result.skipped, 1);
}

/* The other side: what a worker does. */

static bool work(struct sweep_case *c, const char *name)
{
    struct err e;
    ASSERT_OK(io_mkdirs(test_path("out/runs"), &e), &e);
    executed_seed = -1;
    c->e = (struct err){0};
    return launch_worker(&c->spec, &c->env, &c->o, name, test_arena(), &c->e);
}

TEST(worker_executes_the_run_of_that_name)
{
    struct sweep_case *c = SWEEP(1, 11, 111);
    ASSERT_OK(work(c, "cola--mini--sift--default--s11--01234567"), &c->e);
    assert_int_equal(executed_seed, 11);
    assert_false(io_exists(run_file("11", ".claim")));
}

TEST(worker_refuses_a_run_that_is_no_more)
{
    struct sweep_case *c = SWEEP(11);
    ASSERT_ERR(work(c, "cola--mini--sift--default--s11--76543210"), &c->e,
               "spec.yaml: no run is named `cola--mini--sift--default--s11--76543210` any more: spec, model or data "
               "changed after the command was started");
    assert_false(work(c, "x"));
    assert_false(work(c, ""));
    assert_int_equal(executed_seed, -1);
}

TEST(worker_tells_its_error)
{
    struct sweep_case *c = SWEEP(11);
    int end[2];
    char text[256], number[16];
    assert_int_equal(pipe(end), 0);
    snprintf(number, sizeof number, "%d", end[1]);
    setenv("PEFTLAB_WORKER_REPORT", number, 1);
    execute_ok = false;
    ASSERT_ERR(work(c, "cola--mini--sift--default--s11--01234567"), &c->e, "seed 11 went wrong");
    ssize_t n = read(end[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_string_equal(text, "seed 11 went wrong");
    assert_false(io_exists(run_file("11", ".claim")));
}

TEST(worker_leaves_what_another_has_or_had)
{
    struct sweep_case *c = SWEEP(11);
    struct err e;
    struct claim_owner owner;
    bool mine;
    ASSERT_OK(launch(c), &c->e);
    ASSERT_OK(work(c, "cola--mini--sift--default--s11--01234567"), &c->e);
    assert_int_equal(executed_seed, -1);
    unlink(run_file("11", ".h5"));
    ASSERT_OK(claim_take(run_file("11", ".claim"), &mine, &owner, &e) && mine, &e);
    ASSERT_OK(work(c, "cola--mini--sift--default--s11--01234567"), &c->e);
    assert_int_equal(executed_seed, -1);
    assert_true(io_exists(run_file("11", ".claim")));
}
