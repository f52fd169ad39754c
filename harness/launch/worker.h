/* The process of one run (see launch.h): what `peftlab run ... --worker NAME` does. */
#ifndef HARNESS_LAUNCH_WORKER_H
#define HARNESS_LAUNCH_WORKER_H

#include "harness/launch/launch.h"

/* Finds the run of this name in the spec, prepares it alone, takes its claim and executes it. True when it ended well,
 * and when another process has it or has finished it meanwhile. The error is told to the process that started this one;
 * the caller prints it and exits with its code as always. The number of threads is this process's OMP_NUM_THREADS. */
bool launch_worker(struct spec *spec, const struct run_env *env, const struct launch_options *o, const char *name,
                   struct arena *a, struct err *e);

#endif
