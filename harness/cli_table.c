/* Small tables for people and programs: see cli_impl.h. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "harness/cli_impl.h"

static bool add(struct cli_table *t, const char *text, struct err *e)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        const char **cell = ARENA_NEW(t->arena, MEM_DATA, const char *, cap, e);
        TRY(cell);
        if (t->n)
            memcpy(cell, t->cell, t->n * sizeof *cell);
        t->cell = cell;
        t->cap = cap;
    }
    t->cell[t->n++] = text;
    return true;
}

bool cli_cell(struct cli_table *t, struct err *e, const char *fmt, ...)
{
    char buf[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    const char *text = arena_strdup(t->arena, buf, e);
    return text && add(t, text, e);
}

bool cli_cells(struct cli_table *t, const char *const *cells, struct err *e)
{
    for (; *cells; cells++)
        TRY(add(t, *cells, e));
    return true;
}

static bool write_csv(const struct cli_table *t, struct text *out, struct err *e)
{
    for (size_t i = 0; i < t->n; i++) {
        TRY(text_add(out, e, "%s", i % t->columns ? "," : ""));
        for (const char *s = t->cell[i]; *s; s++)
            TRY(text_add(out, e, "%c", *s == ',' ? ';' : *s == '\n' || *s == '"' ? ' ' : *s));
        if (i % t->columns == t->columns - 1)
            TRY(text_add(out, e, "\n"));
    }
    return true;
}

/* Characters, not bytes. */
static int width(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static int column_width(const struct cli_table *t, size_t column)
{
    int most = 3;
    for (size_t i = column; i < t->n; i += t->columns)
        most = width(t->cell[i]) > most ? width(t->cell[i]) : most;
    return most;
}

/* Every cell below the header is a number, or empty. */
static bool is_numeric(const struct cli_table *t, size_t column)
{
    bool any = false;
    for (size_t i = column + t->columns; i < t->n; i += t->columns) {
        double value;
        if (t->cell[i][0] && !text_to_double(t->cell[i], &value))
            return false;
        any |= t->cell[i][0] != 0;
    }
    return any;
}

static bool write_rule(const struct cli_table *t, struct text *out, struct err *e)
{
    for (size_t k = 0; k < t->columns; k++) {
        TRY(text_add(out, e, k ? " | " : "| "));
        for (int n = column_width(t, k) - is_numeric(t, k); n > 0; n--)
            TRY(text_add(out, e, "-"));
        TRY(text_add(out, e, "%s", is_numeric(t, k) ? ":" : ""));
    }
    return text_add(out, e, " |\n");
}

/* A bar within a cell would end it. */
static const char *escaped(const char *s, struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    if (!strchr(s, '|'))
        return s;
    for (; *s; s++)
        TRY(text_add(&t, e, *s == '|' ? "\\|" : "%c", *s));
    return t.s;
}

static bool escape_all(struct cli_table *t, struct err *e)
{
    for (size_t i = 0; i < t->n; i++)
        TRY(t->cell[i] = escaped(t->cell[i], t->arena, e));
    return true;
}

static bool write_markdown(const struct cli_table *t, struct text *out, struct err *e)
{
    for (size_t i = 0; i < t->n; i++) {
        size_t k = i % t->columns;
        int space = column_width(t, k) - width(t->cell[i]);
        bool right = is_numeric(t, k);
        TRY(text_add(out, e, "%s%*s%s%*s", k ? " | " : "| ", right ? space : 0, "", t->cell[i], right ? 0 : space, ""));
        if (k == t->columns - 1)
            TRY(text_add(out, e, " |\n"));
        if (i == t->columns - 1)
            TRY(write_rule(t, out, e));
    }
    return true;
}

bool cli_table_text(struct cli_table *t, bool csv, struct text *out, struct err *e)
{
    return csv ? write_csv(t, out, e) : escape_all(t, e) && write_markdown(t, out, e);
}

bool cli_print(struct cli_call *c, const char *text, struct err *e)
{
    return fputs(text, c->out) >= 0 || err_errno(e, ERR_ENV, "standard output", "cannot be written");
}

bool cli_print_table(struct cli_call *c, struct cli_table *t, bool csv, struct err *e)
{
    struct text out = {.arena = c->arena};
    return cli_table_text(t, csv, &out, e) && cli_print(c, out.s, e);
}
