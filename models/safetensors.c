/*
 * Reading safetensors: see safetensors.h. The header comes from anywhere and is believed in nothing: after
 * safetensors_open every tensor lies inside the file, has the bytes its dtype and shape ask for, and shares none with
 * another.
 */
#define _DEFAULT_SOURCE /* madvise */

#include "models/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

enum { LENGTH = 8, HEADER_LIMIT = 100000000, NAME_SHOWN = 200 };

/* One file while it is read. */
struct reading {
    struct safetensors *s;
    const unsigned char *data; /* behind the header */
    size_t data_size;
    struct arena *arena;
    struct err *e;
};

static bool bad_tensor(struct reading *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* `file: tensor `name`: what is wrong`. */
static bool bad_tensor(struct reading *r, const char *name, const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_at(r->e, ERR_INPUT, r->s->path, 0, 0, "tensor `%.*s`: %s", NAME_SHOWN, name, what);
}

static bool read_type(struct reading *r, const json_t *info, struct tensor *t)
{
    const char *type = json_string_value(json_object_get(info, "dtype"));
    if (!type)
        return bad_tensor(r, t->name, "dtype is missing or not a string");
    for (int i = 0; i < TENSOR_TYPES; i++)
        if (strcmp(type, tensor_type_name((enum tensor_type)i)) == 0) {
            t->type = (enum tensor_type)i;
            return true;
        }
    return bad_tensor(r, t->name, "dtype `%.32s` is not known", type);
}

/* Shape, and in t->bytes what it needs. */
static bool read_shape(struct reading *r, const json_t *info, struct tensor *t)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape))
        return bad_tensor(r, t->name, "shape is missing or not a list");
    if (json_array_size(shape) > TENSOR_MAX_DIMS)
        return bad_tensor(r, t->name, "shape has %zu dimensions; the limit is %d", json_array_size(shape),
                          TENSOR_MAX_DIMS);
    t->ndim = (int)json_array_size(shape);
    t->bytes = tensor_type_size(t->type);
    for (int i = 0; i < t->ndim; i++) {
        const json_t *j = json_array_get(shape, (size_t)i);
        if (!json_is_integer(j) || json_integer_value(j) < 0)
            return bad_tensor(r, t->name, "shape holds something else than a size");
        t->shape[i] = (int64_t)json_integer_value(j);
        if (__builtin_mul_overflow(t->bytes, (size_t)t->shape[i], &t->bytes))
            return bad_tensor(r, t->name, "shape is too large");
    }
    return true;
}

static bool read_range(struct reading *r, const json_t *info, struct tensor *t)
{
    const json_t *range = json_object_get(info, "data_offsets");
    const json_t *from = json_array_get(range, 0), *to = json_array_get(range, 1);
    if (json_array_size(range) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return bad_tensor(r, t->name, "data_offsets is not a list of two integers");
    long long begin = json_integer_value(from), end = json_integer_value(to);
    if (begin < 0 || end < begin)
        return bad_tensor(r, t->name, "data_offsets [%lld, %lld] is not a range", begin, end);
    if ((unsigned long long)end > r->data_size)
        return bad_tensor(r, t->name, "data_offsets [%lld, %lld] reach beyond the %zu bytes of data in the file", begin,
                          end, r->data_size);
    size_t bytes = (size_t)(end - begin);
    if (bytes != t->bytes) {
        char shape[160];
        return bad_tensor(r, t->name, "data_offsets hold %zu bytes; %s %s takes %zu", bytes, tensor_type_name(t->type),
                          tensor_shape_text(t, shape, sizeof shape), t->bytes);
    }
    t->data = r->data + begin;
    return true;
}

static bool read_tensor(struct reading *r, const char *name, const json_t *info)
{
    struct tensor *t = &r->s->tensor[r->s->n++];
    TRY(t->name = arena_strdup(r->arena, name, r->e));
    if (!json_is_object(info))
        return bad_tensor(r, name, "is not described by an object");
    return read_type(r, info, t) && read_shape(r, info, t) && read_range(r, info, t);
}

static bool read_metadata(struct reading *r, json_t *metadata)
{
    struct safetensors *s = r->s;
    if (!json_is_object(metadata))
        return err_at(r->e, ERR_INPUT, s->path, 0, 0, "__metadata__ is not an object");
    TRY(s->metadata = ARENA_NEW(r->arena, MEM_DATA, const char *, 2 * json_object_size(metadata), r->e));
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return err_at(r->e, ERR_INPUT, s->path, 0, 0, "__metadata__ `%.*s` is not a string", NAME_SHOWN, key);
        TRY(s->metadata[2 * s->n_metadata] = arena_strdup(r->arena, key, r->e));
        TRY(s->metadata[2 * s->n_metadata + 1] = arena_strdup(r->arena, json_string_value(value), r->e));
        s->n_metadata++;
    }
    return true;
}

