/*
 * Reading a spec: the keys at its top, then one run for each task, model, variant and seed. See spec.h and spec_impl.h.
 */
#include "harness/spec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "harness/measure/measure.h"
#include "harness/spec_impl.h"

enum { MAX_RUNS = 10000 };

struct reader {
    const char *path;
    struct yaml *root;
    struct arena *arena;
    struct err *e;
    const char *name;
    struct model_source *model;
    const struct yaml **model_at;
    const struct task **task;
    const char **task_word;
    uint64_t *seed;
    size_t n_models, n_tasks, n_seeds;
    struct variant top;
    const struct variant **variant; /* [n_variants] of all methods, in order */
    size_t n_variants, cap_variants;
    const struct variant **solved;  /* [n_models][n_variants] the same with their budgets solved for a model */
    struct run_spec common;         /* what all runs share */
    struct origins common_from;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Lists of words */

/* The items of a list, or a word as a list of one; each must be a word. NULL items end. */
static const struct yaml **items(struct reader *r, const struct yaml *y, size_t *n)
{
    size_t count = y->kind == YAML_LIST ? yaml_count(y) : 1;
    const struct yaml **out = ARENA_NEW(r->arena, MEM_DATA, const struct yaml *, count + 1, r->e);
    TRY(out);
    *n = 0;
    for (const struct yaml *item = y->kind == YAML_LIST ? y->child : y; item; item = item == y ? NULL : item->next) {
        if (item->kind != YAML_SCALAR || yaml_is_null(item)) {
            yaml_err(r->e, item, "%s must be a word or a list of words", y->key);
            return NULL;
        }
        out[(*n)++] = item;
    }
    if (*n == 0)
        yaml_err(r->e, y, "%s is empty", y->key);
    return *n ? out : NULL;
}

static bool no_twin(struct reader *r, const struct yaml *const *item, size_t i, const char *what)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(item[k]->value, item[i]->value) == 0)
            return yaml_err(r->e, item[i], "%s `%s` is given twice", what, item[i]->value);
    return true;
}

static bool read_models(struct reader *r, const struct yaml *y)
{
    const struct yaml **item = items(r, y, &r->n_models);
    TRY(item);
    r->model_at = item;
    TRY(r->model = ARENA_NEW(r->arena, MEM_DATA, struct model_source, r->n_models, r->e));
    for (size_t i = 0; i < r->n_models; i++)
        TRY(no_twin(r, item, i, "model") &&
            model_source_open(&r->model[i], item[i]->value, item[i], r->arena, r->e));
    return true;
}

static bool read_task(struct reader *r, const struct yaml *item, size_t i)
{
    const char *dir = spec_is_override(item) ? NULL : text_dirname(r->arena, item->file, r->e);
    TRY(spec_is_override(item) || dir);
    if (dir && strcmp(dir, ".") == 0)
        dir = NULL;
    TRY(r->task[i] = task_open(item->value, dir, item, r->arena, r->e));
    r->task_word[i] = item->value;
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->task[k]->name, r->task[i]->name) == 0)
            return yaml_err(r->e, item, "task `%s` is given twice", r->task[i]->name);
    return true;
}

static bool read_tasks(struct reader *r, const struct yaml *y)
{
    const struct yaml **item = items(r, y, &r->n_tasks);
    TRY(item);
    TRY(r->task = ARENA_NEW(r->arena, MEM_DATA, const struct task *, r->n_tasks, r->e));
    TRY(r->task_word = ARENA_NEW(r->arena, MEM_DATA, const char *, r->n_tasks, r->e));
    for (size_t i = 0; i < r->n_tasks; i++)
        TRY(read_task(r, item[i], i));
    return true;
}

