/*
 * From the YAML of a task file to `struct task`. Plain values are bound by an option table; files, columns, rows and
 * range are small maps of their own; what does not fit together is an error at its key.
 */
#include "tasks/parse.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/opt.h"
#include "base/text.h"
#include "tasks/synth.h"

/* Plain values as they stand in the file. */
struct raw {
    long long version, seed;
    int kind;
    bool header, skip_malformed;
    const char *title, *source, *citation, *folder, *train_from, *synthetic, *headline;
    struct opt_strings labels, metrics;
};

#define AT(member) offsetof(struct raw, member)
static const struct opt options[] = {
    {.name = "version", .type = OPT_INT, .offset = AT(version), .min = 1, .max = 1000000,
     .help = "raised whenever scores could change"},
    {.name = "title", .type = OPT_STRING, .offset = AT(title), .help = "name for people"},
    {.name = "source", .type = OPT_STRING, .offset = AT(source), .nullable = true, .help = "where the data come from"},
    {.name = "citation", .type = OPT_STRING, .offset = AT(citation), .nullable = true, .help = "paper"},
    {.name = "folder", .type = OPT_STRING, .offset = AT(folder), .nullable = true,
     .help = "below <data>/glue; beside the task file when it starts with `.` or `/`"},
    {.name = "header", .type = OPT_BOOL, .offset = AT(header), .dflt = 1, .help = "files begin with a header line"},
    {.name = "skip_malformed", .type = OPT_BOOL, .offset = AT(skip_malformed),
     .help = "malformed rows are counted and left out instead of refused"},
    {.name = "kind", .type = OPT_ENUM, .offset = AT(kind), .words = "classification|regression",
     .help = "what is predicted"},
    {.name = "labels", .type = OPT_STRINGS, .offset = AT(labels), .help = "classes in the official order"},
    {.name = "metrics", .type = OPT_STRINGS, .offset = AT(metrics), .help = "metrics, a suffix names the dev set"},
    {.name = "headline", .type = OPT_STRING, .offset = AT(headline), .nullable = true,
     .help = "the metric of one-number tables; default: the first"},
    {.name = "train_from", .type = OPT_STRING, .offset = AT(train_from), .nullable = true,
     .help = "task whose training set is used"},
    {.name = "synthetic", .type = OPT_STRING, .offset = AT(synthetic), .nullable = true,
     .help = "generator, instead of files"},
    {.name = "seed", .type = OPT_INT, .offset = AT(seed), .dflt = 42, .min = 0, .max = 9007199254740992.0,
     .help = "of the generator"},
    {0},
};
static const char *const maps[] = {"files", "columns", "rows", "range", NULL};

struct parse {
    const struct yaml *y; /* the whole file */
    struct raw raw;
    struct task *t;
    struct arena *a;
    char what[128]; /* "task cola" */
};

static bool missing(const struct parse *p, const char *key, struct err *e)
{
    return err_at(e, ERR_INPUT, p->y->file, 1, 1, "%s: the key `%s` is missing", p->what, key);
}

/* The key's place, or the first line when the value is a default. */
static bool at_key(const struct parse *p, const char *key, struct err *e, const char *msg)
{
    const struct yaml *y = yaml_get(p->y, key);
    return y ? yaml_err(e, y, "%s", msg) : err_at(e, ERR_INPUT, p->y->file, 1, 1, "%s", msg);
}

static bool is_map(const struct yaml *y, const char *what, struct err *e)
{
    return y->kind == YAML_MAP || yaml_err(e, y, "`%s` is %s; it must be a map", what, yaml_kind_name(y));
}

static bool get_long(const struct yaml *y, long long min, long long max, long long *value, struct err *e)
{
    if (y->kind != YAML_SCALAR || y->quoted || !text_to_long(y->value, value))
        return yaml_err(e, y, "%s is `%s`; it must be an integer in plain decimal digits", y->key,
                        y->kind == YAML_SCALAR ? y->value : yaml_kind_name(y));
    if (*value < min || *value > max)
        return yaml_err(e, y, "range: %s is %lld; it must lie in [%lld, %lld]", y->key, *value, min, max);
    return true;
}

/* ---- splits and files ---- */

/* `dev_` and lower-case letters or digits. */
static bool dev_name(const char *s)
{
    if (!text_starts(s, "dev_") || !s[4] || strlen(s) > 20)
        return false;
    for (s += 4; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s))
            return false;
    return true;
}

