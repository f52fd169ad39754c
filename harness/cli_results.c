/* table, plot: what a folder of results shows. */
#include "harness/cli_impl.h"
#include "plots/plot.h"
#include "results/table.h"

static bool choose(struct cli_call *c, const char *option, const char *const *words, int *index, struct err *e)
{
    char what[32];
    snprintf(what, sizeof what, "--%s", option);
    return cli_choice(what, cli_given(c, option), words, index, e);
}

bool cli_results_table(struct cli_call *c, struct err *e)
{
    int format = TABLE_MD, select = TABLE_BEST, aggregate = TABLE_MEAN, rows = TABLE_METHOD, columns = TABLE_TASK;
    struct run_list runs;
    struct text out = {.arena = c->arena};
    TRY(choose(c, "format", table_format_words, &format, e) && choose(c, "select", table_select_words, &select, e) &&
        choose(c, "aggregate", table_aggregate_words, &aggregate, e) && choose(c, "rows", table_key_words, &rows, e) &&
        choose(c, "columns", table_key_words, &columns, e));
    const struct table_options o = {.format = (enum table_format)format,
                                    .select = (enum table_select)select,
                                    .aggregate = (enum table_aggregate)aggregate,
                                    .rows = (enum table_key)rows,
                                    .columns = (enum table_key)columns};
    return results_scan(&runs, c->arena, c->arg[0], 0, e) && table_write(&out, &runs, &o, e) && cli_print(c, out.s, e);
}

bool cli_plot(struct cli_call *c, struct err *e)
{
    int format = PLOT_PNG;
    struct plot_made made = {0};
    TRY(choose(c, "format", plot_format_words, &format, e));
    TRY(plot_all(&made, c->arena, c->arg[0], c->arg + 1, (enum plot_format)format, e));
    for (size_t i = 0; i < made.n; i++)
        TRY(cli_print(c, made.path[i], e) && cli_print(c, "\n", e));
    return true;
}