static bool read_seeds(struct reader *r, const struct yaml *y)
{
    TRY(r->seed = ARENA_NEW(r->arena, MEM_DATA, uint64_t, y ? yaml_count(y) + 1 : 1, r->e));
    r->n_seeds = 1;
    r->seed[0] = 42;
    if (!y)
        return true;
    const struct yaml **item = items(r, y, &r->n_seeds);
    TRY(item);
    for (size_t i = 0; i < r->n_seeds; i++) {
        long long seed;
        if (item[i]->quoted || !text_to_long(item[i]->value, &seed) || seed < 0)
            return yaml_err(r->e, item[i], "a seed is `%s`; it must be an integer >= 0 in plain decimal digits",
                            item[i]->value);
        r->seed[i] = (uint64_t)seed;
        for (size_t k = 0; k < i; k++)
            if (r->seed[k] == r->seed[i])
                return yaml_err(r->e, item[i], "seed `%s` is given twice", item[i]->value);
    }
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The other keys at the top */

static bool check_top_keys(struct reader *r)
{
    static const char *const required[] = {"model", "tasks", "methods", NULL};
    for (const struct yaml *y = r->root->child; y; y = y->next)
        if (!spec_has_word(spec_keys, y->key))
            return spec_unknown_key(y, "a spec", spec_keys, r->e);
    for (const char *const *key = required; *key; key++)
        if (!yaml_get(r->root, *key))
            return yaml_err(r->e, r->root, "`%s` is missing", *key);
    return true;
}

/* The name is a folder below out/: letters, digits and ._=+- */
static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    for (const char *c = s; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._=+-", *c))
            return false;
    return n > 0 && n <= 100 && s[0] != '.' && s[0] != '-';
}

static bool read_name(struct reader *r)
{
    const struct yaml *y = yaml_get(r->root, "name");
    const char *slash = strrchr(r->path, '/'), *file = slash ? slash + 1 : r->path;
    size_t n = strlen(file) - (text_ends(file, ".yaml") ? 5 : text_ends(file, ".yml") ? 4 : 0);
    TRY(r->name = y && y->kind == YAML_SCALAR ? y->value : arena_strndup(r->arena, file, n, r->e));
    if (y && (y->kind != YAML_SCALAR || !name_ok(r->name)))
        return yaml_err(r->e, y, "name must be a word of letters, digits and ._=+- that begins with none of .-");
    return y || name_ok(r->name) ||
           yaml_err(r->e, r->root, "the file's name is no name for results; give one with `name`");
}

static bool read_common(struct reader *r)
{
    TRY(opt_defaults(run_options, &r->common, r->arena, r->e));
    for (const struct opt *row = run_options; row->name; row++) {
        const struct yaml *y = yaml_get(r->root, row->name);
        r->common_from.row[row - run_options] = y;
        TRY(!y || opt_set(row, &r->common, y, r->arena, r->e));
    }
    return true;
}

static bool unknown_measure(struct reader *r, const struct yaml *y)
{
    const char *names[SPEC_OPTIONS_MAX + 1] = {NULL};
    char hint[128];
    for (size_t i = 0; i < SPEC_OPTIONS_MAX && measure_table[i]; i++)
        names[i] = measure_table[i]->name;
    return yaml_err_key(r->e, y, "unknown measure `%s`%s", y->key, text_did_you_mean(y->key, names, hint, sizeof hint));
}

static bool read_measure(struct reader *r, const struct measure *m, const struct yaml *y)
{
    struct measure_request *request = &r->common.measure[r->common.n_measures++];
    request->measure = m;
    TRY(request->options = arena_alloc(r->arena, MEM_DATA, m->options_size, r->e));
    return opt_defaults(m->options, request->options, r->arena, r->e) &&
           spec_only_options(y, m->options, NULL, m->name, r->arena, r->e) &&
           opt_bind(m->options, request->options, y, m->name, NULL, r->arena, r->e);
}

/* Measurements in the order of their table, so that the order of keys means nothing. */
static bool read_measures(struct reader *r)
{
    const struct yaml *map = yaml_get(r->root, "measure");
    if (!map || yaml_is_null(map))
        return true;
    if (map->kind != YAML_MAP)
        return yaml_err(r->e, map, "measure is %s; it must be a map: a measurement's name and its options",
                        yaml_kind_name(map));
    TRY(r->common.measure = ARENA_NEW(r->arena, MEM_DATA, struct measure_request, yaml_count(map), r->e));
    for (const struct yaml *y = map->child; y; y = y->next)
        if (!measure_find(y->key))
            return unknown_measure(r, y);
    for (const struct measure *const *m = measure_table; *m; m++) {
        const struct yaml *y = yaml_get(map, (*m)->name);
        TRY(!y || read_measure(r, *m, y));
    }
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Variants */

static bool unknown_method(struct reader *r, const struct yaml *entry)
{
    char hint[128];
    const char **names = method_names(r->arena, r->e);
    return names && yaml_err_key(r->e, entry, "unknown method `%s`%s", entry->key,
                                 text_did_you_mean(entry->key, names, hint, sizeof hint));
}

static bool add_variant(struct reader *r, const struct variant *v)
{
    if (r->n_variants == r->cap_variants) {
        size_t cap = r->cap_variants ? 2 * r->cap_variants : 16;
        const struct variant **grown = ARENA_NEW(r->arena, MEM_DATA, const struct variant *, cap, r->e);
        TRY(grown);
        if (r->n_variants)
            memcpy(grown, r->variant, r->n_variants * sizeof *grown);
        r->variant = grown;
        r->cap_variants = cap;
    }
    r->variant[r->n_variants++] = v;
    return true;
}

static bool read_method(struct reader *r, const struct yaml *entry)
{
    const struct method *m = method_find(entry->key);
    struct axes axes;
    if (!m)
        return unknown_method(r, entry);
    TRY(spec_axes(&axes, r->root, m, entry, r->arena, r->e));
    for (size_t i = 0; i < axes.combinations; i++) {
        struct variant *v = ARENA_NEW(r->arena, MEM_DATA, struct variant, 1, r->e);
        TRY(v && spec_bind_variant(v, &r->top, r->root, entry, m, &axes, i, r->arena, r->e) && add_variant(r, v));
    }
    return true;
}

static bool read_methods(struct reader *r)
{
    TRY(spec_bind_train(&r->top, r->root, r->arena, r->e));
    for (const struct yaml *item = yaml_get(r->root, "methods")->child; item; item = item->next)
        TRY(read_method(r, item->child));
    size_t runs = r->n_tasks * r->n_models * r->n_variants * r->n_seeds;
    return runs <= MAX_RUNS || yaml_err(r->e, r->root, "the spec makes %zu runs; the limit is %d", runs, MAX_RUNS);
}

static bool solve_budgets(struct reader *r)
{
    struct run_spec run = r->common;
    TRY(r->solved = ARENA_NEW(r->arena, MEM_DATA, const struct variant *, r->n_models * r->n_variants, r->e));
    run.task = r->task[0];
    for (size_t m = 0; m < r->n_models; m++) {
        run.model = r->model[m];
        TRY(spec_solve_budgets(&run, r->variant, r->n_variants, &r->solved[m * r->n_variants], &r->top, r->arena,
                               r->e));
    }
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Runs */

static struct run_spec *add_run(struct spec *s, const struct reader *r, size_t task, size_t model,
                                const struct variant *v, uint64_t seed)
{
    struct run_spec *run = &s->run[s->n_runs++];
    *run = r->common;
    run->experiment = r->name;
    run->task = r->task[task];
    run->model = r->model[model];
    run->method = v->method;
    run->method_options = v->options;
    run->method_at = v->at;
    run->init_from = v->source.path;
    run->init_from_at = v->source_from.row[0];
    run->variant = v->name;
    run->seed = seed;
    run->train = v->train;
    return run;
}

static struct spec_lists lists(const struct reader *r)
{
    return (struct spec_lists){.name = r->name,
                               .path = r->path,
                               .root = r->root,
                               .task = r->task,
                               .task_word = r->task_word,
                               .n_tasks = r->n_tasks,
                               .model = r->model,
                               .n_models = r->n_models,
                               .variant = r->n_models == 1 ? r->solved : r->variant,
                               .n_variants = r->n_variants,
                               .seed = r->seed,
                               .n_seeds = r->n_seeds,
                               .top = &r->top,
                               .run = &r->common,
                               .run_from = &r->common_from};
}

/* The runs of all seeds of a variant on one task and model: checked once, since seeds change nothing that is
 * checked. */
static bool add_seeds(struct spec *s, const struct reader *r, size_t task, size_t model, size_t variant)
{
    const struct variant *const *solved = r->solved + model * r->n_variants + variant, *v = *solved;
    struct spec_lists l = lists(r);
    struct model_config config;
    l.task += task, l.task_word += task, l.model += model, l.variant = solved;
    l.n_tasks = l.n_models = l.n_variants = l.n_seeds = 1;
    for (size_t i = 0; i < r->n_seeds; i++) {
        struct run_spec *run = add_run(s, r, task, model, v, r->seed[i]);
        l.seed = &r->seed[i];
        run->order = (long long)variant;
        TRY(i > 0 || spec_check_run(run, v, r->model_at[model], &config, r->e));
        TRY(spec_write_config(run, &config, r->arena, r->e));
        TRY(run->resolved = spec_resolved_text(&l, r->arena, r->e));
    }
    return true;
}

/* The same options twice are the same run twice. `run` are those of one task and model; one seed is compared. */
static bool check_twins(const struct reader *r, const struct run_spec *run)
{
    for (size_t i = 0; i < r->n_variants; i++)
        for (size_t k = 0; k < i; k++) {
            const struct run_spec *a = &run[i * r->n_seeds], *b = &run[k * r->n_seeds];
            if (strcmp(a->config_digest, b->config_digest) == 0)
                return yaml_err(r->e, a->method_at, "method %s, variant %s, makes the same runs as line %d",
                                a->method->name, a->variant, b->method_at->line);
        }
    return true;
}

static bool make_runs(struct spec *s, struct reader *r)
{
    size_t n = r->n_tasks * r->n_models * r->n_variants * r->n_seeds;
    TRY(s->run = ARENA_NEW(r->arena, MEM_DATA, struct run_spec, n, r->e));
    for (size_t t = 0; t < r->n_tasks; t++)
        for (size_t m = 0; m < r->n_models; m++)
            for (size_t v = 0; v < r->n_variants; v++)
                TRY(add_seeds(s, r, t, m, v));
    for (size_t m = 0; m < r->n_models; m++)
        TRY(check_twins(r, &s->run[m * r->n_variants * r->n_seeds]));
    return true;
}

static struct spec *resolve(const char *path, const char *text, const char *const *overrides, size_t n_overrides,
                            long long limit, struct arena *a, struct err *e)
{
    struct reader r = {.path = path, .arena = a, .e = e, .common.limit = limit};
    struct spec *s = ARENA_NEW(a, MEM_DATA, struct spec, 1, e);
    TRY(s && (r.root = spec_tree(path, text, overrides, n_overrides, a, e)));
    TRY(check_top_keys(&r) && read_name(&r) && read_common(&r) && read_models(&r, yaml_get(r.root, "model")) &&
        read_tasks(&r, yaml_get(r.root, "tasks")) && read_seeds(&r, yaml_get(r.root, "seeds")) && read_measures(&r) &&
        read_methods(&r) && solve_budgets(&r) && make_runs(s, &r));
    const struct spec_lists all = lists(&r);
    s->path = path;
    s->name = r.name;
    return (s->resolved = spec_resolved_text(&all, a, e)) ? s : NULL;
}

struct spec *spec_read(const char *path, const char *const *overrides, size_t n_overrides, long long limit,
                       struct arena *a, struct err *e)
{
    return resolve(path, NULL, overrides, n_overrides, limit, a, e);
}

struct spec *spec_parse(const char *name, const char *text, const char *const *overrides, size_t n_overrides,
                        long long limit, struct arena *a, struct err *e)
{
    return resolve(name, text, overrides, n_overrides, limit, a, e);
}
