/*
 * Everything one run leaves behind, as plain data the trainer fills while it goes, and its way into and out of one HDF5
 * file. The layout of the file is listed in docs/schema.md. A checkpoint keeps a record by run_record_image and gets it
 * back by run_record_read_image, bit for bit.
 */
#ifndef RESULTS_RUN_RECORD_H
#define RESULTS_RUN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/io.h"
#include "results/gradient_log.h"
#include "results/series.h"
#include "results/values.h"

#define RUN_SCHEMA_VERSION 1

enum run_status {
    RUN_FINISHED,
    RUN_FAILED,      /* ended by an error                                     */
    RUN_DIVERGED,    /* ended by a loss that is not finite                    */
    RUN_COLLAPSED,   /* finished, and predicts one class (or constant value)  */
    RUN_INTERRUPTED, /* can go on                                             */
    RUN_STATUSES
};

/* What an evaluation predicted, a row per example in file order. */
struct predictions {
    size_t rows, labels;      /* labels: columns of scores; 1 for regression                */
    bool regression;
    int64_t *index;           /* [rows] 0-based row in the file                             */
    double *label;            /* [rows] official id, or the score; NaN where there is none  */
    double *prediction;       /* [rows] argmax, or the value                                */
    float *scores;            /* [rows, labels] raw logits                                  */
    const char *const *names; /* [labels] label names; NULL when there are none             */
};

struct time_phase {
    const char *name;
    double seconds;
};

struct run_record {
    struct arena *arena;

    /* Identity: also attributes of /meta. Strings are not copied and may be NULL (stored as ""). */
    const char *name;    /* file name without .h5 */
    const char *task, *model, *method, *variant;
    const char *hash;    /* identity, hexadecimal */
    long long seed;
    enum run_status status;
    const char *error;   /* what ended it, "" when nothing did */

    struct values meta;   /* more of /meta: versions, machine, dates (`started`, `finished`), texts, digests */
    struct values config; /* every resolved option                                                           */

    struct series train; /* declared by run_record_init: step epoch loss learning_rate grad_norm seconds tokens */
    struct series eval;  /* declared: step epoch loss seconds; metrics by run_record_metric                     */
    const char **metric; /* [metrics], the first is the headline */
    size_t metrics;
    long long best_row;  /* row of `eval` that selection chose, -1: none yet */

    struct predictions predictions;    /* rows 0: none */
    struct predictions predictions_mm; /* MNLI mismatched; rows 0: none */

    struct time_phase *phase; /* see run_record_time */
    size_t phases;
    double seconds_total;     /* wall time of the whole run; what no phase covers is stored as `other` */

    struct mem_meter memory;  /* copied from the run's meter at the end */
    uint64_t peak_rss;        /* bytes, 0: not known                    */

    struct series report;       /* /method: series the method reports, beside `step` */
    struct values report_facts; /* /method: single values it reports                  */
    struct gradient_log gradients; /* steps 0: not measured               */

    /* -1: not known. trainable leaves the head out; total counts all parameters as trained. */
    long long trainable, trainable_with_head, total, export_bytes;
    double flops; /* of one optimizer step on the mean batch; NaN: not known */
};

/* Empty record: everything unknown, columns of `train` and `eval` declared, series and lists growing in `a`. */
bool run_record_init(struct run_record *r, struct arena *a, struct err *e);

/* Declares a metric (fraction, larger is better) as a column of `eval`. The first one is the headline. */
bool run_record_metric(struct run_record *r, const char *name, struct err *e);

/* Adds seconds to a phase (`load`, `select`, `train`, `evaluate`, `measure`, `save`, ...), which is made when new. */
bool run_record_time(struct run_record *r, const char *phase, double seconds, struct err *e);

/* Value of a metric at the chosen (best) or last evaluation, NaN when there is none. */
double run_record_best(const struct run_record *r, const char *metric);
double run_record_last(const struct run_record *r, const char *metric);

const char *run_status_name(enum run_status s);

/* Commits the record as `path` (see store.h). ERR_ENV when it cannot be written; nothing is left then. */
bool run_record_write(const struct run_record *r, const char *path, struct err *e);

/* The same bytes in memory, in arena `a`. */
bool run_record_image(const struct run_record *r, struct arena *a, struct io_piece *image, struct err *e);

/* What a reader wants beside meta, config, curves and scalars. */
enum { RUN_READ_PREDICTIONS = 1, RUN_READ_GRADIENTS = 2, RUN_READ_ALL = 3 };

/* Reads a file. A file that is truncated, foreign or of another schema version is ERR_INPUT naming it. */
bool run_record_read(struct run_record *r, struct arena *a, const char *path, unsigned what, struct err *e);

/* Reads an image of run_record_image; `name` stands in messages. */
bool run_record_read_image(struct run_record *r, struct arena *a, struct io_piece image, const char *name,
                           struct err *e);

/* Only the status of a run file: cheap, for `status` and for skipping what is finished. */
bool run_record_read_status(const char *path, enum run_status *status, struct err *e);

/* The runs of a folder of results, ordered by file name. */
struct run_list {
    struct run_record *run; /* [n] */
    const char **path;      /* [n] */
    size_t n;
    size_t unreadable;      /* files that were warned about and left out */
    size_t older;           /* left out: an older run of the same task, model, method, variant and seed */
};

/* Reads DIR/runs (*.h5). Unreadable files are logged as warnings and counted. ERR_INPUT when DIR/runs cannot be read or
 * holds no run. */
bool results_scan(struct run_list *l, struct arena *a, const char *dir, unsigned what, struct err *e);

#endif
