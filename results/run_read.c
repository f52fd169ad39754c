/* One HDF5 file (or its image) back into a record: the inverse of run_write.c. */
#include "results/run_record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/load.h"

enum { PATH = 512 };

struct reading {
    struct run_record *r;
    unsigned what;
};

static bool wrong(const struct load *l, const char *what, struct err *e)
{
    return err_at(e, ERR_INPUT, l->name, 0, 0, "is not a run file of peftlab, or is damaged: %s", what);
}

/* ---- lists of values ---- */

static bool add_attr(void *data, const struct load_attr *at, struct err *e)
{
    struct values *v = data;
    switch (at->kind) {
    case LOAD_STRING: return values_string(v, at->name, at->text, e);
    case LOAD_INT: return values_int(v, at->name, at->i, e);
    case LOAD_REAL: return values_real(v, at->name, at->d, e);
    case LOAD_BOOL: return values_bool(v, at->name, at->i != 0, e);
    default: return true; /* not ours: somebody's note */
    }
}

static bool read_texts(struct load *l, const char *group, struct values *v, struct err *e)
{
    const char **names, *text;
    size_t n;
    char path[PATH];
    TRY(load_names(l, group, &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", group, names[i]);
        if (load_is_text(l, path))
            TRY(load_text(l, path, &text, e) && values_text(v, names[i], text, e));
    }
    return true;
}

static bool read_values(struct load *l, const char *group, struct values *v, struct err *e)
{
    if (!load_has(l, group))
        return wrong(l, "a group is missing", e);
    return load_attrs(l, group, add_attr, v, e) && read_texts(l, group, v, e);
}

static bool read_status(struct load *l, enum run_status *status, struct err *e)
{
    const char *name;
    TRY(load_schema(l, "results", RUN_SCHEMA_VERSION, e));
    TRY(load_attr_string(l, "/meta", "status", &name, e));
    for (int i = 0; i < RUN_STATUSES; i++)
        if (strcmp(name, run_status_name((enum run_status)i)) == 0) {
            *status = (enum run_status)i;
            return true;
        }
    return wrong(l, "unknown status", e);
}

static bool read_meta(struct load *l, struct run_record *r, struct err *e)
{
    TRY(read_status(l, &r->status, e));
    TRY(load_attr_string(l, "/meta", "name", &r->name, e) && load_attr_string(l, "/meta", "task", &r->task, e));
    TRY(load_attr_string(l, "/meta", "model", &r->model, e) && load_attr_string(l, "/meta", "method", &r->method, e));
    TRY(load_attr_string(l, "/meta", "variant", &r->variant, e) && load_attr_string(l, "/meta", "hash", &r->hash, e));
    TRY(load_attr_int(l, "/meta", "seed", &r->seed, e) && load_attr_string(l, "/meta", "error", &r->error, e));
    return read_values(l, "/meta", &r->meta, e) && read_values(l, "/config", &r->config, e);
}

/* ---- series ---- */

static bool read_column(struct load *l, const char *group, const char *name, struct series *s, bool first,
                        struct err *e)
{
    char path[PATH];
    size_t rows;
    void *v;
    const char *units, *description;
    snprintf(path, sizeof path, "%s/%s", group, name);
    TRY(load_array(l, path, H5T_NATIVE_DOUBLE, sizeof(double), 1, &rows, &v, e));
    TRY(load_attr_string(l, path, "units", &units, e) && load_attr_string(l, path, "description", &description, e));
    if (!first && rows != s->rows)
        return wrong(l, "columns of different lengths", e);
    TRY(series_reserve(s, rows, e));
    s->rows = rows;
    TRY(series_column(s, name, units, description, e));
    struct series_column *c = NULL;
    for (size_t i = 0; i < s->columns; i++)
        if (strcmp(s->column[i].name, name) == 0)
            c = &s->column[i];
    if (rows)
        memcpy(c->v, v, rows * sizeof(double));
    return true;
}

static void restore_missing_steps(struct series *s)
{
    for (size_t i = 0; i < s->columns; i++)
        if (strcmp(s->column[i].name, "step") == 0)
            for (size_t row = 0; row < s->rows; row++)
                if (s->column[i].v[row] == -1)
                    s->column[i].v[row] = NAN;
}

/* Columns that the record declares keep their place; what else the file has follows. */
static bool read_series(struct load *l, const char *group, struct series *s, struct err *e)
{
    const char **names;
    size_t n;
    char path[PATH];
    bool first = true;
    TRY(load_names(l, group, &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", group, names[i]);
        if (load_is_text(l, path))
            continue;
        TRY(read_column(l, group, names[i], s, first, e));
        first = false;
    }
    restore_missing_steps(s);
    return true;
}

static bool read_eval(struct load *l, struct run_record *r, struct err *e)
{
    const char *headline, **list;
    size_t n = 0;
    TRY(load_attr_int(l, "/eval", "best_row", &r->best_row, e));
    TRY(load_attr_string(l, "/eval", "headline", &headline, e));
    if (*headline)
        TRY(load_attr_strings(l, "/eval", "metrics", &list, &n, e));
    for (size_t i = 0; i < n; i++)
        TRY(run_record_metric(r, list[i], e));
    TRY(read_series(l, "/eval", &r->eval, e));
    if (r->best_row < -1 || r->best_row >= (long long)r->eval.rows)
        return wrong(l, "best_row is outside of /eval", e);
    return true;
}

/* ---- predictions ---- */

static bool read_predictions(struct load *l, const char *group, struct predictions *p, struct err *e)
{
    char path[PATH];
    size_t rows, dims[2];
    void *v;
    if (!load_has(l, group))
        return true;
    snprintf(path, sizeof path, "%s/scores", group);
    TRY(load_array(l, path, H5T_NATIVE_FLOAT, sizeof(float), 2, dims, &v, e));
    p->rows = dims[0];
    p->labels = dims[1];
    p->scores = v;
    snprintf(path, sizeof path, "%s/index", group);
    TRY(load_array(l, path, H5T_NATIVE_INT64, sizeof(int64_t), 1, &rows, &v, e));
    p->index = v;
    bool same = rows == p->rows;
    snprintf(path, sizeof path, "%s/label", group);
    TRY(load_array(l, path, H5T_NATIVE_DOUBLE, sizeof(double), 1, &rows, &v, e));
    p->label = v;
    same = same && rows == p->rows;
    snprintf(path, sizeof path, "%s/prediction", group);
    TRY(load_array(l, path, H5T_NATIVE_DOUBLE, sizeof(double), 1, &rows, &v, e));
    p->prediction = v;
    if (!same || rows != p->rows)
        return wrong(l, "predictions of different lengths", e);
    return true;
}

static bool see_regression(void *data, const struct load_attr *at, struct err *e)
{
    (void)e;
    if (strcmp(at->name, "regression") == 0 && at->kind == LOAD_BOOL)
        *(bool *)data = at->i != 0;
    return true;
}

static bool read_label_names(struct load *l, const char *group, struct predictions *p, struct err *e)
{
    char path[PATH];
    const char **names;
    size_t n;
    if (!p->rows)
        return true;
    TRY(load_attrs(l, group, see_regression, &p->regression, e));
    snprintf(path, sizeof path, "%s/label_names", group);
    if (!load_has(l, path))
        return true;
    TRY(load_strings(l, path, &names, &n, e));
    p->names = names;
    return n == p->labels || wrong(l, "label names and scores differ in number", e);
}

/* ---- time, memory, scalars ---- */

static bool read_time(struct load *l, struct run_record *r, struct err *e)
{
    const char **names;
    size_t n;
    char path[PATH];
    TRY(load_names(l, "/time", &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        double seconds;
        snprintf(path, sizeof path, "/time/%s", names[i]);
        TRY(load_real(l, path, &seconds, e));
        if (strcmp(names[i], "total") == 0)
            r->seconds_total = seconds;
        else if (strcmp(names[i], "other") != 0)
            TRY(run_record_time(r, names[i], seconds, e));
    }
    return true;
}

static bool read_size(struct load *l, const char *path, size_t *v, struct err *e)
{
    long long i;
    TRY(load_int(l, path, &i, e));
    *v = (size_t)i;
    return i >= 0 || wrong(l, "a negative size", e);
}

static bool read_memory(struct load *l, struct run_record *r, struct err *e)
{
    char path[PATH];
    size_t rss;
    for (int t = 0; t < MEM_TAGS; t++) {
        snprintf(path, sizeof path, "/memory/%s", mem_tag_name((enum mem_tag)t));
        TRY(read_size(l, path, &r->memory.peak[t], e));
        snprintf(path, sizeof path, "/memory/at_peak/%s", mem_tag_name((enum mem_tag)t));
        TRY(read_size(l, path, &r->memory.at_peak[t], e));
    }
    TRY(read_size(l, "/memory/peak_live", &r->memory.peak_live, e) && read_size(l, "/memory/peak_rss", &rss, e));
    r->peak_rss = rss;
    return true;
}

static bool read_scalars(struct load *l, struct run_record *r, struct err *e)
{
    TRY(load_int(l, "/trainable", &r->trainable, e));
    TRY(load_int(l, "/trainable_with_head", &r->trainable_with_head, e));
    TRY(load_int(l, "/total", &r->total, e) && load_int(l, "/export_bytes", &r->export_bytes, e));
    return load_real(l, "/flops", &r->flops, e);
}

/* ---- gradients ---- */

static bool cells_array(struct load *l, const struct gradient_log *g, const char *name, hid_t type, size_t size,
                        size_t third, void **v, struct err *e)
{
    char path[PATH];
    size_t dims[3] = {0, 0, third};
    snprintf(path, sizeof path, "/gradients/%s", name);
    TRY(load_array(l, path, type, size, third ? 3 : 2, dims, v, e));
    return (dims[0] == g->steps && dims[1] == g->params && dims[2] == third) ||
           wrong(l, "arrays of /gradients differ in shape", e);
}

static bool read_cells(struct load *l, struct gradient_log *g, struct err *e)
{
    void *bins, *tops, *zero, *under, *over, *norm, *captured;
    const hid_t u64 = H5T_NATIVE_UINT64, f64 = H5T_NATIVE_DOUBLE;
    TRY(cells_array(l, g, "histogram", H5T_NATIVE_UINT32, 4, GRADIENT_BINS, &bins, e));
    TRY(cells_array(l, g, "top_share", f64, 8, GRADIENT_TOPS, &tops, e));
    TRY(cells_array(l, g, "zero", u64, 8, 0, &zero, e) && cells_array(l, g, "underflow", u64, 8, 0, &under, e));
    TRY(cells_array(l, g, "overflow", u64, 8, 0, &over, e) && cells_array(l, g, "norm", f64, 8, 0, &norm, e));
    TRY(cells_array(l, g, "captured", f64, 8, 0, &captured, e));
    for (size_t i = 0; i < g->steps * g->params; i++) {
        struct gradient_cell *c = &g->cell[i];
        memcpy(c->bin, (uint32_t *)bins + i * GRADIENT_BINS, sizeof c->bin);
        memcpy(c->top, (double *)tops + i * GRADIENT_TOPS, sizeof c->top);
        c->zero = ((uint64_t *)zero)[i];
        c->underflow = ((uint64_t *)under)[i];
        c->overflow = ((uint64_t *)over)[i];
        c->norm = ((double *)norm)[i];
        c->captured = ((double *)captured)[i];
    }
    return true;
}

static bool read_gradients(struct load *l, struct gradient_log *g, struct err *e)
{
    const char **names;
    size_t params, sizes, steps;
    void *step, *size;
    if (!load_has(l, "/gradients"))
        return true;
    TRY(load_strings(l, "/gradients/parameter", &names, &params, e));
    TRY(load_array(l, "/gradients/size", H5T_NATIVE_UINT64, 8, 1, &sizes, &size, e));
    TRY(load_array(l, "/gradients/step", H5T_NATIVE_INT64, 8, 1, &steps, &step, e));
    if (sizes != params)
        return wrong(l, "arrays of /gradients differ in shape", e);
    TRY(gradient_log_open(g, params, names, size, steps, e));
    for (size_t i = 0; i < steps; i++)
        TRY(gradient_log_step(g, ((int64_t *)step)[i], e));
    return read_cells(l, g, e);
}

/* ---- the file ---- */

static bool read_record(struct load *l, void *data, struct err *e)
{
    const struct reading *x = data;
    struct run_record *r = x->r;
    TRY(run_record_init(r, l->arena, e));
    TRY(read_meta(l, r, e) && read_scalars(l, r, e));
    TRY(read_series(l, "/train", &r->train, e) && read_eval(l, r, e));
    TRY(read_time(l, r, e) && read_memory(l, r, e));
    TRY(read_series(l, "/method", &r->report, e) && read_values(l, "/method", &r->report_facts, e));
    if (x->what & RUN_READ_PREDICTIONS) {
        TRY(read_predictions(l, "/predictions", &r->predictions, e));
        TRY(read_predictions(l, "/predictions_mm", &r->predictions_mm, e));
        TRY(read_label_names(l, "/predictions", &r->predictions, e));
        TRY(read_label_names(l, "/predictions_mm", &r->predictions_mm, e));
    }
    return !(x->what & RUN_READ_GRADIENTS) || read_gradients(l, &r->gradients, e);
}

bool run_record_read(struct run_record *r, struct arena *a, const char *path, unsigned what, struct err *e)
{
    return load_file(a, path, (struct io_piece){0}, read_record, &(struct reading){r, what}, e);
}

bool run_record_read_image(struct run_record *r, struct arena *a, struct io_piece image, const char *name,
                           struct err *e)
{
    return load_file(a, name, image, read_record, &(struct reading){r, RUN_READ_ALL}, e);
}

static bool only_status(struct load *l, void *data, struct err *e) { return read_status(l, data, e); }

bool run_record_read_status(const char *path, enum run_status *status, struct err *e)
{
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_at(e, ERR_ENV, path, 0, 0, "out of memory");
    bool ok = load_file(a, path, (struct io_piece){0}, only_status, status, e);
    arena_destroy(a);
    return ok;
}
