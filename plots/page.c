/* Pages: see page.h. */
#include "plots/page.h"

#include <ctype.h>
#include <string.h>

#include "base/io.h"
#include "plots/gnuplot.h"

enum {
    PANEL_WIDTH = 400, PANEL_HEIGHT = 280,          /* the axes' rectangle, at least */
    LEFT = 78, RIGHT = 18, TOP = 34, BOTTOM = 66,   /* around it             */
    HEADING = 34, LETTER = 8, SAMPLE = 62, LINE = 20, /* heading; legend     */
    COLOURS = 7, POINTS = 12, STYLES = COLOURS * POINTS
};

/* Okabe and Ito's palette without yellow, which is too faint for lines on white. */
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
/* Filled circle, square, triangle, diamond, triangle; open ones; cross and star. Seven colours and twelve points do not
 * meet again before 84. */
static const int points[] = {7, 5, 9, 13, 11, 4, 6, 8, 12, 10, 1, 3};

static int rows_of(const struct page *p) { return (p->panels + p->columns - 1) / p->columns; }
static int width_of(const struct page *p) { return p->columns * (LEFT + PANEL_WIDTH + RIGHT) + p->legend; }
static int height_of(const struct page *p) { return HEADING + rows_of(p) * (TOP + p->height + BOTTOM); }

/* gnuplot starts a second column of the legend, off the page, when it is taller than the last panel's axes. */
static int panel_height(const struct page *p)
{
    int needed = ((int)p->job->labels.n + 2) * LINE;
    return needed > PANEL_HEIGHT ? needed : PANEL_HEIGHT;
}

static bool set_terminal(struct page *p, struct err *e)
{
    int w = width_of(p), h = height_of(p);
    switch (p->job->format) {
    case PLOT_PNG: /* drawn at 1.6 times its size, to be sharp in print */
        return text_add(&p->gp, e, "set terminal pngcairo size %d,%d fontscale 1.6 linewidth 1.6 pointscale 1.6 "
                                   "font 'DejaVu Sans,10' noenhanced background 'white'\n", w * 8 / 5, h * 8 / 5);
    case PLOT_SVG:
        return text_add(&p->gp, e, "set terminal svg size %d,%d font 'DejaVu Sans,13' noenhanced background 'white'\n",
                        w, h);
    default:
        return text_add(&p->gp, e, "set terminal pdfcairo size %.3fin,%.3fin font 'DejaVu Sans,10' noenhanced\n",
                        w / 96., h / 96.);
    }
}

static bool set_styles(struct page *p, struct err *e)
{
    for (int i = 0; i < STYLES; i++)
        TRY(text_add(&p->gp, e, "set style line %d lc rgb '%s' lw 2 pt %d ps 1 dt %d\n", i + 1, colours[i % COLOURS],
                     points[i % POINTS], 1 + i / COLOURS % 5));
    return text_add(&p->gp, e, "set style fill transparent solid 0.18 noborder\n"
                               "set border 3 lc rgb '#404040'\nset tics nomirror out scale 0.6\n"
                               "set grid lc rgb '#d8d8d8' lw 1\n");
}

bool page_open(struct page *p, struct plot_job *job, const char *name, const char *heading, int panels, size_t longest,
               struct err *e)
{
    *p = (struct page){.job = job, .name = name, .panels = panels, .gp = {.arena = job->a}, .dat = {.arena = job->a}};
    p->columns = panels <= 3 ? panels : panels == 4 ? 2 : 3;
    p->legend = SAMPLE + LETTER * (int)longest;
    p->height = panel_height(p);
    const char *title = page_quote(job->a, heading, e);
    TRY(title && text_add(&p->gp, e, "# Drawn from %s.dat; draw again with: gnuplot %s.gp\n", name, name));
    TRY(set_terminal(p, e));
    TRY(text_add(&p->gp, e, "set output '%s.%s'\nset encoding utf8\n", name, plot_format_words[job->format]));
    TRY(set_styles(p, e));
    TRY(text_add(&p->gp, e, "set multiplot\nset label 1 %s at screen 0.5, screen %.4f center font ',12'\n", title,
                 1 - (HEADING / 2 + 2) / (double)height_of(p)));
    return text_add(&p->dat, e, "# Data of %s.gp: blocks are separated by two empty lines.\n", name);
}

