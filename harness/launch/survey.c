/* Before the first worker starts: every run is checked, and what is there already decides what is to do. */
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/launch/sweep.h"

/* Two runs that are one and the same would wait for each other's claim. */
static bool is_repeated(const struct sweep *s, const struct item *it)
{
    for (const struct item *other = s->item; other < it; other++)
        if (strcmp(other->run->name, it->run->name) == 0)
            return true;
    return false;
}

static void decide(struct sweep *s, struct item *it)
{
    if (it->before.kind == STANDING_RUNNING)
        it->fate = FATE_LEFT;
    else if (is_repeated(s, it) || (it->before.kind == STANDING_ENDED && !s->o->redo))
        it->fate = FATE_SKIPPED;
    if (it->fate == FATE_SKIPPED && it->before.status == RUN_DIVERGED) {
        it->code = ERR_RUN;
        it->message = "in an earlier call";
    }
    it->collapsed = it->fate == FATE_SKIPPED && it->before.status == RUN_COLLAPSED;
    s->done += it->fate != FATE_WAITING;
}

static bool plan_memory(struct sweep *s, struct item *it, struct err *e)
{
    struct run_plan plan;
    if (s->o->jobs < 2)
        return true;
    TRY(run_plan(it->run, &plan, e));
    it->bytes = plan.bytes_total;
    return true;
}

bool sweep_survey(struct sweep *s, struct err *e)
{
    s->n = s->spec->n_runs;
    s->memory = clock_memory_available();
    TRY(s->folder = text_path(s->arena, s->env->out, "runs", e));
    TRY(s->item = ARENA_NEW(s->arena, MEM_DATA, struct item, s->n, e));
    for (size_t i = 0; i < s->n; i++) {
        struct item *it = &s->item[i];
        it->run = &s->spec->run[i];
        if (run_interrupted)
            return err_set(e, ERR_INTERRUPTED, "interrupted before the first run");
        TRY(run_prepare(it->run, s->env, s->arena, e) && plan_memory(s, it, e));
        TRY(standing_read(s->folder, it->run->name, &it->before, s->arena, e));
        decide(s, it);
    }
    return true;
}

static bool write_list(const struct sweep *s, struct err *e)
{
    struct text t = {.arena = s->arena};
    const char *path = text_path(s->arena, s->env->out, "runs.tsv", e);
    TRY(path && text_add(&t, e, "run\n"));
    for (size_t i = 0; i < s->n; i++)
        TRY(text_add(&t, e, "%s\n", s->item[i].run->name));
    return io_write(path, t.s, t.len, e);
}

static bool write_spec(const struct sweep *s, struct err *e)
{
    const char *path = text_path(s->arena, s->env->out, "spec.yaml", e);
    return path && io_write(path, s->spec->resolved, strlen(s->spec->resolved), e);
}

static size_t count(const struct sweep *s, enum fate fate, enum standing_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->item[i].fate == fate && s->item[i].before.kind == kind;
    return n;
}

bool sweep_announce(struct sweep *s, struct err *e)
{
    size_t skipped = 0, resumed = s->o->redo ? 0 : count(s, FATE_WAITING, STANDING_PARTIAL);
    for (size_t i = 0; i < s->n; i++)
        skipped += s->item[i].fate == FATE_SKIPPED;
    TRY(io_mkdirs(s->folder, e) && write_spec(s, e) && write_list(s, e));
    log_info("%s: %zu run%s, %zu to do", s->spec->name, s->n, s->n == 1 ? "" : "s", s->n - s->done);
    if (skipped)
        log_info("%zu skipped, having a result (--redo runs them again)", skipped);
    if (resumed)
        log_info("%zu go%s on from a checkpoint", resumed, resumed == 1 ? "es" : "");
    if (s->done > skipped)
        log_info("%zu left to another process", s->done - skipped);
    return true;
}

static const char *word_of(const struct sweep *s, const struct item *it)
{
    if (it->fate == FATE_LEFT)
        return "left";
    if (it->fate == FATE_SKIPPED)
        return "skip";
    if (s->o->redo)
        return it->before.has_result ? "redo" : "run";
    return it->before.kind == STANDING_PARTIAL ? "resume" : it->before.has_result ? "retry" : "run";
}

const char *sweep_plan_text(struct sweep *s, struct err *e)
{
    struct text t = {.arena = s->arena};
    TRY(text_add(&t, e, "%s", ""));
    for (size_t i = 0; i < s->n; i++) {
        const struct item *it = &s->item[i];
        TRY(text_add(&t, e, "%-7s %s", word_of(s, it), it->run->name));
        if (it->before.kind == STANDING_RUNNING)
            TRY(text_add(&t, e, "  process %ld on %s", it->before.owner.pid, it->before.owner.host));
        else if (it->before.has_result)
            TRY(text_add(&t, e, "  %s", run_status_name(it->before.status)));
        TRY(text_add(&t, e, "\n"));
    }
    return t.s;
}
