/* The table as Markdown, padded so that it reads well on a terminal too. See table_grid.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/table_grid.h"

/* Rows of text before they are padded: the header is row 0. */
struct sheet {
    struct arena *arena;
    const char **text; /* [rows, columns] */
    size_t rows, columns;
};

static size_t width(const char *s) /* code points, which is what terminals count for what stands in a table */
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* A pipe would end the cell. */
static const char *escape(struct arena *a, const char *s, struct err *e)
{
    struct text t = {.arena = a};
    TRY(text_add_bytes(&t, "", 0, e));
    for (; *s; s++)
        TRY(text_add(&t, e, "%s%c", *s == '|' ? "\\" : "", *s));
    return t.s;
}

static const char *spread(const struct table_cell *c, const struct table_options *o, struct arena *a, struct err *e)
{
    if (c->s.n < 2)
        return "";
    if (o->aggregate == TABLE_MEDIAN)
        return arena_printf(a, e, " [%.1f, %.1f]", c->s.min, c->s.max);
    return arena_printf(a, e, " ± %.1f", c->s.std);
}

static const char *cell_text(const struct table_grid *g, const struct table_cell *c, const struct table_options *o,
                             struct arena *a, struct err *e)
{
    char value[32];
    if (isnan(c->value))
        return arena_printf(a, e, "%s%s", table_no_value(c), table_marks(c));
    const char *bold = c->rank == RANK_BEST ? "**" : "", *tail = spread(c, o, a, e);
    TRY(tail);
    bool odd = c->s.n && c->s.n != g->n && o->rows != TABLE_SEED && o->columns != TABLE_SEED;
    const char *n = odd ? arena_printf(a, e, " (n=%zu)", c->s.n) : "";
    TRY(n);
    return arena_printf(a, e, "%s%s%s%s%s%s", bold, table_value_text(c, value), bold, tail, n, table_marks(c));
}

static const char *number(struct arena *a, double v, int decimals, struct err *e)
{
    return isnan(v) ? "–" : arena_printf(a, e, "%.*f", decimals, v);
}

/* 28416 as `28,416`. */
static const char *thousands(struct arena *a, long long v, struct err *e)
{
    struct text t = {.arena = a};
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", v);
    for (int i = 0; i < n; i++)
        TRY(text_add(&t, e, "%s%c", i && (n - i) % 3 == 0 ? "," : "", digits[i]));
    return t.s;
}

static const char *trainable_text(struct arena *a, const struct table_row *r, struct err *e)
{
    if (r->trainable[0] < 0)
        return "–";
    const char *least = thousands(a, r->trainable[0], e), *most = thousands(a, r->trainable[1], e);
    TRY(least && most);
    if (r->trainable[0] != r->trainable[1])
        return arena_printf(a, e, "%s–%s", least, most);
    return isnan(r->per_cent) ? least : arena_printf(a, e, "%s (%.3g %%)", least, r->per_cent);
}

static bool put(struct sheet *s, size_t row, size_t *column, const char *text)
{
    s->text[row * s->columns + (*column)++] = text;
    return text != NULL;
}

static bool fill_header(struct sheet *s, const struct table_grid *g, const struct table_options *o, struct err *e)
{
    size_t c = 0;
    TRY(put(s, 0, &c, table_key_words[o->rows]));
    for (size_t i = 0; i < g->columns; i++)
        TRY(put(s, 0, &c, escape(s->arena, g->column[i], e)));
    if (g->average)
        TRY(put(s, 0, &c, "Avg"));
    if (g->cost)
        TRY(put(s, 0, &c, "trainable") && put(s, 0, &c, "ms/step") && put(s, 0, &c, "tokens/s") &&
            put(s, 0, &c, "peak MiB"));
    return true;
}

static bool fill_row(struct sheet *s, size_t at, const struct table_grid *g, const struct table_row *r,
                     const struct table_options *o, struct err *e)
{
    struct arena *a = s->arena;
    size_t c = 0;
    TRY(put(s, at, &c, escape(a, r->label, e)));
    for (size_t i = 0; i < g->columns; i++)
        TRY(put(s, at, &c, cell_text(g, &r->cell[i], o, a, e)));
    if (g->average)
        TRY(put(s, at, &c, cell_text(g, &r->average, o, a, e)));
    if (!g->cost)
        return true;
    return put(s, at, &c, trainable_text(a, r, e)) && put(s, at, &c, number(a, r->step_ms, 1, e)) &&
           put(s, at, &c, number(a, r->tokens, 0, e)) && put(s, at, &c, number(a, r->peak_mib, 1, e));
}

static bool pad(struct text *out, const char *s, size_t to, bool right, struct err *e)
{
    size_t blank = to - width(s);
    return right ? text_add(out, e, "%*s%s", (int)blank, "", s) : text_add(out, e, "%s%*s", s, (int)blank, "");
}

static bool print_row(struct text *out, const struct sheet *s, size_t row, const size_t *widths, struct err *e)
{
    for (size_t c = 0; c < s->columns; c++)
        TRY(text_add(out, e, c ? " " : "| ") && pad(out, s->text[row * s->columns + c], widths[c], c > 0, e) &&
            text_add(out, e, " |"));
    return text_add(out, e, "\n");
}

static bool print_sheet(struct text *out, const struct sheet *s, struct err *e)
{
    size_t *widths = ARENA_NEW(s->arena, MEM_DATA, size_t, s->columns, e);
    TRY(widths);
    for (size_t i = 0; i < s->rows * s->columns; i++)
        if (width(s->text[i]) > widths[i % s->columns])
            widths[i % s->columns] = width(s->text[i]);
    TRY(print_row(out, s, 0, widths, e));
    for (size_t c = 0; c < s->columns; c++) {
        TRY(text_add(out, e, c ? "" : "|"));
        for (size_t i = 0; i < widths[c] + 1; i++)
            TRY(text_add(out, e, "-"));
        TRY(text_add(out, e, c ? ":|" : "-|"));
    }
    TRY(text_add(out, e, "\n"));
    for (size_t r = 1; r < s->rows; r++)
        TRY(print_row(out, s, r, widths, e));
    return true;
}

static bool print_block(struct text *out, const struct table_grid *g, const struct table_block *b,
                        const struct table_options *o, struct err *e)
{
    struct sheet s = {.arena = out->arena, .rows = b->rows + 1};
    s.columns = 1 + g->columns + (g->average ? 1 : 0) + (g->cost ? 4 : 0);
    TRY(s.text = ARENA_NEW(out->arena, MEM_DATA, const char *, s.rows * s.columns, e));
    TRY(fill_header(&s, g, o, e));
    for (size_t i = 0; i < b->rows; i++)
        TRY(fill_row(&s, i + 1, g, &b->row[i], o, e));
    if (*b->title)
        TRY(text_add(out, e, "**%s**\n\n", b->title));
    return print_sheet(out, &s, e) && text_add(out, e, "\n");
}

bool table_md(struct text *out, const struct table_grid *g, const struct table_options *o, struct err *e)
{
    for (size_t i = 0; i < g->blocks; i++)
        TRY(print_block(out, g, &g->block[i], o, e));
    TRY(text_add(out, e, "%s\n", g->caption.s));
    for (size_t i = 0; i < g->notes; i++)
        TRY(text_add(out, e, "%s* %s\n", i ? "" : "\n", g->note[i]));
    return true;
}
