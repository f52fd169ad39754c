/*
 * Pictures of a folder of results, drawn by gnuplot (5.4 or later, on PATH). Each picture NAME leaves NAME.gp and
 * NAME.dat beside NAME.png (svg, pdf) in DIR/plots, so that anybody can restyle it with `gnuplot NAME.gp` there.
 */
#ifndef PLOTS_PLOT_H
#define PLOTS_PLOT_H

#include "results/run_record.h"

enum plot_format { PLOT_PNG, PLOT_SVG, PLOT_PDF };
extern const char *const plot_format_words[]; /* NULL-terminated, in the order of the enum */

struct plot_job;

/* A kind of picture. `draw` makes none, one or several (one a task) from the runs of a job. */
struct plot_kind {
    const char *name, *title;
    bool (*draw)(struct plot_job *job, struct err *e);
    bool of_bench; /* from DIR/bench, what `peftlab bench` left there; else from DIR/runs */
};

/* All kinds, ended by a row whose name is NULL. */
extern const struct plot_kind plot_kinds[];

/* Paths of the pictures that were made. */
struct plot_made {
    const char **path;
    size_t n, cap;
};

/* Draws the named kinds (NULL-terminated list; NULL or empty: all) from DIR/runs and DIR/bench into DIR/plots. A kind
 * for which these hold nothing makes no picture and says so in the log. ERR_INPUT for an unknown kind or no runs (or
 * benchmarks), ERR_ENV when gnuplot is missing or fails. */
bool plot_all(struct plot_made *made, struct arena *a, const char *dir, const char *const *kinds,
              enum plot_format format, struct err *e);

#endif
