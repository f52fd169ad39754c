/*
 * From a file of a task to examples, every line checked. GLUE's layouts differ only in what a task file states: header,
 * columns, label words. In QQP alone malformed lines are known and skipped (as Hugging Face's reader does) and counted;
 * everywhere else one is an error with its place.
 */
#include "tasks/dataset.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "tasks/synth.h"
#include "tasks/tsv.h"

struct reader {
    const struct task *t;      /* whose layout the file has */
    struct tsv f;
    long long columns;         /* of every line */
    long long text_a, text_b, label; /* places from the front */
    bool digits;               /* ids stand for classes, too: no class is named by a number */
};

/* A field cut for a message. */
struct quote {
    char s[48];
};

static struct quote quote(const char *s, size_t n)
{
    struct quote q;
    snprintf(q.s, sizeof q.s, n > 40 ? "%.*s..." : "%.*s", (int)(n > 40 ? 40 : n), s);
    return q;
}

static bool place(struct reader *r, const char *what, long long stated, long long *column, struct err *e)
{
    *column = stated < 0 ? r->columns + stated : stated;
    if (*column >= 0 && *column < r->columns)
        return true;
    return err_at(e, ERR_INPUT, r->f.path, 1, 1, "%lld columns; %s should stand in column %lld (%s)", r->columns, what,
                  stated < 0 ? -stated : stated + 1, stated < 0 ? "counted from the last" : "counted from the first");
}

static bool label_of(const struct reader *r, const char *s, size_t n, int32_t *label);

/* A first line whose label is a label is no header: the file lacks it, and its first row would be lost silently. */
static bool check_header(struct reader *r, struct err *e)
{
    size_t n;
    int32_t label;
    double score;
    const char *s = tsv_field(&r->f, r->label, &n);
    struct quote q = quote(s, n);
    bool data = r->t->kind == TASK_REGRESSION ? text_to_double(q.s, &score) : label_of(r, s, n, &label);
    if (data)
        return err_at(e, ERR_INPUT, r->f.path, 1, 1, "a header line is expected; this line has the label `%s`", q.s);
    return true;
}

/* The first line: the number of columns, and where the fields are. */
static bool layout(struct reader *r, struct err *e)
{
    const struct task_columns *c = &r->t->columns;
    long long found = tsv_fields(&r->f);
    r->columns = c->count ? c->count : found;
    if (r->t->header && found != r->columns)
        return err_at(e, ERR_INPUT, r->f.path, 1, 1, "the header has %lld columns; %lld are expected", found,
                      r->columns);
    TRY(place(r, "text_a", c->text_a, &r->text_a, e));
    TRY(!c->pair || place(r, "text_b", c->text_b, &r->text_b, e));
    TRY(place(r, "the label", c->label, &r->label, e));
    return !r->t->header || check_header(r, e);
}

static bool same(const char *s, size_t n, const char *word) { return strlen(word) == n && memcmp(s, word, n) == 0; }

/* A class by its name, or by its id where names are words. */
static bool label_of(const struct reader *r, const char *s, size_t n, int32_t *label)
{
    for (*label = 0; *label < r->t->n_labels; ++*label)
        if (same(s, n, r->t->label[*label]))
            return true;
    char word[8];
    long long id;
    if (!r->digits || n == 0 || n >= sizeof word)
        return false;
    memcpy(word, s, n);
    word[n] = 0;
    if (!text_to_long(word, &id) || id < 0 || id >= r->t->n_labels || (word[0] == '0' && n > 1))
        return false;
    *label = (int32_t)id;
    return true;
}

static bool names_are_words(const struct task *t)
{
    long long id;
    for (int i = 0; t->label && i < t->n_labels; i++)
        if (text_to_long(t->label[i], &id))
            return false;
    return true;
}

/* "0 (unacceptable) or 1 (acceptable)", cut where it gets long. */
static void list_labels(const struct reader *r, char *buf, size_t size)
{
    size_t at = 0;
    buf[0] = 0;
    for (int i = 0; i < r->t->n_labels; i++) {
        const char *sep = i == 0 ? "" : i + 1 == r->t->n_labels ? " or " : ", ";
        char one[80];
        if (r->digits)
            snprintf(one, sizeof one, "%s%d (%.40s)", sep, i, r->t->label[i]);
        else
            snprintf(one, sizeof one, "%s%.40s", sep, r->t->label[i]);
        if (at + strlen(one) + 8 > size) {
            snprintf(buf + at, size - at, ", ...");
            return;
        }
        memcpy(buf + at, one, strlen(one) + 1);
        at += strlen(one);
    }
}

static bool bad_label(const struct reader *r, const char *s, size_t n, struct err *e)
{
    char known[300];
    list_labels(r, known, sizeof known);
    return err_at(e, ERR_INPUT, r->f.path, r->f.line, tsv_column(&r->f, s), "unknown label `%s`; it must be %s",
                  quote(s, n).s, known);
}

static bool bad_columns(const struct reader *r, long long found, struct err *e)
{
    return err_at(e, ERR_INPUT, r->f.path, r->f.line, 1, "%lld column%s; %lld are expected, separated by tabs", found,
                  found == 1 ? "" : "s", r->columns);
}

