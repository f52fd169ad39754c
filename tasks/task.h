/*
 * Tasks as data: what a task file (YAML, about 15 lines) says. The nine GLUE tasks, AX and the synthetic suite are
 * compiled into the program; anything with a slash or ending in `.yaml` is a file of the user's own. docs/tasks.md
 * describes every key.
 */
#ifndef TASKS_TASK_H
#define TASKS_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/yaml.h"
#include "tasks/metrics.h"

enum task_kind { TASK_CLASSIFICATION, TASK_REGRESSION };

enum {
    TASK_DEV_MAX = 4,      /* evaluation sets of one task                  */
    TASK_METRICS_MAX = 8,  /* metrics of one task                          */
    TASK_LABELS_MAX = 1000 /* classes of one task                          */
};

/* One set of examples: a file of the task's folder, or what the generator makes. */
struct task_split {
    const char *name;   /* "train", "dev", "dev_mm"                                         */
    const char *suffix; /* what names of results carry: "" for train and dev, "_mm"          */
    const char **file;  /* [n_files] candidates, the first that exists is read; NULL: none   */
    size_t n_files;
    long long rows;     /* as stated by the task file, 0: not stated; never enforced         */
};

/* A metric of a task: which function on which evaluation set, under which name. */
struct task_metric {
    const char *name;            /* "accuracy", "accuracy_mm"                   */
    const struct metric *metric; /* the function behind it                      */
    size_t dev;                  /* index of the evaluation set it is taken on  */
};

/* Places of fields in a line, 0-based; negative ones count from the end (-1 is the last). */
struct task_columns {
    long long count; /* columns of every line; 0: as many as the header has */
    long long text_a, text_b, label;
    bool pair;       /* there is a text_b */
};

struct synth; /* a generator of the synthetic suite, tasks/synth.h */

struct task {
    const char *name;     /* the word in a spec and in tables: `cola`; a file's name without `.yaml`      */
    const char *origin;   /* where the definition stands, for messages: `tasks/cola.yaml`, or the file     */
    const char *title, *source, *citation;
    long long version;    /* raised whenever scores could change                                          */
    enum task_kind kind;
    bool pair;            /* examples are pairs of texts                                                  */
    int n_labels;         /* outputs of the head: classes, or 1 for a regression                          */
    const char **label;   /* [n_labels] names in the official order; NULL for a regression                */
    double min, max;      /* range of a regression's scores                                               */
    struct task_metric metric[TASK_METRICS_MAX];
    size_t n_metrics, headline;
    struct task_split train, dev[TASK_DEV_MAX];
    size_t n_dev;
    char digest[IO_DIGEST]; /* of the definition, `train_from` included: part of a run's identity          */

    const struct task *train_from; /* whose training file and layout is used; NULL: its own               */
    const struct synth *synth;     /* generator; NULL: files                                              */
    uint64_t synth_seed;
    const char *folder;            /* below <data>/glue, or a path (see `placed`)                          */
    bool placed;                   /* the folder was given as a path beside the task file: no --data needed */
    bool header, skip_malformed;
    struct task_columns columns;
};

/* Reads the definition of `name`: an embedded task, or a file (relative to base_dir; NULL: the current folder). Errors
 * in the name stand at `at` (NULL: without a place) with the nearest task, errors in the file at their line. NULL on
 * error. */
const struct task *task_open(const char *name, const char *base_dir, const struct yaml *at, struct arena *a,
                             struct err *e);

/* Names of the embedded tasks in alphabetical order; NULL-terminated. */
const char **task_names(struct arena *a, struct err *e);

/* What `describe task` prints: title, source, files, labels, metrics, sizes; ends with a newline. */
char *task_describe(const struct task *t, struct arena *a, struct err *e);

/* Paths of the files a task reads below `data` (NULL: not given), training file first, NULL-terminated; none for a
 * synthetic task. A missing one is an error that says which path was looked for and how to give data. */
const char **task_files(const struct task *t, const char *data, struct arena *a, struct err *e);

/* Opens and validates every file of the task, line by line, before any run starts. Nothing stays in memory. */
bool task_check(const struct task *t, const char *data, struct err *e);

/* Rows of the training set as the task file states them: what `plan` counts steps with when there is no data. */
long long task_train_rows(const struct task *t);

/* Path of the file of one split below `data`, as in task_files. */
const char *task_file(const struct task *t, const struct task_split *split, const char *data, struct arena *a,
                      struct err *e);

#endif
