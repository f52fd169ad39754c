/* A complete invented run, for the tests of results and plots: every group of the schema is filled. */
#ifndef TESTS_RESULTS_FIXTURE_H
#define TESTS_RESULTS_FIXTURE_H

#include <math.h>

#include "base/io.h"
#include "base/rng.h"
#include "results/run_record.h"
#include "tests/test.h"

struct fixture {
    const char *task, *model, *method, *variant, *metric;
    long long seed, trainable;
    double score; /* of the headline metric at the end */
    double memory; /* MiB */
    enum run_status status;
};

static inline void fixture_train(struct run_record *r, const struct fixture *f, struct rng *g, size_t steps)
{
    struct err e;
    ASSERT_OK(series_reserve(&r->train, steps, &e), &e);
    for (size_t i = 0; i < steps; i++) {
        double t = (double)(i + 1) / (double)steps;
        ASSERT_OK(series_row(&r->train, &e), &e);
        series_set(&r->train, "step", (double)i + 1, &e);
        series_set(&r->train, "epoch", 3 * t, &e);
        series_set(&r->train, "loss", .2 + .5 * exp(-4 * t * f->score) + .05 * rng_normal(g), &e);
        series_set(&r->train, "learning_rate", 1e-4 * (1 - t), &e);
        series_set(&r->train, "grad_norm", 1 + .2 * rng_normal(g), &e);
        series_set(&r->train, "seconds", .1 + .01 * rng_uniform(g), &e);
        series_set(&r->train, "tokens", 1000, &e);
    }
}

static inline void fixture_eval(struct run_record *r, const struct fixture *f, struct rng *g, size_t steps)
{
    struct err e;
    ASSERT_OK(run_record_metric(r, f->metric, &e), &e);
    if (strcmp(f->metric, "f1") != 0 && strcmp(f->task, "mrpc") == 0)
        ASSERT_OK(run_record_metric(r, "f1", &e), &e);
    for (size_t i = 1; i <= 6; i++) {
        double t = (double)i / 6;
        ASSERT_OK(series_row(&r->eval, &e), &e);
        series_set(&r->eval, "step", (double)(steps * i / 6), &e);
        series_set(&r->eval, "epoch", 3 * t, &e);
        series_set(&r->eval, "loss", 1 - f->score * t, &e);
        series_set(&r->eval, "seconds", .5, &e);
        for (size_t m = 0; m < r->metrics; m++)
            series_set(&r->eval, r->metric[m],
                       i == 6 ? f->score : f->score - .3 * exp(-3 * t) + .01 * rng_normal(g), &e);
    }
    r->best_row = 5;
    series_row(&r->report, &e);
    series_set(&r->report, "step", (double)steps, &e);
    ASSERT_OK(series_set(&r->report, "captured", .7, &e), &e);
    ASSERT_OK(values_int(&r->report_facts, "kept_entries", 1234, &e), &e);
}

static inline void fixture_predictions(struct run_record *r, struct predictions *p, size_t rows, struct rng *g)
{
    static const char *const names[] = {"not_equivalent", "equivalent"};
    struct err e;
    *p = (struct predictions){.rows = rows, .labels = 2, .names = names};
    p->index = ARENA_NEW(r->arena, MEM_DATA, int64_t, rows, &e);
    p->label = ARENA_NEW(r->arena, MEM_DATA, double, rows, &e);
    p->prediction = ARENA_NEW(r->arena, MEM_DATA, double, rows, &e);
    p->scores = ARENA_NEW(r->arena, MEM_DATA, float, 2 * rows, &e);
    assert_non_null(p->scores);
    for (size_t i = 0; i < rows; i++) {
        p->index[i] = (int64_t)i;
        p->label[i] = rng_below(g, 2);
        p->scores[2 * i] = (float)rng_normal(g);
        p->scores[2 * i + 1] = (float)rng_normal(g);
        p->prediction[i] = p->scores[2 * i + 1] > p->scores[2 * i];
    }
}

