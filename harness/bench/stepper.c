/* See stepper.h. */
#include "harness/bench/stepper.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "harness/bench/sgemm.h"

/* ---- data: random ids of the wanted lengths ---- */

static bool take_columns(struct dataset *d, size_t n, size_t tokens, struct arena *a, struct err *e)
{
    TRY(d->start = ARENA_NEW(a, MEM_DATA, size_t, n + 1, e));
    TRY(d->ids = ARENA_NEW(a, MEM_DATA, int32_t, tokens, e));
    TRY(d->types = ARENA_NEW(a, MEM_DATA, int32_t, tokens, e));
    TRY(d->row = ARENA_NEW(a, MEM_DATA, int32_t, n, e));
    return (d->label = ARENA_NEW(a, MEM_DATA, int32_t, n, e)) != NULL;
}

/* Labels take turns: methods may ask for every class. */
static void fill_rows(struct dataset *d, const struct bench_case *c, int vocabulary)
{
    enum { SPECIAL = 5 }; /* ids below have no part of their own in the arithmetic, padding least of all */
    struct rng r = rng_stream(42, "bench/ids");
    for (size_t i = 0; i < d->n; i++) {
        d->start[i + 1] = d->start[i] + (size_t)c->length[i];
        d->row[i] = (int32_t)i;
        d->label[i] = (int32_t)(i % (size_t)d->task->n_labels);
    }
    for (size_t t = 0; t < d->start[d->n]; t++)
        d->ids[t] = SPECIAL + (int32_t)rng_below(&r, (uint32_t)(vocabulary - SPECIAL));
}

static bool fill_data(struct session *s, const void *data, struct err *e)
{
    const struct bench_case *c = data;
    struct model_config config;
    TRY(run_model_config(s->spec, &config, s->apart, e));
    s->train = (struct dataset){.task = s->spec->task, .n = c->data.rows, .shortest = c->data.shortest,
                                .longest = c->data.longest};
    TRY(take_columns(&s->train, c->data.rows, c->data.tokens, s->arena, e));
    fill_rows(&s->train, c, config.vocab_size);
    return true;
}

/* ---- opening ---- */

static double phase_of_record(const struct session *s, const char *name)
{
    for (size_t i = 0; i < s->record.phases; i++)
        if (strcmp(s->record.phase[i].name, name) == 0)
            return s->record.phase[i].seconds;
    return 0;
}

static size_t select_peak(const struct session *s)
{
    const struct value *v = values_find(&s->record.report_facts, "select_peak_bytes");
    return v && v->type == VALUE_INT ? (size_t)v->i : 0;
}

static bool check_memory(const struct stepper *x, struct err *e)
{
    size_t have = clock_memory_available();
    if (have == 0 || x->plan.bytes_total <= have)
        return true;
    return err_set(e, ERR_ENV, "needs %.1f GB; %.1f GB of memory are available", (double)x->plan.bytes_total / 1e9,
                   (double)have / 1e9);
}

bool stepper_open(struct stepper *x, const struct bench_case *c, struct err *e)
{
    double begun = clock_seconds();
    *x = (struct stepper){.c = c, .env = {.threads = c->threads}};
    TRY(run_plan_for(c->run, &c->data, &x->plan, e) && check_memory(x, e));
    TRY(session_open_with(&x->s, c->run, &x->env, c->eval ? SESSION_EVALUATE : SESSION_TRAIN, fill_data, c, e));
    x->s.order.fixed = true;
    TRY(session_start(&x->s, c->eval, e));
    TRY(x->logits = ARENA_NEW(x->s.apart, MEM_DATA, float, (size_t)c->batch * (size_t)x->s.model.config.num_labels, e));
    x->select_seconds = c->eval || !x->s.method->select ? 0 : phase_of_record(&x->s, "select");
    x->setup_seconds = clock_seconds() - begun - x->select_seconds;
    x->select_peak = select_peak(&x->s);
    x->peak_rss = clock_peak_rss();
    mem_restart_peaks(&x->s.meter);
    clock_reset_peak_rss();
    return true;
}

void stepper_close(struct stepper *x) { session_close(&x->s); }

/* ---- steps ---- */

size_t stepper_batches(const struct stepper *x) { return x->c->data.rows / (size_t)x->c->batch; }

/* The order is fixed: a batch's rows are neighbours. */
const int32_t *stepper_rows(struct stepper *x, size_t i, size_t *n)
{
    *n = (size_t)x->c->batch;
    return x->s.train.row + i % stepper_batches(x) * *n;
}

double stepper_flops(struct stepper *x, const int32_t *rows, size_t n)
{
    struct session *s = &x->s;
    s->menv.step_tokens = packer_tokens(&s->train, rows, n);
    double sum = model_flops(&s->model, x->c->length + rows[0], (int)n, !x->c->eval);
    if (!x->c->eval && s->method->step_flops)
        sum += s->method->step_flops(s->state, &s->menv);
    return sum;
}

static bool train_batch(struct stepper *x, struct step_cost *cost, struct err *e)
{
    struct step_sums sums;
    size_t n;
    const int32_t *rows = stepper_rows(x, (size_t)x->s.step, &n);
    cost->flops = stepper_flops(x, rows, n);
    memset(x->s.phase_seconds, 0, sizeof x->s.phase_seconds);
    double begun = clock_seconds();
    TRY(train_step(&x->s, &sums, e));
    cost->seconds = clock_seconds() - begun;
    cost->tokens = sums.tokens;
    memcpy(cost->phase, x->s.phase_seconds, sizeof cost->phase);
    return true;
}

static bool evaluate_batch(struct stepper *x, struct step_cost *cost, struct err *e)
{
    double loss;
    size_t n;
    const int32_t *rows = stepper_rows(x, x->batch++, &n);
    struct dataset d = x->s.train;
    d.start += rows[0];
    d.row += rows[0];
    d.label += rows[0];
    d.n = n;
    cost->flops = stepper_flops(x, rows, n);
    cost->tokens = (double)(d.start[n] - d.start[0]);
    double begun = clock_seconds();
    TRY(evaluate_dataset(&x->s, &d, x->logits, &loss, e));
    cost->seconds = cost->phase[STEP_FORWARD] = clock_seconds() - begun;
    return true;
}

static void note_rss(struct stepper *x)
{
    size_t now = clock_peak_rss();
    x->peak_rss = now > x->peak_rss ? now : x->peak_rss;
    x->step_peak_rss = now > x->step_peak_rss ? now : x->step_peak_rss;
}

bool stepper_step(struct stepper *x, struct step_cost *cost, struct err *e)
{
    *cost = (struct step_cost){0};
    TRY(x->c->eval ? evaluate_batch(x, cost, e) : train_batch(x, cost, e));
    note_rss(x);
    return true;
}

bool stepper_sgemm(struct stepper *x, double *gflops, struct err *e)
{
    const struct model_config *m = &x->s.model.config;
    TRY(sgemm_gflops(m->hidden_size, m->intermediate_size, x->c->slice, gflops, e));
    clock_reset_peak_rss(); /* from what is resident without its buffers */
    return true;
}
