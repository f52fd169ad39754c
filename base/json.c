/* JSON: see json.h. jansson's values carry no position, so semantic errors name the file and the key. */
#include "base/json.h"

#include "base/arena.h"
#include "base/io.h"

json_t *json_parse(const char *name, const char *text, size_t size, struct err *e)
{
    json_error_t je;
    json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        err_at(e, ERR_INPUT, name, je.line, je.column, "%s", je.text);
    return j;
}

json_t *json_read(const char *path, struct err *e)
{
    struct arena *a = arena_create(NULL);
    if (!a) {
        err_set(e, ERR_ENV, "out of memory");
        return NULL;
    }
    size_t size;
    char *text = io_read(a, path, 0, &size, e);
    json_t *j = text ? json_parse(path, text, size, e) : NULL;
    arena_destroy(a);
    return j;
}

/* The member of that name; NULL in *j when it is missing or null. */
static bool member(const json_t *object, const char *path, const char *key, const json_t **j, struct err *e)
{
    if (!json_is_object(object))
        return err_at(e, ERR_INPUT, path, 0, 0, "must be a JSON object, to hold `%s`", key);
    *j = json_object_get(object, key);
    if (json_is_null(*j))
        *j = NULL;
    return true;
}

bool json_get_int(const json_t *object, const char *path, const char *key, long long min, long long max,
                  long long *value, struct err *e)
{
    const json_t *j = NULL;
    TRY(member(object, path, key, &j, e));
    if (!j)
        return true;
    if (!json_is_integer(j))
        return err_at(e, ERR_INPUT, path, 0, 0, "`%s` must be an integer", key);
    long long v = json_integer_value(j);
    if (v < min || v > max)
        return err_at(e, ERR_INPUT, path, 0, 0, "`%s` is %lld; it must lie in [%lld, %lld]", key, v, min, max);
    *value = v;
    return true;
}

bool json_get_real(const json_t *object, const char *path, const char *key, double *value, struct err *e)
{
    const json_t *j = NULL;
    TRY(member(object, path, key, &j, e));
    if (!j)
        return true;
    if (!json_is_number(j))
        return err_at(e, ERR_INPUT, path, 0, 0, "`%s` must be a number", key);
    *value = json_number_value(j);
    return true;
}

bool json_get_bool(const json_t *object, const char *path, const char *key, bool *value, struct err *e)
{
    const json_t *j = NULL;
    TRY(member(object, path, key, &j, e));
    if (!j)
        return true;
    if (!json_is_boolean(j))
        return err_at(e, ERR_INPUT, path, 0, 0, "`%s` must be true or false", key);
    *value = json_is_true(j);
    return true;
}

bool json_get_string(const json_t *object, const char *path, const char *key, const char **value, struct err *e)
{
    const json_t *j = NULL;
    TRY(member(object, path, key, &j, e));
    if (!j)
        return true;
    if (!json_is_string(j))
        return err_at(e, ERR_INPUT, path, 0, 0, "`%s` must be a string", key);
    *value = json_string_value(j);
    return true;
}
