/*
 * One run: open, select or resume, train, and leave a result. Whatever ends a run that had started is in its result
 * file: a run that failed or diverged has one too.
 */
#include "harness/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "harness/delta.h"
#include "harness/meta.h"
#include "harness/session.h"

volatile sig_atomic_t run_interrupted;

char *run_path(const struct run_spec *r, const struct run_env *env, const char *ending, struct arena *a, struct err *e)
{
    return arena_printf(a, e, "%s/runs/%s%s", env->out, r->name, ending);
}

static const char *file_of(const struct session *s, const char *ending, struct err *e)
{
    return run_path(s->spec, s->env, ending, s->apart, e);
}

/* Tables print it below their numbers: nobody may take these for numbers of a pretrained model. */
static bool note_random(struct session *s, struct err *e)
{
    char *note =
        arena_printf(s->apart, e, "%s has no pretrained weights: every run started from a random initialisation.",
                     s->spec->model.name);
    return note && values_string(&s->record.meta, "note", note, e);
}

static bool identify(struct session *s, struct err *e)
{
    struct run_record *r = &s->record;
    const struct run_spec *spec = s->spec;
    r->name = spec->name;
    r->task = spec->task->name;
    r->model = spec->model.label;
    r->method = spec->method->name;
    r->variant = spec->variant;
    r->hash = spec->identity;
    r->seed = (long long)spec->seed;
    r->error = "";
    r->status = RUN_FAILED;
    const struct task *t = spec->task;
    TRY(run_record_metric(r, t->metric[t->headline].name, e));
    for (size_t i = 0; i < t->n_metrics; i++)
        if (i != t->headline)
            TRY(run_record_metric(r, t->metric[i].name, e));
    r->config = spec->config;
    TRY(meta_fill(&r->meta, spec, s->env, e));
    return !s->loaded.random || note_random(s, e);
}

/* Counts, and operations of one step on a mean batch. */
static void count(struct session *s)
{
    struct run_record *r = &s->record;
    size_t total = 0;
    for (size_t i = 0; i < s->model.params.n; i++)
        total += param_size(s->model.params.item[i]);
    r->trainable = (long long)param_trainable(&s->model.params, false);
    r->trainable_with_head = (long long)param_trainable(&s->model.params, true);
    r->total = (long long)total;
    r->export_bytes = (long long)delta_bytes(&s->model);
    int32_t mean = (int32_t)(s->train.start[s->train.n] / s->train.n);
    r->flops = model_flops(&s->model, &mean, 1, true) * (double)s->spec->train.batch_size;
    s->menv.step_tokens = (size_t)mean * (size_t)s->spec->train.batch_size;
    if (s->method->step_flops)
        r->flops += s->method->step_flops(s->state, &s->menv);
}

static bool start_or_resume(struct session *s, struct err *e)
{
    if (state_load(s, e)) {
        log_info("goes on from step %ld of %ld", s->step, s->total_steps);
        return true;
    }
    return e->code == ERR_NONE && session_start(s, false, e);
}

/* A delta of the last weights; the best ones' lies beside it unless they are the same. */
static bool save_weights(struct session *s, struct err *e)
{
    size_t bytes;
    const char *last = file_of(s, ".safetensors", e), *best = file_of(s, ".best.safetensors", e);
    TRY(last && best);
    bool best_is_last = s->record.best_row == (long long)s->record.eval.rows - 1;
    if (best_is_last || s->spec->keep == KEEP_NONE)
        unlink(best);
    return s->spec->keep == KEEP_NONE ||
           delta_write(&s->model, last, s->spec->keep == KEEP_FULL, NULL, &bytes, e);
}

static bool work(struct session *s, struct err *e)
{
    clock_reset_peak_rss();
    TRY(start_or_resume(s, e));
    count(s);
    TRY(train(s, e));
    double since = clock_seconds();
    return save_weights(s, e) && session_time(s, "save", &since, e);
}

/* The result file, for success and for every way to fail. */
static bool write_result(struct session *s, double seconds, struct err *e)
{
    struct run_record *r = &s->record;
    r->memory = s->meter;
    r->peak_rss = clock_peak_rss();
    r->seconds_total = seconds;
    char now[32];
    clock_utc(now, sizeof now);
    const char *path = file_of(s, ".h5", e), *checkpoint = file_of(s, ".ckpt", e);
    TRY(path && checkpoint && values_string(&r->meta, "finished", now, e) && run_record_write(r, path, e));
    unlink(checkpoint);
    return true;
}

static bool finish(struct session *s, bool ok, double begun, struct err *e)
{
    char text[1600];
    struct err why = *e, ignored;
    if (!ok && (why.code == ERR_INTERRUPTED || why.code == ERR_ENV))
        return false; /* nothing wrong with the run: it can be done again, or goes on */
    if (!ok) {
        err_format(&why, text, sizeof text);
        s->record.error = text;
        if (s->record.status != RUN_DIVERGED)
            s->record.status = RUN_FAILED;
    }
    bool written = write_result(s, clock_seconds() - begun, ok ? e : &ignored);
    if (ok)
        return written;
    e->code = ERR_RUN;
    return false;
}

bool run_execute(const struct run_spec *r, const struct run_env *env, struct err *e)
{
    struct session s;
    double begun = clock_seconds();
    bool opened = session_open(&s, r, env, SESSION_TRAIN, e);
    bool ok = opened && identify(&s, e) && work(&s, e);
    if (opened)
        ok = finish(&s, ok, begun, e);
    session_close(&s);
    return ok;
}
