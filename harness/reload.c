/* Reloading: see reload.h. A result file keeps the resolved spec of its run; from that, and the delta beside it, the
 * session is opened again as for training. */
#include "harness/reload.h"

#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "harness/delta.h"
#include "harness/session.h"
#include "models/export.h"

struct reloaded {
    struct arena *arena;
    struct spec *spec;
    struct run_spec *run;
    const char *data;       /* folder of the run's data, NULL: none */
    struct run_env env;     /* data: as given, else where the run found it */
    struct session session;
    bool open;
};

static void close_reloaded(struct reloaded *r)
{
    if (r->open)
        session_close(&r->session);
    arena_destroy(r->arena);
}

/* `x.h5` -> `x<ending>` */
static char *beside(const char *run_path, const char *ending, struct arena *a, struct err *e)
{
    return arena_printf(a, e, "%.*s%s", (int)(strlen(run_path) - strlen(".h5")), run_path, ending);
}

static bool parse_run(struct reloaded *r, const char *path, const char *task, struct err *e)
{
    struct run_record record;
    TRY(run_record_read(&record, r->arena, path, 0, e));
    const char *text = values_get_string(&record.meta, "spec", NULL);
    if (!text)
        return err_at(e, ERR_INPUT, path, 0, 0, "keeps no spec");
    const char *data = values_get_string(&record.meta, "data", "");
    r->data = *data ? data : NULL;
    TRY(r->spec = spec_parse(path, text, 0, r->arena, e));
    r->run = &r->spec->run[0];
    if (!task || strcmp(task, r->run->task->name) == 0)
        return true;
    const struct task *other = task_open(task, NULL, NULL, r->arena, e);
    TRY(other);
    if (other->n_labels != r->run->task->n_labels)
        return err_at(e, ERR_INPUT, path, 0, 0, "was trained on %s with %d outputs; %s has %d", r->run->task->name,
                      r->run->task->n_labels, other->name, other->n_labels);
    r->run->task = other;
    return true;
}

static char *delta_path(const char *run_path, bool best, struct arena *a, struct err *e)
{
    char *path = beside(run_path, best ? ".best.safetensors" : ".safetensors", a, e);
    TRY(path);
    if (best && !io_exists(path)) /* the last weights were the best */
        return beside(run_path, ".safetensors", a, e);
    return path;
}

/* The session of a finished run with its trained weights, up to where evaluation is possible. */
static bool open_run(struct reloaded *r, const char *path, const char *task, bool best, const struct run_env *env,
                     enum session_use use, struct err *e)
{
    TRY(parse_run(r, path, task, e));
    char *delta = delta_path(path, best, r->arena, e);
    TRY(delta);
    if (!io_exists(delta))
        return err_at(e, ERR_INPUT, delta, 0, 0, "there are no weights of this run (keep: none)");
    r->open = true;
    r->env = *env;
    if (!r->env.data)
        r->env.data = r->data;
    return session_open(&r->session, r->run, &r->env, use, e) && delta_read(&r->session.model, delta, e);
}

static bool is_run(const char *path) { return text_ends(path, ".h5"); }

/* Inputs are cut at the default max_seq_length, or where the model ends. */
static bool longest_input(const char *model, int *longest, struct arena *a, struct err *e)
{
    struct model_source source;
    struct model_config config;
    TRY(model_source_open(&source, model, NULL, a, e) && model_config_read(&config, &source, a, e));
    int most = model_config_max_tokens(&config), dflt = (int)opt_find(train_options, "max_seq_length")->dflt;
    *longest = most < dflt ? most : dflt;
    return true;
}

/* A spec that evaluates a directory as it is. */
static bool open_directory(struct reloaded *r, const char *model, const char *task, const struct run_env *env,
                           struct err *e)
{
    int longest;
    TRY(longest_input(model, &longest, r->arena, e));
    char *text = arena_printf(r->arena, e,
                              "model: \"%s\"\ntasks: [%s]\nmethods: [head]\n"
                              "train: {select_on: dev, max_steps: 0, max_seq_length: %d}\n",
                              model, task, longest);
    TRY(text && (r->spec = spec_parse("eval", text, 0, r->arena, e)));
    r->run = &r->spec->run[0];
    r->open = true;
    TRY(session_open(&r->session, r->run, env, SESSION_EVALUATE, e));
    if (r->session.loaded.random || r->session.loaded.n_initialised)
        log_warn("%s holds no trained classifier: these are the metrics of a random one", model);
    return true;
}

static bool print_metrics(const struct session *s, struct text *out, struct err *e)
{
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_metrics; i++)
        TRY(text_add(out, e, "%s\t%.6f\n", t->metric[i].name, run_record_last(&s->record, t->metric[i].name)));
    return true;
}

static bool evaluate_reloaded(struct reloaded *r, struct text *out, struct err *e)
{
    struct session *s = &r->session;
    bool improved;
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_metrics; i++)
        TRY(run_record_metric(&s->record, t->metric[i].name, e));
    return session_start(s, true, e) && evaluate(s, &improved, e) && print_metrics(s, out, e);
}

bool reload_eval(const char *model_or_run, const char *task, bool best, const struct run_env *env, struct text *out,
                 struct err *e)
{
    struct reloaded r = {.arena = arena_create(NULL)};
    if (!r.arena)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = is_run(model_or_run) ? open_run(&r, model_or_run, task, best, env, SESSION_EVALUATE, e)
                                   : open_directory(&r, model_or_run, task, env, e);
    ok = ok && evaluate_reloaded(&r, out, e);
    close_reloaded(&r);
    return ok;
}

static bool export_reloaded(struct reloaded *r, const char *dir, struct err *e)
{
    struct session *s = &r->session;
    if (s->method->unmergeable)
        return err_set(e, ERR_INPUT, "what %s has trained cannot be merged: %s", s->method->name,
                       s->method->unmergeable);
    if (s->method->fold)
        TRY(s->method->fold(s->state, &s->menv, e));
    return export_hf(&s->model, &r->run->model, r->run->task->label, dir, r->arena, e);
}

bool reload_export_hf(const char *run_path, bool best, const char *dir, struct err *e)
{
    struct reloaded r = {.arena = arena_create(NULL)};
    struct run_env env = {.threads = 1};
    if (!r.arena)
        return err_set(e, ERR_ENV, "out of memory");
    if (!is_run(run_path))
        err_at(e, ERR_INPUT, run_path, 0, 0, "is no result file (.h5) of a run");
    bool ok =
        is_run(run_path) && open_run(&r, run_path, NULL, best, &env, SESSION_MODEL, e) && export_reloaded(&r, dir, e);
    close_reloaded(&r);
    return ok;
}
