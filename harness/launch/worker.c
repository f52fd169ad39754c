/* See worker.h. */
#include "harness/launch/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/log.h"
#include "base/text.h"
#include "harness/launch/signals.h"
#include "harness/launch/spawn.h"
#include "harness/launch/standing.h"

enum { HASH_TAIL = 10 }; /* `--` and eight digits at the end of a name */

/* Whether the name can belong to the run: only such runs are prepared, for that is when a run gets its name. */
static bool may_be(const struct run_spec *r, const char *name, struct arena *a)
{
    struct err e;
    size_t length = strlen(name);
    const char *start = arena_printf(a, &e, "%s--", r->task->name);
    const char *end = arena_printf(a, &e, "--s%llu", (unsigned long long)r->seed);
    if (!start || !end || length < HASH_TAIL + strlen(end) || !text_starts(name, start))
        return false;
    return strncmp(name + length - HASH_TAIL - strlen(end), end, strlen(end)) == 0;
}

static struct run_spec *find_run(struct spec *spec, const struct run_env *env, const char *name, struct arena *a,
                                 struct err *e)
{
    for (size_t i = 0; i < spec->n_runs; i++) {
        struct run_spec *r = &spec->run[i];
        if (!may_be(r, name, a))
            continue;
        TRY(run_prepare(r, env, a, e));
        if (strcmp(r->name, name) == 0)
            return r;
    }
    err_at(e, ERR_INPUT, spec->path, 0, 0,
           "no run is named `%s` any more: spec, model or data changed after the command was started", name);
    return NULL;
}

/* Under the claim: another process may have finished the run between this one's start and its claim. */
static bool execute(const struct run_spec *r, const struct run_env *env, bool redo, struct arena *a, struct err *e)
{
    struct standing standing;
    const char *folder = text_path(a, env->out, "runs", e), *checkpoint = run_path(r, env, ".ckpt", a, e);
    TRY(folder && checkpoint);
    if (redo)
        unlink(checkpoint);
    TRY(standing_read_claimed(folder, r->name, &standing, a, e));
    if (run_interrupted)
        return err_set(e, ERR_INTERRUPTED, "interrupted before the first step");
    *e = (struct err){0};
    return (standing.kind == STANDING_ENDED && !redo) || run_execute(r, env, e);
}

static bool claim_and_execute(const struct run_spec *r, const struct run_env *env, bool redo, struct arena *a,
                              struct err *e)
{
    bool mine;
    struct claim_owner owner;
    const char *claim = run_path(r, env, ".claim", a, e);
    TRY(claim && claim_take(claim, &mine, &owner, e));
    if (!mine) {
        log_info("%s: left to process %ld on %s", r->name, owner.pid, owner.host);
        return true;
    }
    bool ok = execute(r, env, redo, a, e);
    claim_drop(claim);
    return ok;
}

static int own_threads(int otherwise)
{
    long long n;
    const char *variable = getenv("OMP_NUM_THREADS");
    return variable && text_to_long(variable, &n) && n > 0 && n < 4096 ? (int)n : otherwise;
}

/* When the process that started this one is killed, this one is told to save and stop. */
static void end_with_parent(void)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
}

bool launch_worker(struct spec *spec, const struct run_env *env, const struct launch_options *o, const char *name,
                   struct arena *a, struct err *e)
{
    struct signals signals;
    struct run_env own = *env;
    own.threads = own_threads(env->threads);
    signals_install(&signals);
    end_with_parent();
    if (o->jobs > 1)
        log_set_prefix(name);
    const struct run_spec *r = find_run(spec, &own, name, a, e);
    bool ok = r && claim_and_execute(r, &own, o->redo, a, e);
    if (!ok)
        spawn_tell(e);
    signals_restore(&signals);
    return ok;
}
