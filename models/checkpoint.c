/*
 * Checkpoints: see checkpoint.h. What files call a parameter varies with their age and with the class that saved them;
 * here all of that becomes the one name that the registry has.
 */
#include "models/checkpoint.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/text.h"
#include "models/bf16.h"
#include "models/init.h"
#include "models/safetensors.h"

/* A tensor of the checkpoint and the file it lies in. */
struct entry {
    const struct tensor *tensor;
    const struct safetensors *file;
};

struct checkpoint {
    const char *path;           /* the weights, or the index of their shards: for messages    */
    struct safetensors *file;   /* [n_files]                                                  */
    const char **file_name;     /* [n_files] within the source                                */
    size_t n_files;
    struct entry *entry;        /* [n_entries] by name                                        */
    size_t n_entries;
    const void *embedded;       /* the one file where it is compiled into the program         */
    size_t embedded_size;
    bool random;
};

static const char weights_file[] = "model.safetensors";
static const char index_file[] = "model.safetensors.index.json";

/* ---- opening ---- */

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return strcmp(x->tensor->name, y->tensor->name);
}

static int compare_key(const void *key, const void *entry)
{
    return strcmp(key, ((const struct entry *)entry)->tensor->name);
}

static const struct entry *entry_find(const struct checkpoint *c, const char *name)
{
    return c->n_entries ? bsearch(name, c->entry, c->n_entries, sizeof *c->entry, compare_key) : NULL;
}

static bool open_file(struct checkpoint *c, const struct model_source *source, const char *name, struct arena *a,
                      struct err *e)
{
    const char *path = model_source_path(source, name, a, e);
    TRY(path);
    struct safetensors *s = &c->file[c->n_files];
    if (source->zoo) {
        TRY(c->embedded = model_source_read(source, name, a, &c->embedded_size, e));
        TRY(safetensors_parse(s, path, c->embedded, c->embedded_size, a, e));
    } else {
        TRY(safetensors_open(s, path, a, e));
    }
    c->file_name[c->n_files++] = name;
    return true;
}

static bool open_single(struct checkpoint *c, const struct model_source *source, struct arena *a, struct err *e)
{
    TRY(c->file = ARENA_NEW(a, MEM_DATA, struct safetensors, 1, e));
    TRY(c->file_name = ARENA_NEW(a, MEM_DATA, const char *, 1, e));
    TRY(c->path = model_source_path(source, weights_file, a, e));
    TRY(open_file(c, source, weights_file, a, e));
    const struct safetensors *s = &c->file[0];
    TRY(c->entry = ARENA_NEW(a, MEM_DATA, struct entry, s->n, e));
    for (size_t i = 0; i < s->n; i++)
        c->entry[c->n_entries++] = (struct entry){s->by_name[i], s};
    return true;
}

/* The shard of a name, opened the first time it is named. */
static const struct safetensors *shard(struct checkpoint *c, const struct model_source *source, const char *name,
                                       struct arena *a, struct err *e)
{
    for (size_t i = 0; i < c->n_files; i++)
        if (strcmp(c->file_name[i], name) == 0)
            return &c->file[i];
    if (strchr(name, '/') || !text_ends(name, ".safetensors")) {
        err_at(e, ERR_INPUT, c->path, 0, 0, "`weight_map` names `%.200s`, which is no safetensors file beside it",
               name);
        return NULL;
    }
    char *copy = arena_strdup(a, name, e);
    TRY(copy && open_file(c, source, copy, a, e));
    return &c->file[c->n_files - 1];
}

