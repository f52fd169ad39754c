/*
 * The training loop. It knows steps, micro-batches and pieces; methods act through their hooks alone. Order of events
 * in a step: measurements, before_backward, for each micro-batch (forward, loss, backward, after_micro_batch),
 * after_backward, clip, step. A step's loss is the sum over its examples divided by their number, whatever the cuts.
 */
#include "harness/session.h"

#include <math.h>

#include "base/clock.h"
#include "base/log.h"
#include "harness/delta.h"
#include "methods/clip.h"

const char *const step_phase_names[STEP_PHASES] = {STEP_PHASE_NAMES};

/* A hook that a method may leave out. */
static bool call(bool (*hook)(void *, struct method_env *, struct err *), struct session *s, struct err *e)
{
    return !hook || hook(s->state, &s->menv, e);
}

/* What has passed since *since, which becomes now, belongs to the phase. */
static void lap(struct session *s, enum step_phase phase, double *since)
{
    double now = clock_seconds();
    s->phase_seconds[phase] += now - *since;
    *since = now;
}

static bool micro_batch(struct session *s, const int32_t *rows, size_t n, int examples, struct step_sums *sums,
                        struct err *e)
{
    struct batch piece;
    size_t at = 0;
    double since = clock_seconds();
    while (packer_next(&s->packer, &s->train, rows, n, s->piece_tokens, &at, &piece)) {
        struct pass pass = {.batch = &piece, .train = true, .seed = s->spec->seed, .step = (uint32_t)s->step,
                            .loss_examples = examples};
        model_forward(&s->model, s->ws, &pass);
        lap(s, STEP_FORWARD, &since);
        sums->loss += model_loss(&s->model, s->ws, &pass);
        lap(s, STEP_LOSS, &since);
        TRY(model_backward(&s->model, s->ws, &pass, e));
        lap(s, STEP_BACKWARD, &since);
        sums->tokens += piece.n_tok;
    }
    TRY(call(s->method->after_micro_batch, s, e));
    lap(s, STEP_HOOKS, &since);
    return true;
}

static bool gradients(struct session *s, struct step_sums *sums, struct err *e)
{
    size_t n;
    const int32_t *rows = order_batch(&s->order, s->step, &n);
    size_t each = s->rows_together;
    double since = clock_seconds();
    param_zero_grads(&s->model.params);
    lap(s, STEP_ZERO_GRADS, &since);
    s->menv.step_tokens = packer_tokens(&s->train, rows, n);
    TRY(call(s->method->before_backward, s, e));
    lap(s, STEP_HOOKS, &since);
    s->menv.micro_batch = 0;
    for (size_t from = 0; from < n; from += each, s->menv.micro_batch++)
        TRY(micro_batch(s, rows + from, n - from < each ? n - from : each, (int)n, sums, e));
    since = clock_seconds();
    TRY(call(s->method->after_backward, s, e));
    lap(s, STEP_HOOKS, &since);
    return true;
}

static bool diverged(struct session *s, const char *what, double value, struct err *e)
{
    s->record.status = RUN_DIVERGED;
    return err_set(e, ERR_RUN, "diverged: %s is %g in step %ld", what, value, s->step);
}

static bool record_step(struct session *s, const struct step_sums *sums, double factor, double norm, double seconds,
                        struct err *e)
{
    struct series *t = &s->record.train;
    return series_row(t, e) && series_set(t, "step", (double)s->step, e) &&
           series_set(t, "epoch", (double)(s->step + 1) / (double)s->order.steps_per_epoch, e) &&
           series_set(t, "loss", sums->loss, e) &&
           series_set(t, "learning_rate", factor * s->spec->train.learning_rate, e) &&
           series_set(t, "grad_norm", norm, e) && series_set(t, "seconds", seconds, e) &&
           series_set(t, "tokens", sums->tokens, e);
}

bool train_step(struct session *s, struct step_sums *sums, struct err *e)
{
    double since = clock_seconds(), part;
    *sums = (struct step_sums){0};
    s->menv.step = s->step;
    TRY(gradients(s, sums, e));
    part = clock_seconds();
    if (!isfinite(sums->loss))
        return diverged(s, "the loss", sums->loss, e);
    const double most = s->spec->train.max_grad_norm;
    double norm = s->method->step ? clip_grad_norm(&s->model.params, most) : grad_norm(&s->model.params);
    lap(s, STEP_CLIP, &part);
    if (!isfinite(norm))
        return diverged(s, "the gradient's norm", norm, e);
    double factor = schedule_factor(&s->schedule, s->step);
    if (s->method->step)
        TRY(s->method->step(s->state, &s->menv, factor, e));
    else
        optim_step_scaled(s->optim, factor, clip_factor(norm, most));
    lap(s, STEP_OPTIMIZER, &part);
    TRY(record_step(s, sums, factor, norm, clock_seconds() - since, e));
    s->step++;
    return session_time(s, "train", &since, e);
}

