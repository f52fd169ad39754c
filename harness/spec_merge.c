/*
 * From files and arguments to one tree: includes first, in their order, then the file, then the overrides. Maps are
 * merged key by key, everything else is replaced; each node keeps its own place, so that a message names the file and
 * line of the value that counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/spec_impl.h"

enum { MAX_INCLUDES = 8 }; /* files within each other */

static const char COMMAND_LINE[] = "command line: ";

bool spec_is_override(const struct yaml *y) { return text_starts(y->file, COMMAND_LINE); }

static struct yaml *new_node(enum yaml_kind kind, const struct yaml *place, struct arena *a, struct err *e)
{
    struct yaml *y = ARENA_NEW(a, MEM_DATA, struct yaml, 1, e);
    TRY(y);
    *y = (struct yaml){.kind = kind, .file = place->file, .line = place->line, .col = place->col, .value = ""};
    return y;
}

static void append(struct yaml *map, struct yaml *member)
{
    struct yaml **tail = &map->child;
    while (*tail)
        tail = &(*tail)->next;
    member->next = NULL;
    *tail = member;
}

/* Takes the members of `over` into `base`; `over` is used up. */
static void merge(struct yaml *base, struct yaml *over)
{
    for (struct yaml *m = over->child, *next; m; m = next) {
        next = m->next;
        struct yaml *old = yaml_get(base, m->key), *after = old ? old->next : NULL;
        if (old && old->kind == YAML_MAP && m->kind == YAML_MAP) {
            merge(old, m);
        } else if (old) {
            *old = *m;
            old->next = after;
        } else {
            append(base, m);
        }
    }
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Files and their includes */

struct loader {
    const char *text;   /* of the outermost file where it is not on disk; NULL once read */
    struct arena *arena;
    struct err *e;
    const char *open[MAX_INCLUDES]; /* absolute paths of the files that are being read, outermost first */
    int depth;
};

static struct yaml *load(struct loader *l, const char *path);

/* Absolute path without links, in the arena; the path itself where the system does not tell. */
static const char *absolute(struct loader *l, const char *path)
{
    char *full = realpath(path, NULL);
    const char *copy = arena_strdup(l->arena, full ? full : path, l->e);
    free(full);
    return copy;
}

static bool include_one(struct loader *l, struct yaml *into, const struct yaml *word, const char *dir)
{
    if (word->kind != YAML_SCALAR || yaml_is_null(word))
        return yaml_err(l->e, word, "include must be a file name or a list of file names");
    const char *path = text_path(l->arena, strcmp(dir, ".") == 0 ? "" : dir, word->value, l->e);
    const char *full = path ? absolute(l, path) : NULL;
    TRY(full);
    for (int i = 0; i < l->depth; i++)
        if (strcmp(l->open[i], full) == 0)
            return yaml_err(l->e, word, "`%s` includes itself", word->value);
    if (l->depth == MAX_INCLUDES)
        return yaml_err(l->e, word, "includes are nested more than %d files deep", MAX_INCLUDES);
    if (!io_exists(path))
        return yaml_err(l->e, word, "included file `%s` does not exist", path);
    struct yaml *tree = load(l, path);
    TRY(tree);
    merge(into, tree);
    return true;
}

static struct yaml *load(struct loader *l, const char *path)
{
    const char *dir = text_dirname(l->arena, path, l->e), *full = dir ? absolute(l, path) : NULL;
    struct yaml *file = !full ? NULL : l->text ? yaml_parse(l->arena, path, l->text, strlen(l->text), l->e)
                                               : yaml_read(l->arena, path, l->e);
    l->text = NULL;
    TRY(file);
    if (file->kind != YAML_MAP) {
        yaml_err(l->e, file, "a spec is a map of keys; this is %s", yaml_kind_name(file));
        return NULL;
    }
    const struct yaml place = {.file = file->file, .line = 1, .col = 1};
    struct yaml *tree = new_node(YAML_MAP, &place, l->arena, l->e);
    const struct yaml *include = yaml_get(file, "include");
    TRY(tree);
    l->open[l->depth++] = full;
    if (include && include->kind == YAML_LIST)
        for (const struct yaml *word = include->child; word; word = word->next)
            TRY(include_one(l, tree, word, dir));
    else if (include)
        TRY(include_one(l, tree, include, dir));
    l->depth--;
    merge(tree, file);
    return tree;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * methods: every entry as a map of one key */

static bool normalize_entry(struct yaml *item, struct arena *a, struct err *e)
{
    if (item->kind == YAML_SCALAR && !yaml_is_null(item)) {
        struct yaml *options = new_node(YAML_SCALAR, item, a, e);
        TRY(options);
        options->key = item->value;
        options->key_line = item->line;
        options->key_col = item->col;
        item->kind = YAML_MAP;
        item->child = options;
    }
    if (item->kind == YAML_MAP && yaml_count(item) == 1)
        return true;
    if (item->kind == YAML_MAP && item->child)
        return yaml_err_key(e, item->child->next,
                            "`%s` beside method `%s`: options stand inside the method, `- %s: {...}`",
                            item->child->next->key, item->child->key, item->child->key);
    return yaml_err(e, item, "an entry of methods must be a method's name, or `name: {options}`");
}

static bool normalize_methods(struct yaml *root, struct arena *a, struct err *e)
{
    struct yaml *methods = yaml_get(root, "methods");
    if (!methods)
        return true;
    if (methods->kind == YAML_SCALAR && !yaml_is_null(methods)) { /* one word is a list of one */
        struct yaml *item = new_node(YAML_SCALAR, methods, a, e);
        TRY(item);
        item->value = methods->value;
        methods->kind = YAML_LIST;
        methods->child = item;
    }
    if (methods->kind != YAML_LIST || !methods->child)
        return yaml_err(e, methods, "methods is %s; it must be a list of at least one method",
                        methods->kind == YAML_LIST ? "empty" : yaml_kind_name(methods));
    for (struct yaml *item = methods->child; item; item = item->next)
        TRY(normalize_entry(item, a, e));
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * key=value */

static void place_all(struct yaml *y, const char *file)
{
    y->file = file;
    y->line = y->col = y->key_line = y->key_col = 0;
    for (struct yaml *child = y->child; child; child = child->next)
        place_all(child, file);
}

/* The value, called `command line: `key=value`` in messages. */
static struct yaml *parse_value(const char *value, const char *file, struct arena *a, struct err *e)
{
    struct yaml *y = yaml_parse(a, file, value, strlen(value), e);
    if (!y) {
        err_at(e, e->code, file, 0, 0, "%s", e->msg);
        return NULL;
    }
    if (y->kind == YAML_MAP && !y->child && !strchr(value, '{'))
        y->kind = YAML_SCALAR; /* nothing after the `=` */
    place_all(y, file);
    return y;
}

/* {a: {b: value}} for `a.b`. What follows grid and zip is one key, dots and all. */
static struct yaml *nest(const char *path, struct yaml *value, struct arena *a, struct err *e)
{
    struct yaml *map = new_node(YAML_MAP, value, a, e);
    const char *dot = strchr(path, '.');
    char *key = map ? arena_strndup(a, path, dot ? (size_t)(dot - path) : strlen(path), e) : NULL;
    TRY(key);
    bool axis = strcmp(key, "grid") == 0 || strcmp(key, "zip") == 0;
    struct yaml *inner = value;
    if (dot && axis) {
        TRY(inner = new_node(YAML_MAP, value, a, e));
        value->key = dot + 1;
        append(inner, value);
    } else if (dot) {
        TRY(inner = nest(dot + 1, value, a, e));
    }
    inner->key = key;
    append(map, inner);
    return map;
}

/* Methods of the spec, then its keys: what an override may begin with. */
static const char **override_words(const struct yaml *methods, struct arena *a, struct err *e)
{
    size_t n = 0, m = 0;
    for (const struct yaml *item = methods ? methods->child : NULL; item; item = item->next)
        n++;
    while (spec_keys[m])
        m++;
    const char **words = ARENA_NEW(a, MEM_DATA, const char *, n + m + 1, e);
    TRY(words);
    n = 0;
    for (size_t i = 0; i < m; i++)
        words[n++] = spec_keys[i];
    for (const struct yaml *item = methods ? methods->child : NULL; item; item = item->next)
        words[n++] = item->child->key;
    return words;
}

static bool unknown_override(const struct yaml *root, const struct yaml *member, struct arena *a, struct err *e)
{
    if (method_find(member->key))
        return yaml_err_key(e, member, "method `%s` is not among the spec's methods", member->key);
    const char **words = override_words(yaml_get(root, "methods"), a, e);
    return words && spec_unknown_key(member, "a spec", words, e);
}

/* Options for every entry of this method: a fresh copy each, since merging uses it up. */
static bool override_method(struct yaml *root, const struct yaml *member, const char *rest, const char *text,
                            const char *file, struct arena *a, struct err *e)
{
    struct yaml *methods = yaml_get(root, "methods");
    bool found = false;
    if (!rest)
        return yaml_err_key(e, member, "`%s` is a method; an override names one of its options: %s.OPTION=VALUE",
                            member->key, member->key);
    for (struct yaml *item = methods ? methods->child : NULL; item; item = item->next) {
        struct yaml *entry = item->child;
        if (strcmp(entry->key, member->key) != 0)
            continue;
        struct yaml *value = parse_value(text, file, a, e), *over = value ? nest(rest, value, a, e) : NULL;
        TRY(over);
        if (yaml_is_null(entry)) {
            entry->kind = YAML_MAP;
            entry->child = NULL;
        }
        if (entry->kind != YAML_MAP)
            return yaml_err(e, entry, "the options of method %s are %s; they must be a map", entry->key,
                            yaml_kind_name(entry));
        merge(entry, over);
        found = true;
    }
    return found || unknown_override(root, member, a, e);
}

static bool override_one(struct yaml *root, const char *arg, struct arena *a, struct err *e)
{
    const char *equals = strchr(arg, '='), *file = arena_printf(a, e, "%s`%s`", COMMAND_LINE, arg);
    TRY(file);
    if (!equals || equals == arg)
        return err_at(e, ERR_INPUT, file, 0, 0, "what follows a spec is written key=value");
    char *path = arena_strndup(a, arg, (size_t)(equals - arg), e);
    struct yaml *value = path ? parse_value(equals + 1, file, a, e) : NULL;
    struct yaml *over = value ? nest(path, value, a, e) : NULL;
    TRY(over);
    struct yaml *member = over->child;
    if (strcmp(member->key, "include") == 0)
        return yaml_err_key(e, member, "include stands in a file");
    if (!spec_has_word(spec_keys, member->key)) {
        const char *dot = strchr(path, '.');
        return override_method(root, member, dot ? dot + 1 : NULL, equals + 1, file, a, e);
    }
    merge(root, over);
    return normalize_methods(root, a, e);
}

struct yaml *spec_tree(const char *path, const char *text, const char *const *overrides, size_t n_overrides,
                       struct arena *a, struct err *e)
{
    struct loader l = {.arena = a, .e = e, .text = text};
    struct yaml *root = load(&l, path);
    TRY(root && normalize_methods(root, a, e));
    for (size_t i = 0; i < n_overrides; i++)
        TRY(override_one(root, overrides[i], a, e));
    return root;
}
