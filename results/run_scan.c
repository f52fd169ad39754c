/* The runs of a folder: see results_scan in run_record.h. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "results/run_record.h"

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool keep_name(struct run_list *l, size_t *cap, const char *path, struct arena *a, struct err *e)
{
    if (l->n == *cap) {
        size_t more = *cap ? 2 * *cap : 64;
        const char **p = ARENA_NEW(a, MEM_DATA, const char *, more, e);
        TRY(p);
        if (l->n)
            memcpy(p, l->path, l->n * sizeof *p);
        l->path = p;
        *cap = more;
    }
    l->path[l->n++] = path;
    return path != NULL;
}

/* Run files only: what is being written ends in .part, claims and weights in words of their own. */
static bool list_files(struct run_list *l, struct arena *a, const char *folder, struct err *e)
{
    size_t cap = 0;
    bool ok = true;
    DIR *d = opendir(folder);
    if (!d)
        return err_errno(e, ERR_INPUT, folder, "holds no results");
    for (struct dirent *f; ok && (f = readdir(d));)
        if (f->d_name[0] != '.' && text_ends(f->d_name, ".h5"))
            ok = keep_name(l, &cap, text_path(a, folder, f->d_name, e), a, e);
    closedir(d);
    if (ok && l->n)
        qsort(l->path, l->n, sizeof *l->path, by_text);
    return ok;
}

static bool same_run(const struct run_record *a, const struct run_record *b)
{
    return a->seed == b->seed && strcmp(a->task, b->task) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->method, b->method) == 0 && strcmp(a->variant, b->variant) == 0;
}

/* Two runs that a table could not tell apart (options outside of the variant were changed between them) must not be
 * averaged: the one that finished later counts. Dates are ISO 8601, so text order is time order. */
static void add_run(struct run_list *l, size_t *n, const char *path, const struct run_record *r)
{
    const char *date = values_get_string(&r->meta, "finished", "");
    for (size_t i = 0; i < *n; i++)
        if (same_run(&l->run[i], r)) {
            bool later = strcmp(date, values_get_string(&l->run[i].meta, "finished", "")) >= 0;
            log_warn("%s: left out: another run of the same task, model, method, variant and seed is newer",
                     later ? l->path[i] : path);
            l->older++;
            if (later) {
                l->run[i] = *r;
                l->path[i] = path;
            }
            return;
        }
    l->run[*n] = *r;
    l->path[(*n)++] = path;
}

static bool read_runs(struct run_list *l, struct arena *a, unsigned what, struct err *e)
{
    size_t n = 0, files = l->n;
    TRY(l->run = ARENA_NEW(a, MEM_DATA, struct run_record, files, e));
    for (size_t i = 0; i < files; i++) {
        struct run_record r;
        struct arena_mark mark = arena_mark(a);
        if (run_record_read(&r, a, l->path[i], what, e)) {
            add_run(l, &n, l->path[i], &r);
            continue;
        }
        char text[2048];
        arena_release(a, mark);
        if (e->code == ERR_ENV)
            return false;
        err_format(e, text, sizeof text);
        log_warn("left out: %s", text);
        l->unreadable++;
    }
    l->n = n;
    return true;
}

bool results_scan(struct run_list *l, struct arena *a, const char *dir, unsigned what, struct err *e)
{
    *l = (struct run_list){0};
    char *folder = text_path(a, dir, "runs", e);
    TRY(folder && list_files(l, a, folder, e) && read_runs(l, a, what, e));
    if (l->n == 0)
        return err_at(e, ERR_INPUT, folder, 0, 0, "holds no readable run");
    *e = (struct err){0};
    return true;
}
