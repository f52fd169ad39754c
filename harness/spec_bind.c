/*
 * From the tree to option structs. Each layer is bound over the one below: defaults, `train:` of the spec, its axes,
 * the method's entry, its axes, and then the same once more for what the command line gave.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/init_from.h"
#include "harness/spec_impl.h"

static const char *const train_also[] = {"param_groups", NULL};

static const struct opt group_options[] = {
    {.name = "pattern", .type = OPT_STRING, .offset = offsetof(struct optim_group, pattern), .nullable = true,
     .help = "modules or parameters, as in target_modules; the head can be named too"},
    {.name = "learning_rate", .type = OPT_REAL, .offset = offsetof(struct optim_group, learning_rate), .dflt = NAN,
     .min = 0, .max = INFINITY, .help = "their peak learning rate; none: as the others"},
    {.name = "weight_decay", .type = OPT_REAL, .offset = offsetof(struct optim_group, weight_decay), .dflt = NAN,
     .min = 0, .max = INFINITY, .help = "their decay, biases too; none: as the others"},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Layers */

/* What is bound: a table's struct with the origin of each value. */
struct target {
    const struct opt *table;
    void *object;
    struct origins *from;
    struct arena *arena;
    struct err *e;
};

static bool set_one(const struct target *t, const char *name, const struct yaml *value)
{
    const struct opt *row = opt_find(t->table, name);
    if (!row)
        return true; /* a key that is none of the table's: seen to elsewhere */
    t->from->row[row - t->table] = value;
    return opt_set(row, t->object, value, t->arena, t->e);
}

/* The members of a map that came from the command line, or the others. */
static bool set_members(const struct target *t, const struct yaml *map, bool override)
{
    for (const struct yaml *y = map ? map->child : NULL; y; y = y->next)
        if (spec_is_override(y) == override)
            TRY(set_one(t, y->key, y));
    return true;
}

/* The axes of one place; prefix "train." for training options, "" for the method's. */
static bool set_axes(const struct target *t, const struct axes *x, size_t combination, const char *prefix, bool method,
                     bool override)
{
    for (size_t i = 0; x && i < x->n; i++) {
        const struct axis *axis = &x->axis[i];
        bool train = text_starts(axis->key, "train.");
        if (axis->method == method && spec_is_override(axis->values) == override && train == (*prefix != 0))
            TRY(set_one(t, axis->key + strlen(prefix), spec_axis_value(x, i, combination)));
    }
    return true;
}

static bool bind_group(struct optim_group *g, const struct yaml *y, struct arena *a, struct err *e)
{
    if (y->kind != YAML_MAP)
        return yaml_err(e, y, "an entry of param_groups is %s; it must be a map", yaml_kind_name(y));
    TRY(opt_defaults(group_options, g, a, e));
    TRY(opt_bind(group_options, g, y, "param_groups", NULL, a, e));
    const struct yaml *pattern = yaml_get(y, "pattern");
    g->at = pattern ? pattern : y;
    if (!g->pattern)
        return yaml_err(e, g->at, "an entry of param_groups needs a `pattern`");
    return true;
}

static bool bind_groups(struct train_options *t, const struct yaml *list, struct arena *a, struct err *e)
{
    t->group = NULL;
    t->n_groups = 0;
    if (!list || yaml_is_null(list))
        return true;
    if (list->kind != YAML_LIST)
        return yaml_err(e, list, "param_groups is %s; it must be a list of maps", yaml_kind_name(list));
    struct optim_group *group = ARENA_NEW(a, MEM_DATA, struct optim_group, yaml_count(list), e);
    TRY(group);
    for (const struct yaml *y = list->child; y; y = y->next)
        TRY(bind_group(&group[t->n_groups++], y, a, e));
    t->group = group;
    return true;
}

