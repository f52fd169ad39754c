/* Growing columns of doubles: see series.h. */
#include "results/series.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void fill_nan(double *v, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        v[i] = NAN;
}

static struct series_column *find(const struct series *s, const char *name)
{
    for (size_t i = 0; i < s->columns; i++)
        if (strcmp(s->column[i].name, name) == 0)
            return &s->column[i];
    return NULL;
}

static bool column_room(struct series *s, struct err *e)
{
    if (s->columns < s->column_cap)
        return true;
    size_t cap = s->column_cap ? 2 * s->column_cap : 16;
    struct series_column *c = ARENA_NEW(s->arena, MEM_DATA, struct series_column, cap, e);
    TRY(c);
    if (s->columns)
        memcpy(c, s->column, s->columns * sizeof *c);
    s->column = c;
    s->column_cap = cap;
    return true;
}

bool series_column(struct series *s, const char *name, const char *units, const char *description, struct err *e)
{
    assert(!strchr(name, '/')); /* it becomes the name of an object in a group */
    if (find(s, name))
        return true;
    TRY(column_room(s, e));
    struct series_column c = {.name = arena_strdup(s->arena, name, e)};
    TRY(c.name && (c.units = arena_strdup(s->arena, units, e)));
    TRY(c.description = arena_strdup(s->arena, description, e));
    if (s->row_cap)
        TRY(c.v = ARENA_NEW(s->arena, MEM_DATA, double, s->row_cap, e));
    fill_nan(c.v, 0, s->rows);
    s->column[s->columns++] = c;
    return true;
}

bool series_reserve(struct series *s, size_t rows, struct err *e)
{
    if (rows <= s->row_cap)
        return true;
    for (size_t i = 0; i < s->columns; i++) {
        double *v = ARENA_NEW(s->arena, MEM_DATA, double, rows, e);
        TRY(v);
        if (s->rows)
            memcpy(v, s->column[i].v, s->rows * sizeof *v);
        s->column[i].v = v;
    }
    s->row_cap = rows;
    return true;
}

bool series_row(struct series *s, struct err *e)
{
    if (s->rows == s->row_cap)
        TRY(series_reserve(s, s->row_cap ? 2 * s->row_cap : 64, e));
    for (size_t i = 0; i < s->columns; i++)
        s->column[i].v[s->rows] = NAN;
    s->rows++;
    return true;
}

bool series_set(struct series *s, const char *name, double value, struct err *e)
{
    if (s->rows == 0)
        TRY(series_row(s, e));
    TRY(series_column(s, name, "1", "", e));
    find(s, name)->v[s->rows - 1] = value;
    return true;
}

const struct series_column *series_find(const struct series *s, const char *name) { return find(s, name); }

double series_get(const struct series *s, const char *name, size_t row)
{
    const struct series_column *c = find(s, name);
    return c && row < s->rows ? c->v[row] : NAN;
}
