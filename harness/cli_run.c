/* run, status: what carries out runs and tells how far they are. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "harness/cli_impl.h"
#include "harness/launch/launch.h"
#include "harness/launch/status.h"
#include "harness/launch/worker.h"
#include "harness/spec_impl.h"
#include "models/blas.h"

/* The command line as one line, for /meta: without what the launcher adds for its workers. */
static const char *command_line(const struct cli_call *c, struct err *e)
{
    struct text t = {.arena = c->arena};
    for (size_t i = 0; c->argv[i]; i++) {
        if (strcmp(c->argv[i], "--worker") == 0 && c->argv[i + 1]) {
            i++;
            continue;
        }
        TRY(text_add(&t, e, "%s%s", i ? " " : "", c->argv[i]));
    }
    return t.s;
}

bool cli_data(const struct cli_call *c, const char **data, struct err *e)
{
    const char *variable = getenv("PEFTLAB_DATA");
    *data = cli_given(c, "data");
    if (!*data && variable && *variable)
        *data = variable;
    return !*data || io_is_dir(*data) || err_set(e, ERR_INPUT, "the data folder `%s` does not exist", *data);
}

static bool parse_launch(struct cli_call *c, struct launch_options *o, struct run_env *env, long long *limit,
                         struct err *e)
{
    long long jobs = 1, threads = 0;
    *limit = 0;
    TRY(cli_integer(c, "jobs", 1, 1024, &jobs, e) && cli_integer(c, "threads", 1, 4096, &threads, e) &&
        cli_integer(c, "limit", 1, INT_MAX, limit, e));
    *o = (struct launch_options){.jobs = (int)jobs,
                                 .threads = (int)threads,
                                 .dry_run = cli_given(c, "dry-run"),
                                 .redo = cli_given(c, "redo"),
                                 .fail_fast = cli_given(c, "fail-fast"),
                                 .strict = cli_given(c, "strict"),
                                 .argv = c->argv};
    *env = (struct run_env){.threads = threads ? (int)threads : blas_threads()};
    return cli_data(c, &env->data, e) && (env->command = command_line(c, e)) != NULL;
}

bool cli_run(struct cli_call *c, struct err *e)
{
    struct launch_options o;
    struct launch_result result;
    struct run_env env;
    long long limit;
    TRY(parse_launch(c, &o, &env, &limit, e));
    blas_set_threads(env.threads);
    struct spec *spec = spec_read(c->arg[0], c->arg + 1, c->n_args - 1, limit, c->arena, e);
    TRY(spec);
    env.out = cli_given(c, "out");
    if (!env.out)
        TRY(env.out = arena_printf(c->arena, e, "out/%s", spec->name));
    if (!*env.out)
        return err_set(e, ERR_INPUT, "--out is empty; it must be a folder");
    const char *worker = cli_given(c, "worker");
    if (worker)
        return launch_worker(spec, &env, &o, worker, c->arena, e);
    TRY(launch_runs(spec, &env, &o, &result, c->arena, e));
    return !o.dry_run || cli_print(c, result.plan, e);
}

bool cli_run_help(struct text *out, struct err *e)
{
    TRY(text_add(out, e,
                 "\nKeys of a spec: name, model, tasks, methods, seeds, train, measure, include, grid, zip, and\n\n"));
    TRY(cli_describe_options(run_options, out, e));
    TRY(text_add(out, e,
                 "\nKeys of `train` (and `param_groups`, a list of {pattern, learning_rate, weight_decay}):\n\n"));
    return cli_describe_options(train_options, out, e);
}

bool cli_status(struct cli_call *c, struct err *e)
{
    struct text out = {.arena = c->arena};
    bool csv;
    return cli_csv(c, &csv, e) && status_text(c->arg[0], csv, &out, c->arena, e) && cli_print(c, out.s, e);
}
