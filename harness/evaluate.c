/*
 * Evaluation: logits of every row without dropout, metrics of the task, the choice of the best evaluation. The rows
 * that select are a held-out part of the training set, one half of dev, or dev itself (`select_on`).
 */
#include "harness/session.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* Rows [from, to), a piece at a time. */
static void evaluate_rows(struct session *s, const struct dataset *d, size_t from, size_t to, float *logits,
                          double *sum, double *tokens)
{
    size_t labels = (size_t)s->model.config.num_labels;
    struct batch piece;
    for (size_t at = from, done = from; packer_next(&s->packer, d, NULL, to, s->piece_tokens, &at, &piece); done = at) {
        struct pass pass = {.batch = &piece, .seed = s->spec->seed, .loss_examples = 1, .forward_only = true};
        const real *z = model_forward(&s->model, s->ws, &pass);
        *sum += model_loss(&s->model, s->ws, &pass);
        for (size_t i = 0; i < (size_t)piece.n_seq * labels; i++)
            logits[done * labels + i] = (float)z[i];
        *tokens += piece.n_tok;
    }
}

bool evaluate_dataset(struct session *s, const struct dataset *d, float *logits, double *loss, struct err *e)
{
    struct progress progress = {.what = "evaluate", .total = (long)d->n};
    double sum = 0;
    for (size_t from = 0; from < d->n; from += s->rows_together) {
        if (run_interrupted)
            return err_set(e, ERR_INTERRUPTED, "interrupted");
        size_t to = from + s->rows_together < d->n ? from + s->rows_together : d->n;
        evaluate_rows(s, d, from, to, logits, &sum, &progress.tokens);
        progress.done = (long)to;
        progress_step(&progress);
    }
    progress_end(&progress);
    *loss = d->n ? sum / (double)d->n : NAN;
    return true;
}

/* Predictions of the rows for which keep[i] holds (NULL: all), in metric form. */
static bool outcome_of(const struct session *s, const struct dataset *d, const float *logits, const bool *keep,
                       struct arena *a, struct outcome *o, struct err *e)
{
    int labels = s->model.config.num_labels;
    int32_t *label = ARENA_NEW(a, MEM_DATA, int32_t, d->n, e), *prediction = ARENA_NEW(a, MEM_DATA, int32_t, d->n, e);
    float *score = ARENA_NEW(a, MEM_DATA, float, d->n, e), *value = ARENA_NEW(a, MEM_DATA, float, d->n, e);
    TRY(label && prediction && score && value);
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (keep && !keep[i])
            continue;
        label[n] = d->label ? d->label[i] : 0;
        score[n] = d->score ? d->score[i] : 0;
        prediction[n] = metric_argmax(logits + i * (size_t)labels, labels);
        value[n++] = logits[i * (size_t)labels];
    }
    *o = (struct outcome){.n = n, .n_labels = labels, .label = label, .prediction = prediction};
    if (d->score)
        *o = (struct outcome){.n = n, .n_labels = 1, .score = score, .value = value};
    return true;
}

/* Raw predictions of a whole evaluation set, as they go into the result. */
static bool keep_predictions(struct session *s, const struct dataset *d, float *logits, struct predictions *p,
                             struct err *e)
{
    size_t labels = (size_t)s->model.config.num_labels;
    if (p->rows != d->n) {
        TRY(p->index = ARENA_NEW(s->apart, MEM_DATA, int64_t, d->n, e));
        TRY(p->label = ARENA_NEW(s->apart, MEM_DATA, double, d->n, e));
        TRY(p->prediction = ARENA_NEW(s->apart, MEM_DATA, double, d->n, e));
        TRY(p->scores = ARENA_NEW(s->apart, MEM_DATA, float, d->n * labels, e));
    }
    p->rows = d->n;
    p->labels = labels;
    p->regression = d->score != NULL;
    p->names = s->spec->task->label;
    memcpy(p->scores, logits, d->n * labels * sizeof *logits);
    for (size_t i = 0; i < d->n; i++) {
        p->index[i] = d->row[i];
        p->label[i] = d->score ? (double)d->score[i] : d->label[i];
        p->prediction[i] = d->score ? (double)logits[i] : metric_argmax(logits + i * labels, (int)labels);
    }
    return true;
}

static bool take_metrics(struct session *s, size_t dev, const struct outcome *o, struct arena *a, struct err *e)
{
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_metrics; i++) {
        double value;
        bool degenerate;
        if (t->metric[i].dev != dev)
            continue;
        TRY(metric_compute(t->metric[i].metric, o, a, &value, &degenerate, e));
        TRY(series_set(&s->record.eval, t->metric[i].name, value, e));
        if (degenerate)
            log_warn("%s is undefined for these predictions and recorded as 0", t->metric[i].name);
    }
    return true;
}