static int compare_data(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    const unsigned char *p = x->data, *q = y->data;
    if (p != q)
        return p < q ? -1 : 1;
    if (x->bytes != y->bytes) /* empty tensors before the one they touch */
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const struct tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* The data must be tiled: each tensor begins where the one before it ends, the last ends with the file. */
static bool check_tiling(struct reading *r)
{
    struct safetensors *s = r->s;
    qsort(s->tensor, s->n, sizeof *s->tensor, compare_data);
    const unsigned char *end = r->data;
    for (size_t i = 0; i < s->n; i++) {
        const struct tensor *t = &s->tensor[i];
        const unsigned char *begin = t->data;
        if (begin < end)
            return bad_tensor(r, t->name, "shares bytes with tensor `%.*s`", NAME_SHOWN, s->tensor[i - 1].name);
        if (begin > end)
            return bad_tensor(r, t->name, "%zu bytes before it belong to no tensor", (size_t)(begin - end));
        end = begin + t->bytes;
    }
    size_t rest = r->data_size - (size_t)(end - r->data);
    return rest == 0 || err_at(r->e, ERR_INPUT, s->path, 0, 0, "%zu bytes at its end belong to no tensor", rest);
}

static bool read_header(struct reading *r, json_t *header)
{
    struct safetensors *s = r->s;
    size_t n = json_object_size(header);
    TRY(s->tensor = ARENA_NEW(r->arena, MEM_DATA, struct tensor, n, r->e));
    TRY(s->by_name = ARENA_NEW(r->arena, MEM_DATA, const struct tensor *, n, r->e));
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value)
        TRY(strcmp(name, "__metadata__") == 0 ? read_metadata(r, value) : read_tensor(r, name, value));
    TRY(check_tiling(r));
    for (size_t i = 0; i < s->n; i++)
        s->by_name[i] = &s->tensor[i];
    qsort(s->by_name, s->n, sizeof *s->by_name, compare_names);
    return true;
}

bool safetensors_parse(struct safetensors *s, const char *name, const void *data, size_t size, struct arena *a,
                       struct err *e)
{
    *s = (struct safetensors){.path = arena_strdup(a, name, e)};
    TRY(s->path);
    uint64_t length;
    if (size < LENGTH)
        return err_at(e, ERR_INPUT, name, 0, 0, "is %zu bytes long: too short for a safetensors file", size);
    memcpy(&length, data, sizeof length);
    if (length > HEADER_LIMIT)
        return err_at(e, ERR_INPUT, name, 0, 0,
                      "its header is %llu bytes long; the limit is %d (is it a safetensors file?)",
                      (unsigned long long)length, HEADER_LIMIT);
    if (length > size - LENGTH)
        return err_at(e, ERR_INPUT, name, 0, 0, "is truncated: of its header of %llu bytes only %zu are there",
                      (unsigned long long)length, size - LENGTH);
    const char *text = (const char *)data + LENGTH;
    if (length == 0 || text[0] != '{')
        return err_at(e, ERR_INPUT, name, 0, 0, "its header does not start with `{`");
    json_error_t je;
    json_t *header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &je);
    if (!header)
        return err_at(e, ERR_INPUT, name, 0, 0, "its header is not valid: byte %d: %s", je.position, je.text);
    struct reading r = {s, (const unsigned char *)text + length, size - LENGTH - (size_t)length, a, e};
    bool ok = read_header(&r, header);
    json_decref(header);
    return ok;
}

bool safetensors_open(struct safetensors *s, const char *path, struct arena *a, struct err *e)
{
    *s = (struct safetensors){0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, ERR_INPUT, path, "cannot be read");
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    size_t size = regular ? (size_t)st.st_size : 0;
    void *map = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) : NULL;
    int why = errno;
    close(fd);
    if (!regular)
        return err_at(e, ERR_INPUT, path, 0, 0, "is not a regular file");
    if (map == MAP_FAILED) {
        errno = why;
        return err_errno(e, ERR_ENV, path, "cannot be mapped into memory");
    }
    bool ok = safetensors_parse(s, path, map ? map : "", size, a, e);
    s->map = map;
    s->map_size = size;
    if (!ok)
        safetensors_close(s);
    return ok;
}

void safetensors_close(struct safetensors *s)
{
    if (s->map)
        munmap(s->map, s->map_size);
    *s = (struct safetensors){0};
}

/* Whole pages alone: its neighbours may have been written to. */
void safetensors_drop(const struct safetensors *s, const struct tensor *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)t->data, to = from + t->bytes;
    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (s->map && from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

static int compare_key(const void *key, const void *item)
{
    const struct tensor *const *t = item;
    return strcmp(key, (*t)->name);
}

const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    const struct tensor **found = bsearch(name, s->by_name, s->n, sizeof *s->by_name, compare_key);
    return found ? *found : NULL;
}

const struct tensor *safetensors_need(const struct safetensors *s, const char *name, enum tensor_type type,
                                      long long count, struct err *e)
{
    const struct tensor *t = safetensors_find(s, name);
    if (!t)
        err_at(e, ERR_INPUT, s->path, 0, 0, "tensor `%s` is missing", name);
    else if (t->type != type)
        err_at(e, ERR_INPUT, s->path, 0, 0, "tensor `%s`: dtype is %s; it must be %s", name, tensor_type_name(t->type),
               tensor_type_name(type));
    else if (count >= 0 && (unsigned long long)count != tensor_count(t))
        err_at(e, ERR_INPUT, s->path, 0, 0, "tensor `%s` has %zu elements; it must have %lld", name, tensor_count(t),
               count);
    else
        return t;
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *s, const char *key)
{
    for (size_t i = 0; i < s->n_metadata; i++)
        if (strcmp(s->metadata[2 * i], key) == 0)
            return s->metadata[2 * i + 1];
    return NULL;
}
