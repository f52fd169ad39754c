/* Pluggable measurements taken inside a run: one file each, listed in measure_table. A measurement sees the run through
 * this read-only struct and must not change it: results with and without it are bit-identical. */
#ifndef HARNESS_MEASURE_MEASURE_H
#define HARNESS_MEASURE_MEASURE_H

#include "base/opt.h"
#include "methods/method.h"
#include "models/model.h"
#include "results/run_record.h"

struct measure_env {
    struct model *model;
    struct probe *probe;       /* gradients of training batches at the present weights */
    long step, total_steps;    /* optimizer step about to be taken                     */
    struct run_record *record; /* where the measurement leaves its numbers             */
    struct arena *arena;       /* memory of measurements, apart from the run's meter   */
};

struct measure {
    const char *name, *title, *help;
    const struct opt *options;
    size_t options_size;
    /* Called before each optimizer step (and once after the last, step == total_steps). */
    bool (*before_step)(const void *options, struct measure_env *env, struct err *e);
};

extern const struct measure *const measure_table[]; /* NULL-terminated */
const struct measure *measure_find(const char *name);

#endif
