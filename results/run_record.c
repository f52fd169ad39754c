/* The record of a run as plain data: see run_record.h. Writing and reading are in run_write.c and run_read.c. */
#include "results/run_record.h"

#include <math.h>
#include <string.h>

static const char *const statuses[RUN_STATUSES] = {"finished", "failed", "diverged", "collapsed", "interrupted"};

const char *run_status_name(enum run_status s) { return statuses[s]; }

/* name, units, description */
static const char *const train_columns[][3] = {
    {"step", "step", "optimizer steps done"},
    {"epoch", "epoch", "passes over the training set done"},
    {"loss", "1", "training loss of the step: sum over its examples divided by their number"},
    {"learning_rate", "1", "learning rate of the step, base parameter group"},
    {"grad_norm", "1", "global norm of all requested gradients before clipping"},
    {"seconds", "s", "wall time of the step, evaluation and saving not included"},
    {"tokens", "token", "real tokens of the step"},
};
static const char *const eval_columns[][3] = {
    {"step", "step", "optimizer steps done"},
    {"epoch", "epoch", "passes over the training set done"},
    {"loss", "1", "mean loss over the evaluated rows"},
    {"seconds", "s", "wall time of the evaluation"},
};

static bool declare(struct series *s, const char *const (*columns)[3], size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        TRY(series_column(s, columns[i][0], columns[i][1], columns[i][2], e));
    return true;
}

bool run_record_init(struct run_record *r, struct arena *a, struct err *e)
{
    *r = (struct run_record){
        .arena = a,
        .meta = {.arena = a},
        .config = {.arena = a},
        .train = {.arena = a},
        .eval = {.arena = a},
        .report = {.arena = a},
        .report_facts = {.arena = a},
        .gradients = {.arena = a},
        .best_row = -1,
        .trainable = -1,
        .trainable_with_head = -1,
        .total = -1,
        .export_bytes = -1,
        .flops = NAN,
    };
    TRY(declare(&r->train, train_columns, sizeof train_columns / sizeof *train_columns, e));
    TRY(declare(&r->eval, eval_columns, sizeof eval_columns / sizeof *eval_columns, e));
    return series_column(&r->report, "step", "step", "optimizer steps done", e);
}

static bool list_metric(struct run_record *r, const char *name, struct err *e)
{
    const char **list = ARENA_NEW(r->arena, MEM_DATA, const char *, r->metrics + 1, e);
    TRY(list);
    if (r->metrics)
        memcpy(list, r->metric, r->metrics * sizeof *list);
    TRY(list[r->metrics] = arena_strdup(r->arena, name, e));
    r->metric = list;
    r->metrics++;
    return true;
}

bool run_record_metric(struct run_record *r, const char *name, struct err *e)
{
    for (size_t i = 0; i < r->metrics; i++)
        if (strcmp(r->metric[i], name) == 0)
            return true;
    return list_metric(r, name, e) && series_column(&r->eval, name, "1", "metric, as a fraction; larger is better", e);
}

bool run_record_time(struct run_record *r, const char *phase, double seconds, struct err *e)
{
    for (size_t i = 0; i < r->phases; i++)
        if (strcmp(r->phase[i].name, phase) == 0) {
            r->phase[i].seconds += seconds;
            return true;
        }
    struct time_phase *p = ARENA_NEW(r->arena, MEM_DATA, struct time_phase, r->phases + 1, e);
    TRY(p);
    if (r->phases)
        memcpy(p, r->phase, r->phases * sizeof *p);
    TRY(p[r->phases].name = arena_strdup(r->arena, phase, e));
    p[r->phases++].seconds = seconds;
    r->phase = p;
    return true;
}

double run_record_best(const struct run_record *r, const char *metric)
{
    return r->best_row < 0 ? NAN : series_get(&r->eval, metric, (size_t)r->best_row);
}

double run_record_last(const struct run_record *r, const char *metric)
{
    return r->eval.rows ? series_get(&r->eval, metric, r->eval.rows - 1) : NAN;
}
