/*
 * Training curves, a picture a task: loss over steps on the left, headline metric over steps on the right. Lines are
 * means over seeds, bands reach from the least to the largest seed. Losses of single steps are noisy, so they are
 * averaged over at most 60 stretches of the run first.
 */
#include <math.h>
#include <string.h>

#include "plots/kinds.h"
#include "results/stats.h"

enum { STRETCHES = 60, BANDS = 5 }; /* more bands of noisy losses than that hide each other */

static const int label_keys[] = {TABLE_TASK, TABLE_METHOD, TABLE_VARIANT, -1};

/* Mean of a column's finite values over the rows [from, to), NaN when there is none: a run that diverged leaves the
 * picture when it does. */
static double mean_of(const struct series *s, const char *name, size_t from, size_t to)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        double v = series_get(s, name, i);
        if (isfinite(v)) {
            sum += v;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

/* Does any seed have a number to draw? */
static bool has_values(const struct run_list *l, const struct run_record *of, bool eval, const char *column)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct series *s = eval ? &l->run[i].eval : &l->run[i].train;
        for (size_t row = 0; group_match(label_keys, of, &l->run[i]) && row < s->rows; row++)
            if (isfinite(series_get(s, column, row)))
                return true;
    }
    return false;
}

static size_t most_rows(const struct run_list *l, const struct run_record *of, bool eval)
{
    size_t most = 0;
    for (size_t i = 0; i < l->n; i++) {
        size_t rows = eval ? l->run[i].eval.rows : l->run[i].train.rows;
        if (group_match(label_keys, of, &l->run[i]) && rows > most)
            most = rows;
    }
    return most;
}

/* One line of a block: x, mean, least, most over the seeds whose series has these rows. */
static bool data_row(struct page *p, const struct run_record *of, bool eval, const char *column, double scale,
                     size_t from, size_t to, struct err *e)
{
    const struct run_list *l = p->job->runs;
    double *v = ARENA_NEW(p->job->a, MEM_DATA, double, l->n, e), x = NAN;
    size_t n = 0;
    TRY(v);
    for (size_t i = 0; i < l->n; i++) {
        const struct run_record *r = &l->run[i];
        const struct series *s = eval ? &r->eval : &r->train;
        if (!group_match(label_keys, of, r) || s->rows < to)
            continue;
        x = series_get(s, "step", to - 1);
        v[n++] = scale * mean_of(s, column, from, to);
    }
    struct summary s = summarize(v, n);
    return isnan(s.mean) || text_add(&p->dat, e, "%.10g %.6g %.6g %.6g\n", x, s.mean, s.min, s.max);
}

static bool data_block(struct page *p, const struct run_record *of, bool eval, const char *column, double scale,
                       int *block, struct err *e)
{
    size_t rows = most_rows(p->job->runs, of, eval), parts = eval || rows < STRETCHES ? rows : STRETCHES;
    const char *label;
    TRY(page_label(p->job, of, &label, e));
    char *comment = arena_printf(p->job->a, e, "%s: step, mean, least and most over seeds of %s", label, column);
    TRY(comment && page_data(p, comment, block, e));
    for (size_t i = 0; i < parts; i++)
        TRY(data_row(p, of, eval, column, scale, rows * i / parts, rows * (i + 1) / parts, e));
    return true;
}

static size_t seeds_of(const struct plot_job *job, const struct run_record *of)
{
    size_t n = 0;
    for (size_t i = 0; i < job->runs->n; i++)
        n += group_match(label_keys, of, &job->runs->run[i]);
    return n;
}

/* Bands first, lines above them; one legend entry a method, drawn by the line. */
static bool draw_panel(struct page *p, const struct run_pick *picks, bool eval, const char *metric, struct err *e)
{
    const char *before = "plot ";
    int first = p->block, block;
    for (size_t i = 0; i < picks->n; i++)
        TRY(data_block(p, picks->run[i], eval, eval ? metric : "loss", eval ? 100 : 1, &block, e));
    for (size_t i = 0; i < picks->n; i++) {
        if (seeds_of(p->job, picks->run[i]) < 2 || (!eval && picks->n > BANDS))
            continue;
        TRY(text_add(&p->gp, e, "%s'%s.dat' index %d using 1:3:4 with filledcurves ls %d notitle", before, p->name,
                     first + (int)i, page_label_style(p->job, picks->run[i])));
        before = ", \\\n     ";
    }
    for (size_t i = 0; i < picks->n; i++) {
        const char *label;
        TRY(page_label(p->job, picks->run[i], &label, e));
        TRY(label = page_quote(p->job->a, label, e));
        TRY(text_add(&p->gp, e, "%s'%s.dat' index %d using 1:2 with %s ls %d title %s", before, p->name, first + (int)i,
                     eval ? "linespoints" : "lines", page_label_style(p->job, picks->run[i]), label));
        before = ", \\\n     ";
    }
    return text_add(&p->gp, e, "\n");
}

/* Methods of a task that have curves, in legend order. */
static bool pick_methods(struct plot_job *job, const struct run_record *task, struct run_pick *out, const char **metric,
                         struct err *e)
{
    struct run_pick all;
    *metric = "";
    for (size_t i = 0; i < job->runs->n; i++)
        if (group_same(TABLE_TASK, &job->runs->run[i], task) && job->runs->run[i].metrics)
            *metric = job->runs->run[i].metric[0];
    TRY(group_distinct(&all, job->runs, label_keys, job->a, e));
    *out = (struct run_pick){.run = all.run};
    for (size_t i = 0; i < all.n; i++) {
        const struct run_record *r = all.run[i];
        if (group_same(TABLE_TASK, r, task) && has_values(job->runs, r, false, "loss") &&
            has_values(job->runs, r, true, *metric))
            out->run[out->n++] = r;
    }
    return true;
}

static bool draw_task(struct plot_job *job, const struct run_record *task, struct err *e)
{
    struct run_pick picks;
    struct page p;
    const char *metric;
    TRY(pick_methods(job, task, &picks, &metric, e));
    if (!picks.n)
        return true;
    char *name = page_name(job, "curves", task->task, e);
    char *before = arena_printf(job->a, e, "%s, ", task_title(task->task));
    char *heading = before ? page_heading(job, before, "mean and range", e) : NULL;
    char *ylabel = arena_printf(job->a, e, "%s ×100", metric_title(metric));
    size_t longest = page_longest_label(job, e);
    TRY(name && heading && ylabel && longest && page_open(&p, job, name, heading, 2, longest, e));
    TRY(page_panel(&p, "training", "optimizer step", "loss", e) && draw_panel(&p, &picks, false, metric, e));
    TRY(page_panel(&p, "development set", "optimizer step", ylabel, e) && draw_panel(&p, &picks, true, metric, e));
    return page_close(&p, e);
}

bool plot_curves(struct plot_job *job, struct err *e)
{
    static const int keys[] = {TABLE_TASK, -1};
    struct run_pick tasks;
    TRY(group_distinct(&tasks, job->runs, keys, job->a, e));
    for (size_t i = 0; i < tasks.n; i++)
        TRY(draw_task(job, tasks.run[i], e));
    return true;
}