bool page_panel(struct page *p, const char *title, const char *xlabel, const char *ylabel, struct err *e)
{
    double w = width_of(p), h = height_of(p);
    int column = p->panel % p->columns, row = p->panel / p->columns;
    double left = column * (LEFT + PANEL_WIDTH + RIGHT) + LEFT;
    double top = HEADING + row * (TOP + p->height + BOTTOM) + TOP;
    struct text *g = &p->gp;
    const char *quoted[] = {page_quote(p->job->a, title, e), page_quote(p->job->a, xlabel, e),
                            page_quote(p->job->a, ylabel, e)};
    TRY(quoted[0] && quoted[1] && quoted[2]);
    if (p->panel == 1)
        TRY(text_add(g, e, "unset label 1\n"));
    p->panel++;
    TRY(text_add(g, e, "\nset lmargin at screen %.4f\nset rmargin at screen %.4f\n", left / w,
                 (left + PANEL_WIDTH) / w));
    TRY(text_add(g, e, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n", 1 - top / h,
                 1 - (top + p->height) / h));
    TRY(text_add(g, e, "set title %s offset 0,-0.4\nset xlabel %s\nset ylabel %s\n", quoted[0], quoted[1], quoted[2]));
    if (p->panel < p->panels)
        return text_add(g, e, "unset key\n");
    return text_add(g, e, "set key at screen %.4f, screen %.4f left top Left reverse samplen 2.5 spacing 1.2\n",
                    (w - p->legend + 6) / w, 1 - (HEADING + TOP) / h);
}

bool page_data(struct page *p, const char *comment, int *block, struct err *e)
{
    *block = p->block++;
    return text_add(&p->dat, e, "%s# %s\n", *block ? "\n\n" : "", comment);
}

static bool list_picture(struct plot_made *m, struct arena *a, const char *path, struct err *e)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 16;
        const char **more = ARENA_NEW(a, MEM_DATA, const char *, cap, e);
        TRY(more);
        if (m->n)
            memcpy(more, m->path, m->n * sizeof *more);
        m->path = more;
        m->cap = cap;
    }
    m->path[m->n++] = path;
    return true;
}

bool page_close(struct page *p, struct err *e)
{
    struct arena *a = p->job->a;
    char *gp = arena_printf(a, e, "%s.gp", p->name), *dat = arena_printf(a, e, "%s.dat", p->name);
    char *picture = arena_printf(a, e, "%s.%s", p->name, plot_format_words[p->job->format]);
    TRY(gp && dat && picture && text_add(&p->gp, e, "unset multiplot\n"));
    char *gp_path = text_path(a, p->job->folder, gp, e), *dat_path = text_path(a, p->job->folder, dat, e);
    char *path = text_path(a, p->job->folder, picture, e);
    TRY(gp_path && dat_path && path);
    TRY(io_write(dat_path, p->dat.s, p->dat.len, e) && io_write(gp_path, p->gp.s, p->gp.len, e));
    return gnuplot_run(a, p->job->folder, gp, e) && list_picture(p->job->made, a, path, e);
}

char *page_name(struct plot_job *job, const char *kind, const char *task, struct err *e)
{
    char *name = arena_printf(job->a, e, "%s%s%s%s%s", kind, *job->model ? "-" : "", job->model, *task ? "-" : "",
                              task);
    TRY(name);
    for (char *s = name; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._+-", *s))
            *s = '_';
    return name;
}

static bool several_seeds(const struct plot_job *job)
{
    static const int keys[] = {TABLE_TASK, TABLE_METHOD, TABLE_VARIANT, -1};
    const struct run_list *l = job->runs;
    for (size_t i = 0; i < l->n; i++)
        for (size_t j = 0; j < i; j++)
            if (group_match(keys, &l->run[i], &l->run[j]))
                return true;
    return false;
}

char *page_heading(const struct plot_job *job, const char *before, const char *what, struct err *e)
{
    const char *model = job->runs->run[0].model, *slash = strrchr(model, '/');
    model = slash && slash[1] ? slash + 1 : model;
    if (!several_seeds(job))
        return arena_printf(job->a, e, "%s%s", before, model);
    return arena_printf(job->a, e, "%s%s (%s over seeds)", before, model, what);
}

const char *page_quote(struct arena *a, const char *s, struct err *e)
{
    struct text t = {.arena = a};
    TRY(text_add(&t, e, "'"));
    for (; *s; s++)
        TRY(text_add(&t, e, "%s%c", *s == '\'' ? "'" : "", *s == '\n' ? ' ' : *s));
    TRY(text_add(&t, e, "'"));
    return t.s;
}

static int style_of(const struct run_pick *p, const int *keys, const struct run_record *r)
{
    size_t i = 0;
    while (i < p->n && !group_match(keys, p->run[i], r))
        i++;
    return 1 + (int)(i % STYLES);
}

int page_label_style(const struct plot_job *job, const struct run_record *r)
{
    static const int keys[] = {TABLE_METHOD, TABLE_VARIANT, -1};
    return style_of(&job->labels, keys, r);
}

int page_method_style(const struct plot_job *job, const struct run_record *r)
{
    static const int keys[] = {GROUP_FAMILY, -1};
    return style_of(&job->methods, keys, r);
}

bool page_label(const struct plot_job *job, const struct run_record *r, const char **label, struct err *e)
{
    return (*label = method_label(job->a, r, e)) != NULL;
}

size_t page_longest_label(const struct plot_job *job, struct err *e)
{
    size_t longest = 0;
    for (size_t i = 0; i < job->labels.n; i++) {
        const char *label;
        TRY(page_label(job, job->labels.run[i], &label, e));
        longest = strlen(label) > longest ? strlen(label) : longest;
    }
    return longest;
}
