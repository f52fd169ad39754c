/* How a worker ended, from its exit status, its message and the result it left; and the line that says so. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/launch/sweep.h"

/* What the line about a run says beside its name and time. */
struct remark {
    char text[1600];
};

static void killed(struct sweep *s, struct item *it, int number, struct remark *o)
{
    if (s->stopping && (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGKILL)) {
        it->fate = FATE_INTERRUPTED;
        it->code = ERR_INTERRUPTED;
        snprintf(o->text, sizeof o->text, "interrupted before it could save");
        return;
    }
    it->fate = FATE_FAILED;
    it->code = ERR_RUN;
    snprintf(o->text, sizeof o->text, "killed by signal %d (%s)%s", number, strsignal(number),
             number == SIGKILL ? "; if nobody did it, memory ran out: the kernel's log tells, fewer --jobs need less"
                               : "");
}

/* The result that the worker left: its status, and what to show of it. */
static bool read_result(struct sweep *s, struct item *it, enum run_status *status, struct remark *o, struct err *e)
{
    struct run_record r;
    struct arena_mark mark = arena_mark(s->arena);
    const char *path = run_path(it->run, s->env, ".h5", s->arena, e);
    bool ok = path && io_exists(path) && run_record_read(&r, s->arena, path, 0, e);
    if (ok) {
        double best = r.metrics ? run_record_best(&r, r.metric[0]) : NAN;
        *status = r.status;
        if (r.error && *r.error)
            snprintf(o->text, sizeof o->text, "%s", r.error);
        else if (!isnan(best))
            snprintf(o->text, sizeof o->text, "%.100s %.3f%s", r.metric[0], best,
                     r.status == RUN_COLLAPSED ? ", collapsed" : "");
    }
    arena_release(s->arena, mark);
    return ok;
}

/* Exit code 0: the result says how it ended. Without one, another process was quicker to claim the run. */
static void ended_well(struct sweep *s, struct item *it, struct remark *o)
{
    enum run_status status;
    struct err e;
    if (!read_result(s, it, &status, o, &e)) {
        it->fate = FATE_LEFT;
        snprintf(o->text, sizeof o->text, "left to another process");
        return;
    }
    it->fate = status == RUN_DIVERGED ? FATE_DIVERGED : status == RUN_FAILED ? FATE_FAILED : FATE_FINISHED;
    it->code = it->fate == FATE_FINISHED ? ERR_NONE : ERR_RUN;
    it->collapsed = status == RUN_COLLAPSED;
}

/* Exit code 1: the result has the reason. One that says "finished" is older than this attempt. */
static void ended_badly(struct sweep *s, struct item *it, struct remark *o)
{
    enum run_status status = RUN_FAILED;
    struct remark found = {""};
    struct err e;
    bool ok = read_result(s, it, &status, &found, &e) && (status == RUN_FAILED || status == RUN_DIVERGED);
    it->fate = ok && status == RUN_DIVERGED ? FATE_DIVERGED : FATE_FAILED;
    it->code = ERR_RUN;
    if (!*o->text && ok)
        *o = found;
}

static void exited(struct sweep *s, struct item *it, int code, struct remark *o)
{
    switch (code) {
    case 0:
        ended_well(s, it, o);
        return;
    case 1:
        ended_badly(s, it, o);
        break;
    case 130:
        it->fate = FATE_INTERRUPTED;
        it->code = ERR_INTERRUPTED;
        snprintf(o->text, sizeof o->text, "interrupted"); /* the worker has told where */
        return;
    default:
        it->fate = FATE_FAILED;
        it->code = code == 2 ? ERR_INPUT : code == 3 ? ERR_ENV : ERR_RUN;
    }
    if (!*o->text)
        snprintf(o->text, sizeof o->text, "ended with exit code %d without a word", code);
}

/* Seconds until all is done, if `jobs` workers stay busy; NAN as long as nothing tells. */
static double seconds_left(const struct sweep *s)
{
    double left = 0, now = clock_seconds();
    size_t open = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct item *it = &s->item[i];
        const char *task = it->run->task->name;
        if (it->fate != FATE_WAITING && it->fate != FATE_RUNNING)
            continue;
        double spent = it->fate == FATE_RUNNING ? now - it->started : 0;
        left += pace_rest(&s->pace, task, strlen(task), spent);
        open++;
    }
    size_t jobs = open < (size_t)s->o->jobs ? open : (size_t)s->o->jobs;
    return open ? left / (double)jobs : NAN;
}

/* `[3/16] cola--mini--sift--default--s42  matthews_correlation 0.412  38s, 5m00s left` */
static void say(const struct sweep *s, const struct item *it, const struct remark *o, double seconds)
{
    static const char *const words[] = {[FATE_FAILED] = "failed: ", [FATE_DIVERGED] = "diverged: "};
    char took[16], left[16], tail[32] = "";
    double more = s->stopping ? NAN : seconds_left(s);
    const char *word = it->fate < sizeof words / sizeof *words && words[it->fate] ? words[it->fate] : "";
    if (!isnan(more))
        snprintf(tail, sizeof tail, ", %s left", log_duration(more, left));
    int length = (int)strlen(it->run->name);
    log_info("[%zu/%zu] %.*s  %s%s  %s%s", s->done, s->n, length > 10 ? length - 10 : length, it->run->name, word,
             o->text, log_duration(seconds, took), tail);
}

bool sweep_settle(struct sweep *s, struct item *it, int wait_status, struct err *e)
{
    struct remark o = {""};
    double seconds = clock_seconds() - it->started;
    spawn_message(&it->worker, o.text, sizeof o.text);
    if (WIFSIGNALED(wait_status))
        killed(s, it, WTERMSIG(wait_status), &o);
    else
        exited(s, it, WEXITSTATUS(wait_status), &o);
    if (it->fate == FATE_FINISHED)
        pace_add(&s->pace, it->run->task->name, strlen(it->run->task->name), seconds);
    if (it->fate != FATE_INTERRUPTED)
        s->done++;
    say(s, it, &o, seconds);
    return (it->message = arena_strdup(s->arena, o.text, e)) != NULL;
}
