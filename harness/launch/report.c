/* The end of a sweep: counts, table of failures, and what the program exits with. */
#include <stdio.h>

#include "base/log.h"
#include "harness/launch/sweep.h"

static struct launch_result count(const struct sweep *s)
{
    struct launch_result r = {0};
    for (size_t i = 0; i < s->n; i++) {
        const struct item *it = &s->item[i];
        r.finished += it->fate == FATE_FINISHED;
        r.skipped += it->fate == FATE_SKIPPED;
        r.failed += it->fate == FATE_FAILED;
        r.diverged += it->fate == FATE_DIVERGED || (it->fate == FATE_SKIPPED && it->before.status == RUN_DIVERGED);
        r.collapsed += it->collapsed;
        r.left += it->fate == FATE_LEFT;
        r.interrupted += it->fate == FATE_INTERRUPTED || it->fate == FATE_WAITING;
    }
    return r;
}

static void log_failures(const struct sweep *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct item *it = &s->item[i];
        bool diverged = it->fate == FATE_DIVERGED || it->fate == FATE_SKIPPED;
        if (it->code == ERR_NONE || it->code == ERR_INTERRUPTED)
            continue;
        log_info("  %-9s %s  %s", diverged ? "diverged" : "failed", it->run->name, it->message);
    }
}

/* `16 runs: 5 finished, 10 skipped, 1 failed`: what there is none of is left out. */
static void log_totals(const struct sweep *s, const struct launch_result *r)
{
    const struct {
        size_t n;
        const char *what;
    } part[] = {{r->finished, "finished"},   {r->skipped, "skipped"},     {r->failed, "failed"},
                {r->diverged, "diverged"},   {r->collapsed, "collapsed"}, {r->left, "left to others"},
                {r->interrupted, "not done"}};
    char text[256];
    int length = snprintf(text, sizeof text, "%zu run%s", s->n, s->n == 1 ? "" : "s");
    for (size_t i = 0, shown = 0; i < sizeof part / sizeof *part; i++)
        if (part[i].n)
            length += snprintf(text + length, sizeof text - (size_t)length, "%s%zu %s", shown++ ? ", " : ": ",
                               part[i].n, part[i].what);
    log_info("%s", text);
}

/* The first run that ended with this code, NULL when none did. */
static const struct item *first_with(const struct sweep *s, enum err_code code)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->item[i].code == code)
            return &s->item[i];
    return NULL;
}

/* --fail-fast stops workers as an interruption does, and is none. */
static bool was_interrupted(const struct sweep *s)
{
    return s->noticed || (first_with(s, ERR_INTERRUPTED) && !s->stopping);
}

static bool interrupted(const struct sweep *s, const struct launch_result *r, struct err *e)
{
    return err_set(e, ERR_INTERRUPTED, "interrupted: %zu of %zu runs not done; the same command%s goes on with them",
                   r->interrupted, s->n, s->o->redo ? " without --redo" : "");
}

static bool some_failed(const struct sweep *s, const struct launch_result *r, struct err *e)
{
    size_t bad = r->failed + r->diverged;
    const struct item *first = first_with(s, ERR_RUN);
    if (bad == 0)
        return err_set(e, ERR_RUN, "%zu of %zu runs collapsed", r->collapsed, s->n);
    if (bad == 1)
        return err_set(e, ERR_RUN, "run %s %s: %s", first->run->name, r->diverged ? "diverged" : "failed",
                       first->message);
    return err_set(e, ERR_RUN, "%zu of %zu runs failed, %zu diverged", r->failed, s->n, r->diverged);
}

bool sweep_report(const struct sweep *s, struct launch_result *result, struct err *e)
{
    const struct item *it;
    struct launch_result r = *result = count(s);
    if (r.failed + r.diverged)
        log_info("did not end well:");
    log_failures(s);
    log_totals(s, &r);
    if (was_interrupted(s))
        return interrupted(s, &r, e);
    if ((it = first_with(s, ERR_ENV)) || (it = first_with(s, ERR_INPUT)))
        return err_set(e, it->code, "%s", it->message);
    return (r.failed + r.diverged == 0 && (r.collapsed == 0 || !s->o->strict)) || some_failed(s, &r, e);
}
