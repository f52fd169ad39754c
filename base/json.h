/* JSON files through jansson, with errors that name the file and, for syntax, the place. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/err.h"

/* Whole file; the caller owns the reference (json_decref). NULL with a located error. Duplicate keys are refused. */
json_t *json_read(const char *path, struct err *e);

/* The same from memory; `name` stands for the file in messages. */
json_t *json_parse(const char *name, const char *text, size_t size, struct err *e);

/* Members of an object with their type checked: false with `path: key: what was expected` when there but wrong.
 * A missing or null member leaves *value as it was. What is no object at all is an error too. */
bool json_get_int(const json_t *object, const char *path, const char *key, long long min, long long max,
                  long long *value, struct err *e);
bool json_get_real(const json_t *object, const char *path, const char *key, double *value, struct err *e);
bool json_get_bool(const json_t *object, const char *path, const char *key, bool *value, struct err *e);
bool json_get_string(const json_t *object, const char *path, const char *key, const char **value, struct err *e);

#endif
