/* Typed key/value lists: see values.h. */
#include "results/values.h"

#include <assert.h>
#include <string.h>

static struct value *find(const struct values *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].key, key) == 0)
            return &l->v[i];
    return NULL;
}

static bool room(struct values *l, struct err *e)
{
    if (l->n < l->cap)
        return true;
    size_t cap = l->cap ? 2 * l->cap : 32;
    struct value *v = ARENA_NEW(l->arena, MEM_DATA, struct value, cap, e);
    TRY(v);
    if (l->n)
        memcpy(v, l->v, l->n * sizeof *v);
    l->v = v;
    l->cap = cap;
    return true;
}

/* The place for a key, old or new; its value is the caller's to write. */
static struct value *place(struct values *l, const char *key, enum value_type type, struct err *e)
{
    assert(!strchr(key, '/')); /* it becomes the name of an object in a group */
    struct value *v = find(l, key);
    if (!v) {
        TRY(room(l, e));
        char *copy = arena_strdup(l->arena, key, e);
        TRY(copy);
        v = &l->v[l->n++];
        v->key = copy;
    }
    v->type = type;
    return v;
}

static bool set_text(struct values *l, const char *key, enum value_type type, const char *value, struct err *e)
{
    char *copy = arena_strdup(l->arena, value ? value : "", e);
    TRY(copy);
    struct value *v = place(l, key, type, e);
    TRY(v);
    v->text = copy;
    return true;
}

bool values_string(struct values *l, const char *key, const char *value, struct err *e)
{
    return set_text(l, key, VALUE_STRING, value, e);
}

bool values_text(struct values *l, const char *key, const char *value, struct err *e)
{
    return set_text(l, key, VALUE_TEXT, value, e);
}

bool values_int(struct values *l, const char *key, long long value, struct err *e)
{
    struct value *v = place(l, key, VALUE_INT, e);
    TRY(v);
    v->i = value;
    return true;
}

bool values_real(struct values *l, const char *key, double value, struct err *e)
{
    struct value *v = place(l, key, VALUE_REAL, e);
    TRY(v);
    v->d = value;
    return true;
}

bool values_bool(struct values *l, const char *key, bool value, struct err *e)
{
    struct value *v = place(l, key, VALUE_BOOL, e);
    TRY(v);
    v->b = value;
    return true;
}

const struct value *values_find(const struct values *l, const char *key) { return find(l, key); }

const char *values_get_string(const struct values *l, const char *key, const char *dflt)
{
    const struct value *v = find(l, key);
    return v && (v->type == VALUE_STRING || v->type == VALUE_TEXT) ? v->text : dflt;
}
