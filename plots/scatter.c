/*
 * Headline metric against a cost, a panel a task: a point for each method and variant (mean over seeds, error bars of
 * one standard deviation), variants of a method joined by a line where all differ in cost. Against trainable parameters
 * on a log axis, where a method that trains none beside the head is a horizontal line; against peak memory with the
 * Pareto front.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/kinds.h"
#include "results/stats.h"

#define CROSS "pt 2 ps 2 lc rgb '#000000'"

struct point {
    const struct run_record *of; /* its method and variant */
    double x, y, std;
    size_t collapsed;
};

/* What the two pictures differ in. */
struct scatter {
    const char *kind, *xlabel;
    double (*cost)(const struct run_record *r);
    bool log, pareto;
};

static const int point_keys[] = {TABLE_TASK, TABLE_METHOD, TABLE_VARIANT, -1};
static const int task_keys[] = {TABLE_TASK, -1};
static const int method_keys[] = {GROUP_FAMILY, -1};

static double cost_params(const struct run_record *r) { return r->trainable < 0 ? NAN : (double)r->trainable; }

static double cost_memory(const struct run_record *r)
{
    return r->memory.peak_live ? (double)r->memory.peak_live / 1048576 : NAN;
}

/* ---- points ---- */

static bool make_point(struct plot_job *job, const struct scatter *s, const struct run_record *of, struct point *p,
                       struct err *e)
{
    size_t n = 0;
    double *x = ARENA_NEW(job->a, MEM_DATA, double, 2 * job->runs->n, e), *y = x ? x + job->runs->n : NULL;
    TRY(x);
    *p = (struct point){.of = of};
    for (size_t i = 0; i < job->runs->n; i++) {
        const struct run_record *r = &job->runs->run[i];
        if (!group_match(point_keys, of, r) || !run_measured(r) || !r->metrics)
            continue;
        p->collapsed += r->status == RUN_COLLAPSED;
        x[n] = s->cost(r);
        y[n++] = 100 * run_record_best(r, r->metric[0]);
    }
    struct summary sy = summarize(y, n);
    p->x = summarize(x, n).mean;
    p->y = sy.mean;
    p->std = isnan(sy.std) ? 0 : sy.std;
    return true;
}

static int by_cost(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->x != y->x ? (x->x > y->x) - (x->x < y->x) : (x->y < y->y) - (x->y > y->y);
}

/* The points of a task, cheapest first; of equal cost the better first. */
static bool task_points(struct plot_job *job, const struct scatter *s, const struct run_record *task,
                        struct point **points, size_t *n, struct err *e)
{
    struct run_pick all;
    *n = 0;
    TRY(group_distinct(&all, job->runs, point_keys, job->a, e));
    TRY(*points = ARENA_NEW(job->a, MEM_DATA, struct point, all.n, e));
    for (size_t i = 0; i < all.n; i++) {
        struct point *p = &(*points)[*n];
        if (!group_same(TABLE_TASK, task, all.run[i]))
            continue;
        TRY(make_point(job, s, all.run[i], p, e));
        *n += !isnan(p->x) && !isnan(p->y);
    }
    if (*n)
        qsort(*points, *n, sizeof **points, by_cost);
    return true;
}

/* ---- data ---- */

/* Has a point a place on the axis? Zero has none on a log axis. */
static bool placed(const struct scatter *s, const struct point *p) { return !s->log || p->x > 0; }

/* gnuplot does not count blocks without data, so none is written for nothing. */
static size_t count_points(const struct scatter *s, const struct run_record *method, const struct point *v, size_t n,
                           bool on)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += group_match(method_keys, method, v[i].of) && on == placed(s, &v[i]);
    return count;
}

/* Points of one method that have a place on the axis (`on`), or have none. */
static bool method_block(struct page *p, const struct scatter *s, const struct run_record *method,
                         const struct point *v, size_t n, bool on, int *block, size_t *count, struct err *e)
{
    char *comment = arena_printf(p->job->a, e, "%s%s: %s, mean, standard deviation, variant", method->method,
                                 on ? "" : " (no place on the axis)", s->xlabel);
    *count = count_points(s, method, v, n, on);
    if (!*count)
        return true;
    TRY(comment && page_data(p, comment, block, e));
    for (size_t i = 0; i < n; i++)
        if (group_match(method_keys, method, v[i].of) && on == placed(s, &v[i]))
            TRY(text_add(&p->dat, e, "%.10g %.6g %.6g %s\n", v[i].x, v[i].y, v[i].std,
                         page_quote(p->job->a, v[i].of->variant, e)));
    return true;
}

