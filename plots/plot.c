/* The table of kinds, and drawing what was asked for, model by model. See plot.h. */
#include "plots/plot.h"

#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "plots/kinds.h"

const char *const plot_format_words[] = {"png", "svg", "pdf", NULL};

const struct plot_kind plot_kinds[] = {
    {"curves", "training loss and headline metric over steps, a picture a task", plot_curves},
    {"params", "headline metric against trainable parameters", plot_params},
    {"memory", "headline metric against peak memory, with the Pareto front", plot_memory},
    {"gradients", "histogram of log10|g| and share of the norm held by the largest entries", plot_gradients},
    {"roofline", "rate against arithmetic intensity of a layer's operations and of each method's step (peftlab bench)",
     plot_roofline, .of_bench = true},
    {NULL, NULL, NULL},
};

static bool check_kinds(const char *const *kinds, struct err *e)
{
    const char *names[sizeof plot_kinds / sizeof *plot_kinds];
    char hint[128];
    size_t n = 0;
    for (const struct plot_kind *k = plot_kinds; k->name; k++)
        names[n++] = k->name;
    names[n] = NULL;
    for (; kinds && *kinds; kinds++) {
        size_t i = 0;
        while (i < n && strcmp(names[i], *kinds) != 0)
            i++;
        if (i == n)
            return err_set(e, ERR_INPUT, "unknown plot `%s`%s", *kinds,
                           text_did_you_mean(*kinds, names, hint, sizeof hint));
    }
    return true;
}

static bool wanted(const char *const *kinds, const char *name)
{
    if (!kinds || !*kinds)
        return true;
    for (; *kinds; kinds++)
        if (strcmp(*kinds, name) == 0)
            return true;
    return false;
}

/* The runs of one model, in a list of their own. */
static bool runs_of(struct run_list *out, const struct run_list *all, const struct run_record *model, struct arena *a,
                    struct err *e)
{
    *out = (struct run_list){0};
    TRY(out->run = ARENA_NEW(a, MEM_DATA, struct run_record, all->n, e));
    for (size_t i = 0; i < all->n; i++)
        if (group_same(TABLE_MODEL, model, &all->run[i]))
            out->run[out->n++] = all->run[i];
    return true;
}

static bool draw_kind(struct plot_job *job, const struct plot_kind *k, const char *what, struct err *e)
{
    size_t before = job->made->n;
    TRY(k->draw(job, e));
    if (job->made->n == before)
        log_info("plot %s: %s%s%s hold nothing to draw", k->name, what, *job->model ? " of " : "", job->model);
    return true;
}

static bool draw(struct plot_job *job, const char *const *kinds, struct err *e)
{
    static const int labels[] = {TABLE_METHOD, TABLE_VARIANT, -1}, methods[] = {GROUP_FAMILY, -1};
    TRY(group_distinct(&job->labels, job->runs, labels, job->a, e));
    TRY(group_distinct(&job->methods, job->runs, methods, job->a, e));
    for (const struct plot_kind *k = plot_kinds; k->name; k++)
        if (!k->of_bench && wanted(kinds, k->name))
            TRY(draw_kind(job, k, "the runs", e));
    return true;
}

/* Is a kind wanted that is drawn from runs, or from benchmarks? Without names it is what the folder holds; a folder
 * with neither lacks its runs. */
static bool wanted_of(const char *dir, const char *const *kinds, bool bench, struct arena *a, struct err *e)
{
    char *runs_at = text_path(a, dir, "runs", e), *bench_at = text_path(a, dir, "bench", e);
    TRY(runs_at && bench_at);
    if (!kinds || !*kinds)
        return bench ? io_is_dir(bench_at) : io_is_dir(runs_at) || !io_is_dir(bench_at);
    for (const struct plot_kind *k = plot_kinds; k->name; k++)
        if (k->of_bench == bench && wanted(kinds, k->name))
            return true;
    return false;
}

static bool draw_runs(struct plot_job *job, const char *dir, const char *const *kinds, struct err *e)
{
    static const int model[] = {TABLE_MODEL, -1};
    struct run_list all, some;
    struct run_pick models;
    TRY(results_scan(&all, job->a, dir, wanted(kinds, "gradients") ? RUN_READ_GRADIENTS : 0, e));
    TRY(io_mkdirs(job->folder, e) && group_distinct(&models, &all, model, job->a, e));
    for (size_t i = 0; i < models.n; i++) {
        TRY(runs_of(&some, &all, models.run[i], job->a, e));
        job->runs = &some;
        job->model = models.n > 1 ? models.run[i]->model : "";
        TRY(draw(job, kinds, e));
    }
    return true;
}

static bool draw_bench(struct plot_job *job, const char *dir, const char *const *kinds, struct err *e)
{
    struct bench_list list;
    TRY(bench_scan(&list, dir, job->a, e));
    if (list.n == 0)
        return err_at(e, ERR_INPUT, dir, 0, 0, "holds no benchmark (`peftlab bench --out %s` makes them)", dir);
    TRY(io_mkdirs(job->folder, e));
    job->bench = &list;
    job->model = "";
    for (const struct plot_kind *k = plot_kinds; k->name; k++)
        if (k->of_bench && wanted(kinds, k->name))
            TRY(draw_kind(job, k, "the benchmarks", e));
    return true;
}

bool plot_all(struct plot_made *made, struct arena *a, const char *dir, const char *const *kinds,
              enum plot_format format, struct err *e)
{
    struct plot_job job = {.a = a, .format = format, .made = made};
    *made = (struct plot_made){0};
    TRY(check_kinds(kinds, e) && (job.folder = text_path(a, dir, "plots", e)));
    TRY(!wanted_of(dir, kinds, false, a, e) || draw_runs(&job, dir, kinds, e));
    return !wanted_of(dir, kinds, true, a, e) || draw_bench(&job, dir, kinds, e);
}
