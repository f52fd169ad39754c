/*
 * Writer of one HDF5 file: see store.h. Every function opens what it needs and closes it; the first failure is latched
 * in the store and everything after it does nothing.
 */
#include "results/store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "results/hdf5.h"

enum { COMPRESS_FROM = 64 * 1024, CHUNK_BYTES = 1024 * 1024, GZIP = 4 };

struct store {
    hid_t file;
    struct arena *scratch;
    struct err *e;
    bool failed;
};

static void latch(struct store *s, bool ok, const char *path)
{
    if (!ok && !s->failed) {
        s->failed = true;
        hdf5_fail(s->e, ERR_ENV, NULL, "cannot write", path);
    }
}

/* ---- the file as a whole ---- */

static hid_t memory_file(const void *unique)
{
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    char name[64]; /* HDF5 tells memory files apart by name */
    snprintf(name, sizeof name, "peftlab-%p", unique);
    if (fapl >= 0 && H5Pset_fapl_core(fapl, CHUNK_BYTES, false) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    H5Pclose(fapl);
    return file;
}

static bool copy_image(hid_t file, struct arena *a, struct io_piece *image, struct err *e)
{
    ssize_t size = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    if (size <= 0)
        return hdf5_fail(e, ERR_ENV, NULL, "cannot take the image of", "/");
    void *bytes = arena_alloc(a, MEM_DATA, (size_t)size, e);
    TRY(bytes);
    if (H5Fget_file_image(file, bytes, (size_t)size) != size)
        return hdf5_fail(e, ERR_ENV, NULL, "cannot take the image of", "/");
    *image = (struct io_piece){bytes, (size_t)size};
    return true;
}

bool store_image(void (*fill)(struct store *s, const void *data), const void *data, struct arena *a,
                 struct io_piece *image, struct err *e)
{
    hdf5_begin();
    struct store s = {.e = e, .scratch = arena_create(NULL)};
    if (!s.scratch)
        return err_set(e, ERR_ENV, "out of memory");
    s.file = memory_file(&s);
    bool ok = s.file >= 0 || hdf5_fail(e, ERR_ENV, NULL, "cannot create", "/");
    if (ok) {
        fill(&s, data);
        ok = !s.failed && copy_image(s.file, a, image, e);
        if (H5Fclose(s.file) < 0 && ok)
            ok = hdf5_fail(e, ERR_ENV, NULL, "cannot close", "/");
    }
    arena_destroy(s.scratch);
    return ok;
}

static bool write_sealed(const char *path, struct io_piece image, struct err *e)
{
    char digest[IO_DIGEST], seal[HDF5_SEAL_SIZE + 1];
    TRY(io_sha256(image.data, image.size, digest, e));
    snprintf(seal, sizeof seal, "%s%s\n", HDF5_SEAL, digest);
    return io_write_pieces(path, (struct io_piece[]){image, {seal, HDF5_SEAL_SIZE}}, 2, e);
}

bool store_write(const char *path, void (*fill)(struct store *s, const void *data), const void *data, struct err *e)
{
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_at(e, ERR_ENV, path, 0, 0, "out of memory");
    struct io_piece image;
    bool ok = store_image(fill, data, a, &image, e);
    if (!ok && !e->file[0])
        snprintf(e->file, sizeof e->file, "%s", path);
    ok = ok && write_sealed(path, image, e);
    arena_destroy(a);
    return ok;
}

void *store_scratch(struct store *s, size_t n, size_t size)
{
    struct err e;
    void *p = s->failed ? NULL : arena_array(s->scratch, MEM_DATA, n, size, &e);
    if (!p && !s->failed) {
        s->failed = true;
        *s->e = e;
    }
    return p;
}

/* ---- groups, attributes ---- */

/* Link names are UTF-8; missing parents are made. */
static hid_t link_properties(void)
{
    hid_t p = H5Pcreate(H5P_LINK_CREATE);
    if (p >= 0) {
        H5Pset_create_intermediate_group(p, 1);
        H5Pset_char_encoding(p, H5T_CSET_UTF8);
    }
    return p;
}

void store_group(struct store *s, const char *path, const char *description)
{
    if (s->failed)
        return;
    hid_t lcpl = link_properties(), g = H5Gcreate2(s->file, path, lcpl, H5P_DEFAULT, H5P_DEFAULT);
    latch(s, g >= 0, path);
    H5Gclose(g);
    H5Pclose(lcpl);
    if (description)
        store_attr_string(s, path, "description", description);
}

/* One attribute: a scalar when n is 0, else a vector of n. */
static void attribute(struct store *s, const char *path, const char *name, hid_t type, hid_t memory, size_t n,
                      const void *value)
{
    if (s->failed)
        return;
    hsize_t dims = n;
    hid_t space = n ? H5Screate_simple(1, &dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t acpl = H5Pcreate(H5P_ATTRIBUTE_CREATE);
    bool ok = acpl >= 0 && H5Pset_char_encoding(acpl, H5T_CSET_UTF8) >= 0;
    hid_t at = ok ? H5Acreate_by_name(s->file, path, name, type, space, acpl, H5P_DEFAULT, H5P_DEFAULT) : -1;
    char place[512];
    snprintf(place, sizeof place, "%s@%s", path, name);
    latch(s, at >= 0 && H5Awrite(at, memory, value) >= 0, place);
    H5Aclose(at);
    H5Pclose(acpl);
    H5Sclose(space);
}

void store_attr_string(struct store *s, const char *path, const char *name, const char *value)
{
    hid_t t = hdf5_string_type();
    attribute(s, path, name, t, t, 0, &value);
    H5Tclose(t);
}

void store_attr_strings(struct store *s, const char *path, const char *name, const char *const *v, size_t n)
{
    assert(n > 0);
    hid_t t = hdf5_string_type();
    attribute(s, path, name, t, t, n, v);
    H5Tclose(t);
}

void store_attr_int(struct store *s, const char *path, const char *name, long long value)
{
    attribute(s, path, name, H5T_STD_I64LE, H5T_NATIVE_LLONG, 0, &value);
}

void store_attr_real(struct store *s, const char *path, const char *name, double value)
{
    attribute(s, path, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, &value);
}

void store_attr_bool(struct store *s, const char *path, const char *name, bool value)
{
    hid_t t = hdf5_bool_type();
    int8_t v = value;
    attribute(s, path, name, t, t, 0, &v);
    H5Tclose(t);
}

/* ---- datasets ---- */

struct numbers {
    hid_t file, memory;
    size_t size;
};

/* H5T_... are run-time values, so this is a function rather than a table. */
static struct numbers number_type(enum store_type t)
{
    switch (t) {
    case STORE_F64: return (struct numbers){H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 8};
    case STORE_F32: return (struct numbers){H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 4};
    case STORE_I64: return (struct numbers){H5T_STD_I64LE, H5T_NATIVE_INT64, 8};
    case STORE_I32: return (struct numbers){H5T_STD_I32LE, H5T_NATIVE_INT32, 4};
    case STORE_U64: return (struct numbers){H5T_STD_U64LE, H5T_NATIVE_UINT64, 8};
    case STORE_U32: return (struct numbers){H5T_STD_U32LE, H5T_NATIVE_UINT32, 4};
    default: return (struct numbers){H5T_STD_U8LE, H5T_NATIVE_UINT8, 1};
    }
}

/* Chunks of at most 1 MiB, cut from the first axis on; small datasets stay contiguous. */
static bool set_layout(hid_t dcpl, const struct store_array *d, size_t size)
{
    hsize_t chunk[3];
    size_t bytes = size;
    for (int i = 0; i < d->rank; i++) {
        chunk[i] = d->dims[i];
        bytes *= d->dims[i];
    }
    if (bytes < COMPRESS_FROM)
        return true;
    for (int i = 0; i < d->rank && bytes > CHUNK_BYTES; i++) {
        size_t row = bytes / chunk[i];
        chunk[i] = row >= CHUNK_BYTES ? 1 : CHUNK_BYTES / row;
        bytes = row * chunk[i];
    }
    return H5Pset_chunk(dcpl, d->rank, chunk) >= 0 && H5Pset_shuffle(dcpl) >= 0 && H5Pset_deflate(dcpl, GZIP) >= 0;
}

/* Creates and writes a dataset. Without times of creation equal data give equal bytes. */
static void dataset(struct store *s, const struct store_array *d, struct numbers type)
{
    hsize_t dims[3] = {d->dims[0], d->dims[1], d->dims[2]};
    hid_t lcpl = link_properties(), dcpl = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = d->rank ? H5Screate_simple(d->rank, dims, NULL) : H5Screate(H5S_SCALAR);
    bool ok = lcpl >= 0 && dcpl >= 0 && space >= 0 && H5Pset_obj_track_times(dcpl, false) >= 0;
    ok = ok && set_layout(dcpl, d, type.size);
    hid_t id = ok ? H5Dcreate2(s->file, d->path, type.file, space, lcpl, dcpl, H5P_DEFAULT) : -1;
    ok = id >= 0 && (!d->data || H5Dwrite(id, type.memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, d->data) >= 0);
    latch(s, ok, d->path);
    latch(s, H5Dclose(id) >= 0 || !ok, d->path); /* compressed data are written here */
    H5Sclose(space);
    H5Pclose(dcpl);
    H5Pclose(lcpl);
}

/* Names axis i of a dataset and hangs its scale on it. */
static void axis(struct store *s, const struct store_array *d, int i)
{
    if (s->failed || (!d->label[i] && !d->scale[i]))
        return;
    hid_t id = H5Dopen2(s->file, d->path, H5P_DEFAULT);
    bool ok = id >= 0 && (!d->label[i] || H5DSset_label(id, (unsigned)i, d->label[i]) >= 0);
    if (ok && d->scale[i]) {
        hid_t scale = H5Dopen2(s->file, d->scale[i], H5P_DEFAULT);
        ok = scale >= 0 && H5DSattach_scale(id, scale, (unsigned)i) >= 0;
        H5Dclose(scale);
    }
    latch(s, ok, d->path);
    H5Dclose(id);
}

static void describe(struct store *s, const struct store_array *d)
{
    store_attr_string(s, d->path, "units", d->units);
    store_attr_string(s, d->path, "description", d->description);
    for (int i = 0; i < d->rank; i++)
        axis(s, d, i);
}

void store_array(struct store *s, const struct store_array *d)
{
    assert(d->rank >= 0 && d->rank <= 3 && d->units && d->description);
    if (s->failed)
        return;
    dataset(s, d, number_type(d->type));
    describe(s, d);
}

static void string_dataset(struct store *s, const struct store_array *d)
{
    if (s->failed)
        return;
    hid_t t = hdf5_string_type();
    dataset(s, d, (struct numbers){t, t, sizeof(char *)});
    H5Tclose(t);
    describe(s, d);
}

void store_text(struct store *s, const char *path, const char *text, const char *description)
{
    string_dataset(s, &(struct store_array){.path = path, .data = &text, .units = "text", .description = description});
}

void store_strings(struct store *s, const char *path, const char *const *v, size_t n, const char *description)
{
    string_dataset(s, &(struct store_array){
                          .path = path, .data = n ? v : NULL, .rank = 1, .dims = {n}, .units = "text",
                          .description = description});
}

void store_real(struct store *s, const char *path, double value, const char *units, const char *description)
{
    store_array(s, &(struct store_array){
                       .path = path, .type = STORE_F64, .data = &value, .units = units, .description = description});
}

void store_int(struct store *s, const char *path, long long value, const char *units, const char *description)
{
    int64_t v = value;
    store_array(s, &(struct store_array){
                       .path = path, .type = STORE_I64, .data = &v, .units = units, .description = description});
}

void store_scale(struct store *s, const char *path, const char *name)
{
    if (s->failed)
        return;
    hid_t id = H5Dopen2(s->file, path, H5P_DEFAULT);
    latch(s, id >= 0 && H5DSset_scale(id, name) >= 0, path);
    H5Dclose(id);
}

void store_link(struct store *s, const char *target, const char *link)
{
    if (s->failed)
        return;
    hid_t lcpl = link_properties();
    latch(s, lcpl >= 0 && H5Lcreate_soft(target, s->file, link, lcpl, H5P_DEFAULT) >= 0, link);
    H5Pclose(lcpl);
}
