/*
 * Measures training steps, or inference, of a method on a shape: the trainer's own step, on random weights and tokens,
 * against the rate of OpenBLAS's SGEMM in the same minute. One case is one shape, method, length and batch; each runs
 * in a process of its own, so that peak memory and the threads' runtime are its own.
 */
#ifndef HARNESS_BENCH_BENCH_H
#define HARNESS_BENCH_BENCH_H

#include <stdio.h>

#include "harness/bench/lengths.h"
#include "harness/run.h"
#include "results/bench_record.h"

/* A shape: layers of a model of the zoo. */
struct bench_shape {
    const char *name, *model;
    int layers; /* 0: all of the model's */
};

/* What the command line asks for. */
struct bench_request {
    const char *shapes, *methods, *lengths, *batches; /* comma-separated; NULL: bert-base, full, 128, 32 */
    const char *const *override; /* [n_overrides] key=value                 */
    size_t n_overrides;
    int layers;                  /* 0: as the shape says                    */
    int repeats, threads;
    double slice;                /* seconds that a sample and its SGEMM take at least */
    bool eval, paced;
};
#define BENCH_SLICE 0.1

struct bench_case {
    const char *name;            /* of its file, without .h5                */
    struct bench_shape shape;
    const struct method *method;
    struct lengths lengths;
    int batch, layers, threads, repeats;
    double slice;
    bool eval;
    bool operations;             /* the shape's operations are timed, too: once for each shape, length and batch */
    const char *overrides;       /* those that concern it, one a line       */
    struct run_spec *run;        /* NULL: the method refuses the shape, as `why` says */
    struct err why;
    int32_t *length;             /* [data.rows] of a cycle of batches       */
    struct run_data data;
};

struct bench_cases {
    struct bench_case *item; /* [n] */
    size_t n;
};

/* All cases, in the order shape, lengths, batch, method. Names that are not known, lengths that do not fit and wrong
 * overrides are errors. */
bool bench_cases(struct bench_cases *l, const struct bench_request *r, struct arena *a, struct err *e);

/* Name of the file of a case with this method: to find the full method beside another. */
char *bench_case_name(const struct bench_case *c, const struct method *m, struct arena *a, struct err *e);

/* Runs a case in this process and writes its file. */
bool bench_run(const struct bench_case *c, const char *path, struct err *e);

/* Runs it as lines of `in` ask (step, sgemm, memory) and answers each with a line of JSON on `out`. */
bool bench_paced(const struct bench_case *c, FILE *in, FILE *out, struct err *e);

#endif
