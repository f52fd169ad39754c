/*
 * Opens a run: tokenized data, model with its weights, the method's declarations, memory for what was declared. Texts
 * and the tokenizer are gone once the data are tokens.
 */
#include "harness/session.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "harness/init_from.h"
#include "harness/shape.h"
#include "models/blas.h"

bool session_time(struct session *s, const char *phase, double *since, struct err *e)
{
    double now = clock_seconds(), spent = now - *since;
    *since = now;
    return run_record_time(&s->record, phase, spent, e);
}

/* ---- data
 * ---------------------------------------------------------------------------------------------------------- */

/* Texts on their way to tokens, in an arena that is destroyed afterwards. */
struct texts {
    struct arena *arena;
    const struct tokenizer *tokenizer;
    struct examples train, held, dev[TASK_DEV_MAX];
};

static bool tokenize(struct session *s, struct texts *x, const struct examples *from, struct dataset *to, struct err *e)
{
    return dataset_build(to, from, x->tokenizer, (int)s->spec->train.max_seq_length, s->arena,
                         x->arena, e);
}

static bool read_train(struct session *s, struct texts *x, struct err *e)
{
    const struct train_options *o = &s->spec->train;
    struct subset subset = {o->train_samples, o->per_class,
                            o->select_on == SELECT_TRAIN_HOLDOUT ? o->train_holdout : 0};
    TRY(examples_load_train(&x->train, &x->held, s->spec->task, s->env->data, &subset, s->spec->limit, s->spec->seed,
                            x->arena, e));
    if (x->train.skipped)
        log_warn("%s: %lld malformed rows of the training set were skipped", s->spec->task->name, x->train.skipped);
    return tokenize(s, x, &x->train, &s->train, e);
}

static bool read_dev(struct session *s, struct texts *x, struct err *e)
{
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_dev; i++) {
        TRY(examples_dev(&x->dev[i], t, i, s->env->data, 0, x->arena, e));
        examples_limit(&x->dev[i], s->spec->limit);
        TRY(tokenize(s, x, &x->dev[i], &s->dev[i].data, e));
    }
    return true;
}

/* dev_half: one half of dev selects, metrics are reported on the other. */
static bool halve_dev(struct session *s, struct texts *x, struct err *e)
{
    struct examples reported, selecting;
    TRY(examples_split(&x->dev[0], 0.5, "dev_half", s->spec->seed, &reported, &selecting, x->arena, e));
    struct dataset *dev = &s->dev[0].data;
    bool *mask = ARENA_NEW(s->arena, MEM_DATA, bool, dev->n, e);
    TRY(mask);
    for (size_t i = 0, j = 0; i < dev->n; i++)
        if (j < reported.n && reported.item[j].row == dev->row[i]) {
            mask[i] = true;
            j++;
        }
    s->dev[0].reported = mask;
    return tokenize(s, x, &selecting, &s->select.data, e);
}

static bool read_data(struct session *s, struct texts *x, enum session_use use, struct err *e)
{
    const struct train_options *o = &s->spec->train;
    TRY(x->tokenizer = tokenizer_open(&s->spec->model, x->arena, e));
    TRY(read_dev(s, x, e));
    if (use == SESSION_EVALUATE)
        return true;
    TRY(read_train(s, x, e));
    if (o->select_on == SELECT_DEV_HALF)
        TRY(halve_dev(s, x, e));
    else if (x->held.n)
        TRY(tokenize(s, x, &x->held, &s->select.data, e));
    if (s->train.n == 0)
        return err_set(e, ERR_INPUT, "%s: no training rows are left", s->spec->task->name);
    return true;
}

static bool load_data(struct session *s, enum session_use use, struct err *e)
{
    struct texts x = {.arena = arena_create(&s->meter)};
    if (!x.arena)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = read_data(s, &x, use, e);
    arena_destroy(x.arena);
    return ok;
}

/* ---- batches
 * ------------------------------------------------------------------------------------------------------- */

static bool plan_batches(struct session *s, struct err *e)
{
    const struct train_options *o = &s->spec->train;
    TRY(order_init(&s->order, s->train.n, (size_t)o->batch_size, s->spec->seed, s->arena, e));
    s->total_steps = o->max_steps >= 0 ? (long)o->max_steps
                                       : (long)order_steps(s->train.n, (size_t)o->batch_size, o->num_train_epochs);
    s->schedule = run_schedule(s->spec, s->total_steps, (long)s->order.steps_per_epoch);
    return true;
}

/* One packer and one workspace serve training and evaluation: capacity for the longest and shortest rows of all
 * sets. */
static bool make_packer(struct session *s, struct workspace_shape *shape, struct err *e)
{
    struct dataset widest = s->train;
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_dev + 1; i++) {
        const struct dataset *d = i < t->n_dev ? &s->dev[i].data : &s->select.data;
        widest.longest = d->n && d->longest > widest.longest ? d->longest : widest.longest;
        widest.shortest = d->n && (d->shortest < widest.shortest || widest.n == 0) ? d->shortest : widest.shortest;
        widest.n = d->n > widest.n ? d->n : widest.n;
    }
    s->piece_tokens = run_piece_tokens(s->spec, s->menv.unsplit);
    s->rows_together = run_rows_together(s->spec, s->menv.unsplit);
    *shape = run_workspace_shape(s->spec, s->menv.unsplit, widest.n, widest.longest, widest.shortest);
    return packer_init(&s->packer, &widest, s->piece_tokens, s->rows_together, s->arena, e);
}