/* Split of that name, made when it is a new dev set; NULL with an error for another word. */
static struct task_split *split_of(struct parse *p, const struct yaml *y, struct err *e)
{
    struct task *t = p->t;
    if (strcmp(y->key, "train") == 0)
        return &t->train;
    for (size_t i = 0; i < t->n_dev; i++)
        if (strcmp(t->dev[i].name, y->key) == 0)
            return &t->dev[i];
    if (strcmp(y->key, "dev") != 0 && !dev_name(y->key)) {
        yaml_err_key(e, y, "unknown key `%s`; the sets are train, dev and dev_<suffix>", y->key);
        return NULL;
    }
    if (t->n_dev == TASK_DEV_MAX) {
        yaml_err_key(e, y, "more than %d evaluation sets", TASK_DEV_MAX);
        return NULL;
    }
    struct task_split *s = &t->dev[t->n_dev++];
    *s = (struct task_split){.name = y->key, .suffix = y->key + strlen("dev")};
    return s;
}

static bool bind_file(struct parse *p, struct task_split *s, const struct yaml *y, struct err *e)
{
    if (y->kind == YAML_MAP || (y->kind == YAML_LIST && !y->child))
        return yaml_err(e, y, "files: %s must be a file name, or a list of which the first that exists is read",
                        y->key);
    s->n_files = y->kind == YAML_LIST ? yaml_count(y) : 1;
    TRY(s->file = ARENA_NEW(p->a, MEM_DATA, const char *, s->n_files, e));
    const struct yaml *item = y->kind == YAML_LIST ? y->child : y;
    for (size_t i = 0; i < s->n_files; i++, item = item->next) {
        if (item->kind != YAML_SCALAR || !item->value[0])
            return yaml_err(e, item, "files: %s must be a file name", y->key);
        s->file[i] = item->value;
    }
    return true;
}

static bool bind_files(struct parse *p, struct err *e)
{
    const struct yaml *files = yaml_get(p->y, "files");
    TRY(files ? is_map(files, "files", e) : missing(p, "files", e));
    for (const struct yaml *y = files->child; y; y = y->next) {
        struct task_split *s = split_of(p, y, e);
        TRY(s && bind_file(p, s, y, e));
    }
    struct task *t = p->t;
    if (!t->n_dev || strcmp(t->dev[0].name, "dev") != 0)
        return yaml_err(e, files, "files: `dev` must be there, before other dev sets");
    if (!t->train.file && !p->raw.train_from)
        return yaml_err(e, files, "files: `train` is missing, and there is no `train_from`");
    return true;
}

static bool bind_rows(struct parse *p, struct err *e)
{
    const struct yaml *rows = yaml_get(p->y, "rows");
    if (!rows)
        return p->t->synth ? missing(p, "rows", e) : true;
    TRY(is_map(rows, "rows", e));
    for (const struct yaml *y = rows->child; y; y = y->next) {
        size_t known = p->t->n_dev;
        struct task_split *s = split_of(p, y, e);
        TRY(s && get_long(y, 1, 1000000000, &s->rows, e));
        if (known != p->t->n_dev)
            return yaml_err_key(e, y, "rows: `%s` is not among the sets of the task", y->key);
    }
    if (p->t->synth && (!p->t->train.rows || !p->t->dev[0].rows))
        return yaml_err(e, rows, "rows: a synthetic task needs `train` and `dev`");
    return true;
}

/* ---- columns ---- */

static bool column(const struct yaml *y, long long *value, struct err *e)
{
    if (y->kind == YAML_SCALAR && strcmp(y->value, "last") == 0) {
        *value = -1;
        return true;
    }
    return get_long(y, -10000, 10000, value, e);
}

static bool column_fits(const struct parse *p, const struct yaml *y, long long c, struct err *e)
{
    long long n = p->t->columns.count;
    if (n && (c >= n || c < -n))
        return yaml_err(e, y, "columns: %s is %lld, of %lld columns (the first is 0)", y->key, c, n);
    return true;
}

