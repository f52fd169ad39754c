/* See status.h. */
#include "harness/launch/status.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "harness/launch/pace.h"
#include "harness/launch/standing.h"

/* Names of runs: those expected, and those with a file. */
struct names {
    const char **name;
    size_t n, cap;
};

/* One run with what was found of it. */
struct entry {
    struct standing standing;
    const char *error;
};

static bool add(struct names *l, const char *name, size_t length, struct arena *a, struct err *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        const char **more = ARENA_NEW(a, MEM_DATA, const char *, cap, e);
        TRY(more);
        if (l->n)
            memcpy(more, l->name, l->n * sizeof *more);
        l->name = more;
        l->cap = cap;
    }
    return (l->name[l->n++] = arena_strndup(a, name, length, e)) != NULL;
}

/* runs.tsv: a header, then one name in a line. */
static bool add_expected(struct names *l, const char *path, struct arena *a, struct err *e)
{
    char *text = io_exists(path) ? io_read(a, path, 1 << 24, NULL, e) : (char *)"";
    TRY(text);
    for (char *line = strchr(text, '\n'); line && *++line; line = strchr(line, '\n'))
        TRY(add(l, line, strcspn(line, "\t\r\n"), a, e));
    return true;
}

/* The name in the name of a file of a run; 0: it is no such file. */
static size_t name_length(const char *file)
{
    static const char *const endings[] = {".h5", ".ckpt", ".claim", NULL};
    for (const char *const *ending = endings; *ending; ending++)
        if (*file != '.' && text_ends(file, *ending))
            return strlen(file) - strlen(*ending);
    return 0;
}