/* Points that no other point beats in both ways, cheapest first. */
static bool pareto_block(struct page *p, const struct point *v, size_t n, int *block, struct err *e)
{
    double best = -INFINITY;
    TRY(page_data(p, "Pareto front: cost, mean", block, e));
    for (size_t i = 0; i < n; i++)
        if (v[i].y > best) {
            best = v[i].y;
            TRY(text_add(&p->dat, e, "%.10g %.6g\n", v[i].x, v[i].y));
        }
    /* the front goes on to the right at its best height */
    return !n || text_add(&p->dat, e, "%.10g %.6g\n", v[n - 1].x, best);
}

/* ---- drawing ---- */

static bool item(struct page *p, const char **before, int block, const char *how, struct err *e)
{
    TRY(text_add(&p->gp, e, "%s'%s.dat' index %d %s", *before, p->name, block, how));
    *before = ", \\\n     ";
    return true;
}

/* A method's entry in the legend: its variant belongs to it where it is the only one. */
static const char *method_title(const struct plot_job *job, const struct run_record *method, struct err *e)
{
    size_t variants = 0;
    const char *label = family_label(job->a, method, e);
    for (size_t i = 0; i < job->labels.n; i++)
        variants += group_match(method_keys, method, job->labels.run[i]);
    if (variants == 1)
        TRY(page_label(job, method, &label, e));
    return label ? page_quote(job->a, label, e) : NULL;
}

/* A line through variants makes sense when they differ in cost: densities, ranks. */
static bool distinct_costs(const struct scatter *s, const struct run_record *method, const struct point *v, size_t n)
{
    const struct point *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!group_match(method_keys, method, v[i].of) || !placed(s, &v[i]))
            continue;
        if (last && last->x == v[i].x)
            return false;
        last = &v[i];
    }
    return true;
}

static bool draw_method(struct page *p, const struct scatter *s, const struct run_record *method,
                        const struct point *v, size_t n, const char **before, struct err *e)
{
    struct arena *a = p->job->a;
    int style = page_method_style(p->job, method), on, off;
    size_t points, lines;
    const char *title = method_title(p->job, method, e);
    TRY(title && method_block(p, s, method, v, n, true, &on, &points, e));
    TRY(method_block(p, s, method, v, n, false, &off, &lines, e));
    if (points > 1 && distinct_costs(s, method, v, n))
        TRY(item(p, before, on, arena_printf(a, e, "using 1:2 with lines ls %d lw 1 notitle", style), e));
    if (points)
        TRY(item(p, before, on, arena_printf(a, e, "using 1:2:3 with yerrorbars ls %d notitle", style), e));
    if (lines)
        TRY(item(p, before, off, arena_printf(a, e, "using (xlow):2:(xhigh - xlow):(0) with vectors nohead ls %d dt 2 "
                                              "notitle", style), e));
    /* every method is in the legend of every panel, drawn in this one or not */
    TRY(text_add(&p->gp, e, "%skeyentry with %s ls %d %s title %s", *before, points || !lines ? "points" : "lines",
                 style, points || !lines ? "" : "dt 2", title));
    *before = ", \\\n     ";
    return true;
}

/* Drawn first, to lie under the points. */
static bool draw_front(struct page *p, const struct point *v, size_t n, const char **before, struct err *e)
{
    int block;
    if (n == 0)
        return true;
    TRY(pareto_block(p, v, n, &block, e));
    return item(p, before, block, "using 1:2 with steps lc rgb '#808080' lw 1.5 dt 2 title 'Pareto front'", e);
}

/* A cross through every point that has collapsed runs; without a place on the axis, at the line's right end. */
static bool draw_collapsed(struct page *p, const struct point *v, size_t n, const char **before, struct err *e)
{
    int block;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!v[i].collapsed)
            continue;
        if (!count++)
            TRY(page_data(p, "points with collapsed runs: cost, mean", &block, e));
        TRY(text_add(&p->dat, e, "%.10g %.6g\n", v[i].x, v[i].y));
    }
    if (!count)
        return true;
    return item(p, before, block, "using ($1 > 0 ? $1 : xhigh / 1.3):2 with points " CROSS " notitle", e);
}

