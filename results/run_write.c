/* A record into one HDF5 file, group by group as docs/schema.md lists them. */
#include "results/run_record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/store.h"

enum { PATH = 512 };

static const char *text_or_empty(const char *s) { return s ? s : ""; }

/* ---- lists of values ---- */

static void write_value(struct store *s, const char *group, const struct value *v)
{
    char path[PATH];
    switch (v->type) {
    case VALUE_STRING: store_attr_string(s, group, v->key, v->text); break;
    case VALUE_INT: store_attr_int(s, group, v->key, v->i); break;
    case VALUE_REAL: store_attr_real(s, group, v->key, v->d); break;
    case VALUE_BOOL: store_attr_bool(s, group, v->key, v->b); break;
    case VALUE_TEXT:
        snprintf(path, sizeof path, "%s/%s", group, v->key);
        store_text(s, path, v->text, "text");
        break;
    }
}

static const char *const identity[] = {"schema_version", "description", "name", "task",   "model", "method",
                                       "variant",        "hash",        "seed", "status", "error", NULL};

static bool is_identity(const char *key)
{
    for (const char *const *k = identity; *k; k++)
        if (strcmp(*k, key) == 0)
            return true;
    return false;
}

static void write_meta(struct store *s, const struct run_record *r)
{
    store_attr_string(s, "/", "Conventions", "peftlab-run-1");
    store_attr_string(s, "/", "title", text_or_empty(r->name));
    store_group(s, "/meta", "what was run, by which program, on which machine, and how it ended");
    store_attr_int(s, "/meta", "schema_version", RUN_SCHEMA_VERSION);
    store_attr_string(s, "/meta", "name", text_or_empty(r->name));
    store_attr_string(s, "/meta", "task", text_or_empty(r->task));
    store_attr_string(s, "/meta", "model", text_or_empty(r->model));
    store_attr_string(s, "/meta", "method", text_or_empty(r->method));
    store_attr_string(s, "/meta", "variant", text_or_empty(r->variant));
    store_attr_string(s, "/meta", "hash", text_or_empty(r->hash));
    store_attr_int(s, "/meta", "seed", r->seed);
    store_attr_string(s, "/meta", "status", run_status_name(r->status));
    store_attr_string(s, "/meta", "error", text_or_empty(r->error));
    for (size_t i = 0; i < r->meta.n; i++)
        if (!is_identity(r->meta.v[i].key))
            write_value(s, "/meta", &r->meta.v[i]);
}

static void write_config(struct store *s, const struct run_record *r)
{
    store_group(s, "/config", NULL);
    for (size_t i = 0; i < r->config.n; i++)
        write_value(s, "/config", &r->config.v[i]);
}

/* ---- series ---- */

/* Steps are whole numbers: int64 in the file, -1 where none was set. */
static void write_steps(struct store *s, const char *path, const struct series *l, const struct series_column *c)
{
    int64_t *v = store_scratch(s, l->rows, sizeof *v);
    for (size_t i = 0; v && i < l->rows; i++)
        v[i] = isnan(c->v[i]) ? -1 : (int64_t)c->v[i];
    store_array(s, &(struct store_array){.path = path, .type = STORE_I64, .data = v, .rank = 1, .dims = {l->rows},
                                         .units = c->units, .description = c->description});
    store_scale(s, path, c->name);
}

static void write_series(struct store *s, const char *group, const struct series *l)
{
    char step[PATH], path[PATH];
    const struct series_column *steps = series_find(l, "step");
    snprintf(step, sizeof step, "%s/step", group);
    write_steps(s, step, l, steps);
    for (size_t i = 0; i < l->columns; i++) {
        const struct series_column *c = &l->column[i];
        if (c == steps)
            continue;
        snprintf(path, sizeof path, "%s/%s", group, c->name);
        store_array(s, &(struct store_array){.path = path, .type = STORE_F64, .data = l->rows ? c->v : NULL, .rank = 1,
                                             .dims = {l->rows}, .units = c->units, .description = c->description,
                                             .label = {"step"}, .scale = {step}});
    }
}

