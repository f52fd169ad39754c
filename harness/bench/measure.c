/* A case from its first step to its file: samples of steps, each followed by a slice of SGEMM. See bench.h. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "harness/bench/operations.h"
#include "harness/bench/stepper.h"
#include "harness/bench/traffic.h"
#include "harness/meta.h"

static bool declare_columns(struct series *t, struct err *e)
{
    TRY(series_column(t, "steps", "step", "steps of the sample", e) &&
        series_column(t, "seconds", "s", "wall time of its steps", e) &&
        series_column(t, "tokens", "token", "real tokens of its steps", e) &&
        series_column(t, "flops", "flop", "matrix products of its steps", e) &&
        series_column(t, "sgemm_gflops", "Gflop/s", "rate of OpenBLAS's SGEMM right after it", e));
    for (int i = 0; i < STEP_PHASES; i++)
        TRY(series_column(t, step_phase_names[i], "s", "wall time of this part of its steps", e));
    return true;
}

static bool add_sample(struct series *t, long steps, const struct step_cost *sum, double gflops, struct err *e)
{
    TRY(series_row(t, e) && series_set(t, "steps", (double)steps, e) && series_set(t, "seconds", sum->seconds, e) &&
        series_set(t, "tokens", sum->tokens, e) && series_set(t, "flops", sum->flops, e) &&
        series_set(t, "sgemm_gflops", gflops, e));
    for (int i = 0; i < STEP_PHASES; i++)
        TRY(series_set(t, step_phase_names[i], sum->phase[i], e));
    return true;
}

static bool take_sample(struct stepper *x, long steps, struct series *t, struct err *e)
{
    struct step_cost sum = {0}, one;
    double gflops;
    for (long i = 0; i < steps; i++) {
        TRY(stepper_step(x, &one, e));
        sum.seconds += one.seconds;
        sum.tokens += one.tokens;
        sum.flops += one.flops;
        for (int k = 0; k < STEP_PHASES; k++)
            sum.phase[k] += one.phase[k];
    }
    return stepper_sgemm(x, &gflops, e) && add_sample(t, steps, &sum, gflops, e);
}

/* A warm-up, which also says how many short steps make a sample. */
static bool take_samples(struct stepper *x, struct series *t, struct err *e)
{
    struct step_cost first;
    double gflops, sample = x->c->slice;
    TRY(stepper_step(x, &first, e) && stepper_sgemm(x, &gflops, e));
    long steps = first.seconds < sample ? (long)(sample / (first.seconds > 1e-6 ? first.seconds : 1e-6)) + 1 : 1;
    for (int i = 0; i < x->c->repeats; i++)
        TRY(take_sample(x, steps, t, e));
    return true;
}

/* Means over the cycle of batches. */
static void count_step(struct stepper *x, struct bench_record *r)
{
    size_t batches = stepper_batches(x), n;
    for (size_t i = 0; i < batches; i++) {
        const int32_t *rows = stepper_rows(x, i, &n);
        r->flops += stepper_flops(x, rows, n) / (double)batches;
    }
    r->tokens = (double)x->c->data.tokens / (double)batches;
    r->bytes = step_traffic(&x->s, r->tokens, !x->c->eval);
}

static void take_memory(const struct stepper *x, struct bench_record *r)
{
    const struct mem_meter *m = &x->s.meter;
    memcpy(r->at_peak, m->at_peak, sizeof r->at_peak);
    memcpy(r->planned, x->plan.bytes, sizeof r->planned);
    r->peak_live = m->peak_live;
    r->planned_total = x->plan.bytes_total;
    r->select_peak = x->select_peak;
    r->peak_rss = x->peak_rss;
    r->step_peak_rss = x->step_peak_rss;
}

static bool describe(struct stepper *x, struct bench_record *r, struct err *e)
{
    const struct bench_case *c = x->c;
    r->name = c->name;
    r->shape = c->shape.name;
    r->method = c->method->name;
    r->lengths = c->lengths.word;
    r->eval = c->eval;
    r->layers = x->s.model.config.num_hidden_layers;
    r->batch = c->batch;
    r->threads = c->threads;
    r->select_seconds = x->select_seconds;
    r->setup_seconds = x->setup_seconds;
    r->trained = (long long)param_trainable(&x->s.model.params, true);
    for (size_t i = 0; i < x->s.model.params.n; i++)
        r->total += (long long)param_size(x->s.model.params.item[i]);
    return meta_machine(&r->meta, c->threads, e) && values_string(&r->meta, "overrides", c->overrides, e) &&
           values_text(&r->meta, "spec", c->run->resolved, e);
}

static bool measure(struct stepper *x, struct bench_record *r, struct arena *a, struct err *e)
{
    TRY(stepper_open(x, x->c, e) && declare_columns(&r->samples, e) && take_samples(x, &r->samples, e));
    count_step(x, r);
    take_memory(x, r);
    return describe(x, r, e) && (!x->c->operations || measure_operations(x, r, a, e));
}

bool bench_run(const struct bench_case *c, const char *path, struct err *e)
{
    struct stepper x = {.c = c};
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    struct bench_record r = {.meta.arena = a, .samples.arena = a};
    bool ok = measure(&x, &r, a, e) && bench_record_write(&r, path, e);
    stepper_close(&x);
    arena_destroy(a);
    return ok;
}
