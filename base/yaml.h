/*
 * YAML as a small tree with places, built from libyaml's events. Only what specs and task files need: mappings,
 * sequences and scalars. Anchors, aliases, tags, merge keys and a second document are refused, a key given twice is an
 * error, files are limited to 1 MiB, depth 64, 100,000 nodes and 4,096 keys in a map, so that no input can make the
 * reader slow or large.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    const char *file;        /* as the user named it                          */
    int line, col;           /* 1-based place of the node                     */
    const char *key;         /* in a map: the key of this member              */
    int key_line, key_col;   /* and its place                                 */
    const char *value;       /* scalar: its text, "" for an empty one         */
    bool quoted;             /* scalar: written in quotes, so never null/bool */
    struct yaml *child;      /* first member or item, in file order           */
    struct yaml *next;       /* next member or item                           */
    const char *origin;      /* where the value came from, NULL for the file; set by who merges trees */
};

/* Reads a file, or text that is called `name` in messages. NULL with a located error. An empty document is an empty
 * map. */
struct yaml *yaml_read(struct arena *a, const char *path, struct err *e);
struct yaml *yaml_parse(struct arena *a, const char *name, const char *text, size_t size, struct err *e);

/* Member of a map by key, NULL when there is none or `map` is not a map. */
struct yaml *yaml_get(const struct yaml *map, const char *key);

/* Number of members or items; 0 for a scalar. */
size_t yaml_count(const struct yaml *y);

/* A scalar that is not there at all: empty, `~` or `null`, unquoted. */
bool yaml_is_null(const struct yaml *y);

/* "a map", "a list", "a scalar": for messages. */
const char *yaml_kind_name(const struct yaml *y);

/* Error at the node (its value), or at its key. Always false. */
bool yaml_err(struct err *e, const struct yaml *y, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool yaml_err_key(struct err *e, const struct yaml *y, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Error when it is no map (a null one is an empty map), or has a key that is not among `known` (NULL-terminated);
 * `what` completes "unknown key `x` for ...". */
bool yaml_only_keys(const struct yaml *map, const char *const *known, const char *what, struct err *e);

#endif