/* ---- model and method
 * ---------------------------------------------------------------------------------------------- */

/* Of interest where training starts; weights that are loaded over it afterwards make it untrue. */
static void say_what_was_loaded(const struct session *s)
{
    if (s->loaded.random)
        log_info("%s has no pretrained weights: all of them start from a random initialisation, seed %llu",
                 s->spec->model.name, (unsigned long long)s->spec->seed);
    else if (s->loaded.n_initialised)
        log_info("%s: %zu head parameters are not in the checkpoint and start from a random initialisation, seed %llu",
                 s->spec->model.name, s->loaded.n_initialised, (unsigned long long)s->spec->seed);
}

/* A model alone is to be exported: the same values, but plain. */
static bool load_model(struct session *s, enum session_use use, struct err *e)
{
    struct model_config config;
    TRY(run_model_config(s->spec, &config, s->apart, e));
    TRY(model_build(&s->model, &config, s->apart, e));
    TRY(run_hold_weights(s->spec, &s->model, use == SESSION_MODEL ? HOLD_ROUNDED : HOLD_BF16, e));
    TRY(s->checkpoint = checkpoint_open(&s->spec->model, s->apart, e));
    TRY(checkpoint_load(s->checkpoint, &s->model, s->spec->seed, false, s->arena, &s->loaded, e));
    if (use == SESSION_TRAIN)
        say_what_was_loaded(s);
    return true;
}

static bool declare(struct session *s, enum session_use use, struct err *e)
{
    const struct run_spec *r = s->spec;
    s->method = r->method;
    s->menv = (struct method_env){.model = &s->model, .arena = s->arena, .seed = r->seed, .at = r->method_at};
    TRY(s->state = arena_alloc(s->arena, MEM_METHOD, r->method->state_size, e));
    memcpy(s->state, r->method_options, r->method->state_size);
    s->optim_options = run_optim_options(r);
    return run_request_head(r, &s->model, e) && s->method->plan(s->state, &s->menv, e) &&
           param_allocate(&s->model.params, s->arena, e) &&
           (!s->method->attach || s->method->attach(s->state, &s->menv, e)) &&
           (use != SESSION_TRAIN || !r->init_from || init_from_load(r, &s->model, &s->given, e));
}

bool session_open_with(struct session *s, const struct run_spec *spec, const struct run_env *env, enum session_use use,
                       bool (*fill)(struct session *s, const void *data, struct err *e), const void *data,
                       struct err *e)
{
    *s = (struct session){.spec = spec, .env = env, .best = NAN};
    s->arena = arena_create(&s->meter);
    s->apart = arena_create(NULL);
    if (!s->arena || !s->apart)
        return err_set(e, ERR_ENV, "out of memory");
    blas_set_threads(env->threads);
    double since = clock_seconds();
    TRY(run_record_init(&s->record, s->apart, e));
    TRY(fill(s, data, e) && (use != SESSION_TRAIN || plan_batches(s, e)) &&
        session_time(s, "data", &since, e));
    TRY(load_model(s, use, e) && declare(s, use, e) && session_time(s, "load", &since, e));
    return true;
}

static bool fill_from_task(struct session *s, const void *use, struct err *e)
{
    enum session_use u = *(const enum session_use *)use;
    return u == SESSION_MODEL || load_data(s, u, e);
}

bool session_open(struct session *s, const struct run_spec *spec, const struct run_env *env, enum session_use use,
                  struct err *e)
{
    return session_open_with(s, spec, env, use, fill_from_task, &use, e);
}

/* What methods see from `select` on. */
static bool lend_probe(struct session *s, struct err *e)
{
    TRY(s->probe = ARENA_NEW(s->apart, MEM_DATA, struct session_probe, 1, e));
    *s->probe = session_probe(s, s->arena);
    s->menv.probe = &s->probe->probe;
    s->menv.optim_options = &s->optim_options;
    s->menv.total_steps = s->total_steps;
    s->menv.train_examples = s->train.n;
    return true;
}

bool session_start(struct session *s, bool resumed, struct err *e)
{
    double since = clock_seconds();
    TRY(lend_probe(s, e));
    if (s->method->select && !resumed && !s->given) {
        TRY(s->method->select(s->state, &s->menv, e));
        TRY(values_int(&s->record.report_facts, "select_peak_bytes", (long long)s->meter.peak_live, e));
    }
    TRY(session_time(s, "select", &since, e));
    struct workspace_shape shape;
    TRY(make_packer(s, &shape, e));
    TRY(s->optim = s->menv.optim = optim_create(&s->optim_options, &s->model.params, s->arena, e));
    TRY(s->ws = workspace_create(&s->model, &shape, s->arena, e));
    return session_time(s, "load", &since, e);
}

void session_close(struct session *s)
{
    checkpoint_close(s->checkpoint);
    arena_destroy(s->arena);
    arena_destroy(s->apart);
}