static bool measure(struct session *s, struct err *e)
{
    double since = clock_seconds();
    if (s->spec->n_measures == 0)
        return true;
    for (size_t i = 0; i < s->spec->n_measures; i++) {
        const struct measure_request *m = &s->spec->measure[i];
        struct arena *a = arena_create(NULL);
        if (!a)
            return err_set(e, ERR_ENV, "out of memory");
        struct session_probe probe = session_probe(s, a);
        struct measure_env env = {&s->model, &probe.probe, s->step, s->total_steps, &s->record, a};
        bool ok = m->measure->before_step(m->options, &env, e);
        arena_destroy(a);
        TRY(ok);
    }
    return session_time(s, "measure", &since, e);
}

static bool evaluation_is_due(const struct session *s)
{
    const struct train_options *o = &s->spec->train;
    if (s->step == s->total_steps)
        return true;
    if (o->eval_strategy == EVAL_STEPS)
        return s->step % o->eval_steps == 0;
    return o->eval_strategy == EVAL_EPOCH && s->step % s->order.steps_per_epoch == 0;
}

/* The best evaluation's weights, kept beside the last ones'. */
static bool keep_best(struct session *s, struct err *e)
{
    double since = clock_seconds();
    size_t bytes;
    if (s->spec->keep == KEEP_NONE)
        return true;
    struct arena_mark mark = arena_mark(s->apart);
    char *path = run_path(s->spec, s->env, ".best.safetensors", s->apart, e);
    bool ok = path && delta_write(&s->model, path, s->spec->keep == KEEP_FULL, NULL, &bytes, e);
    arena_release(s->apart, mark);
    return ok && session_time(s, "save", &since, e);
}

static bool interrupted(struct session *s, struct err *e)
{
    TRY(state_save(s, e));
    return err_set(e, ERR_INTERRUPTED, "interrupted in step %ld of %ld; the same command goes on from there", s->step,
                   s->total_steps);
}

static bool evaluate_and_judge(struct session *s, struct err *e)
{
    bool improved;
    long long patience = s->spec->train.early_stopping_patience;
    if (!evaluate(s, &improved, e))
        return e->code == ERR_INTERRUPTED ? interrupted(s, e) : false;
    if (improved && s->step < s->total_steps)
        TRY(keep_best(s, e));
    if (patience > 0 && s->without_progress >= patience && s->step < s->total_steps) {
        log_info("stopped early in step %ld: %ld evaluations without progress", s->step, s->without_progress);
        s->stopped_early = true;
    }
    return true;
}

static bool checkpoint_is_due(const struct session *s)
{
    long long every = s->spec->train.save_steps;
    return every > 0 && s->step % every == 0 && s->step < s->total_steps;
}

/* Was the evaluation that is due at this step interrupted before it was done? */
static bool evaluation_is_missing(const struct session *s)
{
    const struct series *t = &s->record.eval;
    bool done = t->rows && series_get(t, "step", t->rows - 1) >= (double)s->step;
    return s->step > 0 && evaluation_is_due(s) && !done;
}

bool train(struct session *s, struct err *e)
{
    if (evaluation_is_missing(s))
        TRY(evaluate_and_judge(s, e));
    struct progress progress = {.what = "train", .total = s->total_steps, .done = s->step, .label = "loss"};
    while (s->step < s->total_steps && !s->stopped_early) {
        struct step_sums sums;
        TRY(measure(s, e) && train_step(s, &sums, e));
        progress.done = s->step;
        progress.tokens += sums.tokens;
        progress.value = sums.loss;
        progress_step(&progress);
        if (evaluation_is_due(s))
            TRY(evaluate_and_judge(s, e));
        if (run_interrupted && s->step < s->total_steps)
            return interrupted(s, e);
        if (checkpoint_is_due(s))
            TRY(state_save(s, e));
    }
    progress_end(&progress);
    if (s->total_steps == 0)
        TRY(evaluate_and_judge(s, e));
    return measure(s, e);
}
