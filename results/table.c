/* The comparison table: words of its options, and csv with every metric in fixed columns. See table.h. */
#include "results/table.h"

#include <math.h>
#include <string.h>

#include "results/table_grid.h"

const char *const table_format_words[] = {"md", "csv", "latex", NULL};
const char *const table_select_words[] = {"best", "last", NULL};
const char *const table_aggregate_words[] = {"mean", "median", NULL};
const char *const table_key_words[] = {"method", "task", "model", "variant", "seed", NULL};

static const int csv_keys[] = {TABLE_TASK, TABLE_MODEL, TABLE_METHOD, TABLE_VARIANT, -1};

/* No field holds a comma, quote or line end: they become `_`. */
static bool csv_field(struct text *out, const char *s, struct err *e)
{
    for (; *s; s++)
        TRY(text_add(out, e, "%c", strchr(",\"\r\n", *s) ? '_' : *s));
    return text_add(out, e, ",");
}

/* An empty field stands for what was not measured. */
static bool csv_number(struct text *out, double v, struct err *e)
{
    return isnan(v) ? text_add(out, e, ",") : text_add(out, e, "%.17g,", v);
}

static bool csv_row(struct text *out, const struct run_list *l, const struct run_record *of, const char *metric,
                    enum table_select select, struct err *e)
{
    double *v = ARENA_NEW(out->arena, MEM_DATA, double, l->n, e);
    size_t n = 0;
    long long trainable = -1;
    TRY(v);
    for (size_t i = 0; i < l->n; i++) {
        const struct run_record *r = &l->run[i];
        if (!group_match(csv_keys, of, r))
            continue;
        if (run_measured(r))
            v[n++] = select == TABLE_BEST ? run_record_best(r, metric) : run_record_last(r, metric);
        trainable = r->trainable > trainable ? r->trainable : trainable;
    }
    struct summary s = summarize(v, n);
    TRY(csv_field(out, of->task, e) && csv_field(out, of->model, e) && csv_field(out, of->method, e));
    TRY(csv_field(out, of->variant, e) && csv_field(out, metric, e) && text_add(out, e, "%zu,", s.n));
    TRY(csv_number(out, s.mean, e) && csv_number(out, s.std, e) && csv_number(out, s.median, e));
    return trainable < 0 ? text_add(out, e, "\n") : text_add(out, e, "%lld\n", trainable);
}

/* Metrics of a task: those of a run that has some, its own before another's (a failed run has none). */
static const struct run_record *with_metrics(const struct run_list *l, const struct run_record *of)
{
    const struct run_record *found = of;
    for (size_t i = l->n; i-- > 0;)
        if (l->run[i].metrics && group_same(TABLE_TASK, of, &l->run[i]))
            if (!found->metrics || group_match(csv_keys, of, &l->run[i]))
                found = &l->run[i];
    return found;
}

bool table_csv(struct text *out, const struct run_list *l, const struct table_options *o, struct err *e)
{
    struct run_pick groups;
    TRY(text_add(out, e, "task,model,method,variant,metric,n,mean,std,median,trainable\n"));
    TRY(group_distinct(&groups, l, csv_keys, out->arena, e));
    for (size_t i = 0; i < groups.n; i++) {
        const struct run_record *names = with_metrics(l, groups.run[i]);
        for (size_t m = 0; m < names->metrics; m++)
            TRY(csv_row(out, l, groups.run[i], names->metric[m], o->select, e));
        if (!names->metrics)
            TRY(csv_row(out, l, groups.run[i], "", o->select, e));
    }
    return true;
}

bool table_write(struct text *out, const struct run_list *l, const struct table_options *o, struct err *e)
{
    struct table_grid g;
    if (o->format == TABLE_CSV)
        return table_csv(out, l, o, e);
    if (o->rows == o->columns)
        return err_set(e, ERR_INPUT, "rows and columns of the table are both `%s`", table_key_words[o->rows]);
    TRY(table_grid_make(&g, l, o, out->arena, e));
    return o->format == TABLE_MD ? table_md(out, &g, o, e) : table_latex(out, &g, o, e);
}