static bool bind_columns(struct parse *p, struct err *e)
{
    static const char *const known[] = {"count", "text_a", "text_b", "label", NULL};
    const struct yaml *columns = yaml_get(p->y, "columns");
    struct task_columns *c = &p->t->columns;
    TRY(columns ? is_map(columns, "columns", e) : missing(p, "columns", e));
    TRY(yaml_only_keys(columns, known, "columns", e));
    const struct yaml *count = yaml_get(columns, "count"), *a = yaml_get(columns, "text_a");
    const struct yaml *b = yaml_get(columns, "text_b"), *label = yaml_get(columns, "label");
    if (!a || !label)
        return yaml_err(e, columns, "columns: `%s` is missing", a ? "label" : "text_a");
    TRY(!count || get_long(count, 1, 10000, &c->count, e));
    if (!count && !p->raw.header)
        return yaml_err(e, columns, "columns: `count` is missing; files without a header line need it");
    TRY(column(a, &c->text_a, e) && column_fits(p, a, c->text_a, e));
    TRY(column(label, &c->label, e) && column_fits(p, label, c->label, e));
    TRY(!b || (column(b, &c->text_b, e) && column_fits(p, b, c->text_b, e)));
    p->t->pair = c->pair = b != NULL;
    return true;
}

/* ---- what is predicted ---- */

static bool bind_labels(struct parse *p, struct err *e)
{
    const struct opt_strings *labels = &p->raw.labels;
    if (!labels->n)
        return missing(p, "labels", e);
    if (labels->n < 2 || labels->n > TASK_LABELS_MAX)
        return yaml_err(e, labels->at, "labels: %zu classes; there must be 2 to %d", labels->n, TASK_LABELS_MAX);
    for (size_t i = 0; i < labels->n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(labels->word[i], labels->word[j]) == 0)
                return yaml_err(e, labels->at, "labels: `%s` is given twice", labels->word[i]);
    p->t->n_labels = (int)labels->n;
    p->t->label = labels->word;
    return true;
}

static bool bind_range(struct parse *p, struct err *e)
{
    const struct yaml *range = yaml_get(p->y, "range");
    TRY(range || missing(p, "range", e));
    double v[2];
    size_t n = 0;
    for (const struct yaml *y = range->kind == YAML_LIST ? range->child : NULL; y; y = y->next, n++)
        if (n < 2 && (y->kind != YAML_SCALAR || !text_to_double(y->value, &v[n])))
            return yaml_err(e, y, "range: a number is expected");
    if (n != 2 || !(v[0] < v[1]))
        return yaml_err(e, range, "range must be two numbers, [least, largest]");
    p->t->min = v[0];
    p->t->max = v[1];
    p->t->n_labels = 1;
    return true;
}

static bool bind_kind(struct parse *p, struct err *e)
{
    p->t->kind = p->raw.kind == 0 ? TASK_CLASSIFICATION : TASK_REGRESSION;
    const char *other = p->raw.kind == 0 ? "range" : "labels";
    const struct yaml *y = yaml_get(p->y, other);
    if (y)
        return yaml_err_key(e, y, "`%s` means nothing to a %s", other,
                            p->raw.kind == 0 ? "classification" : "regression");
    TRY(p->raw.kind == 0 ? bind_labels(p, e) : bind_range(p, e));
    if (p->t->synth && synth_outputs(p->t->synth) != p->t->n_labels)
        return at_key(p, "synthetic", e, "the generator makes another number of labels than the task names");
    return true;
}

/* ---- metrics ---- */

/* `accuracy`, or `accuracy_mm`: the function and the evaluation set of a metric's name. */
static bool find_metric(const struct task *t, const char *name, struct task_metric *m)
{
    *m = (struct task_metric){.name = name, .metric = metric_find(name)};
    for (size_t i = 1; !m->metric && i < t->n_dev; i++) {
        char base[64];
        if (!text_ends(name, t->dev[i].suffix) || strlen(name) >= sizeof base)
            continue;
        memcpy(base, name, strlen(name) + 1);
        base[strlen(name) - strlen(t->dev[i].suffix)] = 0;
        m->metric = metric_find(base);
        m->dev = i;
    }
    return m->metric != NULL;
}

static bool unknown_metric(const struct yaml *at, const char *name, struct err *e)
{
    const char *names[32] = {0};
    for (size_t i = 0; metric_table[i].name && i < 31; i++)
        names[i] = metric_table[i].name;
    char hint[128];
    return yaml_err(e, at, "unknown metric `%s`%s", name, text_did_you_mean(name, names, hint, sizeof hint));
}