static inline void fixture_gradients(struct run_record *r, struct rng *g)
{
    static const char *const names[] = {"encoder.layer.0.attention.self.query.weight", "classifier.bias"};
    const uint64_t sizes[] = {4096, 2};
    float v[4096];
    uint32_t scratch[4096];
    const uint32_t trained[] = {1, 17, 4000};
    struct err e;
    ASSERT_OK(gradient_log_open(&r->gradients, 2, names, sizes, 2, &e), &e);
    for (int step = 0; step < 3; step++) {
        struct gradient_cell *c = gradient_log_step(&r->gradients, 50 * step, &e);
        assert_non_null(c);
        for (size_t i = 0; i < 4096; i++)
            v[i] = i % 100 == 0 ? 0 : (float)(pow(10, -5 + .5 * rng_normal(g)));
        gradient_measure(&c[0], v, 4096, trained, 3, scratch);
        gradient_measure(&c[1], v + 1, 2, NULL, 2, scratch);
    }
}

static inline void fixture_facts(struct run_record *r, const struct fixture *f)
{
    struct err e;
    ASSERT_OK(values_string(&r->meta, "program_version", "0.1.0", &e), &e);
    ASSERT_OK(values_bool(&r->meta, "git_dirty", false, &e), &e);
    ASSERT_OK(values_string(&r->meta, "finished", "2026-01-31T12:00:00Z", &e), &e);
    ASSERT_OK(values_int(&r->meta, "threads", 2, &e), &e);
    ASSERT_OK(values_text(&r->meta, "spec", "name: x\nmodel: zoo:mini\n", &e), &e);
    ASSERT_OK(values_string(&r->config, "method.select", "gradient", &e), &e);
    ASSERT_OK(values_real(&r->config, "train.learning_rate", 1e-4, &e), &e);
    ASSERT_OK(values_int(&r->config, "train.batch_size", 32, &e), &e);
    ASSERT_OK(values_bool(&r->config, "method.rslora", true, &e), &e);
    ASSERT_OK(run_record_time(r, "train", 12.5, &e) && run_record_time(r, "evaluate", 3, &e), &e);
    r->seconds_total = 17;
    double unit = f->memory * 1048576 / 8;
    for (int t = 0; t < MEM_TAGS; t++) {
        r->memory.peak[t] = (size_t)(unit * (t + 1) / 4);
        r->memory.at_peak[t] = (size_t)unit;
        r->memory.peak_live += (size_t)unit;
    }
    r->peak_rss = 2 * r->memory.peak_live;
    r->trainable = f->trainable;
    r->trainable_with_head = f->trainable + 1538;
    r->total = 11170560;
    r->export_bytes = 4 * r->trainable_with_head;
    r->flops = 1.5e12;
}

/* The record of an invented run; equal arguments give equal records. */
static inline struct run_record fixture_run(struct arena *a, const struct fixture *f)
{
    struct err e;
    struct run_record r;
    struct rng g = rng_stream((uint64_t)f->seed, f->method);
    size_t steps = 120;
    ASSERT_OK(run_record_init(&r, a, &e), &e);
    r.name = arena_printf(a, &e, "%s--%s--%s--%s--s%lld--0123abcd", f->task, f->model, f->method, f->variant, f->seed);
    r.task = f->task, r.model = f->model, r.method = f->method, r.variant = f->variant;
    r.hash = "0123abcd";
    r.seed = f->seed;
    r.status = f->status;
    r.error = f->status == RUN_FAILED ? "out of memory" : "";
    fixture_facts(&r, f);
    if (f->status == RUN_FAILED)
        return r;
    fixture_train(&r, f, &g, steps);
    fixture_eval(&r, f, &g, steps);
    fixture_predictions(&r, &r.predictions, 40, &g);
    fixture_gradients(&r, &g);
    return r;
}

/* Writes it where results_scan(test_dir()) finds it. */
static inline void fixture_write(struct arena *a, const struct fixture *f)
{
    struct err e;
    struct run_record r = fixture_run(a, f);
    ASSERT_OK(io_mkdirs(test_path("runs"), &e), &e);
    ASSERT_OK(run_record_write(&r, test_path(arena_printf(a, &e, "runs/%s.h5", r.name)), &e), &e);
}

static const struct fixture fixture_one = {"mrpc", "mini", "sift", "density=0.008", "accuracy", 42, 28416, .85, 100,
                                           RUN_FINISHED};

#endif