char *spec_groups_text(const struct train_options *t, struct arena *a, struct err *e)
{
    struct text out = {.arena = a};
    TRY(text_add(&out, e, "%s", ""));
    for (size_t i = 0; i < t->n_groups; i++) {
        const struct optim_group *g = &t->group[i];
        TRY(text_add(&out, e, "%s%s", i ? "; " : "", g->pattern));
        if (!isnan(g->learning_rate))
            TRY(text_add(&out, e, " lr=%.17g", g->learning_rate));
        if (!isnan(g->weight_decay))
            TRY(text_add(&out, e, " wd=%.17g", g->weight_decay));
    }
    return out.s;
}

/* The list of highest authority: a method's on the command line, ..., the spec's. */
static const struct yaml *pick_groups(const struct yaml *top, const struct yaml *method)
{
    const struct yaml *t = yaml_get(top, "param_groups"), *m = yaml_get(method, "param_groups");
    if (!t || !m)
        return t ? t : m;
    return spec_is_override(t) && !spec_is_override(m) ? t : m;
}

/* Training options from `train:` at the top and, where there is one, in an entry. */
static bool bind_train(struct variant *v, const struct yaml *root, const struct yaml *entry, const struct axes *x,
                       size_t combination, struct arena *a, struct err *e)
{
    const struct yaml *top = yaml_get(root, "train"), *own = yaml_get(entry, "train");
    const struct target t = {train_options, &v->train, &v->train_from, a, e};
    TRY(opt_defaults(train_options, &v->train, a, e));
    TRY(spec_only_options(top, train_options, train_also, "train", a, e));
    TRY(spec_only_options(own, train_options, train_also, "train", a, e));
    for (int override = 0; override < 2; override++)
        TRY(set_members(&t, top, override) && set_axes(&t, x, combination, "train.", false, override) &&
            set_members(&t, own, override) && set_axes(&t, x, combination, "train.", true, override));
    v->groups_from = pick_groups(top, own);
    return bind_groups(&v->train, v->groups_from, a, e);
}

