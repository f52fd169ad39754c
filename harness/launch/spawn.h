/* Starting a worker, and what it tells when it fails. */
#ifndef HARNESS_LAUNCH_SPAWN_H
#define HARNESS_LAUNCH_SPAWN_H

#include <signal.h>
#include <sys/types.h>

#include "harness/launch/launch.h"

struct worker {
    pid_t pid;
    int report; /* reading end of the pipe through which the worker tells its error */
};

/* Threads of one of the workers: its share of --threads, of OMP_NUM_THREADS, or of the processors, at least 1. */
int spawn_threads(const struct launch_options *o);

/* Starts the worker of the run `name` with this signal mask. ERR_ENV when that is not possible. */
bool spawn_worker(struct worker *w, const struct launch_options *o, const char *name, const sigset_t *mask,
                  struct arena *a, struct err *e);

/* The message of a worker that has ended, "" when it told none; closes the pipe. */
void spawn_message(struct worker *w, char *buf, size_t size);

/* In the worker: tells its error to the process that started it. False when there is none. */
bool spawn_tell(const struct err *e);

#endif
