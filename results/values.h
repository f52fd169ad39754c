/* Typed key/value lists: /meta, /config and the facts a method reports, in the order they were set. */
#ifndef RESULTS_VALUES_H
#define RESULTS_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum value_type {
    VALUE_STRING, /* an attribute                                           */
    VALUE_TEXT,   /* long text: a dataset of its own beside the attributes  */
    VALUE_INT,
    VALUE_REAL,
    VALUE_BOOL
};

struct value {
    const char *key;
    enum value_type type;
    union {
        const char *text; /* STRING, TEXT */
        long long i;
        double d;
        bool b;
    };
};

struct values {
    struct arena *arena; /* the only member to set by hand */
    struct value *v;
    size_t n, cap;
};

/* Sets a key (a second time: replaces). Keys and strings are copied; a NULL string is stored as "". */
bool values_string(struct values *l, const char *key, const char *value, struct err *e);
bool values_text(struct values *l, const char *key, const char *value, struct err *e);
bool values_int(struct values *l, const char *key, long long value, struct err *e);
bool values_real(struct values *l, const char *key, double value, struct err *e);
bool values_bool(struct values *l, const char *key, bool value, struct err *e);

/* The value of a key, or NULL; its string (STRING, TEXT) or `dflt`. */
const struct value *values_find(const struct values *l, const char *key);
const char *values_get_string(const struct values *l, const char *key, const char *dflt);

#endif
