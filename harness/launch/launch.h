/*
 * Carries out the runs of a spec: skips what is finished, retries what failed, resumes what was interrupted, and gives
 * every other run to a worker of its own. A worker is the program itself, started anew with the same command line and
 * `--worker NAME` (worker.h): after a fork the OpenMP runtime hangs, and a crash must end one run, not the sweep.
 */
#ifndef HARNESS_LAUNCH_LAUNCH_H
#define HARNESS_LAUNCH_LAUNCH_H

#include "harness/run.h"

struct launch_options {
    int jobs;                /* --jobs: workers at a time, at least 1                                        */
    int threads;             /* --threads: of all workers together, 0: as many as there are processors      */
    bool dry_run, redo, fail_fast, strict;
    const char *const *argv; /* the command line of this process, NULL-terminated; argv[0] is the program's name */
    const char *word;        /* the command's, behind which `--worker` goes; NULL: run                       */
    const char *exe;         /* program of the workers, NULL: this one                                       */
};

struct launch_result {
    size_t finished;    /* by this call, collapsed ones included                             */
    size_t skipped;     /* had a result before: finished, collapsed or diverged               */
    size_t failed;      /* ended by an error or killed; their results or messages say why     */
    size_t diverged;    /* those skipped are counted too                                      */
    size_t collapsed;   /* those skipped are counted too                                      */
    size_t left;        /* another process works on them                                      */
    size_t interrupted; /* begun or not, and not ended: the same command goes on with them    */
    const char *plan;   /* --dry-run: a line for each run, what would be done and its name    */
};

/* Prepares every run (nothing is started or written when one of them is wrong), writes <out>/spec.yaml and
 * <out>/runs.tsv, and carries the runs out. False whenever the program must not exit with 0: e->code then gives the
 * exit code and e the last line to print; by then all else has been logged (the table of failures, too). SIGINT,
 * SIGTERM and SIGHUP stop the sweep from here on: workers save their state; a second one kills them. */
bool launch_runs(struct spec *spec, const struct run_env *env, const struct launch_options *o,
                 struct launch_result *result, struct arena *a, struct err *e);

#endif
