/* Records of benchmarks: see bench_record.h. */
#include "results/bench_record.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "results/load.h"
#include "results/store.h"

enum { PATH = 256 };

/* ---- summaries ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the two nearest of the sorted numbers. */
static double quantile(const double *v, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return n == 0 ? NAN : i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

/* One column over another, sample by sample, sorted. `per` NULL: as it is. */
static void ratios(const struct bench_record *r, const char *column, const char *per, double *v)
{
    for (size_t i = 0; i < r->samples.rows; i++)
        v[i] = series_get(&r->samples, column, i) / (per ? series_get(&r->samples, per, i) : 1);
    qsort(v, r->samples.rows, sizeof *v, ascending);
}

struct bench_summary bench_summarize(const struct bench_record *r, struct arena *a, struct err *e)
{
    struct bench_summary s = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    size_t n = r->samples.rows;
    double *v = ARENA_NEW(a, MEM_DATA, double, n, e);
    if (!v || n == 0)
        return s;
    ratios(r, "tokens", "seconds", v);
    s.tokens_per_second = quantile(v, n, .5);
    s.slowest = v[0];
    s.fastest = v[n - 1];
    ratios(r, "flops", "seconds", v);
    s.gflops = quantile(v, n, .9) / 1e9;
    ratios(r, "sgemm_gflops", NULL, v);
    s.sgemm_gflops = quantile(v, n, .9);
    s.share = s.gflops / s.sgemm_gflops;
    ratios(r, "seconds", "steps", v);
    s.step_seconds = quantile(v, n, .5);
    return s;
}

double bench_phase_seconds(const struct bench_record *r, const char *phase)
{
    double sum = 0, steps = 0;
    for (size_t i = 0; i < r->samples.rows; i++) {
        sum += series_get(&r->samples, phase, i);
        steps += series_get(&r->samples, "steps", i);
    }
    return sum / steps;
}

/* ---- writing ---- */

static void write_meta(struct store *s, const struct bench_record *r)
{
    store_attr_string(s, "/", "Conventions", "peftlab-bench-1");
    store_attr_string(s, "/", "title", r->name);
    store_group(s, "/meta", "what was measured, by which program, on which machine");
    store_attr_int(s, "/meta", "schema_version", BENCH_SCHEMA_VERSION);
    store_attr_string(s, "/meta", "name", r->name);
    store_attr_string(s, "/meta", "shape", r->shape);
    store_attr_string(s, "/meta", "method", r->method);
    store_attr_string(s, "/meta", "lengths", r->lengths);
    store_attr_bool(s, "/meta", "eval", r->eval);
    store_attr_int(s, "/meta", "layers", r->layers);
    store_attr_int(s, "/meta", "batch", r->batch);
    store_attr_int(s, "/meta", "threads", r->threads);
    for (size_t i = 0; i < r->meta.n; i++) {
        const struct value *v = &r->meta.v[i];
        if (v->type == VALUE_TEXT)
            store_text(s, "/meta/spec", v->text, "the spec of the run that the steps are of");
        else if (v->type == VALUE_STRING)
            store_attr_string(s, "/meta", v->key, v->text);
        else if (v->type == VALUE_BOOL)
            store_attr_bool(s, "/meta", v->key, v->b);
        else if (v->type == VALUE_REAL)
            store_attr_real(s, "/meta", v->key, v->d);
    }
}

static void write_samples(struct store *s, const struct series *l)
{
    char path[PATH];
    store_group(s, "/samples", "one row a sample: sums over its steps, then the rate of SGEMM right after them");
    for (size_t i = 0; i < l->columns; i++) {
        const struct series_column *c = &l->column[i];
        snprintf(path, sizeof path, "/samples/%s", c->name);
        store_array(s, &(struct store_array){.path = path, .type = STORE_F64, .data = c->v, .rank = 1,
                                             .dims = {l->rows}, .units = c->units, .description = c->description,
                                             .label = {"sample"}});
    }
}

static void write_tags(struct store *s, const char *group, const size_t bytes[MEM_TAGS])
{
    char path[PATH];
    for (int t = 0; t < MEM_TAGS; t++) {
        snprintf(path, sizeof path, "%s/%s", group, mem_tag_name((enum mem_tag)t));
        store_int(s, path, (long long)bytes[t], "byte", mem_tag_meaning((enum mem_tag)t));
    }
}

static void write_memory(struct store *s, const struct bench_record *r)
{
    store_group(s, "/memory", "bytes of the process");
    store_group(s, "/memory/at_peak", "bytes alive by tag at the moment of peak_live; they sum to it");
    store_group(s, "/memory/planned", "what was planned for them");
    write_tags(s, "/memory/at_peak", r->at_peak);
    write_tags(s, "/memory/planned", r->planned);
    store_int(s, "/memory/peak_live", (long long)r->peak_live, "byte", "highest sum over all tags while steps ran");
    store_int(s, "/memory/planned_total", (long long)r->planned_total, "byte", "what was planned for it");
    store_int(s, "/memory/select_peak", (long long)r->select_peak, "byte", "highest sum over all tags in selection");
    store_int(s, "/memory/peak_rss", (long long)r->peak_rss, "byte",
              "highest resident set of the process, buffers of the SGEMM apart; 0 where the system does not tell");
    store_int(s, "/memory/step_peak_rss", (long long)r->step_peak_rss, "byte", "the same while steps ran");
}

static void write_column(struct store *s, const struct bench_record *r, size_t offset, const char *path,
                         const char *units, const char *description)
{
    double *v = store_scratch(s, r->operations, sizeof *v);
    for (size_t i = 0; v && i < r->operations; i++)
        v[i] = *(const double *)(const void *)((const char *)&r->operation[i] + offset);
    store_array(s, &(struct store_array){.path = path, .type = STORE_F64, .data = v, .rank = 1,
                                         .dims = {r->operations}, .units = units, .description = description,
                                         .label = {"operation"}, .scale = {"/operations/name"}});
}

static void write_operations(struct store *s, const struct bench_record *r)
{
    if (!r->operations)
        return;
    const char **name = store_scratch(s, r->operations, sizeof *name);
    for (size_t i = 0; name && i < r->operations; i++)
        name[i] = r->operation[i].name;
    store_group(s, "/operations", "operations of one layer, timed by themselves");
    store_strings(s, "/operations/name", name, r->operations, "what is computed");
    store_scale(s, "/operations/name", "name");
    write_column(s, r, offsetof(struct bench_operation, seconds), "/operations/seconds", "s", "of one call");
    write_column(s, r, offsetof(struct bench_operation, flops), "/operations/flops", "flop", "of one call");
    write_column(s, r, offsetof(struct bench_operation, bytes), "/operations/bytes", "byte",
                 "operands read and results written, once each");
    store_real(s, "/operations/bandwidth", r->bandwidth, "byte/s", "a[i] = b[i] + c d[i] over arrays beyond caches");
}

static void fill(struct store *s, const void *data)
{
    const struct bench_record *r = data;
    write_meta(s, r);
    write_samples(s, &r->samples);
    write_memory(s, r);
    write_operations(s, r);
    store_real(s, "/flops", r->flops, "flop", "matrix products of a mean step, real tokens alone");
    store_real(s, "/bytes", r->bytes, "byte", "what a mean step's operations must move");
    store_real(s, "/tokens", r->tokens, "token", "real tokens of a mean step");
    store_real(s, "/select_seconds", r->select_seconds, "s", "the method's selection before the first step");
    store_real(s, "/setup_seconds", r->setup_seconds, "s", "model, weights and buffers");
    store_int(s, "/trained", r->trained, "parameter", "trained scalars, the head included");
    store_int(s, "/total", r->total, "parameter", "all scalars of the model");
}

bool bench_record_write(const struct bench_record *r, const char *path, struct err *e)
{
    return store_write(path, fill, r, e);
}

/* ---- reading ---- */

struct reading {
    struct bench_record *r;
    struct arena *arena;
};

/* Attributes of /meta: some are members of the record, the rest is kept as it is. */
static bool see_meta(void *data, const struct load_attr *at, struct err *e)
{
    struct bench_record *r = data;
    const struct { const char *key; const char **text; } texts[] = {
        {"name", &r->name}, {"shape", &r->shape}, {"method", &r->method}, {"lengths", &r->lengths}};
    const struct { const char *key; long long *i; } numbers[] = {
        {"layers", &r->layers}, {"batch", &r->batch}, {"threads", &r->threads}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (at->kind == LOAD_STRING && strcmp(at->name, texts[i].key) == 0)
            return (*texts[i].text = arena_strdup(r->meta.arena, at->text, e)) != NULL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (at->kind == LOAD_INT && strcmp(at->name, numbers[i].key) == 0) {
            *numbers[i].i = at->i;
            return true;
        }
    if (at->kind == LOAD_BOOL && strcmp(at->name, "eval") == 0)
        r->eval = at->i != 0;
    else if (at->kind == LOAD_BOOL)
        return values_bool(&r->meta, at->name, at->i != 0, e);
    return at->kind != LOAD_STRING || values_string(&r->meta, at->name, at->text, e);
}

static bool wrong(const struct load *l, const char *what, struct err *e)
{
    return err_at(e, ERR_INPUT, l->name, 0, 0, "is not a benchmark file of peftlab, or is damaged: %s", what);
}

static bool read_meta(struct load *l, struct bench_record *r, struct err *e)
{
    const char *text;
    TRY(load_schema(l, "benchmark", BENCH_SCHEMA_VERSION, e));
    TRY(load_attrs(l, "/meta", see_meta, r, e));
    if (!r->name || !r->shape || !r->method || !r->lengths)
        return wrong(l, "what was measured is not said", e);
    return !load_has(l, "/meta/spec") ||
           (load_text(l, "/meta/spec", &text, e) && values_text(&r->meta, "spec", text, e));
}

static bool read_samples(struct load *l, struct series *to, struct err *e)
{
    const char **names;
    size_t n;
    char path[PATH];
    TRY(load_names(l, "/samples", &names, &n, e));
    for (size_t i = 0; i < n; i++) {
        size_t rows;
        void *v;
        snprintf(path, sizeof path, "/samples/%s", names[i]);
        TRY(load_array(l, path, H5T_NATIVE_DOUBLE, sizeof(double), 1, &rows, &v, e));
        if (i > 0 && rows != to->rows)
            return wrong(l, "columns of /samples differ in length", e);
        for (size_t k = 0; i == 0 && k < rows; k++)
            TRY(series_row(to, e));
        TRY(series_column(to, names[i], "1", "", e));
        memcpy(series_find(to, names[i])->v, v, rows * sizeof(double));
    }
    return true;
}

static bool read_size(struct load *l, const char *path, size_t *v, struct err *e)
{
    long long i;
    TRY(load_int(l, path, &i, e));
    *v = i > 0 ? (size_t)i : 0;
    return true;
}

static bool read_memory(struct load *l, struct bench_record *r, struct err *e)
{
    char path[PATH];
    for (int t = 0; t < MEM_TAGS; t++) {
        snprintf(path, sizeof path, "/memory/at_peak/%s", mem_tag_name((enum mem_tag)t));
        TRY(read_size(l, path, &r->at_peak[t], e));
        snprintf(path, sizeof path, "/memory/planned/%s", mem_tag_name((enum mem_tag)t));
        TRY(read_size(l, path, &r->planned[t], e));
    }
    return read_size(l, "/memory/peak_live", &r->peak_live, e) &&
           read_size(l, "/memory/planned_total", &r->planned_total, e) &&
           read_size(l, "/memory/select_peak", &r->select_peak, e) &&
           read_size(l, "/memory/peak_rss", &r->peak_rss, e) &&
           read_size(l, "/memory/step_peak_rss", &r->step_peak_rss, e);
}

static bool read_column(struct load *l, struct bench_record *r, size_t offset, const char *path, struct err *e)
{
    size_t n;
    void *v;
    TRY(load_array(l, path, H5T_NATIVE_DOUBLE, sizeof(double), 1, &n, &v, e));
    if (n != r->operations)
        return wrong(l, "columns of /operations differ in length", e);
    for (size_t i = 0; i < n; i++)
        *(double *)(void *)((char *)&r->operation[i] + offset) = ((const double *)v)[i];
    return true;
}

static bool read_operations(struct load *l, struct bench_record *r, struct arena *a, struct err *e)
{
    const char **name;
    if (!load_has(l, "/operations"))
        return true;
    TRY(load_strings(l, "/operations/name", &name, &r->operations, e));
    TRY(r->operation = ARENA_NEW(a, MEM_DATA, struct bench_operation, r->operations, e));
    for (size_t i = 0; i < r->operations; i++)
        TRY(r->operation[i].name = arena_strdup(a, name[i], e));
    return read_column(l, r, offsetof(struct bench_operation, seconds), "/operations/seconds", e) &&
           read_column(l, r, offsetof(struct bench_operation, flops), "/operations/flops", e) &&
           read_column(l, r, offsetof(struct bench_operation, bytes), "/operations/bytes", e) &&
           load_real(l, "/operations/bandwidth", &r->bandwidth, e);
}

static bool read_record(struct load *l, void *data, struct err *e)
{
    struct reading *x = data;
    struct bench_record *r = x->r;
    return read_meta(l, r, e) && read_samples(l, &r->samples, e) && read_memory(l, r, e) &&
           read_operations(l, r, x->arena, e) && load_real(l, "/flops", &r->flops, e) &&
           load_real(l, "/bytes", &r->bytes, e) && load_real(l, "/tokens", &r->tokens, e) &&
           load_real(l, "/select_seconds", &r->select_seconds, e) &&
           load_real(l, "/setup_seconds", &r->setup_seconds, e) && load_int(l, "/trained", &r->trained, e) &&
           load_int(l, "/total", &r->total, e);
}

bool bench_record_read(struct bench_record *r, const char *path, struct arena *a, struct err *e)
{
    struct reading x = {r, a};
    *r = (struct bench_record){.meta.arena = a, .samples.arena = a};
    return load_file(a, path, (struct io_piece){0}, read_record, &x, e);
}

/* ---- a folder of them ---- */

static int by_name(const void *a, const void *b)
{
    const struct bench_record *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static size_t count_files(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));)
        n += text_ends(f->d_name, ".h5");
    if (d)
        closedir(d);
    return n;
}

static bool read_one(struct bench_list *l, const char *folder, const char *name, struct arena *a, struct err *e)
{
    char text[2048];
    char *path = text_path(a, folder, name, e);
    TRY(path);
    if (bench_record_read(&l->record[l->n], path, a, e)) {
        l->n++;
        return true;
    }
    if (e->code == ERR_ENV)
        return false;
    err_format(e, text, sizeof text);
    log_warn("left out: %s", text);
    return true;
}

bool bench_scan(struct bench_list *l, const char *dir, struct arena *a, struct err *e)
{
    char *folder = text_path(a, dir, "bench", e);
    *l = (struct bench_list){0};
    TRY(folder);
    size_t most = count_files(folder);
    TRY(l->record = ARENA_NEW(a, MEM_DATA, struct bench_record, most, e));
    DIR *d = opendir(folder);
    bool ok = true;
    for (struct dirent *f; ok && d && (f = readdir(d));)
        if (f->d_name[0] != '.' && text_ends(f->d_name, ".h5") && l->n < most)
            ok = read_one(l, folder, f->d_name, a, e);
    if (d)
        closedir(d);
    if (ok && l->n)
        qsort(l->record, l->n, sizeof *l->record, by_name);
    return ok;
}
