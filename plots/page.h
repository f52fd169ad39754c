/*
 * A page: panels in a grid with one legend on the right, and the script and data behind it. Places are computed in
 * pixels here, so nothing overlaps whatever gnuplot thinks of its own margins. Names are shown as they are
 * (`noenhanced`: `_` is no subscript). Colours are Okabe and Ito's, distinguishable by the colour-blind.
 */
#ifndef PLOTS_PAGE_H
#define PLOTS_PAGE_H

#include "base/text.h"
#include "plots/plot.h"
#include "results/bench_record.h"
#include "results/group.h"

struct plot_job {
    struct arena *a;
    const struct run_list *runs; /* of one model                                              */
    const struct bench_list *bench; /* benchmarks, for kinds that draw these                  */
    const char *model;           /* for file names: empty when there is one model only        */
    const char *folder;          /* DIR/plots                                                 */
    enum plot_format format;
    struct plot_made *made;
    struct run_pick labels;      /* methods with variants, whose place is the number of their style */
    struct run_pick methods;     /* families (GROUP_FAMILY), likewise                         */
};

struct page {
    struct plot_job *job;
    const char *name;      /* stem of the files               */
    struct text gp, dat;
    int panels, columns;   /* of panels                       */
    int legend;            /* width in pixels                 */
    int height;            /* of a panel's axes: as the legend needs */
    int block;             /* data blocks written so far      */
    int panel;             /* panels opened so far            */
};

/* Starts a page of `panels` panels with a heading; `longest` is the length of the longest word of the legend. */
bool page_open(struct page *p, struct plot_job *job, const char *name, const char *heading, int panels, size_t longest,
               struct err *e);

/* Starts the next panel. The last one draws the legend, which therefore must name everything. */
bool page_panel(struct page *p, const char *title, const char *xlabel, const char *ylabel, struct err *e);

/* Starts the next block of data; what follows goes to p->dat. Its number is returned through *block. */
bool page_data(struct page *p, const char *comment, int *block, struct err *e);

/* Writes script and data, draws, and lists the picture. */
bool page_close(struct page *p, struct err *e);

/* `kind`, `kind-model`, `kind-task`, `kind-model-task` in characters that are safe in file names. */
char *page_name(struct plot_job *job, const char *kind, const char *task, struct err *e);

/* A string in gnuplot's single quotes. */
const char *page_quote(struct arena *a, const char *s, struct err *e);

/* Number of the style of a run by label or by method: `ls N` in the script. */
int page_label_style(const struct plot_job *job, const struct run_record *r);
int page_method_style(const struct plot_job *job, const struct run_record *r);

/* `model (what over seeds)`; the model alone when no method ran more than once on a task. Paths lose their folders. */
char *page_heading(const struct plot_job *job, const char *before, const char *what, struct err *e);

/* Legend words. */
bool page_label(const struct plot_job *job, const struct run_record *r, const char **label, struct err *e);
size_t page_longest_label(const struct plot_job *job, struct err *e);

#endif
