/* Deltas: see delta.h. */
#include "harness/delta.h"

#include <stdio.h>
#include <string.h>

static const char *const form_names[] = {[GRAD_NONE] = "none", [GRAD_DENSE] = "dense",   [GRAD_ROWS] = "rows",
                                         [GRAD_COLS] = "cols", [GRAD_BLOCKS] = "blocks", [GRAD_ENTRIES] = "entries"};

static struct tensor whole(const struct param *p)
{
    if (p->half)
        return tensor_matrix(p->name, TENSOR_BF16, (size_t)p->rows, (size_t)p->cols, p->half);
    if (p->ndim == 1)
        return tensor_vector(p->name, TENSOR_REAL, (size_t)p->cols, p->w);
    return tensor_matrix(p->name, TENSOR_REAL, (size_t)p->rows, (size_t)p->cols, p->w);
}

static enum grad_form trained_form(const struct param *p) { return p->watched ? GRAD_NONE : p->grad.form; }

/* Is it to be stored whole beside what is trained of it? */
static bool moved(const struct param *p) { return p->moved && trained_form(p) != GRAD_DENSE; }

static bool moves(const struct param *p) { return p->touched && p->grad.form == GRAD_ENTRIES; }

/* What was ever trained, as entries, and what is trained now. */
static bool add_moving(const struct param *p, struct arena *a, struct tensor **at, const char ***meta, struct err *e)
{
    size_t n = param_touched(p, NULL);
    uint32_t *index = ARENA_NEW(a, MEM_SCRATCH, uint32_t, n, e);
    real *v = ARENA_NEW(a, MEM_SCRATCH, real, n, e);
    char *index_name = arena_printf(a, e, "%s.index", p->name), *mask_name = arena_printf(a, e, "%s.mask", p->name);
    TRY(index && v && index_name && mask_name);
    param_touched(p, index);
    for (size_t i = 0; i < n; i++)
        v[i] = p->w[index[i]];
    *(*at)++ = tensor_vector(p->name, TENSOR_REAL, n, v);
    *(*at)++ = tensor_vector(index_name, TENSOR_U32, n, index);
    *(*at)++ = tensor_vector(mask_name, TENSOR_U32, p->grad.n, p->grad.idx);
    TRY(*(*meta)++ = arena_printf(a, e, "%s.form", p->name));
    *(*meta)++ = form_names[GRAD_ENTRIES];
    return true;
}

static bool add_moved(const struct param *p, struct arena *a, struct tensor **at, struct err *e)
{
    struct tensor t = whole(p);
    TRY(t.name = arena_printf(a, e, "%s.moved", p->name));
    *(*at)++ = t;
    return true;
}

/* Values, indices, form and block of a partial request. */
static bool add_partial(const struct param *p, struct arena *a, struct tensor **at, const char ***meta, struct err *e)
{
    if (moves(p))
        return add_moving(p, a, at, meta, e);
    real *v = ARENA_NEW(a, MEM_SCRATCH, real, p->grad.size, e);
    TRY(v);
    param_gather(p, p->w, v);
    *(*at)++ = tensor_vector(p->name, TENSOR_REAL, p->grad.size, v);
    char *name = arena_printf(a, e, "%s.index", p->name);
    TRY(name);
    *(*at)++ = tensor_vector(name, TENSOR_U32, p->grad.n, p->grad.idx);
    TRY(*(*meta)++ = arena_printf(a, e, "%s.form", p->name));
    *(*meta)++ = form_names[p->grad.form];
    if (p->grad.form == GRAD_BLOCKS) {
        TRY(*(*meta)++ = arena_printf(a, e, "%s.block", p->name));
        TRY(*(*meta)++ = arena_printf(a, e, "%d", p->grad.block));
    }
    return true;
}

bool delta_tensors(const struct model *m, size_t extra, struct arena *a, struct tensor **tensor, size_t *n,
                   const char ***metadata, struct err *e)
{
    size_t room = 4 * m->params.n + extra;
    TRY(*tensor = ARENA_NEW(a, MEM_SCRATCH, struct tensor, room, e));
    TRY(*metadata = ARENA_NEW(a, MEM_SCRATCH, const char *, 4 * m->params.n + 64, e));
    struct tensor *at = *tensor;
    const char **meta = *metadata;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        if (moved(p))
            TRY(add_moved(p, a, &at, e));
        if (trained_form(p) == GRAD_DENSE)
            *at++ = whole(p);
        else if (trained_form(p) != GRAD_NONE)
            TRY(add_partial(p, a, &at, &meta, e));
    }
    *n = (size_t)(at - *tensor);
    return true;
}

static size_t meta_end(const char **metadata)
{
    size_t n = 0;
    while (metadata[n])
        n++;
    return n;
}

/* In place of values that are trained: every parameter whole. The lists of indices stay. A parameter that got nothing
 * of the shared room has the form `none`. */