static void write_eval(struct store *s, const struct run_record *r)
{
    store_group(s, "/eval", "evaluations on the development set");
    write_series(s, "/eval", &r->eval);
    store_attr_string(s, "/eval", "headline", r->metrics ? r->metric[0] : "");
    store_attr_int(s, "/eval", "best_row", r->best_row);
    if (r->metrics)
        store_attr_strings(s, "/eval", "metrics", r->metric, r->metrics);
    for (size_t i = 0; i < r->metrics; i++) {
        char path[PATH];
        snprintf(path, sizeof path, "/eval/%s", r->metric[i]);
        store_attr_real(s, path, "best", run_record_best(r, r->metric[i]));
        store_attr_real(s, path, "last", run_record_last(r, r->metric[i]));
    }
}

static void write_report(struct store *s, const struct run_record *r)
{
    store_group(s, "/method", NULL);
    write_series(s, "/method", &r->report);
    for (size_t i = 0; i < r->report_facts.n; i++)
        write_value(s, "/method", &r->report_facts.v[i]);
}

/* ---- predictions ---- */

static void write_predictions(struct store *s, const char *group, const struct predictions *p)
{
    char index[PATH], names[PATH], path[PATH];
    if (!p->rows)
        return;
    store_group(s, group, "the last evaluation, a row per example in file order");
    store_attr_bool(s, group, "regression", p->regression);
    snprintf(index, sizeof index, "%s/index", group);
    snprintf(names, sizeof names, "%s/label_names", group);
    store_array(s, &(struct store_array){.path = index, .type = STORE_I64, .data = p->index, .rank = 1,
                                         .dims = {p->rows}, .units = "row", .description = "0-based row of the file"});
    store_scale(s, index, "index");
    if (p->names) {
        store_strings(s, names, p->names, p->labels, "names of the labels in the order of their ids");
        store_scale(s, names, "label_names");
    }
    struct store_array d = {.path = path, .type = STORE_F64, .rank = 1, .dims = {p->rows, p->labels}, .units = "1",
                            .label = {"index", "label"}, .scale = {index, p->names ? names : NULL}};
    snprintf(path, sizeof path, "%s/label", group);
    d.data = p->label;
    d.description = "official label id, or the score; NaN where there is none";
    store_array(s, &d);
    snprintf(path, sizeof path, "%s/prediction", group);
    d.data = p->prediction;
    d.description = "id of the largest score, or the predicted value";
    store_array(s, &d);
    snprintf(path, sizeof path, "%s/scores", group);
    d = (struct store_array){.path = path, .type = STORE_F32, .rank = 2, .dims = {p->rows, p->labels}, .units = "1",
                             .data = p->scores, .description = "raw logits", .label = {"index", "label"},
                             .scale = {index, p->names ? names : NULL}};
    store_array(s, &d);
}

/* ---- time, memory ---- */

static void write_time(struct store *s, const struct run_record *r)
{
    char path[PATH];
    double sum = 0;
    store_group(s, "/time", "wall time by phase; the phases and `other` sum to `total`");
    for (size_t i = 0; i < r->phases; i++) {
        snprintf(path, sizeof path, "/time/%s", r->phase[i].name);
        store_real(s, path, r->phase[i].seconds, "s", "wall time of this phase");
        sum += r->phase[i].seconds;
    }
    double total = r->seconds_total > sum ? r->seconds_total : sum;
    store_real(s, "/time/other", total - sum, "s", "wall time that no phase covers");
    store_real(s, "/time/total", total, "s", "wall time of the whole run");
}