/* The range is set by hand: whole decades around the points on a log axis, 8 % of room else. */
static bool set_range(struct page *p, const struct scatter *s, const struct point *v, size_t n, struct err *e)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!placed(s, &v[i]))
            continue;
        low = v[i].x < low ? v[i].x : low;
        high = v[i].x > high ? v[i].x : high;
    }
    if (low > high)
        low = s->log ? 1e3 : 1, high = s->log ? 1e6 : 10;
    double room = high > low ? .08 * (high - low) : .1 * high;
    low = s->log ? pow(10, floor(log10(low / 1.3))) : low - room;
    high = s->log ? pow(10, ceil(log10(high * 1.3))) : high + room;
    return text_add(&p->gp, e, "xlow = %.10g; xhigh = %.10g\nset xrange [xlow:xhigh]\n", low, high);
}

/* The legend stands in one panel and speaks for all. */
static bool any_collapsed(const struct run_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->run[i].status == RUN_COLLAPSED)
            return true;
    return false;
}

static bool draw_panel(struct page *p, const struct scatter *s, const struct run_record *task, struct err *e)
{
    struct point *v;
    size_t n;
    const char *before = "plot ", *metric = "";
    TRY(task_points(p->job, s, task, &v, &n, e));
    if (n)
        metric = v[0].of->metrics ? v[0].of->metric[0] : "";
    for (size_t i = 0; i < p->job->runs->n && !*metric; i++)
        if (group_same(TABLE_TASK, task, &p->job->runs->run[i]) && p->job->runs->run[i].metrics)
            metric = p->job->runs->run[i].metric[0];
    char *ylabel = arena_printf(p->job->a, e, "%s ×100", metric_title(metric));
    TRY(ylabel && page_panel(p, task_title(task->task), s->xlabel, ylabel, e) && set_range(p, s, v, n, e));
    TRY(!s->pareto || draw_front(p, v, n, &before, e));
    for (size_t i = 0; i < p->job->methods.n; i++)
        TRY(draw_method(p, s, p->job->methods.run[i], v, n, &before, e));
    TRY(draw_collapsed(p, v, n, &before, e));
    if (any_collapsed(p->job->runs))
        TRY(text_add(&p->gp, e, "%skeyentry with points " CROSS " title 'has collapsed runs'", before));
    return text_add(&p->gp, e, "\n");
}

/* Tasks that have a point to show. */
static bool pick_tasks(struct plot_job *job, const struct scatter *s, struct run_pick *tasks, struct err *e)
{
    size_t kept = 0;
    TRY(group_distinct(tasks, job->runs, task_keys, job->a, e));
    for (size_t i = 0; i < tasks->n; i++) {
        struct point *v;
        size_t n;
        TRY(task_points(job, s, tasks->run[i], &v, &n, e));
        if (n)
            tasks->run[kept++] = tasks->run[i];
    }
    tasks->n = kept;
    return true;
}

static bool draw(struct plot_job *job, const struct scatter *s, struct err *e)
{
    struct run_pick tasks;
    struct page p;
    TRY(pick_tasks(job, s, &tasks, e));
    if (!tasks.n)
        return true;
    size_t longest = page_longest_label(job, e);
    char *name = page_name(job, s->kind, "", e);
    char *heading = page_heading(job, "", "mean ± standard deviation", e);
    TRY(name && heading && page_open(&p, job, name, heading, (int)tasks.n, longest < 18 ? 18 : longest, e));
    TRY(text_add(&p.gp, e, "set offsets graph 0, graph 0, graph 0.06, graph 0.06\n"));
    if (s->log)
        TRY(text_add(&p.gp, e, "set logscale x\nset format x '%%.0s%%c'\n"));
    for (size_t i = 0; i < tasks.n; i++)
        TRY(draw_panel(&p, s, tasks.run[i], e));
    return page_close(&p, e);
}

bool plot_params(struct plot_job *job, struct err *e)
{
    static const struct scatter s = {"params", "trainable parameters without the head", cost_params, true, false};
    return draw(job, &s, e);
}

bool plot_memory(struct plot_job *job, struct err *e)
{
    static const struct scatter s = {"memory", "peak live memory, MiB", cost_memory, false, true};
    return draw(job, &s, e);
}