static bool make_full(const struct model *m, struct arena *a, struct tensor **tensor, size_t *n, const char **meta,
                      struct err *e)
{
    struct tensor *all = ARENA_NEW(a, MEM_SCRATCH, struct tensor, m->params.n + *n, e);
    size_t count = 0, end = meta_end(meta);
    TRY(all);
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        all[count++] = whole(p);
        if (p->pooled == GRAD_NONE || p->grad.form != GRAD_NONE)
            continue;
        TRY(meta[end++] = arena_printf(a, e, "%s.form", p->name));
        meta[end++] = form_names[GRAD_NONE];
    }
    for (size_t i = 0; i < *n; i++)
        if ((*tensor)[i].type == TENSOR_U32)
            all[count++] = (*tensor)[i];
    *tensor = all;
    *n = count;
    return true;
}

static bool write_in(struct arena *a, const struct model *m, const char *path, bool full, const char *const *metadata,
                     size_t *bytes, struct err *e)
{
    struct tensor *tensor;
    const char **meta;
    size_t n;
    TRY(delta_tensors(m, 0, a, &tensor, &n, &meta, e));
    TRY(!full || make_full(m, a, &tensor, &n, meta, e));
    size_t end = meta_end(meta);
    for (size_t i = 0; metadata && metadata[i] && i < 60; i++)
        meta[end++] = metadata[i];
    meta[end] = NULL;
    *bytes = 0;
    for (size_t i = 0; i < n; i++)
        *bytes += tensor[i].bytes;
    return safetensors_write(path, tensor, n, meta, a, e);
}

bool delta_write(const struct model *m, const char *path, bool full, const char *const *metadata, size_t *bytes,
                 struct err *e)
{
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = write_in(a, m, path, full, metadata, bytes, e);
    arena_destroy(a);
    return ok;
}

/* The tensor of a file that holds all weights; NULL: the file holds those that are trained. */
static const struct tensor *stored_whole(const struct param *p, const struct safetensors *file)
{
    const struct tensor *t = safetensors_find(file, p->name);
    return t && t->type == TENSOR_REAL && tensor_count(t) == param_size(p) ? t : NULL;
}

/* An index list [n] of the file, ascending and in range; NULL is an error. */
static const uint32_t *stored_index(const struct param *p, const struct safetensors *file, const char *ending,
                                    long long n, size_t *found, struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.%s", p->name, ending);
    const struct tensor *t = safetensors_need(file, name, TENSOR_U32, n, e);
    TRY(t);
    const uint32_t *index = t->data;
    size_t units = param_units(p, p->grad.form, p->grad.block);
    *found = tensor_count(t);
    for (size_t i = 0; i < *found; i++)
        if (index[i] >= units || (i && index[i] <= index[i - 1])) {
            err_at(e, ERR_INPUT, file->path, 0, 0, "tensor `%s` is no ascending list of indices", name);
            return NULL;
        }
    return index;
}

static bool apply_moving(struct param *p, const struct safetensors *file, struct err *e)
{
    size_t n, trained;
    const uint32_t *index = stored_index(p, file, "index", -1, &n, e);
    TRY(index);
    const struct tensor *all = stored_whole(p, file);
    const struct tensor *t = all ? all : safetensors_need(file, p->name, TENSOR_REAL, (long long)n, e);
    TRY(t);
    const uint32_t *mask = stored_index(p, file, "mask", (long long)p->grad.n, &trained, e);
    TRY(mask);
    const real *v = t->data;
    for (size_t i = 0; i < n; i++) {
        p->w[index[i]] = v[all ? index[i] : i];
        p->touched[index[i] / 8] |= (uint8_t)(1u << index[i] % 8);
    }
    memcpy(p->grad.idx, mask, trained * sizeof *mask);
    return true;
}

static bool same_form(const struct param *p, const struct safetensors *file, struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.form", p->name);
    const char *form = safetensors_metadata(file, name);
    if (!safetensors_find(file, p->name))
        return err_at(e, ERR_INPUT, file->path, 0, 0, "holds nothing of `%s`", p->name);
    return (form && strcmp(form, form_names[p->grad.form]) == 0) ||
           err_at(e, ERR_INPUT, file->path, 0, 0, "`%s` is stored as %s, not as %s", p->name, form ? form : "dense",
                  form_names[p->grad.form]);
}

static bool apply_partial(struct param *p, const struct safetensors *file, struct err *e)
{
    size_t n;
    TRY(same_form(p, file, e));
    if (moves(p))
        return apply_moving(p, file, e);
    const uint32_t *index = stored_index(p, file, "index", (long long)p->grad.n, &n, e);
    TRY(index);
    memcpy(p->grad.idx, index, n * sizeof *index);
    const struct tensor *v = stored_whole(p, file);
    if (v) {
        memcpy(p->w, v->data, v->bytes);
        return true;
    }
    TRY(v = safetensors_need(file, p->name, TENSOR_REAL, (long long)p->grad.size, e));
    param_scatter(p, v->data);
    return true;
}

