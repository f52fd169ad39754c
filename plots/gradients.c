/*
 * Gradient sparsity, a picture a task. Left: histogram of log10|g|, pooled over parameters, measured steps and seeds,
 * in per cent of all entries (exact zeros are counted in the legend). Right: share of the norm held by the largest q of
 * each tensor's entries, and (dashed) by the entries that are trained, sqrt(sum norm^2 share^2 / sum norm^2) over the
 * same.
 */
#include <math.h>
#include <string.h>

#include "plots/kinds.h"

static const int label_keys[] = {TABLE_TASK, TABLE_METHOD, TABLE_VARIANT, -1};

struct pooled {
    const struct run_record *of;
    double bin[GRADIENT_BINS], zero, below, above, entries;
    double top[GRADIENT_TOPS], captured; /* sums of norm^2 share^2, then shares */
    double square;                       /* sum of norm^2 over cells that are finite */
};

static void add_cell(struct pooled *p, const struct gradient_cell *c)
{
    double n = (double)c->zero + (double)c->underflow + (double)c->overflow, square = c->norm * c->norm;
    for (int i = 0; i < GRADIENT_BINS; i++) {
        p->bin[i] += c->bin[i];
        n += c->bin[i];
    }
    p->zero += (double)c->zero;
    p->below += (double)c->underflow;
    p->above += (double)c->overflow;
    p->entries += n;
    if (!(square > 0) || !isfinite(square))
        return;
    p->square += square;
    p->captured += square * c->captured * c->captured;
    for (int q = 0; q < GRADIENT_TOPS; q++)
        p->top[q] += square * c->top[q] * c->top[q];
}

static void pool(struct pooled *p, const struct run_list *l, const struct run_record *of)
{
    *p = (struct pooled){.of = of};
    for (size_t i = 0; i < l->n; i++) {
        const struct gradient_log *g = &l->run[i].gradients;
        if (group_match(label_keys, of, &l->run[i]))
            for (size_t c = 0; c < g->steps * g->params; c++)
                add_cell(p, &g->cell[c]);
    }
    p->captured = sqrt(p->captured / p->square);
    for (int q = 0; q < GRADIENT_TOPS; q++)
        p->top[q] = sqrt(p->top[q] / p->square);
}

/* Pairs of bins are drawn as one: 6.25 a decade reads better than 12.5. */
static bool histogram_block(struct page *page, const struct pooled *p, struct err *e)
{
    const char *label;
    int block;
    TRY(page_label(page->job, p->of, &label, e));
    char *comment = arena_printf(page->job->a, e, "%s: log10|g|, per cent of entries; zero %.4g %%, below %.4g %%, "
                                 "above %.4g %%", label, 100 * p->zero / p->entries, 100 * p->below / p->entries,
                                 100 * p->above / p->entries);
    TRY(comment && page_data(page, comment, &block, e));
    for (int i = 0; i < GRADIENT_BINS; i += 2) {
        double share = (p->bin[i] + p->bin[i + 1]) / p->entries;
        TRY(text_add(&page->dat, e, "%.6g %.6g\n", gradient_edge(i + 1), 100 * share));
    }
    return true;
}

static bool share_blocks(struct page *page, const struct pooled *p, struct err *e)
{
    const char *label;
    int block;
    TRY(page_label(page->job, p->of, &label, e));
    char *top = arena_printf(page->job->a, e, "%s: largest entries in per cent, per cent of the norm", label);
    char *captured = arena_printf(page->job->a, e, "%s: per cent of the norm held by trained entries", label);
    TRY(top && captured && page_data(page, top, &block, e));
    for (int q = 0; q < GRADIENT_TOPS; q++)
        TRY(text_add(&page->dat, e, "%.6g %.6g\n", 100 * gradient_top[q], 100 * p->top[q]));
    return page_data(page, captured, &block, e) &&
           text_add(&page->dat, e, "0.07 %.6g\n14 %.6g\n", 100 * p->captured, 100 * p->captured);
}

