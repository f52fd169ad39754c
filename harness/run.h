/* One run, from the resolved spec to the finished result file. */
#ifndef HARNESS_RUN_H
#define HARNESS_RUN_H

#include <signal.h>

#include "harness/spec.h"

/* Where runs find and leave things. */
struct run_env {
    const char *data;   /* --data or $PEFTLAB_DATA, NULL: none            */
    const char *out;    /* results directory; runs go to <out>/runs       */
    int threads;        /* of every parallel region                       */
    const char *command; /* the command line, for /meta                   */
};

/* Set by the signal handlers of main: SIGINT or SIGTERM was seen, stop at the next step and save. */
extern volatile sig_atomic_t run_interrupted;

/* Opens and checks everything the run names: data files, tensors and shapes, tokenizer, memory it will need. Fills
 * identity and name. No result is written. All errors are ERR_INPUT (ERR_ENV for memory). */
bool run_prepare(struct run_spec *r, const struct run_env *env, struct arena *a, struct err *e);

/* Trains, evaluates, writes <out>/runs/<name>.h5 and what `keep` asks for. Resumes from <name>.ckpt when there is one.
 * ERR_INTERRUPTED: a checkpoint was written. A run that diverges or fails while it runs leaves a result with that
 * status and gives ERR_RUN. */
bool run_execute(const struct run_spec *r, const struct run_env *env, struct err *e);

/* Path of a run's file with this ending (`.h5`, `.safetensors`, `.best.safetensors`, `.ckpt`, `.claim`). */
char *run_path(const struct run_spec *r, const struct run_env *env, const char *ending, struct arena *a, struct err *e);

/* What a run will need, from config.json and the task file alone: counts, steps, bytes by tag (and their sum at the
 * peak). */
struct run_plan {
    size_t trainable, trainable_with_head, total;
    long long steps;
    size_t bytes[MEM_TAGS], bytes_total; /* of training and evaluation         */
    size_t bytes_select;                 /* of all that is alive in select, 0: less than that for certain */
};
bool run_plan(const struct run_spec *r, struct run_plan *plan, struct err *e);

/* The same for a training set of this size, and no evaluation sets. */
struct run_data {
    size_t rows, tokens;
    int longest, shortest; /* tokens of a row */
};
bool run_plan_for(const struct run_spec *r, const struct run_data *data, struct run_plan *plan, struct err *e);

#endif