static bool read_score(const struct reader *r, const char *s, size_t n, float *score, struct err *e)
{
    double v;
    struct quote q = quote(s, n);
    int column = tsv_column(&r->f, s);
    if (n > 40 || !text_to_double(q.s, &v))
        return err_at(e, ERR_INPUT, r->f.path, r->f.line, column, "score is `%s`; it must be a number in [%g, %g]", q.s,
                      r->t->min, r->t->max);
    if (v < r->t->min || v > r->t->max)
        return err_at(e, ERR_INPUT, r->f.path, r->f.line, column, "score is %s; it must lie in [%g, %g]", q.s,
                      r->t->min, r->t->max);
    *score = (float)v;
    return true;
}

/* One line into one example; false with the error of a malformed line. */
static bool read_row(const struct reader *r, struct example *x, struct err *e)
{
    size_t n;
    long long found = tsv_fields(&r->f);
    if (found != r->columns)
        return bad_columns(r, found, e);
    x->text_a = tsv_field(&r->f, r->text_a, &n);
    x->a_size = (uint32_t)n;
    if (r->t->columns.pair) {
        x->text_b = tsv_field(&r->f, r->text_b, &n);
        x->b_size = (uint32_t)n;
    }
    const char *s = tsv_field(&r->f, r->label, &n);
    if (r->t->kind == TASK_REGRESSION)
        return read_score(r, s, n, &x->score, e);
    return label_of(r, s, n, &x->label) || bad_label(r, s, n, e);
}

/* No more rows than lines. */
static size_t count_lines(const struct tsv *f)
{
    size_t n = 1;
    for (const char *s = f->next; (s = memchr(s, '\n', (size_t)(f->end - s))); s++)
        n++;
    return n;
}

static bool read_rows(struct reader *r, struct examples *x, struct err *e)
{
    bool more = true;
    for (bool ok = tsv_next(&r->f, &more, e); more || !ok; ok = tsv_next(&r->f, &more, e)) {
        TRY(ok);
        if (r->f.line == 1) {
            TRY(layout(r, e));
            if (r->t->header)
                continue;
        }
        struct example one = {.row = (int32_t)x->n};
        if (read_row(r, &one, e)) {
            x->item[x->n++] = one;
            continue;
        }
        if (!r->t->skip_malformed)
            return false;
        if (x->skipped++ == 0)
            x->skipped_line = r->f.line;
        *e = (struct err){0};
    }
    return x->n || err_at(e, ERR_INPUT, r->f.path, 0, 0, "the file has no rows");
}

static bool read_file(struct examples *x, const struct task *layout_of, const char *path, struct arena *a,
                      struct err *e)
{
    struct reader r = {.t = layout_of, .digits = names_are_words(layout_of)};
    TRY(tsv_open(&r.f, path, a, e));
    size_t lines = count_lines(&r.f);
    if (lines > INT32_MAX)
        return err_at(e, ERR_INPUT, path, 0, 0, "more than 2^31 lines");
    TRY(x->item = ARENA_NEW(a, MEM_DATA, struct example, lines, e));
    return read_rows(&r, x, e);
}

static bool generate(struct examples *x, bool dev, long long rows, struct arena *a, struct err *e)
{
    const struct task *t = x->task;
    size_t n = (size_t)rows;
    struct synth_example *made = ARENA_NEW(a, MEM_DATA, struct synth_example, n, e);
    TRY(made && synth_make(t->synth, t->synth_seed, dev, n, made, a, e));
    TRY(x->item = ARENA_NEW(a, MEM_DATA, struct example, n, e));
    for (size_t i = 0; i < n; i++) {
        struct example *one = &x->item[i];
        *one = (struct example){.text_a = made[i].text_a, .text_b = made[i].text_b, .row = (int32_t)i,
                                .label = made[i].label, .score = made[i].score};
        one->a_size = (uint32_t)strlen(one->text_a);
        one->b_size = one->text_b ? (uint32_t)strlen(one->text_b) : 0;
    }
    x->n = n;
    return true;
}

bool examples_train(struct examples *x, const struct task *t, const char *data, long long rows, struct arena *a,
                    struct err *e)
{
    *x = (struct examples){.task = t};
    if (t->synth)
        return generate(x, false, rows > 0 ? rows : t->train.rows, a, e);
    const struct task *from = t->train_from ? t->train_from : t;
    const char *path = task_file(from, &from->train, data, a, e);
    return path && read_file(x, from, path, a, e);
}

bool examples_dev(struct examples *x, const struct task *t, size_t dev, const char *data, long long rows,
                  struct arena *a, struct err *e)
{
    *x = (struct examples){.task = t};
    if (t->synth)
        return generate(x, true, rows > 0 ? rows : t->dev[dev].rows, a, e);
    const char *path = task_file(t, &t->dev[dev], data, a, e);
    return path && read_file(x, t, path, a, e);
}

bool task_check(const struct task *t, const char *data, struct err *e)
{
    if (t->synth)
        return true;
    for (size_t i = 0; i <= t->n_dev; i++) {
        struct arena *a = arena_create(NULL);
        struct examples x;
        bool ok = a || err_set(e, ERR_ENV, "out of memory");
        ok = ok && (i ? examples_dev(&x, t, i - 1, data, 0, a, e) : examples_train(&x, t, data, 0, a, e));
        if (ok && x.skipped)
            log_warn("%s, %s: %lld malformed rows are left out, the first in line %d", t->name,
                     i ? t->dev[i - 1].name : "train", x.skipped, x.skipped_line);
        arena_destroy(a);
        TRY(ok);
    }
    return true;
}
