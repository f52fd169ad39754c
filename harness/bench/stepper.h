/* A case that is open: steps are taken one at a time, for whoever measures them. Internal to the benchmark. */
#ifndef HARNESS_BENCH_STEPPER_H
#define HARNESS_BENCH_STEPPER_H

#include "harness/bench/bench.h"
#include "harness/session.h"

struct stepper {
    const struct bench_case *c;
    struct run_env env;
    struct session s;
    struct run_plan plan;
    size_t batch;          /* evaluation: the next batch of the cycle        */
    float *logits;         /* evaluation                                     */
    double select_seconds, setup_seconds;
    size_t select_peak;    /* bytes alive at most while selecting, 0: it does not */
    size_t peak_rss, step_peak_rss; /* so far, without the SGEMM's buffers   */
};

struct step_cost {
    double seconds, tokens, flops;
    double phase[STEP_PHASES];
};

/* Data, model, weights, selection, buffers. Refused where the plan exceeds the memory there is. Close it always. */
bool stepper_open(struct stepper *x, const struct bench_case *c, struct err *e);
void stepper_close(struct stepper *x);

/* One training step, or the evaluation of one batch. */
bool stepper_step(struct stepper *x, struct step_cost *cost, struct err *e);

/* Rate of OpenBLAS's SGEMM on the shape over about 100 ms. */
bool stepper_sgemm(struct stepper *x, double *gflops, struct err *e);

/* Rows of batch i of the cycle. */
const int32_t *stepper_rows(struct stepper *x, size_t i, size_t *n);
size_t stepper_batches(const struct stepper *x);

/* Operations of a step over these rows: matrix products alone. */
double stepper_flops(struct stepper *x, const int32_t *rows, size_t n);

#endif