static void write_memory(struct store *s, const struct run_record *r)
{
    char path[PATH];
    const struct mem_meter *m = &r->memory;
    store_group(s, "/memory", "highest bytes alive by tag; tags peak at different moments, so they do not add up");
    store_group(s, "/memory/at_peak", "bytes alive by tag at the moment of peak_live; they sum to it");
    for (int t = 0; t < MEM_TAGS; t++) {
        snprintf(path, sizeof path, "/memory/%s", mem_tag_name((enum mem_tag)t));
        store_int(s, path, (long long)m->peak[t], "byte", mem_tag_meaning((enum mem_tag)t));
        snprintf(path, sizeof path, "/memory/at_peak/%s", mem_tag_name((enum mem_tag)t));
        store_int(s, path, (long long)m->at_peak[t], "byte", mem_tag_meaning((enum mem_tag)t));
    }
    store_int(s, "/memory/peak_live", (long long)m->peak_live, "byte", "highest sum over all tags");
    store_int(s, "/memory/peak_rss", (long long)r->peak_rss, "byte",
              "highest resident set of the process, 0 where the system does not tell");
}

/* ---- gradients ---- */

/* Which number of a cell a dataset holds. */
enum cell_field { CELL_ZERO, CELL_UNDERFLOW, CELL_OVERFLOW, CELL_NORM, CELL_CAPTURED };

static void write_cells(struct store *s, const struct gradient_log *l, enum cell_field field,
                        const char *path, const char *description)
{
    bool count = field <= CELL_OVERFLOW;
    size_t n = l->steps * l->params;
    uint64_t *u = store_scratch(s, n, sizeof *u);
    double *v = store_scratch(s, n, sizeof *v);
    for (size_t i = 0; u && v && i < n; i++) {
        const struct gradient_cell *c = &l->cell[i];
        u[i] = field == CELL_ZERO ? c->zero : field == CELL_UNDERFLOW ? c->underflow : c->overflow;
        v[i] = field == CELL_NORM ? c->norm : c->captured;
    }
    store_array(s, &(struct store_array){.path = path, .type = count ? STORE_U64 : STORE_F64,
                                         .data = count ? (const void *)u : v, .rank = 2, .dims = {l->steps, l->params},
                                         .units = count ? "entry" : "1", .description = description,
                                         .label = {"step", "parameter"},
                                         .scale = {"/gradients/step", "/gradients/parameter"}});
}

static void write_gradient_axes(struct store *s, const struct gradient_log *l)
{
    double edge[GRADIENT_BINS + 1];
    for (int i = 0; i <= GRADIENT_BINS; i++)
        edge[i] = gradient_edge(i);
    store_array(s, &(struct store_array){.path = "/gradients/step", .type = STORE_I64, .data = l->step, .rank = 1,
                                         .dims = {l->steps}, .units = "step", .description = "optimizer steps done"});
    store_strings(s, "/gradients/parameter", l->name, l->params, "names of the parameters");
    store_array(s, &(struct store_array){.path = "/gradients/size", .type = STORE_U64, .data = l->size, .rank = 1,
                                         .dims = {l->params}, .units = "entry", .description = "entries of a parameter",
                                         .label = {"parameter"}});
    store_array(s, &(struct store_array){.path = "/gradients/bin", .type = STORE_F64, .data = edge, .rank = 1,
                                         .dims = {GRADIENT_BINS}, .units = "log10",
                                         .description = "lower edge of a histogram bin as log10|g|"});
    store_array(s, &(struct store_array){.path = "/gradients/edges", .type = STORE_F64, .data = edge, .rank = 1,
                                         .dims = {GRADIENT_BINS + 1}, .units = "log10",
                                         .description = "all edges of the histogram bins as log10|g|"});
    store_array(s, &(struct store_array){.path = "/gradients/top", .type = STORE_F64, .data = gradient_top, .rank = 1,
                                         .dims = {GRADIENT_TOPS}, .units = "1",
                                         .description = "share of the entries whose part of the norm is measured"});
    store_scale(s, "/gradients/step", "step");
    store_scale(s, "/gradients/parameter", "parameter");
    store_scale(s, "/gradients/bin", "bin");
    store_scale(s, "/gradients/top", "top");
}