static bool evaluate_dev(struct session *s, size_t dev, struct arena *a, struct outcome *o, struct err *e)
{
    const struct eval_set *set = &s->dev[dev];
    double loss;
    float *logits = ARENA_NEW(a, MEM_DATA, float, set->data.n * (size_t)s->model.config.num_labels, e);
    TRY(logits && evaluate_dataset(s, &set->data, logits, &loss, e));
    TRY(outcome_of(s, &set->data, logits, set->reported, a, o, e));
    if (dev == 0)
        TRY(series_set(&s->record.eval, "loss", loss, e));
    TRY(take_metrics(s, dev, o, a, e));
    if (dev > 1)
        return true;
    return keep_predictions(s, &set->data, logits, dev ? &s->record.predictions_mm : &s->record.predictions, e);
}

/* The headline metric on the selecting rows. */
static bool selecting_metric(struct session *s, const struct outcome *dev, struct arena *a, double *value,
                             struct err *e)
{
    const struct task_metric *headline = &s->spec->task->metric[s->spec->task->headline];
    const struct dataset *d = &s->select.data;
    bool degenerate;
    struct outcome o = *dev;
    if (d->n) {
        double loss;
        float *logits = ARENA_NEW(a, MEM_DATA, float, d->n * (size_t)s->model.config.num_labels, e);
        TRY(logits && evaluate_dataset(s, d, logits, &loss, e));
        TRY(outcome_of(s, d, logits, NULL, a, &o, e));
        TRY(series_set(&s->record.eval, "select_loss", loss, e));
    }
    TRY(metric_compute(headline->metric, &o, a, value, &degenerate, e));
    return series_set(&s->record.eval, "select_metric", *value, e);
}

static void note_best(struct session *s, double value, bool *improved)
{
    const struct metric *m = s->spec->task->metric[s->spec->task->headline].metric;
    bool first = isnan(s->best);
    *improved = first || (m->greater_is_better ? value > s->best : value < s->best);
    s->without_progress = *improved ? 0 : s->without_progress + 1;
    if (!*improved)
        return;
    s->best = value;
    s->record.best_row = (long long)s->record.eval.rows - 1;
}

struct session_report {
    struct method_report report; /* first: the callback gets its address */
    struct session *session;
    struct err *e;
    bool failed;
};

static void add_report(struct method_report *self, const char *name, double value, const char *description)
{
    struct session_report *r = (struct session_report *)self;
    struct series *to = &r->session->record.report;
    r->failed = r->failed || !series_column(to, name, "1", description, r->e) || !series_set(to, name, value, r->e);
}

/* The method's extra numbers, a row per evaluation. */
static bool take_report(struct session *s, struct err *e)
{
    struct session_report r = {{add_report}, s, e, false};
    if (!s->method->report)
        return true;
    TRY(series_row(&s->record.report, e) && series_set(&s->record.report, "step", (double)s->step, e));
    s->method->report(s->state, &s->menv, &r.report);
    return !r.failed;
}

static bool evaluate_in(struct session *s, struct arena *a, bool *improved, struct err *e)
{
    const struct task *t = s->spec->task;
    struct outcome headline = {0}, o;
    double value;
    for (size_t dev = 0; dev < t->n_dev; dev++) {
        TRY(evaluate_dev(s, dev, a, &o, e));
        if (dev == t->metric[t->headline].dev)
            headline = o;
    }
    s->record.status = metric_collapsed(&headline) ? RUN_COLLAPSED : RUN_FINISHED;
    TRY(selecting_metric(s, &headline, a, &value, e));
    note_best(s, value, improved);
    return take_report(s, e);
}

bool evaluate(struct session *s, bool *improved, struct err *e)
{
    double since = clock_seconds(), begun = since;
    size_t row = s->record.eval.rows;
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = series_row(&s->record.eval, e) && series_set(&s->record.eval, "step", (double)s->step, e) &&
              series_set(&s->record.eval, "epoch", (double)s->step / (double)s->order.steps_per_epoch, e) &&
              evaluate_in(s, a, improved, e);
    arena_destroy(a);
    if (!ok) {
        s->record.eval.rows = row; /* an interrupted evaluation leaves no row */
        return false;
    }
    TRY(series_set(&s->record.eval, "seconds", clock_seconds() - begun, e));
    const struct task_metric *m = &s->spec->task->metric[s->spec->task->headline];
    if (s->train.n)
        log_info("step %ld/%ld: %s %.4f%s", s->step, s->total_steps, m->name, run_record_last(&s->record, m->name),
                 s->record.status == RUN_COLLAPSED ? " (collapsed: one class for every row)" : "");
    return session_time(s, "evaluate", &since, e);
}
