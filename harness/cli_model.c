/* eval, export: what runs have trained, once more. */
#include <stdlib.h>

#include "harness/cli_impl.h"
#include "harness/reload.h"
#include "models/blas.h"

/* --select best|last: whose weights; those of the last evaluation without it. */
static bool choose_best(const struct cli_call *c, bool *best, struct err *e)
{
    static const char *const words[] = {"last", "best", NULL};
    int which = 0;
    TRY(cli_choice("--select", cli_given(c, "select"), words, &which, e));
    *best = which == 1;
    return true;
}

bool cli_eval(struct cli_call *c, struct err *e)
{
    bool best;
    long long threads = 0;
    struct text out = {.arena = c->arena};
    const char *task = cli_given(c, "task");
    TRY(choose_best(c, &best, e) && cli_integer(c, "threads", 1, 4096, &threads, e));
    if (!task)
        return err_set(e, ERR_INPUT, "eval needs --task TASK: peftlab eval MODEL_OR_RUN --task TASK");
    if (threads)
        blas_set_threads((int)threads);
    struct run_env env = {.threads = blas_threads()};
    return cli_data(c, &env.data, e) &&
           reload_eval(c->arg[0], task, best, cli_given(c, "predictions"), &env, &out, e) &&
           cli_print(c, out.s, e);
}

bool cli_export(struct cli_call *c, struct err *e)
{
    static const char *const formats[] = {EXPORT_WORDS, NULL};
    bool best;
    int format = 0;
    TRY(choose_best(c, &best, e) && cli_choice("--to", cli_given(c, "to"), formats, &format, e));
    if (!cli_given(c, "to"))
        return err_set(e, ERR_INPUT, "export needs --to: peftlab export RUN.h5 --to hf|peft|delta DIR");
    return reload_export(c->arg[0], (enum export_to)format, best, c->arg[1], e);
}
