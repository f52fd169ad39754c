/*
 * Roofline (Williams, Waterman, Patterson 2009, doi:10.1145/1498765.1498785): rate against arithmetic intensity, on log
 * axes, below what the processor can compute (OpenBLAS's SGEMM) and what the memory can bring (a triad). Points are the
 * operations of one layer, timed by themselves, and the whole step of each method. A picture for each shape, length,
 * batch and number of threads that was measured with its operations.
 */
#include <math.h>
#include <string.h>

#include "plots/kinds.h"

/* Operations whose name begins with `prefix` share a legend entry: filled points are forward's, open ones
 * backward's. */
struct family {
    const char *prefix, *title, *colour;
    int filled; /* gnuplot's number of the point; the open one is the number before it */
};
static const struct family families[] = {
    {"query", "product H × H", "#0072B2", 7},    {"intermediate", "product H × 4H", "#D55E00", 5},
    {"output", "product 4H × H", "#009E73", 9},  {"attention", "attention", "#CC79A7", 13},
    {"GELU", "GELU", "#E69F00", 11},             {"LayerNorm", "LayerNorm", "#56B4E9", 7},
    {"dropout", "dropout", "#7F7F7F", 5},        {"AdamW", "AdamW", "#000000", 9},
};
enum { FAMILIES = sizeof families / sizeof *families };

