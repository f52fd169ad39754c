/* JSON values with their place: see tokenizer_json.h. */
#include "models/tokenizer_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

json_t *json_at_open(struct json_at *root, const struct model_source *source, const char *file, struct arena *a,
                     struct err *e)
{
    *root = (struct json_at){.file = model_source_path(source, file, a, e)};
    TRY(root->file);
    struct arena_mark m = arena_mark(a);
    size_t size;
    const char *text = model_source_read(source, file, a, &size, e);
    TRY(text);
    json_error_t je;
    json_t *j = json_loadb(text, size, JSON_ALLOW_NUL, &je);
    arena_release(a, m);
    if (!j) {
        err_at(e, ERR_INPUT, root->file, je.line, je.column, "%s", je.text);
    } else if (!json_is_object(j)) {
        err_at(e, ERR_INPUT, root->file, 1, 1, "must be a JSON object");
        json_decref(j);
        j = NULL;
    }
    root->value = j;
    return j;
}

/* Long paths are cut: an error is one line. */
struct json_at json_at_key(const struct json_at *p, const char *key)
{
    struct json_at m = {.value = json_object_get(p->value, key), .file = p->file};
    snprintf(m.path, sizeof m.path, "%.120s%s%.64s", p->path, p->path[0] ? "." : "", key);
    return m;
}

struct json_at json_at_index(const struct json_at *p, size_t i)
{
    struct json_at m = {.value = json_array_get(p->value, i), .file = p->file};
    snprintf(m.path, sizeof m.path, "%.160s[%zu]", p->path, i);
    return m;
}

bool json_at_given(const struct json_at *p) { return p->value && !json_is_null(p->value); }

bool json_at_err(const struct json_at *p, struct err *e, const char *fmt, ...)
{
    char msg[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return err_at(e, ERR_INPUT, p->file, 0, 0, "`%s` %s", p->path, msg);
}

bool json_at_string(const struct json_at *p, const char *key, const char **s, size_t *size, struct err *e)
{
    struct json_at m = json_at_key(p, key);
    if (!json_is_string(m.value))
        return json_at_err(&m, e, "must be a string");
    *s = json_string_value(m.value);
    if (size)
        *size = json_string_length(m.value);
    return true;
}

bool json_at_bool(const struct json_at *p, const char *key, bool *value, struct err *e)
{
    struct json_at m = json_at_key(p, key);
    if (!json_is_boolean(m.value))
        return json_at_err(&m, e, "must be true or false");
    *value = json_is_true(m.value);
    return true;
}

bool json_at_default_bool(const struct json_at *p, const char *key, bool *value, struct err *e)
{
    struct json_at m = json_at_key(p, key);
    return !json_at_given(&m) || json_at_bool(p, key, value, e);
}

bool json_at_integer(const struct json_at *p, long long max, long long *value, struct err *e)
{
    *value = json_integer_value(p->value);
    if (!json_is_integer(p->value) || *value < 0 || *value > max)
        return json_at_err(p, e, "must be an integer in [0, %lld]", max);
    return true;
}

bool json_at_int(const struct json_at *p, const char *key, long long max, long long *value, struct err *e)
{
    struct json_at m = json_at_key(p, key);
    return json_at_integer(&m, max, value, e);
}

bool json_at_array(const struct json_at *p, bool may_be_empty, struct err *e)
{
    if (!json_is_array(p->value))
        return json_at_err(p, e, "must be an array");
    return may_be_empty || json_array_size(p->value) > 0 || json_at_err(p, e, "is empty");
}

bool json_at_object(const struct json_at *p, bool may_be_empty, struct err *e)
{
    if (!json_is_object(p->value))
        return json_at_err(p, e, "must be an object");
    return may_be_empty || json_object_size(p->value) > 0 || json_at_err(p, e, "is empty");
}

bool json_at_type(const struct json_at *p, const char *wanted, struct err *e)
{
    const char *type;
    if (!json_at_given(p))
        return json_at_err(p, e, "is missing; supported: %s", wanted);
    TRY(json_at_object(p, true, e));
    TRY(json_at_string(p, "type", &type, NULL, e));
    if (strcmp(type, wanted) == 0)
        return true;
    struct json_at m = json_at_key(p, "type");
    return json_at_err(&m, e, "is `%.64s`; supported: %s", type, wanted);
}
