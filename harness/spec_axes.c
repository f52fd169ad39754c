/*
 * grid and zip. `grid` lists values of several options and takes every combination (the Cartesian product); `zip` lists
 * as many values for each and takes the first of all, the second of all, ... Both stand in a method's entry, or, with
 * train.* keys alone, at the top of the spec, where they hold for every method.
 *
 * Authority, as for values: top of the spec < a method's entry < command line. A value outranks the axes of its key
 * below it.
 */
#include <stdio.h>
#include <string.h>

#include "harness/init_from.h"
#include "harness/spec_impl.h"

enum { MAX_COMBINATIONS = 10000 };

struct collector {
    struct axes *axes;
    const struct yaml *root, *entry; /* entry: the method's options */
    const struct method *method;
    struct arena *arena;
    struct err *e;
};

static int rank(const struct yaml *y, bool method) { return 2 * spec_is_override(y) + method; }

/* The option that an axis key names, or NULL. */
static const struct opt *option_of(const struct collector *c, const char *key, bool method)
{
    if (text_starts(key, "train."))
        return opt_find(train_options, key + strlen("train."));
    const struct opt *row = method ? opt_find(c->method->options, key) : NULL;
    row = !row && method ? opt_find(budget_options, key) : row;
    return !row && method ? opt_find(init_from_options, key) : row;
}

static bool unknown_axis(const struct collector *c, const struct yaml *y, const char *which, bool method)
{
    const char **known = spec_option_names(train_options, "train.", NULL, c->arena, c->e);
    if (known && method)
        known = spec_option_names(c->method->options, "", known, c->arena, c->e);
    char what[96], hint[128];
    TRY(known);
    snprintf(what, sizeof what, method ? "%s of method %.64s" : "%s", which, c->method->name);
    if (opt_find(train_options, y->key))
        return yaml_err_key(c->e, y, "unknown key `%s` for %s; did you mean `train.%s`?", y->key, what, y->key);
    return yaml_err_key(c->e, y, "unknown key `%s` for %s%s", y->key, what,
                        text_did_you_mean(y->key, known, hint, sizeof hint));
}

/* A value of the same key: outranks the axis, or contradicts it. */
static bool meet_value(const struct collector *c, const struct yaml *axis, bool method, const struct yaml *value,
                       bool value_method, bool *outranked)
{
    if (!value)
        return true;
    *outranked |= rank(value, value_method) > rank(axis, method);
    bool same_place = value_method == method && (strcmp(value->file, axis->file) == 0 ||
                                                 (spec_is_override(value) && spec_is_override(axis)));
    return !same_place || yaml_err_key(c->e, axis, "`%s` has a fixed value too; give either the value or the list",
                                       axis->key);
}

/* The list of the same key in another place. */
static const struct yaml *other_axis(const struct yaml *map, const char *which, const char *key)
{
    return yaml_get(yaml_get(map, which), key);
}

static bool is_outranked(const struct collector *c, const struct yaml *axis, bool method, bool *outranked)
{
    const char *option = strchr(axis->key, '.') ? strchr(axis->key, '.') + 1 : axis->key;
    *outranked = false;
    if (!text_starts(axis->key, "train."))
        return meet_value(c, axis, method, yaml_get(c->entry, axis->key), true, outranked);
    TRY(meet_value(c, axis, method, yaml_get(yaml_get(c->root, "train"), option), false, outranked));
    TRY(meet_value(c, axis, method, yaml_get(yaml_get(c->entry, "train"), option), true, outranked));
    static const char *const which[] = {"grid", "zip"};
    for (int i = 0; i < 2; i++)
        for (int m = 0; m < 2; m++) {
            const struct yaml *other = other_axis(m ? c->entry : c->root, which[i], axis->key);
            *outranked |= other && rank(other, m) > rank(axis, method);
        }
    return true;
}

static bool check_axis(const struct collector *c, const struct yaml *y, const struct yaml *map, const char *which,
                       bool method)
{
    if (!option_of(c, y->key, method))
        return unknown_axis(c, y, which, method);
    if (y->kind != YAML_LIST || !y->child)
        return yaml_err(c->e, y, "`%s` in %s is %s; it must be a list of values", y->key, which,
                        y->kind == YAML_LIST ? "empty" : yaml_kind_name(y));
    const struct yaml *home = method ? c->entry : c->root, *twin = other_axis(home, "grid", y->key);
    bool zip = strcmp(which, "zip") == 0;
    if (zip && twin && rank(twin, method) == rank(y, method))
        return yaml_err_key(c->e, y, "`%s` stands in grid too", y->key);
    if (zip && yaml_count(y) != yaml_count(map->child))
        return yaml_err(c->e, y, "zip: `%s` has %zu values and `%s` has %zu; parallel lists must be equally long",
                        y->key, yaml_count(y), map->child->key, yaml_count(map->child));
    return true;
}

static bool add_axis(const struct collector *c, const struct yaml *y, bool method, bool new_group)
{
    struct axes *x = c->axes;
    x->groups += new_group;
    if (new_group)
        x->combinations *= yaml_count(y);
    if (x->combinations > MAX_COMBINATIONS)
        return yaml_err_key(c->e, y, "more than %d combinations of method %s", MAX_COMBINATIONS, c->method->name);
    x->axis[x->n++] = (struct axis){.key = y->key, .values = y, .method = method, .group = x->groups - 1};
    return true;
}

static bool collect(const struct collector *c, const struct yaml *home, const char *which, bool method)
{
    const struct yaml *map = yaml_get(home, which);
    bool zip = strcmp(which, "zip") == 0, first = true;
    if (!map || yaml_is_null(map))
        return true;
    if (map->kind != YAML_MAP)
        return yaml_err(c->e, map, "%s is %s; it must be a map of lists", which, yaml_kind_name(map));
    for (const struct yaml *y = map->child; y; y = y->next) {
        bool outranked;
        TRY(check_axis(c, y, map, which, method) && is_outranked(c, y, method, &outranked));
        if (outranked)
            continue;
        TRY(add_axis(c, y, method, !zip || first));
        first = false;
    }
    return true;
}

static size_t members(const struct yaml *home, const char *which)
{
    const struct yaml *map = yaml_get(home, which);
    return map ? yaml_count(map) : 0;
}

bool spec_axes(struct axes *x, const struct yaml *root, const struct method *m, const struct yaml *entry,
               struct arena *a, struct err *e)
{
    struct collector c = {.axes = x, .root = root, .entry = entry, .method = m, .arena = a, .e = e};
    *x = (struct axes){.combinations = 1};
    size_t most = members(root, "grid") + members(root, "zip") + members(entry, "grid") + members(entry, "zip");
    TRY(x->axis = ARENA_NEW(a, MEM_DATA, struct axis, most, e));
    return collect(&c, root, "grid", false) && collect(&c, root, "zip", false) && collect(&c, entry, "grid", true) &&
           collect(&c, entry, "zip", true);
}

const struct yaml *spec_axis_value(const struct axes *x, size_t i, size_t combination)
{
    size_t group = x->axis[i].group;
    for (size_t k = x->n; k-- > 0 && x->axis[k].group > group;)
        if (k == 0 || x->axis[k - 1].group != x->axis[k].group)
            combination /= yaml_count(x->axis[k].values);
    const struct yaml *value = x->axis[i].values->child;
    for (size_t n = combination % yaml_count(x->axis[i].values); n > 0; n--)
        value = value->next;
    return value;
}