/* Empty decades at both ends are left out. */
static bool histogram_range(struct page *page, const struct pooled *v, size_t n, struct err *e)
{
    int low = GRADIENT_BINS, high = 0;
    for (size_t k = 0; k < n; k++)
        for (int i = 0; i < GRADIENT_BINS; i++)
            if (v[k].bin[i] > 0) {
                low = i < low ? i : low;
                high = i > high ? i : high;
            }
    if (low > high)
        low = 0, high = GRADIENT_BINS - 1;
    return text_add(&page->gp, e, "set xrange [%g:%g]\nset yrange [0:*]\n", floor(gradient_edge(low)),
                    ceil(gradient_edge(high + 1)));
}

static bool draw_histograms(struct page *page, const struct pooled *v, size_t n, struct err *e)
{
    int first = page->block;
    TRY(page_panel(page, "entries by magnitude", "log10 |g|", "entries, %", e) && histogram_range(page, v, n, e));
    for (size_t i = 0; i < n; i++)
        TRY(histogram_block(page, &v[i], e));
    for (size_t i = 0; i < n; i++)
        TRY(text_add(&page->gp, e, "%s'%s.dat' index %d using 1:2 with lines ls %d notitle",
                     i ? ", \\\n     " : "plot ", page->name, first + (int)i, page_label_style(page->job, v[i].of)));
    return text_add(&page->gp, e, "\n");
}

static bool draw_shares(struct page *page, const struct pooled *v, size_t n, struct err *e)
{
    int first = page->block;
    TRY(page_panel(page, "norm held by the largest entries", "largest entries of each tensor, %",
                   "share of the norm, %", e));
    TRY(text_add(&page->gp, e, "set logscale x\nset xrange [0.07:14]\nset yrange [0:105]\n"
                               "set xtics (0.1, 0.5, 1, 5, 10)\n"));
    for (size_t i = 0; i < n; i++)
        TRY(share_blocks(page, &v[i], e));
    for (size_t i = 0; i < n; i++) {
        const char *label;
        int style = page_label_style(page->job, v[i].of);
        TRY(page_label(page->job, v[i].of, &label, e));
        label = arena_printf(page->job->a, e, "%s (zero %.2g %%)", label, 100 * v[i].zero / v[i].entries);
        TRY(label && (label = page_quote(page->job->a, label, e)));
        TRY(text_add(&page->gp, e, "%s'%s.dat' index %d using 1:2 with linespoints ls %d title %s",
                     i ? ", \\\n     " : "plot ", page->name, first + 2 * (int)i, style, label));
        TRY(text_add(&page->gp, e, ", \\\n     '%s.dat' index %d using 1:2 with lines ls %d lw 1.5 dt 2 notitle",
                     page->name, first + 2 * (int)i + 1, style));
    }
    return text_add(&page->gp, e, ", \\\n     keyentry with lines lc rgb '#606060' lw 1.5 dt 2 title "
                                  "'held by trained entries'\n");
}

static bool draw_task(struct plot_job *job, const struct run_record *task, struct err *e)
{
    struct run_pick all;
    struct page page;
    size_t n = 0;
    TRY(group_distinct(&all, job->runs, label_keys, job->a, e));
    struct pooled *v = ARENA_NEW(job->a, MEM_DATA, struct pooled, all.n, e);
    TRY(v);
    for (size_t i = 0; i < all.n; i++) {
        if (!group_same(TABLE_TASK, task, all.run[i]))
            continue;
        pool(&v[n], job->runs, all.run[i]);
        n += v[n].entries > 0 && v[n].square > 0;
    }
    if (!n)
        return true;
    char *name = page_name(job, "gradients", task->task, e);
    char *before = arena_printf(job->a, e, "gradients, %s, ", task_title(task->task));
    char *heading = before ? page_heading(job, before, "pooled", e) : NULL;
    size_t longest = page_longest_label(job, e) + 12;
    TRY(name && heading && page_open(&page, job, name, heading, 2, longest < 23 ? 23 : longest, e));
    return draw_histograms(&page, v, n, e) && draw_shares(&page, v, n, e) && page_close(&page, e);
}

bool plot_gradients(struct plot_job *job, struct err *e)
{
    static const int keys[] = {TABLE_TASK, -1};
    struct run_pick tasks;
    TRY(group_distinct(&tasks, job->runs, keys, job->a, e));
    for (size_t i = 0; i < tasks.n; i++)
        TRY(draw_task(job, tasks.run[i], e));
    return true;
}