static bool read_index(struct checkpoint *c, const struct model_source *source, const json_t *index, struct arena *a,
                       struct err *e)
{
    json_t *map = json_object_get(index, "weight_map"), *value;
    const char *name;
    if (!json_is_object(map))
        return err_at(e, ERR_INPUT, c->path, 0, 0, "`weight_map` is missing or not an object");
    size_t n = json_object_size(map); /* no more files than tensors */
    TRY(c->file = ARENA_NEW(a, MEM_DATA, struct safetensors, n, e));
    TRY(c->file_name = ARENA_NEW(a, MEM_DATA, const char *, n, e));
    TRY(c->entry = ARENA_NEW(a, MEM_DATA, struct entry, n, e));
    json_object_foreach(map, name, value) {
        if (!json_is_string(value))
            return err_at(e, ERR_INPUT, c->path, 0, 0, "tensor `%.200s`: its file is not a string", name);
        const struct safetensors *s = shard(c, source, json_string_value(value), a, e);
        TRY(s);
        const struct tensor *t = safetensors_find(s, name);
        if (!t)
            return err_at(e, ERR_INPUT, c->path, 0, 0, "tensor `%.200s` is not in %.200s, as `weight_map` says", name,
                          json_string_value(value));
        c->entry[c->n_entries++] = (struct entry){t, s};
    }
    qsort(c->entry, c->n_entries, sizeof *c->entry, compare_entries);
    return true;
}

static bool open_shards(struct checkpoint *c, const struct model_source *source, struct arena *a, struct err *e)
{
    size_t size;
    TRY(c->path = model_source_path(source, index_file, a, e));
    const char *text = model_source_read(source, index_file, a, &size, e);
    json_t *index = text ? json_parse(c->path, text, size, e) : NULL;
    bool ok = index && read_index(c, source, index, a, e);
    json_decref(index);
    return ok;
}

/* What a directory may hold in the place of safetensors. */
static bool no_weights(const struct model_source *source, struct err *e)
{
    static const char *const others[] = {"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
                                         "flax_model.msgpack", NULL};
    for (const char *const *f = others; *f; f++)
        if (model_source_has(source, *f))
            return err_at(e, ERR_INPUT, source->dir, 0, 0,
                          "has `%s` but no `%s`: convert it with save_pretrained(..., safe_serialization=True)", *f,
                          weights_file);
    return err_at(e, ERR_INPUT, source->dir, 0, 0, "has no `%s`", weights_file);
}

static bool open_source(struct checkpoint *c, const struct model_source *source, struct arena *a, struct err *e)
{
    if (model_source_has(source, weights_file))
        return open_single(c, source, a, e);
    if (source->zoo) {
        c->random = true;
        return true;
    }
    return model_source_has(source, index_file) ? open_shards(c, source, a, e) : no_weights(source, e);
}

struct checkpoint *checkpoint_open(const struct model_source *source, struct arena *a, struct err *e)
{
    struct checkpoint *c = ARENA_NEW(a, MEM_DATA, struct checkpoint, 1, e);
    TRY(c);
    if (open_source(c, source, a, e))
        return c;
    checkpoint_close(c);
    return NULL;
}

void checkpoint_close(struct checkpoint *c)
{
    for (size_t i = 0; c && i < c->n_files; i++)
        safetensors_close(&c->file[i]);
    if (c)
        c->n_files = c->n_entries = 0;
}

bool checkpoint_is_random(const struct checkpoint *c) { return c->random; }

/* ---- digest ---- */

