/* A case in a process of its own: the program itself, started anew with the same command line and `--worker NAME`. */
#ifndef HARNESS_BENCH_PROCESS_H
#define HARNESS_BENCH_PROCESS_H

#include "harness/launch/launch.h"

/* Runs the worker of this name to its end; standard input and output are this process's. False with what it told, or
 * how it was killed. */
bool process_run(const struct launch_options *o, const char *name, struct arena *a, struct err *e);

#endif