static bool metric_fits(const struct task *t, const struct task_metric *m, const struct yaml *at, struct err *e)
{
    bool classes = t->kind == TASK_CLASSIFICATION;
    if (classes ? !m->metric->classification : !m->metric->regression)
        return yaml_err(e, at, "metric %s is not for a %s", m->name, classes ? "classification" : "regression");
    if (t->n_labels != 2 && m->metric == metric_find("f1"))
        return yaml_err(e, at, "metric f1 is for two classes; there are %d", t->n_labels);
    return true;
}

static bool bind_metrics(struct parse *p, struct err *e)
{
    struct task *t = p->t;
    const struct opt_strings *words = &p->raw.metrics;
    if (!words->n)
        return missing(p, "metrics", e);
    if (words->n > TASK_METRICS_MAX)
        return yaml_err(e, words->at, "metrics: more than %d", TASK_METRICS_MAX);
    const struct yaml *at = words->at->kind == YAML_LIST ? words->at->child : words->at;
    for (size_t i = 0; i < words->n; i++, at = at->next) {
        TRY(find_metric(t, words->word[i], &t->metric[i]) || unknown_metric(at, words->word[i], e));
        TRY(metric_fits(t, &t->metric[i], at, e));
        if (p->raw.headline && strcmp(p->raw.headline, words->word[i]) == 0)
            t->headline = i;
    }
    t->n_metrics = words->n;
    if (p->raw.headline && strcmp(p->raw.headline, t->metric[t->headline].name) != 0)
        return at_key(p, "headline", e, "headline is not among the metrics of the task");
    return true;
}

/* ---- the whole ---- */

static bool bind_synthetic(struct parse *p, struct err *e)
{
    struct task *t = p->t;
    for (const char *const *key = (const char *const[]){"files", "folder", "columns", NULL}; *key; key++) {
        const struct yaml *y = yaml_get(p->y, *key);
        if (y)
            return yaml_err_key(e, y, "`%s` means nothing to a synthetic task", *key);
    }
    t->synth = synth_find(p->raw.synthetic);
    if (!t->synth) {
        char hint[128];
        return yaml_err(e, yaml_get(p->y, "synthetic"), "unknown generator `%s`%s", p->raw.synthetic,
                        text_did_you_mean(p->raw.synthetic, synth_names(), hint, sizeof hint));
    }
    t->synth_seed = (uint64_t)p->raw.seed;
    t->pair = synth_is_pair(t->synth);
    t->dev[0] = (struct task_split){.name = "dev", .suffix = ""};
    t->n_dev = 1;
    return true;
}

static bool bind_location(struct parse *p, struct err *e)
{
    const char *folder = p->raw.folder;
    if (!folder)
        return missing(p, "folder", e);
    p->t->placed = folder[0] == '/' || folder[0] == '.';
    p->t->folder = folder;
    if (p->t->placed) {
        char *dir = text_dirname(p->a, p->y->file, e);
        TRY(dir);
        TRY(p->t->folder = text_path(p->a, dir, folder, e));
    }
    return bind_files(p, e) && bind_columns(p, e);
}

bool task_parse(struct task *t, const char **train_from, const struct yaml *y, struct arena *a, struct err *e)
{
    struct parse p = {.y = y, .t = t, .a = a};
    snprintf(p.what, sizeof p.what, "task %.100s", t->name);
    if (y->kind != YAML_MAP)
        return yaml_err(e, y, "a task file is a map of keys, not %s", yaml_kind_name(y));
    TRY(opt_defaults(options, &p.raw, a, e) && opt_bind(options, &p.raw, y, p.what, maps, a, e));
    if (!yaml_get(y, "version"))
        return missing(&p, "version", e);
    if (!p.raw.title)
        return missing(&p, "title", e);
    t->version = p.raw.version;
    t->title = p.raw.title;
    t->source = p.raw.source;
    t->citation = p.raw.citation;
    t->header = p.raw.header;
    t->skip_malformed = p.raw.skip_malformed;
    t->train = (struct task_split){.name = "train", .suffix = ""};
    *train_from = p.raw.train_from;
    TRY(p.raw.synthetic ? bind_synthetic(&p, e) : bind_location(&p, e));
    return bind_rows(&p, e) && bind_kind(&p, e) && bind_metrics(&p, e);
}
