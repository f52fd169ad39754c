/*
 * Option tables. One row per option gives its name, type, place in a struct, default, range and meaning; from the same
 * rows come binding with located errors, `describe`, the documentation, and /config of a result.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/yaml.h"

enum opt_type {
    OPT_BOOL,    /* bool                                              */
    OPT_INT,     /* long long: plain decimal digits                   */
    OPT_REAL,    /* double                                            */
    OPT_STRING,  /* const char *                                      */
    OPT_ENUM,    /* int: index into `words` ("a|b|c")                 */
    OPT_STRINGS  /* struct opt_strings: a list, or one word for a list of one */
};

struct opt_strings {
    const char **word; /* [n] */
    size_t n;
    const struct yaml *at; /* where the list stands, NULL for the default: for messages about its words */
};

/* A row. Ranges are closed unless `open_min`/`open_max` says otherwise; strings and enums ignore them. */
struct opt {
    const char *name;
    enum opt_type type;
    size_t offset;        /* in the struct that is bound                                  */
    double dflt;          /* default of BOOL, INT, REAL, and index of ENUM; a REAL of default NAN may be null:
                           * not given, shown as `none`                                   */
    double min, max;      /* allowed range of INT and REAL                                */
    const char *words;    /* ENUM: "a|b|c"; STRING, STRINGS: the default ("a,b"), or NULL */
    const char *help;     /* one line                                                     */
    bool open_min, open_max;
    bool nullable;        /* STRING: NULL default shown as `none`. INT: a default outside the range means not given,
                           * is shown as `none` and may be written as null */
};

/* Sets every option of the table (ended by a row with name NULL) to its default in *object. */
bool opt_defaults(const struct opt *table, void *object, struct arena *a, struct err *e);

/* Binds one member of a map to its row: type and range checked, located error. */
bool opt_set(const struct opt *row, void *object, const struct yaml *value, struct arena *a, struct err *e);

/* Row of a name, or NULL. */
const struct opt *opt_find(const struct opt *table, const char *name);

/* Binds every member of `map` (NULL: nothing). Unknown keys are errors: "unknown key `x` for <what>; did you mean
 * `y`?". Keys listed in `skip` (NULL-terminated, may be NULL) are left to the caller. */
bool opt_bind(const struct opt *table, void *object, const struct yaml *map, const char *what,
              const char *const *skip, struct arena *a, struct err *e);

/* The present value as text ("0.008", "true", "query,value"): for /config, variant names, describe. */
char *opt_value_text(const struct opt *row, const void *object, struct arena *a, struct err *e);

/* Default and allowed range as text for people: "0.008", "(0, 1]", "gradient | random". */
char *opt_default_text(const struct opt *row, struct arena *a, struct err *e);
char *opt_range_text(const struct opt *row, struct arena *a, struct err *e);
const char *opt_type_name(const struct opt *row);

/* Word number i of an ENUM row into buf. */
const char *opt_word(const struct opt *row, int i, char *buf, size_t size);

#endif
