/*
 * What one case of `peftlab bench` measured, and its way into and out of one HDF5 file. The layout is listed in
 * docs/schema.md.
 */
#ifndef RESULTS_BENCH_RECORD_H
#define RESULTS_BENCH_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "results/series.h"
#include "results/values.h"

#define BENCH_SCHEMA_VERSION 1

/* One operation of a layer by itself, or the whole step: what a roofline shows. */
struct bench_operation {
    const char *name;
    double seconds, flops, bytes; /* of one call; bytes that the mathematics must move */
};

struct bench_record {
    const char *name;             /* of the file, without .h5                                   */
    const char *shape, *method, *lengths; /* lengths: a number of tokens, or a mix              */
    bool eval;
    long long layers, batch, threads;
    struct values meta;           /* program, machine, command line, overrides, the spec's text */
    struct series samples;        /* a row a sample: steps, seconds, tokens, flops, sgemm_gflops and the seconds of
                                   * each phase; all sums over the sample's steps               */
    double flops, bytes, tokens;  /* of a mean step: matrix products; bytes it must move; real tokens */
    double select_seconds, setup_seconds; /* of the method's selection; of everything before it */
    long long trained, total;     /* scalars, the head included                                 */
    size_t at_peak[MEM_TAGS], peak_live; /* bytes while training steps were taken               */
    size_t select_peak;           /* peak while selecting                                       */
    size_t planned[MEM_TAGS], planned_total;
    size_t peak_rss, step_peak_rss; /* of the process; while steps were taken. Without the SGEMM's own buffers */
    struct bench_operation *operation; /* [operations] */
    size_t operations;
    double bandwidth;             /* bytes/s of a triad, 0: not measured                        */
};

/* Numbers of a case as tables show them. Rates are the 90th percentiles over the samples: what is left when other
 * programs' disturbances are cut off, for both sides alike. */
struct bench_summary {
    double tokens_per_second, slowest, fastest; /* median and range over samples */
    double gflops, sgemm_gflops, share;         /* 90th percentiles, and their ratio */
    double step_seconds;                        /* median */
};
struct bench_summary bench_summarize(const struct bench_record *r, struct arena *a, struct err *e);

/* Mean seconds of a step in a column of the samples. */
double bench_phase_seconds(const struct bench_record *r, const char *phase);

bool bench_record_write(const struct bench_record *r, const char *path, struct err *e);
bool bench_record_read(struct bench_record *r, const char *path, struct arena *a, struct err *e);

/* All of DIR/bench, in the order of their names; those that cannot be read are left out with a warning. */
struct bench_list {
    struct bench_record *record; /* [n] */
    size_t n;
};
bool bench_scan(struct bench_list *l, const char *dir, struct arena *a, struct err *e);

#endif
