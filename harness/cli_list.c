/* list: the words that specs may use, straight from the tables. */
#include "harness/cli_impl.h"
#include "harness/measure/measure.h"
#include "methods/method.h"
#include "models/model.h"
#include "plots/plot.h"
#include "tasks/metrics.h"
#include "tasks/task.h"

static bool add(struct cli_table *t, const char *name, const char *title, struct err *e)
{
    return cli_cell(t, e, "%s", name) && cli_cell(t, e, "%s", title);
}

static bool list_methods(struct cli_table *t, struct err *e)
{
    for (const struct method *const *m = method_table; *m; m++)
        TRY(add(t, (*m)->name, (*m)->title, e));
    return true;
}

static bool add_model(struct cli_table *t, const char *zoo_name, struct err *e)
{
    struct model_source source;
    struct model_config c;
    struct model m;
    char name[128];
    size_t n = 0;
    snprintf(name, sizeof name, "zoo:%s", zoo_name);
    TRY(model_source_open(&source, name, NULL, t->arena, e) && model_config_read(&c, &source, t->arena, e) &&
        model_build(&m, &c, t->arena, e));
    for (size_t i = 0; i < m.params.n; i++)
        n += m.params.item[i]->head ? 0 : param_size(m.params.item[i]);
    return cli_cell(t, e, "%s", name) &&
           cli_cell(t, e, "%s: %d layers of %d; %.1f M parameters without the head", zoo_name, c.num_hidden_layers,
                    c.hidden_size, (double)n / 1e6);
}

static bool list_models(struct cli_table *t, struct err *e)
{
    const char **name = model_zoo_names(t->arena, e);
    TRY(name);
    for (; *name; name++)
        TRY(add_model(t, *name, e));
    return true;
}

static bool list_tasks(struct cli_table *t, struct err *e)
{
    const char **name = task_names(t->arena, e);
    TRY(name);
    for (; *name; name++) {
        const struct task *task = task_open(*name, NULL, NULL, t->arena, e);
        TRY(task && add(t, task->name, task->title, e));
    }
    return true;
}

static bool list_metrics(struct cli_table *t, struct err *e)
{
    for (const struct metric *m = metric_table; m->name; m++)
        TRY(add(t, m->name, m->title, e));
    return true;
}

static bool list_measures(struct cli_table *t, struct err *e)
{
    for (const struct measure *const *m = measure_table; *m; m++)
        TRY(add(t, (*m)->name, (*m)->title, e));
    return true;
}

static bool list_plots(struct cli_table *t, struct err *e)
{
    for (const struct plot_kind *k = plot_kinds; k->name; k++)
        TRY(add(t, k->name, k->title, e));
    return true;
}

const char *const cli_list_words[] = {"methods", "models", "tasks", "metrics", "measures", "plots", NULL};
static bool (*const lists[])(struct cli_table *t, struct err *e) = {list_methods, list_models,   list_tasks,
                                                                   list_metrics, list_measures, list_plots};

bool cli_list(struct cli_call *c, struct err *e)
{
    bool csv;
    int kind = 0;
    struct cli_table t = {.arena = c->arena, .columns = 2};
    TRY(cli_csv(c, &csv, e) && cli_choice("what to list", c->arg[0], cli_list_words, &kind, e));
    return add(&t, "name", "title", e) && lists[kind](&t, e) && cli_print_table(c, &t, csv, e);
}