static int compare_files(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The lines that sha256sum prints for the shards, in the order of their names, and the digest of these. */
static bool digest_shards(const struct checkpoint *c, char hex[IO_DIGEST], struct arena *a, struct err *e)
{
    struct text lines = {.arena = a};
    const char **path = ARENA_NEW(a, MEM_DATA, const char *, c->n_files, e);
    TRY(path);
    for (size_t i = 0; i < c->n_files; i++)
        path[i] = c->file[i].path;
    qsort(path, c->n_files, sizeof *path, compare_files); /* one folder: the same order as the names */
    for (size_t i = 0; i < c->n_files; i++) {
        const char *slash = strrchr(path[i], '/');
        TRY(digest_file(path[i], hex, e));
        TRY(text_add(&lines, e, "%s  %s\n", hex, slash ? slash + 1 : path[i]));
    }
    return io_sha256(lines.s, lines.len, hex, e);
}

bool checkpoint_digest(const struct checkpoint *c, char hex[IO_DIGEST], struct err *e)
{
    if (c->random) {
        snprintf(hex, IO_DIGEST, "random");
        return true;
    }
    if (c->embedded)
        return io_sha256(c->embedded, c->embedded_size, hex, e);
    if (c->n_files == 1 && !text_ends(c->path, index_file))
        return digest_file(c->path, hex, e);
    struct arena *a = arena_create(NULL);
    bool ok = a ? digest_shards(c, hex, a, e) : err_set(e, ERR_ENV, "out of memory");
    arena_destroy(a);
    return ok;
}

/* ---- names ---- */

/* Old files call a LayerNorm's weight gamma and its bias beta. NULL for other parameters. */
static const char *old_norm_name(const struct param *p, const char *name, char *buf, size_t size)
{
    if (p->kind != PARAM_NORM)
        return NULL;
    bool weight = text_ends(name, ".weight");
    size_t stem = strlen(name) - strlen(weight ? "weight" : "bias");
    snprintf(buf, size, "%.*s%s", (int)stem, name, weight ? "gamma" : "beta");
    return buf;
}

/* Where a parameter is: under its name, without the encoder's prefix, and either with the old names of LayerNorm. */
static const struct entry *param_entry(const struct checkpoint *c, const struct model *m, const struct param *p)
{
    const char *prefix = model_config_prefix(&m->config);
    const char *bare = text_starts(p->name, prefix) ? p->name + strlen(prefix) : p->name;
    const char *names[] = {p->name, bare};
    char buf[512];
    for (size_t i = 0; i < 2; i++) {
        const struct entry *found = entry_find(c, names[i]);
        const char *old = old_norm_name(p, names[i], buf, sizeof buf);
        if (!found && old)
            found = entry_find(c, old);
        if (found)
            return found;
    }
    return NULL;
}

/* ---- checking ---- */

static bool same_shape(const struct tensor *t, const struct param *p)
{
    if (p->ndim == 1)
        return t->ndim == 1 && t->shape[0] == p->cols;
    return t->ndim == 2 && t->shape[0] == p->rows && t->shape[1] == p->cols;
}

static bool wrong_shape(const struct entry *entry, const struct model *m, const struct param *p, struct err *e)
{
    char there[160], here[160];
    const struct tensor *t = entry->tensor;
    struct tensor want = p->ndim == 1 ? tensor_vector("", TENSOR_F32, (size_t)p->cols, NULL)
                                      : tensor_matrix("", TENSOR_F32, (size_t)p->rows, (size_t)p->cols, NULL);
    bool labels = (p == m->head_out.w || p == m->head_out.b) && t->ndim == want.ndim &&
                  (t->ndim == 1 || t->shape[1] == want.shape[1]);
    return err_at(e, ERR_INPUT, entry->file->path, 0, 0, "tensor `%s` has shape %s; the model needs %s%s",
                  t->name, tensor_shape_text(t, there, sizeof there), tensor_shape_text(&want, here, sizeof here),
                  labels ? " (another number of labels)" : "");
}

/* The entry a parameter is to be loaded from; *entry NULL when it is to be initialised. */
static bool choose_entry(const struct checkpoint *c, const struct model *m, const struct param *p, bool reinit_head,
                         const struct entry **entry, struct err *e)
{
    *entry = param_entry(c, m, p);
    if (!*entry)
        return p->head || err_at(e, ERR_INPUT, c->path, 0, 0, "tensor `%s` is missing", p->name);
    const struct tensor *t = (*entry)->tensor;
    if (!same_shape(t, p)) {
        if (!p->head || !reinit_head)
            return wrong_shape(*entry, m, p, e);
        *entry = NULL;
    } else if (!tensor_is_float(t->type)) {
        return err_at(e, ERR_INPUT, (*entry)->file->path, 0, 0,
                      "tensor `%s`: dtype is %s; weights are F32, F16, BF16 or F64", t->name,
                      tensor_type_name(t->type));
    }
    return true;
}

bool checkpoint_check(const struct checkpoint *c, const struct model *m, bool reinit_head, struct err *e)
{
    const struct entry *entry;
    for (size_t i = 0; !c->random && i < m->params.n; i++)
        if (!m->params.item[i]->added)
            TRY(choose_entry(c, m, m->params.item[i], reinit_head, &entry, e));
    return true;
}

/* ---- loading ---- */

/* True when a tensor can be used as it lies: the number type of the models, aligned, in a private mapping. */
static bool usable_in_place(const struct entry *entry)
{
    const struct tensor *t = entry->tensor;
    return entry->file->map && t->type == TENSOR_REAL && (uintptr_t)t->data % alignof(real) == 0;
}

static bool in_place_as_bf16(const struct entry *entry, const struct param *p)
{
    const struct tensor *t = entry->tensor;
    return p->hold == HOLD_BF16 && entry->file->map && t->type == TENSOR_BF16 &&
           (uintptr_t)t->data % alignof(uint16_t) == 0;
}

static bool new_weights(struct param *p, struct arena *a, struct err *e)
{
    if (p->hold == HOLD_BF16)
        return (p->half = ARENA_NEW(a, MEM_WEIGHTS, uint16_t, param_size(p), e)) != NULL;
    return (p->w = ARENA_NEW(a, MEM_WEIGHTS, real, param_size(p), e)) != NULL;
}

static void mapped(struct arena *a, size_t bytes, struct checkpoint_report *report)
{
    arena_count(a, MEM_MAPPED, bytes);
    report->n_mapped++;
    report->bytes_mapped += bytes;
}

/* Strip by strip, and the file's pages are let go: no tensor is ever in memory whole in two forms. */
static void convert(const struct entry *entry, struct param *p)
{
    enum { STRIP = 4096 };
    const size_t each = tensor_type_size(entry->tensor->type), size = param_size(p);
#pragma omp parallel for schedule(static)
    for (size_t at = 0; at < size; at += STRIP) {
        real strip[STRIP];
        struct tensor part = *entry->tensor;
        size_t n = size - at < STRIP ? size - at : STRIP;
        part.data = (const unsigned char *)entry->tensor->data + at * each;
        part.bytes = n * each;
        tensor_to_real(&part, strip);
        param_store(p, at, n, strip);
    }
    safetensors_drop(entry->file, entry->tensor);
}

static bool load_entry(const struct entry *entry, struct param *p, struct arena *a, struct checkpoint_report *report,
                       struct err *e)
{
    size_t bytes = param_size(p) * (p->hold == HOLD_BF16 ? sizeof *p->half : sizeof *p->w);
    if (in_place_as_bf16(entry, p)) {
        p->half = (uint16_t *)(uintptr_t)entry->tensor->data; /* const in files; the mapping is private and writable */
        mapped(a, bytes, report);
        return true;
    }
    if (p->hold == HOLD_REAL && usable_in_place(entry)) {
        p->w = (real *)(uintptr_t)entry->tensor->data;
        mapped(a, bytes, report);
        return true;
    }
    TRY(new_weights(p, a, e));
    convert(entry, p);
    report->n_converted++;
    report->bytes_converted += bytes;
    return true;
}

static bool load_param(struct checkpoint *c, struct model *m, struct param *p, uint64_t seed, bool reinit_head,
                       struct arena *a, struct checkpoint_report *report, struct err *e)
{
    const struct entry *entry = NULL;
    TRY(c->random || choose_entry(c, m, p, reinit_head, &entry, e));
    if (entry)
        return load_entry(entry, p, a, report, e);
    TRY(new_weights(p, a, e));
    init_param(&m->config, p, seed);
    if (!c->random)
        report->initialised[report->n_initialised++] = p->name;
    return true;
}

bool checkpoint_load(struct checkpoint *c, struct model *m, uint64_t seed, bool reinit_head, struct arena *a,
                     struct checkpoint_report *report, struct err *e)
{
    *report = (struct checkpoint_report){.random = c->random};
    TRY(report->initialised = ARENA_NEW(a, MEM_DATA, const char *, m->params.n, e));
    for (size_t i = 0; i < m->params.n; i++)
        if (!m->params.item[i]->added)
            TRY(load_param(c, m, m->params.item[i], seed, reinit_head, a, report, e));
    report->n_ignored = c->n_entries - report->n_mapped - report->n_converted;
    return bf16_take_room(&m->params, a, e);
}
