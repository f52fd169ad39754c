/*
 * Values of a tokenizer's JSON files together with where they stand, so that every complaint names the file and the
 * JSON path: `dir/tokenizer.json: `model.type` is `BPE`; ...`.
 */
#ifndef MODELS_TOKENIZER_JSON_H
#define MODELS_TOKENIZER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/source.h"

struct json_at {
    const json_t *value; /* NULL when it is not there */
    const char *file;
    char path[192]; /* empty for the document itself; cut when longer */
};

/* Reads and parses a file of the model; its top must be an object. The caller owns the reference. A key given twice
 * counts with its last value, as in the reference. */
json_t *json_at_open(struct json_at *root, const struct model_source *source, const char *file, struct arena *a,
                     struct err *e);

/* Member of an object and element of an array; value NULL when there is none or *p is of another type. */
struct json_at json_at_key(const struct json_at *p, const char *key);
struct json_at json_at_index(const struct json_at *p, size_t i);

/* True for a value that is there and not null. */
bool json_at_given(const struct json_at *p);

/* An error `file: `path` message`. Always false. */
bool json_at_err(const struct json_at *p, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The member `key`, which must be there (json_at_default_bool: or may be missing) and have the type. Strings live as
 * long as the document. */
bool json_at_string(const struct json_at *p, const char *key, const char **s, size_t *size, struct err *e);
bool json_at_bool(const struct json_at *p, const char *key, bool *value, struct err *e);
bool json_at_default_bool(const struct json_at *p, const char *key, bool *value, struct err *e);
bool json_at_int(const struct json_at *p, const char *key, long long max, long long *value, struct err *e);

/* The value itself as an integer in [0, max]. */
bool json_at_integer(const struct json_at *p, long long max, long long *value, struct err *e);

/* Checks that the value is an array (an object), and that it is not empty unless `may_be_empty`. */
bool json_at_array(const struct json_at *p, bool may_be_empty, struct err *e);
bool json_at_object(const struct json_at *p, bool may_be_empty, struct err *e);

/* Checks that the member `type` is `wanted`; otherwise the error lists what is supported. */
bool json_at_type(const struct json_at *p, const char *wanted, struct err *e);

#endif
