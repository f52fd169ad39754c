/* The table as LaTeX (packages booktabs, graphicx; UTF-8): best bold, second underlined. See table_grid.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/table_grid.h"

/* Special characters, and the few of UTF-8 that captions and notes use. */
static bool add_escaped(struct text *out, const char *s, struct err *e)
{
    static const char *const as[][2] = {
        {"±", "$\\pm$"},  {"×", "$\\times$"}, {"†", "$^\\dagger$"}, {"‡", "$^\\ddagger$"}, {"–", "--"},
        {"\\", "\\textbackslash{}"}, {"~", "\\textasciitilde{}"}, {"^", "\\textasciicircum{}"}, {"_", "\\_"},
        {"%", "\\%"},     {"&", "\\&"},       {"#", "\\#"},         {"$", "\\$"},          {"{", "\\{"},
        {"}", "\\}"},     {"<", "$<$"},       {">", "$>$"},
    };
    while (*s) {
        size_t i = 0, n = sizeof as / sizeof *as;
        while (i < n && strncmp(s, as[i][0], strlen(as[i][0])) != 0)
            i++;
        TRY(i < n ? text_add(out, e, "%s", as[i][1]) : text_add_bytes(out, s, 1, e));
        s += i < n ? strlen(as[i][0]) : 1;
    }
    return true;
}

/* Spread as a subscript with the leading zero dropped, as published tables have it. */
static bool add_spread(struct text *out, const struct table_cell *c, const struct table_options *o, struct err *e)
{
    char std[32];
    if (c->s.n < 2)
        return true;
    if (o->aggregate == TABLE_MEDIAN)
        return text_add(out, e, "\\textsubscript{[%.1f, %.1f]}", c->s.min, c->s.max);
    snprintf(std, sizeof std, "%.1f", c->s.std);
    return text_add(out, e, "\\textsubscript{$\\pm$%s}", std[0] == '0' ? std + 1 : std);
}

static bool add_cell(struct text *out, const struct table_grid *g, const struct table_cell *c,
                     const struct table_options *o, struct err *e)
{
    char value[32];
    TRY(text_add(out, e, " & "));
    if (isnan(c->value))
        return add_escaped(out, table_no_value(c), e) && add_escaped(out, table_marks(c), e);
    const char *mark = c->rank == RANK_BEST ? "\\textbf{" : c->rank == RANK_SECOND ? "\\underline{" : "";
    TRY(text_add(out, e, "%s%s%s", mark, table_value_text(c, value), *mark ? "}" : ""));
    TRY(add_spread(out, c, o, e));
    if (c->s.n && c->s.n != g->n && o->rows != TABLE_SEED && o->columns != TABLE_SEED)
        TRY(text_add(out, e, " ($n$=%zu)", c->s.n));
    return add_escaped(out, table_marks(c), e);
}

static bool add_count(struct text *out, const struct table_row *r, struct err *e)
{
    if (r->trainable[0] < 0)
        return text_add(out, e, " & --");
    TRY(text_add(out, e, " & %lld", r->trainable[0]));
    if (r->trainable[0] != r->trainable[1])
        return text_add(out, e, "--%lld", r->trainable[1]);
    return isnan(r->per_cent) || text_add(out, e, " (%.3g\\%%)", r->per_cent);
}

static bool add_number(struct text *out, double v, int decimals, struct err *e)
{
    return isnan(v) ? text_add(out, e, " & --") : text_add(out, e, " & %.*f", decimals, v);
}

static bool add_row(struct text *out, const struct table_grid *g, const struct table_row *r,
                    const struct table_options *o, struct err *e)
{
    TRY(add_escaped(out, r->label, e));
    for (size_t i = 0; i < g->columns; i++)
        TRY(add_cell(out, g, &r->cell[i], o, e));
    if (g->average)
        TRY(add_cell(out, g, &r->average, o, e));
    if (g->cost)
        TRY(add_count(out, r, e) && add_number(out, r->step_ms, 1, e) && add_number(out, r->tokens, 0, e) &&
            add_number(out, r->peak_mib, 1, e));
    return text_add(out, e, " \\\\\n");
}

static size_t column_count(const struct table_grid *g)
{
    return 1 + g->columns + (g->average ? 1 : 0) + (g->cost ? 4 : 0);
}

static bool add_header(struct text *out, const struct table_grid *g, const struct table_options *o, struct err *e)
{
    TRY(text_add(out, e, "\\begin{tabular}{l"));
    for (size_t i = 1; i < column_count(g); i++)
        TRY(text_add(out, e, "r"));
    TRY(text_add(out, e, "}\n\\toprule\n%s", table_key_words[o->rows]));
    for (size_t i = 0; i < g->columns; i++)
        TRY(text_add(out, e, " & ") && add_escaped(out, g->column[i], e));
    if (g->average)
        TRY(text_add(out, e, " & Avg"));
    if (g->cost)
        TRY(text_add(out, e, " & trainable & ms/step & tokens/s & peak MiB"));
    return text_add(out, e, " \\\\\n");
}

static bool add_block(struct text *out, const struct table_grid *g, const struct table_block *b,
                      const struct table_options *o, struct err *e)
{
    TRY(text_add(out, e, "\\midrule\n"));
    if (g->blocks > 1)
        TRY(text_add(out, e, "\\multicolumn{%zu}{l}{\\textit{", column_count(g)) && add_escaped(out, b->title, e) &&
            text_add(out, e, "}} \\\\\n"));
    for (size_t i = 0; i < b->rows; i++)
        TRY(add_row(out, g, &b->row[i], o, e));
    return true;
}

bool table_latex(struct text *out, const struct table_grid *g, const struct table_options *o, struct err *e)
{
    TRY(text_add(out, e, "%% needs \\usepackage{booktabs,graphicx}\n\\begin{table}[t]\n\\centering\n\\caption{"));
    if (g->blocks == 1 && *g->block[0].title)
        TRY(add_escaped(out, g->block[0].title, e) && text_add(out, e, ". "));
    TRY(add_escaped(out, g->caption.s, e));
    TRY(text_add(out, e, " Best in bold, second underlined.}\n\\resizebox{\\textwidth}{!}{%%\n"));
    TRY(add_header(out, g, o, e));
    for (size_t i = 0; i < g->blocks; i++)
        TRY(add_block(out, g, &g->block[i], o, e));
    TRY(text_add(out, e, "\\bottomrule\n\\end{tabular}}\n"));
    for (size_t i = 0; i < g->notes; i++)
        TRY(text_add(out, e, i ? "\\\\\n\\footnotesize " : "\\par\\vspace{2pt}\\raggedright\\footnotesize ") &&
            add_escaped(out, g->note[i], e));
    return text_add(out, e, "%s\\end{table}\n", g->notes ? "\n" : "");
}
