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

static bool draw(struct plot_job *job, const char *const *kinds, struct err *e)
{
    static const int labels[] = {TABLE_METHOD, TABLE_VARIANT, -1}, methods[] = {GROUP_FAMILY, -1};
    TRY(group_distinct(&job->labels, job->runs, labels, job->a, e));
    TRY(group_distinct(&job->methods, job->runs, methods, job->a, e));
    for (const struct plot_kind *k = plot_kinds; k->name; k++) {
        size_t before = job->made->n;
        if (!wanted(kinds, k->name))
            continue;
        TRY(k->draw(job, e));
        if (job->made->n == before)
            log_info("plot %s: the runs%s%s hold nothing to draw", k->name, *job->model ? " of " : "", job->model);
    }
    return true;
}

bool plot_all(struct plot_made *made, struct arena *a, const char *dir, const char *const *kinds,
              enum plot_format format, struct err *e)
{
    static const int model[] = {TABLE_MODEL, -1};
    struct run_list all, some;
    struct run_pick models;
    struct plot_job job = {.a = a, .runs = &some, .format = format, .made = made};
    *made = (struct plot_made){0};
    TRY(check_kinds(kinds, e));
    TRY(results_scan(&all, a, dir, wanted(kinds, "gradients") ? RUN_READ_GRADIENTS : 0, e));
    TRY((job.folder = text_path(a, dir, "plots", e)) && io_mkdirs(job.folder, e));
    TRY(group_distinct(&models, &all, model, a, e));
    for (size_t i = 0; i < models.n; i++) {
        TRY(runs_of(&some, &all, models.run[i], a, e));
        job.model = models.n > 1 ? models.run[i]->model : "";
        TRY(draw(&job, kinds, e));
    }
    return true;
}
