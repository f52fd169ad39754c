/*
 * See spawn.h. A worker is started by posix_spawn, which runs nothing of ours between fork and exec. Its program is
 * /proc/self/exe: the file that this process runs, even when it was replaced by a newer build meanwhile.
 */
#include "harness/launch/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

extern char **environ;

/* Number of the pipe's end that a worker finds in its environment. */
#define REPORT_VARIABLE "PEFTLAB_WORKER_REPORT"
enum { VARIABLES = 6 };

static int total_threads(const struct launch_options *o)
{
    long long n;
    const char *variable = getenv("OMP_NUM_THREADS");
    if (o->threads > 0)
        return o->threads;
    if (variable && text_to_long(variable, &n) && n > 0 && n < 4096)
        return (int)n;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors > 0 ? (int)processors : 1;
}

int spawn_threads(const struct launch_options *o)
{
    int share = total_threads(o) / (o->jobs > 0 ? o->jobs : 1);
    return share > 0 ? share : 1;
}

static const char *program(const struct launch_options *o)
{
    return o->exe ? o->exe : io_exists("/proc/self/exe") ? "/proc/self/exe" : o->argv[0];
}

/* The command line with `--worker NAME` behind the command's word, where no `--` can stand before it. */
static char **worker_argv(const struct launch_options *o, const char *name, struct arena *a, struct err *e)
{
    const char *word = o->word ? o->word : "run";
    size_t n = 0, at = 0, k = 0;
    while (o->argv[n])
        n++;
    while (at < n && (at == 0 || strcmp(o->argv[at], word) != 0))
        at++;
    const char **v = ARENA_NEW(a, MEM_DATA, const char *, n + 3, e);
    TRY(v);
    for (size_t i = 0; i <= n; i++) {
        if (i < n)
            v[k++] = o->argv[i];
        if (i == at) {
            v[k++] = "--worker";
            v[k++] = name;
        }
    }
    return (char **)(void *)v; /* exec wants it so, and changes nothing */
}

static bool is_variable_of(const char *setting, char *const *ours, size_t n)
{
    size_t length = strcspn(setting, "=") + 1;
    for (size_t i = 0; i < n; i++)
        if (strncmp(setting, ours[i], length) == 0)
            return true;
    return false;
}

/* This environment with the worker's threads. Threads that wait spin for some tens of microseconds, what lies between
 * two parallel regions, and then sleep, unless the user says otherwise: sleeping at once cost 12 % of the speed on a
 * quiet machine, and spinning on was seen to lose two thirds and more beside other busy processes. Several workers that
 * pin their threads to the first processors would stand in each other's way. */
static char **worker_environment(const struct launch_options *o, int report, struct arena *a, struct err *e)
{
    size_t n = 0, ours = 0, kept;
    while (environ[n])
        n++;
    char **v = ARENA_NEW(a, MEM_DATA, char *, n + VARIABLES + 1, e);
    TRY(v);
    TRY(v[ours++] = arena_printf(a, e, "OMP_NUM_THREADS=%d", spawn_threads(o)));
    TRY(v[ours++] = arena_printf(a, e, "OPENBLAS_NUM_THREADS=%d", spawn_threads(o)));
    TRY(v[ours++] = arena_printf(a, e, REPORT_VARIABLE "=%d", report));
    if (!getenv("OMP_WAIT_POLICY") || o->jobs > 1)
        TRY(v[ours++] = arena_printf(a, e, "OMP_WAIT_POLICY=passive"));
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT"))
        TRY(v[ours++] = arena_printf(a, e, "GOMP_SPINCOUNT=20000"));
    if (o->jobs > 1)
        TRY(v[ours++] = arena_printf(a, e, "OMP_PROC_BIND=false"));
    kept = ours;
    for (size_t i = 0; i < n; i++)
        if (!is_variable_of(environ[i], v, ours))
            v[kept++] = environ[i];
    return v;
}

/* The worker inherits the writing end; this process closes its own copy at once, so that no other worker does. */
static bool start(struct worker *w, const struct launch_options *o, const char *name, int report, const sigset_t *mask,
                  struct arena *a, struct err *e)
{
    char **argv = worker_argv(o, name, a, e), **environment = worker_environment(o, report, a, e);
    posix_spawnattr_t attributes;
    TRY(argv && environment);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, mask);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    errno = posix_spawn(&w->pid, program(o), NULL, &attributes, argv, environment);
    bool ok = errno == 0 || err_errno(e, ERR_ENV, program(o), "cannot be started");
    posix_spawnattr_destroy(&attributes);
    return ok;
}

bool spawn_worker(struct worker *w, const struct launch_options *o, const char *name, const sigset_t *mask,
                  struct arena *a, struct err *e)
{
    int end[2];
    struct arena_mark mark = arena_mark(a);
    if (pipe(end) != 0)
        return err_errno(e, ERR_ENV, name, "cannot be started");
    fcntl(end[0], F_SETFD, FD_CLOEXEC);
    w->report = end[0];
    bool ok = start(w, o, name, end[1], mask, a, e);
    close(end[1]);
    if (!ok)
        close(end[0]);
    arena_release(a, mark);
    return ok;
}

/* What the worker wrote is in the pipe: it is one message, smaller than any pipe. Were the other end still open (a
 * process that the worker left behind), reading on would wait for it. */
void spawn_message(struct worker *w, char *buf, size_t size)
{
    fcntl(w->report, F_SETFL, O_NONBLOCK);
    ssize_t n = read(w->report, buf, size - 1);
    buf[n > 0 ? n : 0] = 0;
    close(w->report);
}

bool spawn_tell(const struct err *e)
{
    long long fd;
    char text[2048];
    const char *variable = getenv(REPORT_VARIABLE);
    if (!variable || !text_to_long(variable, &fd) || fd < 3 || fd > 65535)
        return false;
    err_format(e, text, sizeof text);
    bool told = write((int)fd, text, strlen(text)) >= 0;
    if (!told)
        log_debug("nobody listens to this worker");
    close((int)fd);
    return told;
}
