/* See process.h. */
#include "harness/bench/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "harness/launch/spawn.h"

static enum err_code code_of(int exit_status)
{
    for (int c = ERR_RUN; c <= ERR_INTERRUPTED; c++)
        if (err_exit_code((enum err_code)c) == exit_status)
            return (enum err_code)c;
    return ERR_RUN;
}

static bool judge(int status, const char *said, struct err *e)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status)) {
        int number = WTERMSIG(status);
        return err_set(e, number == SIGINT || number == SIGTERM ? ERR_INTERRUPTED : ERR_RUN,
                       "killed by signal %d (%s)%s", number, strsignal(number),
                       number == SIGKILL ? "; if nobody did it, memory ran out" : "");
    }
    return err_set(e, code_of(WEXITSTATUS(status)), "%s", *said ? said : "ended without a word");
}

bool process_run(const struct launch_options *o, const char *name, struct arena *a, struct err *e)
{
    struct worker w;
    sigset_t mask;
    char said[2048];
    int status;
    sigemptyset(&mask);
    TRY(spawn_worker(&w, o, name, &mask, a, e));
    while (waitpid(w.pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(e, ERR_ENV, name, "was lost");
    spawn_message(&w, said, sizeof said);
    return judge(status, said, e);
}
