/*
 * Writing safetensors: see safetensors.h. The header is JSON padded with spaces to a multiple of 8; with the widest
 * elements first every tensor is then aligned to its element in a mapping.
 */
#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "base/io.h"
#include "models/safetensors.h"

/* Indices of the tensors in the order of their data: element sizes descending, otherwise as given. */
static size_t *data_order(const struct tensor *t, size_t n, struct arena *a, struct err *e)
{
    static const size_t sizes[] = {8, 4, 2, 1};
    size_t *order = ARENA_NEW(a, MEM_SCRATCH, size_t, n, e), k = 0;
    TRY(order);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t i = 0; i < n; i++)
            if (tensor_type_size(t[i].type) == sizes[s])
                order[k++] = i;
    return order;
}

static json_t *metadata_json(const char *const *pairs)
{
    json_t *m = json_pack("{s:s}", "format", "pt");
    for (; m && pairs && *pairs; pairs += 2)
        if (json_object_set_new(m, pairs[0], json_string(pairs[1])) != 0) {
            json_decref(m);
            return NULL;
        }
    return m;
}

static json_t *tensor_json(const struct tensor *t, size_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->ndim; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor_type_name(t->type), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + t->bytes));
}

static json_t *header_json(const struct tensor *tensors, const size_t *order, size_t n, const char *const *metadata)
{
    json_t *header = json_object();
    bool ok = json_object_set_new(header, "__metadata__", metadata_json(metadata)) == 0;
    size_t at = 0;
    for (size_t k = 0; ok && k < n; k++) {
        const struct tensor *t = &tensors[order[k]];
        assert(!json_object_get(header, t->name));
        ok = json_object_set_new(header, t->name, tensor_json(t, at)) == 0;
        at += t->bytes;
    }
    if (!ok) {
        json_decref(header);
        return NULL;
    }
    return header;
}

/* Length and header as they stand in the file, *size bytes; NULL with an error. */
static unsigned char *header_bytes(json_t *header, size_t *size, struct arena *a, struct err *e)
{
    size_t n = header ? json_dumpb(header, NULL, 0, JSON_COMPACT) : 0;
    if (n == 0) {
        err_set(e, ERR_INPUT, "a safetensors header cannot be written: a name is not UTF-8, or memory is out");
        return NULL;
    }
    uint64_t padded = (n + 7) / 8 * 8;
    unsigned char *bytes = arena_alloc(a, MEM_SCRATCH, sizeof padded + padded, e);
    TRY(bytes);
    memcpy(bytes, &padded, sizeof padded);
    memset(bytes + sizeof padded, ' ', padded);
    json_dumpb(header, (char *)bytes + sizeof padded, n, JSON_COMPACT);
    *size = sizeof padded + padded;
    return bytes;
}

static bool write_file(const char *path, const struct tensor *tensors, size_t n, const char *const *metadata,
                       struct arena *a, struct err *e)
{
    size_t *order = data_order(tensors, n, a, e);
    struct io_piece *piece = ARENA_NEW(a, MEM_SCRATCH, struct io_piece, n + 1, e);
    TRY(order && piece);
    json_t *header = header_json(tensors, order, n, metadata);
    piece[0].data = header_bytes(header, &piece[0].size, a, e);
    json_decref(header);
    TRY(piece[0].data);
    for (size_t k = 0; k < n; k++)
        piece[k + 1] = (struct io_piece){tensors[order[k]].data, tensors[order[k]].bytes};
    return io_write_pieces(path, piece, n + 1, e);
}

bool safetensors_write(const char *path, const struct tensor *tensors, size_t n, const char *const *metadata,
                       struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    bool ok = write_file(path, tensors, n, metadata, a, e);
    arena_release(a, mark);
    return ok;
}
