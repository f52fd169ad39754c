/* Running gnuplot: see gnuplot.h. What it writes to stderr becomes the message of the error. */
#include "plots/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

extern char **environ;

/* `cd 'folder'` in gnuplot's quoting: a quote is doubled. */
static char *cd_command(struct arena *a, const char *folder, struct err *e)
{
    struct text t = {.arena = a};
    TRY(text_add(&t, e, "cd '"));
    for (; *folder; folder++)
        TRY(text_add(&t, e, "%s%c", *folder == '\'' ? "'" : "", *folder));
    TRY(text_add(&t, e, "'"));
    return t.s;
}

/* Last line of what gnuplot said, without the place it points at; the rest only repeats the script. */
static const char *last_line(char *said)
{
    size_t n = strlen(said);
    while (n && (said[n - 1] == '\n' || said[n - 1] == ' '))
        said[--n] = 0;
    char *line = strrchr(said, '\n');
    return line ? line + 1 : said;
}

/* Reads all of fd; keeps the last part of what does not fit. */
static void read_all(int fd, char *buf, size_t size)
{
    size_t n = 0;
    for (;;) {
        if (n == size - 1) {
            memmove(buf, buf + size / 2, n - size / 2);
            n -= size / 2;
        }
        ssize_t got = read(fd, buf + n, size - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    buf[n] = 0;
}

static int spawn(pid_t *pid, char *const argv[], int stderr_fd)
{
    posix_spawn_file_actions_t actions;
    int why = posix_spawn_file_actions_init(&actions);
    if (why)
        return why;
    why = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    why = why ? why : posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    why = why ? why : posix_spawn_file_actions_adddup2(&actions, stderr_fd, 2);
    why = why ? why : posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return why;
}

static bool wait_for(pid_t pid, int fd, const char *script, struct err *e)
{
    char said[4096];
    int status = 0;
    read_all(fd, said, sizeof said);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(e, ERR_ENV, NULL, "gnuplot was lost");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(e, ERR_ENV, "gnuplot was not found on PATH: install the package gnuplot-nox");
    return err_at(e, ERR_ENV, script, 0, 0, "gnuplot failed: %s", *said ? last_line(said) : "it says nothing");
}

bool gnuplot_run(struct arena *a, const char *folder, const char *name, struct err *e)
{
    char *cd = cd_command(a, folder, e), *script = text_path(a, folder, name, e), *file = arena_strdup(a, name, e);
    char program[] = "gnuplot", option[] = "-e";
    char *const argv[] = {program, option, cd, file, NULL};
    int ends[2];
    pid_t pid;
    TRY(cd && script && file);
    if (pipe(ends) != 0)
        return err_errno(e, ERR_ENV, NULL, "no pipe for gnuplot");
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int why = spawn(&pid, argv, ends[1]);
    close(ends[1]);
    bool ok;
    if (why == ENOENT || why == EACCES)
        ok = err_set(e, ERR_ENV, "gnuplot was not found on PATH: install the package gnuplot-nox");
    else if (why)
        ok = err_set(e, ERR_ENV, "gnuplot cannot be started: %s", strerror(why));
    else
        ok = wait_for(pid, ends[0], script, e);
    close(ends[0]);
    return ok;
}
