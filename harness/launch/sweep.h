/* What the launcher knows while it carries a sweep out; shared by survey.c, launch.c, outcome.c and report.c alone. */
#ifndef HARNESS_LAUNCH_SWEEP_H
#define HARNESS_LAUNCH_SWEEP_H

#include "harness/launch/launch.h"
#include "harness/launch/pace.h"
#include "harness/launch/signals.h"
#include "harness/launch/spawn.h"
#include "harness/launch/standing.h"

enum fate {
    FATE_WAITING,
    FATE_RUNNING,
    FATE_SKIPPED,    /* had a final result before                  */
    FATE_FINISHED,
    FATE_FAILED,     /* `message` says why                         */
    FATE_DIVERGED,
    FATE_LEFT,       /* another process has it                     */
    FATE_INTERRUPTED /* begun, saved and stopped                   */
};

struct item {
    struct run_spec *run;
    struct standing before;  /* how it stood when the sweep began      */
    enum fate fate;
    bool collapsed;
    enum err_code code;      /* what it means for the exit code        */
    const char *message;     /* of a failure                           */
    size_t bytes;            /* planned memory, for --jobs above 1     */
    struct worker worker;
    double started;          /* clock_seconds                          */
};

struct sweep {
    struct spec *spec;
    const struct run_env *env;
    const struct launch_options *o;
    struct arena *arena;
    const char *folder;      /* of run files */
    struct item *item;       /* [n], the runs in the spec's order */
    size_t n, running, done; /* done: skipped, left and ended ones */
    size_t memory;           /* that was available before the first worker; 0: not known */
    struct pace pace;
    struct signals signals;
    int noticed;             /* value of run_interrupted that was acted on */
    double stopped;          /* when workers were told to stop */
    bool stopping;           /* start no more */
};

/* Prepares every run and finds out how it stands; nothing is written. False with the first error. */
bool sweep_survey(struct sweep *s, struct err *e);

/* Writes spec.yaml and runs.tsv, and logs what will be done. */
bool sweep_announce(struct sweep *s, struct err *e);

/* What --dry-run prints; NULL with the error. */
const char *sweep_plan_text(struct sweep *s, struct err *e);

/* Takes note of how a worker ended and logs a line with the time left. */
bool sweep_settle(struct sweep *s, struct item *it, int wait_status, struct err *e);

/* Counts, logs the table of failures and the totals; false with the last line in *e unless all is well. */
bool sweep_report(const struct sweep *s, struct launch_result *result, struct err *e);

#endif