bool spec_bind_train(struct variant *top, const struct yaml *root, struct arena *a, struct err *e)
{
    *top = (struct variant){0};
    return bind_train(top, root, NULL, NULL, 0, a, e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The method's own options */

static bool add_member(struct yaml ***tail, const struct yaml *value, const char *key, struct arena *a, struct err *e)
{
    struct yaml *copy = ARENA_NEW(a, MEM_DATA, struct yaml, 1, e);
    TRY(copy);
    *copy = *value;
    copy->key = key;
    copy->next = NULL;
    **tail = copy;
    *tail = &copy->next;
    return true;
}

/* The options of this variant as one map, so that a method finds the place of any of them. */
static bool effective_map(struct variant *v, const struct yaml *place, struct arena *a, struct err *e)
{
    struct yaml *map = ARENA_NEW(a, MEM_DATA, struct yaml, 1, e);
    TRY(map);
    struct yaml **tail = &map->child;
    *map = *place;
    for (const struct opt *row = v->method->options; row->name; row++) {
        const struct yaml *from = v->options_from.row[row - v->method->options];
        if (from)
            TRY(add_member(&tail, from, row->name, a, e));
    }
    v->at = map;
    return true;
}

static bool bind_method(struct variant *v, const struct yaml *entry, const struct axes *x, size_t combination,
                        struct arena *a, struct err *e)
{
    const struct target t = {v->method->options, v->options, &v->options_from, a, e};
    const struct target budget = {budget_options, &v->budget, &v->budget_from, a, e};
    const struct target source = {init_from_options, &v->source, &v->source_from, a, e};
    const char *what = arena_printf(a, e, "method %s", v->method->name);
    TRY(what && spec_only_options(entry, v->method->options, method_keys, what, a, e));
    TRY(opt_defaults(v->method->options, v->options, a, e));
    for (int override = 0; override < 2; override++)
        TRY(set_members(&t, entry, override) && set_axes(&t, x, combination, "", true, override) &&
            set_members(&budget, entry, override) && set_axes(&budget, x, combination, "", true, override) &&
            set_members(&source, entry, override) && set_axes(&source, x, combination, "", true, override));
    return spec_check_budget(v, a, e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The variant's name */

struct variant_name {
    struct text shown, full; /* as it may stand in a file name; as it is */
    struct arena *arena;
    struct err *e;
};

/* Appends `option=value`, in `shown` with `-` between the words of a list and `_` for foreign characters. */
static bool name_option(struct variant_name *n, const char *option, const char *value)
{
    const char *plus = n->full.len ? "+" : "";
    TRY(text_add(&n->full, n->e, "%s%s=%s", plus, option, value));
    TRY(text_add(&n->shown, n->e, "%s%s=", plus, option));
    for (; *value; value++) {
        char c = isalnum((unsigned char)*value) || strchr("._+-", *value) ? *value : *value == ',' ? '-' : '_';
        TRY(text_add_bytes(&n->shown, &c, 1, n->e));
    }
    return true;
}

/* Rows whose value differs from `base` (NULL: from the default). */
static bool name_options(struct variant_name *n, const struct opt *table, const void *object, const void *base)
{
    for (const struct opt *row = table; row->name; row++) {
        const char *value = opt_value_text(row, object, n->arena, n->e);
        const char *other = base ? opt_value_text(row, base, n->arena, n->e) : opt_default_text(row, n->arena, n->e);
        TRY(value && other);
        if (strcmp(value, other) != 0)
            TRY(name_option(n, row->name, value));
    }
    return true;
}

/* A name that is long, or in which characters were replaced, keeps its beginning and gets a digest. */
static bool finish_name(struct variant_name *n)
{
    enum { LONGEST = 80, KEPT = 68 };
    bool replaced = false;
    for (size_t i = 0; i < n->full.len; i++)
        replaced |= n->full.s[i] != n->shown.s[i] && n->full.s[i] != ',';
    if (!replaced && n->full.len <= LONGEST)
        return true;
    char hex[IO_DIGEST];
    TRY(io_sha256(n->full.s, n->full.len, hex, n->e));
    n->shown.len = n->shown.len > KEPT ? KEPT : n->shown.len;
    return text_add(&n->shown, n->e, "-%.8s", hex);
}

static bool name_variant(struct variant *v, const struct variant *top, struct arena *a, struct err *e)
{
    struct variant_name n = {.shown.arena = a, .full.arena = a, .arena = a, .e = e};
    TRY(name_options(&n, v->method->options, v->options, NULL));
    TRY(!v->budget.text || v->solved || name_option(&n, "budget", v->budget.text));
    TRY(!v->source.path || name_option(&n, "init_from", v->source.path));
    TRY(name_options(&n, train_options, &v->train, &top->train));
    const char *groups = spec_groups_text(&v->train, a, e), *top_groups = spec_groups_text(&top->train, a, e);
    TRY(groups && top_groups);
    if (strcmp(groups, top_groups) != 0)
        TRY(name_option(&n, "param_groups", groups));
    v->name = "default";
    if (n.full.len == 0)
        return true;
    TRY(finish_name(&n));
    v->name = n.shown.s;
    return true;
}

bool spec_finish_variant(struct variant *v, const struct variant *top, struct arena *a, struct err *e)
{
    const struct yaml place = {.kind = YAML_MAP, .file = v->at->file, .line = v->at->line, .col = v->at->col,
                               .value = ""};
    return effective_map(v, &place, a, e) && name_variant(v, top, a, e);
}

bool spec_bind_variant(struct variant *v, const struct variant *top, const struct yaml *root, const struct yaml *entry,
                       const struct method *m, const struct axes *x, size_t combination, struct arena *a,
                       struct err *e)
{
    const struct yaml at = {.file = entry->file, .line = entry->key_line, .col = entry->key_col};
    *v = (struct variant){.method = m, .at = &at};
    TRY(v->options = arena_alloc(a, MEM_DATA, m->state_size, e));
    return bind_method(v, entry, x, combination, a, e) && bind_train(v, root, entry, x, combination, a, e) &&
           spec_finish_variant(v, top, a, e);
}
