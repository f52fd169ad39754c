/* `status`: every run counts once, by what lies in the folder of results. */
#include <math.h>
#include <unistd.h>

#include "harness/launch/claim.h"
#include "harness/launch/status.h"
#include "tests/results/fixture.h"

static void write_run(const char *task, long long seed, enum run_status status)
{
    struct fixture f = fixture_one;
    f.task = task;
    f.seed = seed;
    f.status = status;
    fixture_write(test_arena(), &f);
}

static const char *text(bool csv)
{
    struct err e;
    struct text t = {.arena = test_arena()};
    ASSERT_OK(status_text(test_dir(), csv, &t, test_arena(), &e), &e);
    return t.s;
}

TEST(counts_each_run_once)
{
    struct err e;
    struct claim_owner owner;
    bool mine;
    write_run("mrpc", 1, RUN_FINISHED); /* 17 s */
    write_run("mrpc", 2, RUN_COLLAPSED);
    write_run("mrpc", 3, RUN_FAILED);
    write_run("mrpc", 4, RUN_DIVERGED);
    test_file("runs/mrpc--mini--sift--density=0.008--s5--0123abcd.ckpt", "");
    ASSERT_OK(claim_take(test_path("runs/mrpc--mini--sift--density=0.008--s6--0123abcd.claim"), &mine, &owner, &e), &e);
    test_file("runs/mrpc--mini--sift--density=0.008--s1--0123abcd.safetensors", "");
    test_file("runs.tsv",
              "run\nmrpc--mini--sift--density=0.008--s1--0123abcd\n"
              "mrpc--mini--sift--density=0.008--s6--0123abcd\ncola--mini--sift--density=0.008--s7--0123abcd\n");
    struct status s;
    ASSERT_OK(status_read(test_dir(), &s, NULL, test_arena(), &e), &e);
    assert_int_equal(s.finished, 2);
    assert_int_equal(s.running, 1);
    assert_int_equal(s.failed, 2);
    assert_int_equal(s.left, 2);
    assert_int_equal(s.collapsed, 1);
    assert_int_equal(s.diverged, 1);
    assert_int_equal(s.interrupted, 1);
    ASSERT_NEAR(s.seconds_left, 3 * 17, 10); /* two to begin; one that began now */
}

TEST(text_forms)
{
    write_run("mrpc", 1, RUN_FINISHED);
    assert_string_equal(text(true), "finished,running,failed,left,seconds_left,collapsed,diverged,interrupted\n"
                                    "1,0,0,0,0.0,0,0,0\n");
    write_run("mrpc", 3, RUN_FAILED);
    test_file("runs.tsv", "run\nmrpc--mini--sift--density=0.008--s9--0123abcd\n");
    assert_string_equal(text(true), "finished,running,failed,left,seconds_left,collapsed,diverged,interrupted\n"
                                    "1,0,1,1,17.0,0,0,0\n");
    assert_string_equal(text(false), "| finished | running | failed | left | time left |\n|---:|---:|---:|---:|---:|\n"
                                     "| 1 | 0 | 1 | 1 | 17s |\n\n| run | status | error |\n|---|---|---|\n"
                                     "| mrpc--mini--sift--density=0.008--s3--0123abcd | failed | out of memory |\n");
}

TEST(time_left_is_unknown_before_the_first_result)
{
    test_file("runs.tsv", "run\na--b--c--d--s1--00000000\n");
    assert_string_equal(text(true), "finished,running,failed,left,seconds_left,collapsed,diverged,interrupted\n"
                                    "0,0,0,1,,0,0,0\n");
    assert_non_null(strstr(text(false), "| 0 | 0 | 0 | 1 | ? |"));
    struct err e;
    struct claim_owner owner;
    bool mine;
    ASSERT_OK(io_mkdirs(test_path("runs"), &e), &e);
    ASSERT_OK(claim_take(test_path("runs/a--b--c--d--s1--00000000.claim"), &mine, &owner, &e), &e);
    assert_non_null(strstr(text(false), "| 0 | 1 | 0 | 0 | ? |"));
}

TEST(a_broken_result_is_left_to_do)
{
    struct err e;
    ASSERT_OK(io_mkdirs(test_path("runs"), &e), &e);
    test_file("runs/a--b--c--d--s1--00000000.h5", "no such format");
    assert_non_null(strstr(text(true), "\n0,0,0,1,"));
}

TEST(a_folder_without_runs)
{
    struct err e;
    struct text t = {.arena = test_arena()};
    const char *dir = test_path("nothing");
    assert_false(status_text(dir, true, &t, test_arena(), &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "holds no runs");
}
