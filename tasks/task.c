/* Finding and describing tasks: see task.h. */
#include "tasks/task.h"

#include <ctype.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/embed.h"
#include "base/text.h"
#include "tasks/parse.h"

extern const struct embed tasks_embedded[]; /* the YAML files of this folder, made by the build */

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

const char **task_names(struct arena *a, struct err *e)
{
    size_t n = 0;
    while (tasks_embedded[n].name)
        n++;
    const char **names = ARENA_NEW(a, MEM_DATA, const char *, n + 1, e);
    TRY(names);
    for (size_t i = 0; i < n; i++)
        TRY(names[i] = arena_strndup(a, tasks_embedded[i].name, strlen(tasks_embedded[i].name) - strlen(".yaml"), e));
    qsort(names, n, sizeof *names, by_name);
    return names;
}

/* An error about the name itself: at the spec's place where there is one. */
static bool name_error(struct err *e, const struct yaml *at, const char *msg)
{
    return at ? yaml_err(e, at, "%s", msg) : err_set(e, ERR_INPUT, "%s", msg);
}

/* A task's name is part of file names of results. */
static bool name_ok(const char *name)
{
    for (const char *s = name; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._=+-", *s))
            return false;
    return *name && strlen(name) <= 64 && name[0] != '.' && name[0] != '-';
}

static bool is_path(const char *name) { return strchr(name, '/') || text_ends(name, ".yaml"); }

static bool unknown_task(const char *name, const struct yaml *at, struct arena *a, struct err *e)
{
    char msg[256], hint[96];
    const char **names = task_names(a, e);
    TRY(names);
    snprintf(msg, sizeof msg, "unknown task `%.80s`%s", name, text_did_you_mean(name, names, hint, sizeof hint));
    return name_error(e, at, msg);
}

/* What a definition is read from. */
struct definition {
    const char *name, *origin, *text;
    size_t size;
};

static bool embedded(struct definition *d, const char *name, const struct yaml *at, struct arena *a, struct err *e)
{
    char file[80];
    snprintf(file, sizeof file, "%.70s.yaml", name);
    const struct embed *row = embed_find(tasks_embedded, file);
    if (!row)
        return unknown_task(name, at, a, e);
    d->text = (const char *)row->data;
    d->size = row->size;
    return (d->name = arena_strdup(a, name, e)) && (d->origin = arena_printf(a, e, "tasks/%s", file));
}

static bool from_file(struct definition *d, const char *name, const char *base_dir, const struct yaml *at,
                      struct arena *a, struct err *e)
{
    char *path = text_path(a, base_dir, name, e);
    TRY(path);
    d->origin = path;
    d->text = io_read(a, path, 1 << 20, &d->size, e);
    if (!d->text) {
        char msg[700];
        snprintf(msg, sizeof msg, "task file `%.300s` %.300s", path, e->msg);
        return e->code == ERR_INPUT ? name_error(e, at, msg) : false;
    }
    const char *last = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(last) - (text_ends(last, ".yaml") ? strlen(".yaml") : 0);
    TRY(d->name = arena_strndup(a, last, n, e));
    if (!name_ok(d->name))
        return name_error(e, at, "the name of a task file may hold only letters, digits and ._=+-");
    return true;
}

static const struct task *open_task(const char *name, const char *base_dir, const struct yaml *at, bool nested,
                                    struct arena *a, struct err *e);

/* Takes the training set of another task; both must predict the same labels. */
static bool join_training(struct task *t, const char *from, const struct yaml *y, struct arena *a, struct err *e)
{
    const struct yaml *at = yaml_get(y, "train_from");
    const char *dir = text_dirname(a, t->origin, e);
    TRY(dir);
    const struct task *other = open_task(from, dir, at, true, a, e);
    TRY(other);
    bool same = other->kind == t->kind && other->n_labels == t->n_labels && other->pair == t->pair;
    for (int i = 0; same && t->label && i < t->n_labels; i++)
        same = strcmp(t->label[i], other->label[i]) == 0;
    if (!same)
        return yaml_err(e, at, "train_from: task %s has other labels or texts than %s", other->name, t->name);
    t->train_from = other;
    if (!t->train.rows)
        t->train.rows = other->train.rows;
    char both[2 * IO_DIGEST];
    snprintf(both, sizeof both, "%s%s", t->digest, other->digest);
    return io_sha256(both, strlen(both), t->digest, e);
}

static const struct task *open_task(const char *name, const char *base_dir, const struct yaml *at, bool nested,
                                    struct arena *a, struct err *e)
{
    struct definition d = {0};
    const char *from;
    TRY(is_path(name) ? from_file(&d, name, base_dir, at, a, e) : embedded(&d, name, at, a, e));
    struct task *t = ARENA_NEW(a, MEM_DATA, struct task, 1, e);
    struct yaml *y = t ? yaml_parse(a, d.origin, d.text, d.size, e) : NULL;
    TRY(y);
    t->name = d.name;
    t->origin = d.origin;
    TRY(io_sha256(d.text, d.size, t->digest, e) && task_parse(t, &from, y, a, e));
    if (from && nested) {
        yaml_err(e, yaml_get(y, "train_from"), "train_from leads to a task that has a `train_from` itself");
        return NULL;
    }
    TRY(!from || join_training(t, from, y, a, e));
    return t;
}

const struct task *task_open(const char *name, const char *base_dir, const struct yaml *at, struct arena *a,
                             struct err *e)
{
    return open_task(name, base_dir, at, false, a, e);
}

long long task_train_rows(const struct task *t) { return t->train.rows; }

static bool describe_labels(struct text *out, const struct task *t, struct err *e)
{
    if (t->kind == TASK_REGRESSION)
        return text_add(out, e, "labels:   a score in [%g, %g]\n", t->min, t->max);
    TRY(text_add(out, e, "labels:   "));
    for (int i = 0; i < t->n_labels; i++)
        TRY(text_add(out, e, "%s%d %s", i ? ", " : "", i, t->label[i]));
    return text_add(out, e, "\n");
}

static bool describe_split(struct text *out, const struct task *t, const struct task *owner,
                           const struct task_split *s, struct err *e)
{
    TRY(text_add(out, e, "%-9s ", s->name));
    if (t->synth)
        return text_add(out, e, "%lld rows, generated\n", s->rows);
    for (size_t i = 0; i < s->n_files; i++)
        TRY(text_add(out, e, "%s%s%s/%s", i ? " or " : "", owner->placed ? "" : "glue/", owner->folder, s->file[i]));
    return s->rows ? text_add(out, e, ", %lld rows\n", s->rows) : text_add(out, e, "\n");
}

char *task_describe(const struct task *t, struct arena *a, struct err *e)
{
    struct text out = {.arena = a};
    TRY(text_add(&out, e, "%s: %s (version %lld, %s)\n", t->name, t->title, t->version, t->origin));
    TRY(!t->source || text_add(&out, e, "source:   %s\n", t->source));
    TRY(!t->citation || text_add(&out, e, "paper:    %s\n", t->citation));
    TRY(text_add(&out, e, "texts:    %s\n", t->pair ? "pairs" : "single") && describe_labels(&out, t, e));
    TRY(text_add(&out, e, "metrics:  "));
    for (size_t i = 0; i < t->n_metrics; i++)
        TRY(text_add(&out, e, "%s%s%s", i ? ", " : "", t->metric[i].name, i == t->headline ? " (headline)" : ""));
    TRY(text_add(&out, e, "\n"));
    const struct task *from = t->train_from ? t->train_from : t;
    TRY(describe_split(&out, t, from, &from->train, e));
    for (size_t i = 0; i < t->n_dev; i++)
        TRY(describe_split(&out, t, t, &t->dev[i], e));
    return out.s;
}
