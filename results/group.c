/* Names and order of runs: see group.h. */
#include "results/group.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Published order of columns (Hu et al. 2021, table 2), then the tasks usually left out, then this project's own. */
static const char *const tasks[][2] = {
    {"mnli", "MNLI"},
    {"sst2", "SST-2"},
    {"mrpc", "MRPC"},
    {"cola", "CoLA"},
    {"qnli", "QNLI"},
    {"qqp", "QQP"},
    {"rte", "RTE"},
    {"stsb", "STS-B"},
    {"wnli", "WNLI"},
    {"ax", "AX"},
    {"synth_acceptability", "syn-accept"},
    {"synth_sentiment", "syn-sentiment"},
    {"synth_paraphrase", "syn-paraphrase"},
    {"synth_similarity", "syn-similarity"},
    {"synth_entailment", "syn-entail"},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

static const char *const metrics[][2] = {
    {"accuracy", "accuracy"},
    {"accuracy_mm", "accuracy (mm)"},
    {"f1", "F1"},
    {"matthews_correlation", "Matthews correlation"},
    {"pearson", "Pearson correlation"},
    {"spearmanr", "Spearman correlation"},
};

static size_t task_rank(const char *task)
{
    size_t i = 0;
    while (i < TASKS && strcmp(tasks[i][0], task) != 0)
        i++;
    return i;
}

const char *task_title(const char *task)
{
    size_t i = task_rank(task);
    return i < TASKS ? tasks[i][1] : task;
}

const char *metric_title(const char *metric)
{
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (strcmp(metrics[i][0], metric) == 0)
            return metrics[i][1];
    return metric;
}

char *method_label(struct arena *a, const struct run_record *r, struct err *e)
{
    if (strcmp(r->variant, "default") == 0 || !*r->variant)
        return arena_strdup(a, r->method, e);
    return arena_printf(a, e, "%s %s", r->method, r->variant);
}

/* The next part of a variant, `option=value`, whose value is a word: *s moves behind it. 0: there is none. */
static size_t word_part(const char **s, const char **part)
{
    while (**s) {
        char value[64];
        const char *at = *s;
        size_t n = strcspn(at, "+"), name = strcspn(at, "=");
        double number;
        *s = at + n + (at[n] == '+');
        snprintf(value, sizeof value, "%.*s", (int)(name < n ? n - name - 1 : 0), at + name + (name < n));
        if (!text_to_double(value, &number) && name < n) { /* `default` has no value */
            *part = at;
            return n;
        }
    }
    return 0;
}

static bool same_family(const struct run_record *a, const struct run_record *b)
{
    const char *x = a->variant, *y = b->variant, *p = "", *q = "";
    size_t n = 1, m = 1;
    while (n == m && n > 0 && strncmp(p, q, n) == 0) {
        n = word_part(&x, &p);
        m = word_part(&y, &q);
    }
    return n == m && n == 0 && strcmp(a->method, b->method) == 0;
}

char *family_label(struct arena *a, const struct run_record *r, struct err *e)
{
    struct text t = {.arena = a};
    const char *s = r->variant, *part, *before = " ";
    size_t n;
    TRY(text_add(&t, e, "%s", r->method));
    while ((n = word_part(&s, &part)) > 0) {
        TRY(text_add(&t, e, "%s", before) && text_add_bytes(&t, part, n, e));
        before = "+";
    }
    return t.s;
}

bool group_same(enum table_key key, const struct run_record *a, const struct run_record *b)
{
    if ((int)key == GROUP_FAMILY)
        return same_family(a, b);
    switch (key) {
    case TABLE_METHOD: return strcmp(a->method, b->method) == 0;
    case TABLE_TASK: return strcmp(a->task, b->task) == 0;
    case TABLE_MODEL: return strcmp(a->model, b->model) == 0;
    case TABLE_VARIANT: return strcmp(a->variant, b->variant) == 0;
    default: return a->seed == b->seed;
    }
}

static long long spec_order(const struct run_record *r)
{
    const struct value *v = values_find(&r->meta, "order");
    return v && v->type == VALUE_INT ? v->i : -1;
}

static int compare_numbers(long long a, long long b) { return (a > b) - (a < b); }

static int compare_methods(const struct run_record *a, const struct run_record *b)
{
    int by_order = compare_numbers(spec_order(a), spec_order(b));
    int by_size = compare_numbers(b->trainable, a->trainable);
    return by_order ? by_order : by_size ? by_size : strcmp(a->method, b->method);
}

int group_compare(enum table_key key, const struct run_record *a, const struct run_record *b)
{
    if (group_same(key, a, b))
        return 0;
    if ((int)key == GROUP_FAMILY)
        return compare_methods(a, b) ? compare_methods(a, b) : strcmp(a->variant, b->variant);
    switch (key) {
    case TABLE_METHOD: return compare_methods(a, b);
    case TABLE_TASK: {
        int by_rank = compare_numbers((long long)task_rank(a->task), (long long)task_rank(b->task));
        return by_rank ? by_rank : strcmp(a->task, b->task);
    }
    case TABLE_MODEL: return strcmp(a->model, b->model);
    case TABLE_VARIANT: return compare_methods(a, b) ? compare_methods(a, b) : strcmp(a->variant, b->variant);
    default: return compare_numbers(a->seed, b->seed);
    }
}

bool group_match(const int *keys, const struct run_record *a, const struct run_record *b)
{
    for (; *keys >= 0; keys++)
        if (!group_same((enum table_key)*keys, a, b))
            return false;
    return true;
}

static int compare_all(const int *keys, const struct run_record *a, const struct run_record *b)
{
    int c = 0;
    for (; *keys >= 0 && c == 0; keys++)
        c = group_compare((enum table_key)*keys, a, b);
    return c;
}

/* Insertion, since lists are short and the first run of equal ones shall stay. */
bool group_distinct(struct run_pick *p, const struct run_list *l, const int *keys, struct arena *a, struct err *e)
{
    TRY(p->run = ARENA_NEW(a, MEM_DATA, const struct run_record *, l->n, e));
    p->n = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct run_record *r = &l->run[i];
        size_t at = 0;
        while (at < p->n && !group_match(keys, p->run[at], r))
            at++;
        if (at < p->n)
            continue;
        for (at = p->n; at > 0 && compare_all(keys, p->run[at - 1], r) > 0; at--)
            p->run[at] = p->run[at - 1];
        p->run[at] = r;
        p->n++;
    }
    return true;
}

bool run_measured(const struct run_record *r) { return r->status == RUN_FINISHED || r->status == RUN_COLLAPSED; }

static double column_sum(const struct run_record *r, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < r->train.rows; i++)
        sum += series_get(&r->train, name, i);
    return r->train.rows ? sum : NAN;
}

double run_step_seconds(const struct run_record *r)
{
    return column_sum(r, "seconds") / (double)r->train.rows;
}

double run_tokens_per_second(const struct run_record *r)
{
    double seconds = column_sum(r, "seconds");
    return seconds > 0 ? column_sum(r, "tokens") / seconds : NAN;
}