/* What steps are drawn with: crosses, so that no operation looks like them. */
static const char *const colours[] = {"#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
static const int crosses[] = {3, 2, 1};

struct roof {
    double gflops, bandwidth; /* 1e9 operations and bytes a second */
    double left, right, low;  /* ranges of the axes                */
};

struct picture {
    struct page page;
    const struct bench_record *of; /* with the operations */
    struct roof roof;
    const char *before;            /* of the next curve   */
};

static bool same_group(const struct bench_record *a, const struct bench_record *b)
{
    return strcmp(a->shape, b->shape) == 0 && strcmp(a->lengths, b->lengths) == 0 && a->batch == b->batch &&
           a->threads == b->threads && a->layers == b->layers && !a->eval && !b->eval;
}

/* ---- ranges ---- */

static void widen(struct roof *f, double x, double y)
{
    f->left = x > 0 && x < f->left ? x : f->left;
    f->right = x > f->right ? x : f->right;
    f->low = y > 0 && y < f->low ? y : f->low;
}

static struct roof roof_of(const struct plot_job *job, const struct bench_record *of, struct err *e)
{
    struct roof f = {.bandwidth = of->bandwidth / 1e9, .left = 1, .right = 100, .low = 10};
    for (size_t i = 0; i < of->operations; i++) {
        const struct bench_operation *o = &of->operation[i];
        widen(&f, o->flops / o->bytes, o->flops / o->seconds / 1e9);
    }
    for (size_t i = 0; i < job->bench->n; i++) {
        const struct bench_record *r = &job->bench->record[i];
        if (!same_group(of, r))
            continue;
        struct bench_summary s = bench_summarize(r, job->a, e);
        widen(&f, r->flops / r->bytes, s.gflops);
        f.gflops = s.sgemm_gflops > f.gflops ? s.sgemm_gflops : f.gflops;
    }
    return f;
}

/* ---- curves ---- */

static bool next_curve(struct picture *p, struct err *e)
{
    TRY(text_add(&p->page.gp, e, "%s", p->before));
    p->before = ", \\\n     ";
    return true;
}

static bool is_of(const struct bench_operation *o, const struct family *f) { return text_starts(o->name, f->prefix); }

static bool is_backward(const struct bench_operation *o)
{
    return text_ends(o->name, "backward") || text_ends(o->name, "dx") || text_ends(o->name, "dW");
}

/* The operations of one family that belong to forward, or to backward; none: no block. */
static bool operations_block(struct picture *p, const struct family *f, bool backward, int *block, size_t *count,
                             struct err *e)
{
    *count = 0;
    for (size_t i = 0; i < p->of->operations; i++)
        *count += is_of(&p->of->operation[i], f) && is_backward(&p->of->operation[i]) == backward;
    if (!*count)
        return true;
    TRY(page_data(&p->page, "flop/byte, Gflop/s, operation", block, e));
    for (size_t i = 0; i < p->of->operations; i++) {
        const struct bench_operation *o = &p->of->operation[i];
        if (is_of(o, f) && is_backward(o) == backward)
            TRY(text_add(&p->page.dat, e, "%.6g %.6g %s\n", o->flops / o->bytes, o->flops / o->seconds / 1e9,
                         page_quote(p->page.job->a, o->name, e)));
    }
    return true;
}

static bool draw_family(struct picture *p, const struct family *f, struct err *e)
{
    for (int backward = 0; backward < 2; backward++) {
        int block;
        size_t count;
        TRY(operations_block(p, f, backward, &block, &count, e));
        if (!count)
            continue;
        const char *title = backward ? "notitle" : arena_printf(p->page.job->a, e, "title '%s'", f->title);
        TRY(title && next_curve(p, e));
        TRY(text_add(&p->page.gp, e, "'%s.dat' index %d using 1:2 with points pt %d ps 1 lw 1.5 lc rgb '%s' %s",
                     p->page.name, block, f->filled - backward, f->colour, title));
    }
    return true;
}

/* The method with what was overridden for it. */
static char *step_label(struct arena *a, const struct bench_record *r, struct err *e)
{
    const char *overrides = values_get_string(&r->meta, "overrides", "");
    char *label = arena_printf(a, e, "step: %s%s%.60s", r->method, *overrides ? " " : "", overrides);
    for (char *s = label; s && *s; s++)
        *s = *s == '\n' ? ' ' : *s;
    return label;
}

static bool longest_label(const struct plot_job *job, const struct bench_record *of, size_t *longest, struct err *e)
{
    *longest = strlen("product 4H × H");
    for (size_t i = 0; i < job->bench->n; i++) {
        const char *label = step_label(job->a, &job->bench->record[i], e);
        TRY(label);
        if (same_group(of, &job->bench->record[i]) && strlen(label) > *longest)
            *longest = strlen(label);
    }
    return true;
}

static bool draw_step(struct picture *p, const struct bench_record *r, size_t number, struct err *e)
{
    int block;
    struct arena *a = p->page.job->a;
    const struct bench_summary s = bench_summarize(r, a, e);
    const char *label = step_label(a, r, e), *title = label ? page_quote(a, label, e) : NULL;
    TRY(title && page_data(&p->page, "flop/byte, Gflop/s, the whole step of a method", &block, e));
    TRY(text_add(&p->page.dat, e, "%.6g %.6g %s\n", r->flops / r->bytes, s.gflops, title) && next_curve(p, e));
    return text_add(&p->page.gp, e,
                    "'%s.dat' index %d using 1:2 with points pt %d ps 1.6 lw 2 lc rgb '%s' title %s",
                    p->page.name, block, crosses[number / 7 % 3], colours[number % 7], title);
}

static bool draw_roof(struct picture *p, struct err *e)
{
    const struct roof *f = &p->roof;
    struct text *g = &p->page.gp;
    double left = pow(10, floor(log10(f->left))), right = pow(10, ceil(log10(f->right * 1.2)));
    double low = pow(10, floor(log10(f->low)));
    TRY(text_add(g, e, "set logscale xy 10\nset xrange [%g:%g]\nset yrange [%g:%g]\n", left, right, low,
                 f->gflops * 2.5));
    TRY(text_add(g, e, "set format xy '%%g'\npeak = %.6g\nbandwidth = %.6g\n", f->gflops, f->bandwidth));
    TRY(text_add(g, e, "roof(x) = bandwidth * x < peak ? bandwidth * x : peak\nset samples 1000\n"));
    TRY(text_add(g, e, "set label 2 'SGEMM %.0f Gflop/s' at first %g, first peak right\n", f->gflops,
                 f->gflops / f->bandwidth / 1.25));
    double slope = atan(log10(right / left) / log10(f->gflops * 2.5 / low) * p->page.height / 400.); /* of the panel */
    TRY(text_add(g, e, "set label 3 'triad %.0f GB/s' at first %g, first bandwidth * %g center offset %.2f,%.2f "
                       "rotate by %.0f\n", f->bandwidth, left * 4, left * 4, -2.4 * sin(slope), 1.2 * cos(slope),
                 slope * 57.29577951));
    p->before = "plot ";
    TRY(next_curve(p, e));
    return text_add(g, e, "roof(x) with lines lw 2.5 lc rgb '#404040' notitle");
}

static size_t legend_entries(const struct plot_job *job, const struct bench_record *of)
{
    size_t n = FAMILIES;
    for (size_t i = 0; i < job->bench->n; i++)
        n += same_group(of, &job->bench->record[i]);
    return n;
}

static bool draw_picture(struct plot_job *job, const struct bench_record *of, struct err *e)
{
    struct picture p = {.of = of, .roof = roof_of(job, of, e)};
    size_t steps = 0, longest;
    TRY(longest_label(job, of, &longest, e));
    char *name = arena_printf(job->a, e, "%s-%s-b%lld-l%lld-t%lld", of->shape, of->lengths, of->batch, of->layers,
                              of->threads);
    char *heading = arena_printf(job->a, e, "%s, %lld × %s tokens, %lld thread%s", of->shape, of->batch, of->lengths,
                                 of->threads, of->threads == 1 ? "" : "s");
    TRY(name && (name = page_name(job, "roofline", name, e)) && heading);
    job->labels.n = legend_entries(job, of);
    TRY(page_open(&p.page, job, name, heading, 1, longest, e));
    TRY(page_panel(&p.page, "filled: forward, open: backward", "arithmetic intensity / (flop/byte)", "Gflop/s", e));
    TRY(draw_roof(&p, e));
    for (size_t i = 0; i < FAMILIES; i++)
        TRY(draw_family(&p, &families[i], e));
    for (size_t i = 0; i < job->bench->n; i++)
        if (same_group(of, &job->bench->record[i]))
            TRY(draw_step(&p, &job->bench->record[i], steps++, e));
    return text_add(&p.page.gp, e, "\n") && page_close(&p.page, e);
}

/* The first record with operations stands for its group. */
static bool is_first(const struct bench_list *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (l->record[k].operations && same_group(&l->record[k], &l->record[i]))
            return false;
    return l->record[i].operations > 0;
}

bool plot_roofline(struct plot_job *job, struct err *e)
{
    for (size_t i = 0; i < job->bench->n; i++)
        if (is_first(job->bench, i))
            TRY(draw_picture(job, &job->bench->record[i], e));
    return true;
}
