/* The loop that keeps workers busy: see launch.h. This process never enters a parallel region itself. */
#include "harness/launch/launch.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "harness/launch/sweep.h"

/* A second signal sooner than this is the first one seen twice: some programs send theirs to the process and to its
 * group. */
static const double same_signal = 1.0;

/* With others at work, a run waits until the plans of all fit into memory; a run alone was checked when it was
 * prepared. */
static bool fits(const struct sweep *s, const struct item *it)
{
    size_t bytes = it->bytes;
    for (size_t i = 0; i < s->n; i++)
        if (s->item[i].fate == FATE_RUNNING)
            bytes += s->item[i].bytes;
    return s->running == 0 || s->memory == 0 || bytes <= s->memory;
}

/* Next run to start: the first one that waits and fits. */
static struct item *next_item(const struct sweep *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->item[i].fate == FATE_WAITING && fits(s, &s->item[i]))
            return &s->item[i];
    return NULL;
}

static bool start_workers(struct sweep *s, struct err *e)
{
    struct item *it;
    while (!s->stopping && s->running < (size_t)s->o->jobs && (it = next_item(s))) {
        TRY(spawn_worker(&it->worker, s->o, it->run->name, &s->signals.mask, s->arena, e));
        it->started = clock_seconds();
        it->fate = FATE_RUNNING;
        s->running++;
    }
    return true;
}

static void signal_workers(const struct sweep *s, int number)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->item[i].fate == FATE_RUNNING)
            kill(s->item[i].worker.pid, number);
}

static void stop_workers(struct sweep *s)
{
    s->stopping = true;
    s->stopped = clock_seconds();
    signal_workers(s, SIGTERM);
}

/* Looks at what the handlers have counted. */
static void notice_signals(struct sweep *s)
{
    int seen = (int)run_interrupted;
    if (seen == s->noticed)
        return;
    if (s->noticed == 0) {
        log_info("interrupted: waiting for %zu run%s to save; once more kills", s->running, s->running == 1 ? "" : "s");
        stop_workers(s);
    } else if (clock_seconds() - s->stopped > same_signal) {
        signal_workers(s, SIGKILL);
    }
    s->noticed = seen;
}

/* Settles one worker that has ended; *any says whether there was one. */
static bool reap(struct sweep *s, bool *any, struct err *e)
{
    int status;
    *any = false;
    for (size_t i = 0; i < s->n; i++) {
        struct item *it = &s->item[i];
        if (it->fate != FATE_RUNNING || waitpid(it->worker.pid, &status, WNOHANG) != it->worker.pid)
            continue;
        *any = true;
        s->running--;
        TRY(sweep_settle(s, it, status, e));
        if (s->o->fail_fast && (it->fate == FATE_FAILED || it->fate == FATE_DIVERGED) && !s->stopping)
            stop_workers(s);
    }
    return true;
}

static void refresh_claims(const struct sweep *s)
{
    struct err ignored;
    for (size_t i = 0; i < s->n; i++) {
        const struct item *it = &s->item[i];
        struct arena_mark mark = arena_mark(s->arena);
        const char *claim = it->fate == FATE_RUNNING ? run_path(it->run, s->env, ".claim", s->arena, &ignored) : NULL;
        if (claim)
            claim_refresh(claim, (long)it->worker.pid);
        arena_release(s->arena, mark);
    }
}

static bool carry_out(struct sweep *s, struct err *e)
{
    double refreshed = clock_seconds();
    bool any;
    for (;;) {
        notice_signals(s);
        TRY(start_workers(s, e));
        if (s->running == 0)
            return true;
        TRY(reap(s, &any, e));
        if (!any)
            signals_wait(&s->signals, CLAIM_REFRESH);
        if (clock_seconds() - refreshed >= CLAIM_REFRESH) {
            refresh_claims(s);
            refreshed = clock_seconds();
        }
    }
}

/* After trouble of the launcher itself: no worker is left behind, and every one may save. */
static void wait_for_workers(struct sweep *s)
{
    int status;
    stop_workers(s);
    for (size_t i = 0; i < s->n; i++)
        if (s->item[i].fate == FATE_RUNNING)
            while (waitpid(s->item[i].worker.pid, &status, 0) < 0 && errno == EINTR)
                ;
}

static bool launch(struct sweep *s, struct launch_result *result, struct err *e)
{
    TRY(sweep_survey(s, e));
    if (s->o->dry_run)
        return (result->plan = sweep_plan_text(s, e)) != NULL;
    TRY(sweep_announce(s, e));
    signals_hold(&s->signals);
    if (!carry_out(s, e)) {
        wait_for_workers(s);
        return false;
    }
    return sweep_report(s, result, e);
}

bool launch_runs(struct spec *spec, const struct run_env *env, const struct launch_options *o,
                 struct launch_result *result, struct arena *a, struct err *e)
{
    struct sweep s = {.spec = spec, .env = env, .o = o, .arena = a};
    *result = (struct launch_result){0};
    signals_install(&s.signals);
    bool ok = launch(&s, result, e);
    signals_restore(&s.signals);
    return ok;
}