/* The tensor under this name, which has as many scalars as p, is all of p. */
static bool apply_whole(struct param *p, const struct safetensors *file, const char *name, struct err *e)
{
    const struct tensor *v = safetensors_need(file, name, TENSOR_REAL, (long long)param_size(p), e);
    TRY(v);
    memcpy(p->w, v->data, v->bytes);
    return true;
}

/* A full file has it under its own name. */
static bool apply_moved(struct param *p, const struct safetensors *file, struct err *e)
{
    char name[640];
    snprintf(name, sizeof name, "%s.moved", p->name);
    return apply_whole(p, file, safetensors_find(file, name) ? name : p->name, e);
}

/* What the file holds of a pooled parameter: absent, whole, or as many units as its index list has. */
static bool stored_units(const struct param *p, const struct safetensors *file, size_t *n, struct err *e)
{
    char name[640];
    const struct tensor *v = safetensors_find(file, p->name);
    snprintf(name, sizeof name, "%s.form", p->name);
    const char *form = safetensors_metadata(file, name);
    if (form && strcmp(form, form_names[GRAD_NONE]) == 0)
        v = NULL;
    snprintf(name, sizeof name, "%s.%s", p->name, p->touched ? "mask" : "index");
    const struct tensor *index = safetensors_find(file, name);
    size_t most = param_units(p, p->pooled, p->pooled_block);
    *n = !v ? 0 : !index ? most : tensor_count(index);
    if (*n > most)
        return err_at(e, ERR_INPUT, file->path, 0, 0, "tensor `%s` has %zu entries, more than %zu", name, *n, most);
    return true;
}

/* How a probe shared out the room is known from the file alone. */
static bool deal_as_stored(struct model *m, const struct safetensors *file, struct arena *a, struct err *e)
{
    size_t *n = ARENA_NEW(a, MEM_SCRATCH, size_t, m->params.n, e), size = 0;
    TRY(n);
    for (size_t i = 0; i < m->params.n; i++) {
        struct param *p = m->params.item[i];
        if (p->pooled == GRAD_NONE)
            continue;
        TRY(stored_units(p, file, &n[i], e));
        size += n[i] * (param_size(p) / param_units(p, p->pooled, p->pooled_block));
    }
    if (size > m->params.pool.size)
        return err_at(e, ERR_INPUT, file->path, 0, 0, "holds %zu trained scalars, more than %zu", size,
                      m->params.pool.size);
    if (m->params.pool.size)
        param_deal(&m->params, n);
    return true;
}

static bool apply_one(struct param *p, const struct safetensors *file, struct err *e)
{
    if (moved(p))
        TRY(apply_moved(p, file, e));
    if (trained_form(p) == GRAD_DENSE)
        return apply_whole(p, file, p->name, e);
    return trained_form(p) == GRAD_NONE || apply_partial(p, file, e);
}

bool delta_apply(struct model *m, const struct safetensors *file, struct arena *a, struct err *e)
{
    TRY(deal_as_stored(m, file, a, e));
    for (size_t i = 0; i < m->params.n; i++)
        TRY(apply_one(m->params.item[i], file, e));
    return true;
}

/* Can apply_one take it? As far as is known before memory is taken. */
static bool compare_one(const struct param *p, const struct safetensors *file, struct err *e)
{
    char name[640];
    size_t n;
    if (trained_form(p) == GRAD_NONE)
        return true;
    if (trained_form(p) == GRAD_DENSE)
        return safetensors_need(file, p->name, TENSOR_REAL, (long long)param_size(p), e) != NULL;
    snprintf(name, sizeof name, "%s.mask", p->name);
    return same_form(p, file, e) && stored_index(p, file, safetensors_find(file, name) ? "mask" : "index",
                                                 (long long)p->grad.n, &n, e);
}

bool delta_start(struct model *m, const struct safetensors *file, bool values, bool *given, struct arena *a,
                 struct err *e)
{
    TRY(!values || deal_as_stored(m, file, a, e));
    for (size_t i = 0; i < m->params.n; i++) {
        struct param *p = m->params.item[i];
        bool later = !values && p->pooled != GRAD_NONE;
        if (p->head || later)
            continue;
        TRY(values ? apply_one(p, file, e) : compare_one(p, file, e));
        if (given && trained_form(p) != GRAD_NONE && trained_form(p) != GRAD_DENSE)
            *given = true;
    }
    return true;
}

bool delta_read(struct model *m, const char *path, struct err *e)
{
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    struct safetensors file;
    bool ok = safetensors_open(&file, path, a, e);
    if (ok) {
        ok = delta_apply(m, &file, a, e);
        safetensors_close(&file);
    }
    arena_destroy(a);
    return ok;
}

size_t delta_bytes(const struct model *m)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        size_t values = moves(p) ? param_touched(p, NULL) : p->grad.size;
        size_t indices = moves(p) ? values + p->grad.n : p->grad.n;
        bytes += moved(p) ? param_size(p) * sizeof(real) : 0;
        if (trained_form(p) != GRAD_NONE)
            bytes += values * sizeof(real) + indices * sizeof(uint32_t);
    }
    return bytes;
}