static bool add_present(struct names *l, const char *folder, struct arena *a, struct err *e)
{
    DIR *d = opendir(folder);
    bool ok = true;
    size_t length;
    if (!d)
        return true;
    for (struct dirent *f; ok && (f = readdir(d));)
        if ((length = name_length(f->d_name)))
            ok = add(l, f->d_name, length, a, e);
    closedir(d);
    return ok;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void sort_once(struct names *l)
{
    size_t n = 0;
    if (l->n)
        qsort(l->name, l->n, sizeof *l->name, by_text);
    for (size_t i = 0; i < l->n; i++)
        if (n == 0 || strcmp(l->name[n - 1], l->name[i]) != 0)
            l->name[n++] = l->name[i];
    l->n = n;
}

/* Seconds and error of a result; one that has just become unreadable tells nothing. */
static void look_inside(const char *folder, const char *name, struct entry *x, struct pace *pace, struct arena *a)
{
    struct err e;
    struct run_record r;
    const char *path = arena_printf(a, &e, "%s/%s.h5", folder, name);
    if (!path || !run_record_read(&r, a, path, 0, &e))
        return;
    x->error = r.error;
    if (r.status == RUN_FINISHED || r.status == RUN_COLLAPSED)
        pace_add(pace, r.task, strlen(r.task), r.seconds_total);
}

static size_t task_length(const char *name)
{
    const char *end = strstr(name, "--");
    return end ? (size_t)(end - name) : strlen(name);
}

/* A name's row in the counts. */
static void count(struct status *s, const struct standing *x)
{
    switch (x->kind) {
    case STANDING_RUNNING:
        s->running++;
        break;
    case STANDING_PARTIAL:
        s->left++;
        s->interrupted++;
        break;
    case STANDING_ENDED:
        s->diverged += x->status == RUN_DIVERGED;
        s->failed += x->status == RUN_DIVERGED;
        s->finished += x->status != RUN_DIVERGED;
        s->collapsed += x->status == RUN_COLLAPSED;
        break;
    case STANDING_NEW:
        s->failed += x->has_result;
        s->left += !x->has_result;
    }
}

/* What is left takes what such runs took; those at work have begun some time ago, and go on side by side. */
static double estimate(const struct names *l, const struct entry *x, const struct pace *pace, size_t running)
{
    double seconds = 0, now = (double)time(NULL);
    for (size_t i = 0; i < l->n; i++) {
        const struct standing *s = &x[i].standing;
        bool runs = s->kind == STANDING_RUNNING;
        double spent = runs && s->owner.since ? now - (double)s->owner.since : 0;
        if (runs || s->kind == STANDING_PARTIAL || (s->kind == STANDING_NEW && !s->has_result))
            seconds += pace_rest(pace, l->name[i], task_length(l->name[i]), spent);
    }
    return seconds / (double)(running ? running : 1);
}

static bool tell_failure(struct text *t, const char *name, const struct entry *x, struct err *e)
{
    const struct standing *s = &x->standing;
    bool failed =
        (s->kind == STANDING_ENDED && s->status == RUN_DIVERGED) || (s->kind == STANDING_NEW && s->has_result);
    if (!t || !failed)
        return true;
    return text_add(t, e, "%s\t%s\t%s\n", name, run_status_name(s->status), x->error ? x->error : "");
}

static bool list_runs(struct names *l, const char *dir, const char **folder, struct arena *a, struct err *e)
{
    const char *list = text_path(a, dir, "runs.tsv", e);
    TRY(list && (*folder = text_path(a, dir, "runs", e)));
    TRY(add_expected(l, list, a, e) && add_present(l, *folder, a, e));
    sort_once(l);
    return l->n || err_at(e, ERR_INPUT, dir, 0, 0, "holds no runs");
}

bool status_read(const char *dir, struct status *s, struct text *failures, struct arena *a, struct err *e)
{
    struct names l = {0};
    struct pace pace = {0};
    const char *folder;
    *s = (struct status){0};
    TRY(list_runs(&l, dir, &folder, a, e));
    struct entry *x = ARENA_NEW(a, MEM_DATA, struct entry, l.n, e);
    TRY(x);
    for (size_t i = 0; i < l.n; i++) {
        TRY(standing_read(folder, l.name[i], &x[i].standing, a, e));
        if (x[i].standing.has_result)
            look_inside(folder, l.name[i], &x[i], &pace, a);
        count(s, &x[i].standing);
        TRY(tell_failure(failures, l.name[i], &x[i], e));
    }
    s->seconds_left = s->left + s->running ? estimate(&l, x, &pace, s->running) : 0;
    return true;
}

static bool add_csv(struct text *out, const struct status *s, struct err *e)
{
    TRY(text_add(out, e, "finished,running,failed,left,seconds_left,collapsed,diverged,interrupted\n%zu,%zu,%zu,%zu,",
                 s->finished, s->running, s->failed, s->left));
    if (!isnan(s->seconds_left)) /* not known: an empty field */
        TRY(text_add(out, e, "%.1f", s->seconds_left));
    return text_add(out, e, ",%zu,%zu,%zu\n", s->collapsed, s->diverged, s->interrupted);
}

static bool add_failures(struct text *out, char *lines, struct err *e)
{
    TRY(text_add(out, e, "\n| run | status | error |\n|---|---|---|\n"));
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        char *status = strchr(line, '\t'), *error = status ? strchr(status + 1, '\t') : NULL;
        if (!error)
            continue;
        *status++ = *error++ = 0;
        TRY(text_add(out, e, "| %s | %s | %s |\n", line, status, error));
    }
    return true;
}

static bool add_markdown(struct text *out, const struct status *s, char *failures, struct err *e)
{
    char left[16] = "?";
    if (!isnan(s->seconds_left))
        log_duration(s->seconds_left, left);
    TRY(text_add(out, e, "| finished | running | failed | left | time left |\n|---:|---:|---:|---:|---:|\n"));
    TRY(text_add(out, e, "| %zu | %zu | %zu | %zu | %s |\n", s->finished, s->running, s->failed, s->left, left));
    return !failures || add_failures(out, failures, e);
}

bool status_text(const char *dir, bool csv, struct text *out, struct arena *a, struct err *e)
{
    struct status s;
    struct text failures = {.arena = a};
    TRY(status_read(dir, &s, &failures, a, e));
    return csv ? add_csv(out, &s, e) : add_markdown(out, &s, failures.s, e);
}
