/* Claim files: one owner at a time; the dead, and those whose number another process has now, lose theirs. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "harness/launch/claim.h"
#include "tests/test.h"

static bool take(const char *path)
{
    struct err e;
    struct claim_owner o;
    bool mine;
    ASSERT_OK(claim_take(path, &mine, &o, &e), &e);
    assert_int_not_equal(o.pid, 0);
    return mine;
}

/* The claim that a process wrote and left behind; it is dead unless `alive`, then it must be killed. */
static pid_t other_process(const char *path, bool alive)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = take(path) && write(ready[1], "x", 1) == 1;
        while (ok && alive)
            pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void set_age(const char *path, int seconds)
{
    struct timespec t[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

TEST(taken_once_and_dropped)
{
    struct claim_owner o;
    const char *path = test_path("a.claim");
    assert_false(claim_is_held(path, &o));
    assert_true(take(path));
    assert_false(take(path));
    assert_true(claim_is_held(path, &o));
    assert_int_equal(o.pid, getpid());
    claim_drop(path);
    assert_false(io_exists(path));
    assert_true(take(path));
}

TEST(a_live_process_keeps_its_claim)
{
    struct claim_owner o;
    const char *path = test_path("a.claim");
    pid_t pid = other_process(path, true);
    bool mine = take(path);
    claim_drop(path); /* not ours: stays */
    bool stayed = io_exists(path), held = claim_is_held(path, &o);
    kill(pid, SIGKILL);
    bool zombie_held = false;
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    zombie_held = claim_is_held(path, &o);
    waitpid(pid, NULL, 0);
    assert_false(mine);
    assert_true(stayed && held);
    assert_false(zombie_held);
    assert_true(take(path));
}

TEST(a_dead_process_loses_it)
{
    const char *path = test_path("a.claim");
    waitpid(other_process(path, false), NULL, 0);
    assert_true(io_exists(path));
    assert_true(take(path));
    assert_false(take(path));
}

TEST(the_same_number_in_another_process_is_another_owner)
{
    char host[65], text[256];
    struct claim_owner o;
    const char *path = test_path("a.claim");
    assert_int_equal(gethostname(host, sizeof host), 0);
    snprintf(text, sizeof text, "%s %ld 1 1700000000\n", host,
             (long)getpid()); /* no process here started with the first tick */
    test_file("a.claim", text);
    assert_false(claim_is_held(path, &o));
    assert_true(take(path));
}

TEST(another_host_is_alive_while_it_refreshes)
{
    struct claim_owner o;
    const char *path = test_file("a.claim", "elsewhere.example 1 1 1700000000\n");
    assert_true(claim_is_held(path, &o));
    assert_string_equal(o.host, "elsewhere.example");
    assert_false(take(path));
    set_age(path, CLAIM_LOST + 60);
    assert_false(claim_is_held(path, &o));
    assert_true(take(path));
}

TEST(an_empty_or_foreign_file_is_lost_when_old)
{
    static const char *const texts[] = {"", "nonsense", "host -5 1 1\n", "\1\2\3"};
    struct claim_owner o;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *path = test_file("a.claim", texts[i]);
        assert_true(claim_is_held(path, &o)); /* it may be being written */
        assert_int_equal(o.pid, 0);
        set_age(path, CLAIM_LOST + 60);
        assert_true(take(path));
        claim_drop(path);
    }
}

TEST(refreshed_by_owner_only)
{
    struct stat st;
    const char *path = test_path("a.claim");
    assert_true(take(path));
    set_age(path, 1000);
    claim_refresh(path, (long)getpid() + 1);
    assert_int_equal(stat(path, &st), 0);
    assert_true(time(NULL) - st.st_mtime >= 1000);
    claim_refresh(path, (long)getpid());
    assert_int_equal(stat(path, &st), 0);
    assert_true(time(NULL) - st.st_mtime < 900);
}

TEST(of_many_that_find_a_dead_claim_one_gets_it)
{
    const char *path = test_path("a.claim");
    for (int round = 0; round < 5; round++) {
        int won = 0, status;
        pid_t pid[8];
        int go[2];
        waitpid(other_process(path, false), NULL, 0);
        assert_int_equal(pipe(go), 0);
        for (int i = 0; i < 8; i++)
            if ((pid[i] = fork()) == 0) {
                struct err e;
                struct claim_owner o;
                bool mine;
                char c;
                close(go[1]);
                if (read(go[0], &c, 1) < 0 || !claim_take(path, &mine, &o, &e))
                    _exit(2);
                if (mine) /* alive until all have tried: the winner waits for the rest */
                    for (int k = 0; k < 100; k++)
                        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
                _exit(mine);
            }
        close(go[0]);
        close(go[1]);
        for (int i = 0; i < 8; i++) {
            waitpid(pid[i], &status, 0);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
            won += WEXITSTATUS(status);
        }
        assert_int_equal(won, 1);
        unlink(path);
    }
}

TEST(no_room_is_an_environment_error)
{
    struct err e;
    struct claim_owner o;
    bool mine = true;
    assert_false(claim_take(test_path("missing/a.claim"), &mine, &o, &e));
    assert_int_equal(e.code, ERR_ENV);
    assert_false(mine);
}