static void write_histograms(struct store *s, const struct gradient_log *l)
{
    size_t n = l->steps * l->params;
    uint32_t *bins = store_scratch(s, n, sizeof l->cell->bin);
    double *tops = store_scratch(s, n, sizeof l->cell->top);
    for (size_t i = 0; bins && tops && i < n; i++) {
        memcpy(bins + i * GRADIENT_BINS, l->cell[i].bin, sizeof l->cell[i].bin);
        memcpy(tops + i * GRADIENT_TOPS, l->cell[i].top, sizeof l->cell[i].top);
    }
    store_array(s, &(struct store_array){.path = "/gradients/histogram", .type = STORE_U32, .data = bins, .rank = 3,
                                         .dims = {l->steps, l->params, GRADIENT_BINS}, .units = "entry",
                                         .description = "entries by log10|g|",
                                         .label = {"step", "parameter", "bin"},
                                         .scale = {"/gradients/step", "/gradients/parameter", "/gradients/bin"}});
    store_array(s, &(struct store_array){.path = "/gradients/top_share", .type = STORE_F64, .data = tops, .rank = 3,
                                         .dims = {l->steps, l->params, GRADIENT_TOPS}, .units = "1",
                                         .description = "norm of the largest entries over the norm of all",
                                         .label = {"step", "parameter", "top"},
                                         .scale = {"/gradients/step", "/gradients/parameter", "/gradients/top"}});
}

static void write_gradients(struct store *s, const struct gradient_log *l)
{
    if (!l->steps)
        return;
    store_group(s, "/gradients", "gradients of the logical batch before clipping, per step and parameter");
    write_gradient_axes(s, l);
    write_histograms(s, l);
    write_cells(s, l, CELL_ZERO, "/gradients/zero", "entries that are exactly 0");
    write_cells(s, l, CELL_UNDERFLOW, "/gradients/underflow", "entries with 0 < |g| < 1e-14");
    write_cells(s, l, CELL_OVERFLOW, "/gradients/overflow", "entries with |g| >= 1e2 or not finite");
    write_cells(s, l, CELL_NORM, "/gradients/norm", "Euclidean norm");
    write_cells(s, l, CELL_CAPTURED, "/gradients/captured", "norm of the trained entries over the norm of all");
}

/* ---- the file ---- */

static void write_scalars(struct store *s, const struct run_record *r)
{
    store_int(s, "/trainable", r->trainable, "parameter", "trained scalars without the head; -1: not known");
    store_int(s, "/trainable_with_head", r->trainable_with_head, "parameter",
              "trained scalars, head included; -1: not known");
    store_int(s, "/total", r->total, "parameter",
              "all scalars of the model as trained, added ones included; -1: not known");
    store_int(s, "/export_bytes", r->export_bytes, "byte", "size of what one would ship; -1: not known");
    store_real(s, "/flops", r->flops, "flop", "floating-point operations of one mean optimizer step; NaN: not known");
}

static void fill(struct store *s, const void *data)
{
    const struct run_record *r = data;
    write_meta(s, r);
    write_config(s, r);
    store_group(s, "/train", "training, a row per logged optimizer step");
    write_series(s, "/train", &r->train);
    write_eval(s, r);
    write_predictions(s, "/predictions", &r->predictions);
    write_predictions(s, "/predictions_mm", &r->predictions_mm);
    write_time(s, r);
    write_memory(s, r);
    write_report(s, r);
    write_gradients(s, &r->gradients);
    write_scalars(s, r);
}

bool run_record_write(const struct run_record *r, const char *path, struct err *e)
{
    return store_write(path, fill, r, e);
}

bool run_record_image(const struct run_record *r, struct arena *a, struct io_piece *image, struct err *e)
{
    return store_image(fill, r, a, image, e);
}
