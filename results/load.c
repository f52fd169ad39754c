/* Reading parts of an HDF5 file: see load.h. Nothing read is believed: classes, ranks and sizes are checked first. */
#include "results/load.h"

#include <stdio.h>
#include <string.h>

#include "results/hdf5.h"

enum { DEFLATE_BEST = 1040 }; /* deflate shrinks by 1032 at most */

/* ---- the file ---- */

static bool wrong(const struct load *l, const char *path, const char *what, struct err *e)
{
    H5Eclear2(H5E_DEFAULT);
    return err_at(e, ERR_INPUT, l->name, 0, 0, "is not a run file of peftlab, or is damaged: `%s` %s", path, what);
}

static hid_t access_memory(struct io_piece image)
{
    char name[64];
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS), file = -1;
    union { /* HDF5 copies the image, but takes it as void * */
        const void *in;
        void *out;
    } data = {.in = image.data};
    snprintf(name, sizeof name, "peftlab-%p", image.data);
    if (H5Pset_fapl_core(fapl, 1 << 20, false) >= 0 && H5Pset_file_image(fapl, data.out, image.size) >= 0)
        file = H5Fopen(name, H5F_ACC_RDONLY, fapl);
    H5Pclose(fapl);
    return file;
}

/* Takes the seal off (see hdf5.h) after checking it. */
static bool check_seal(const char *path, struct io_piece *image, struct err *e)
{
    char digest[IO_DIGEST];
    if (image->size < HDF5_SEAL_SIZE)
        return true;
    const char *seal = (const char *)image->data + image->size - HDF5_SEAL_SIZE;
    if (memcmp(seal, HDF5_SEAL, HDF5_SEAL_HEAD) != 0)
        return true;
    image->size -= HDF5_SEAL_SIZE;
    TRY(io_sha256(image->data, image->size, digest, e));
    return memcmp(seal + HDF5_SEAL_HEAD, digest, 64) == 0 ||
           err_at(e, ERR_INPUT, path, 0, 0, "is damaged: its bytes do not match its checksum");
}

static bool load_image(struct arena *a, const char *name, struct io_piece image,
                       bool (*read)(struct load *l, void *data, struct err *e), void *data, struct err *e)
{
    hdf5_begin();
    struct load l = {.name = name, .arena = a, .limit = image.size * DEFLATE_BEST, .file = access_memory(image)};
    if (l.file < 0) {
        H5Eclear2(H5E_DEFAULT);
        return err_at(e, ERR_INPUT, name, 0, 0, "is not a complete HDF5 file");
    }
    bool ok = read(&l, data, e);
    H5Fclose(l.file);
    return ok;
}

bool load_file(struct arena *a, const char *path, struct io_piece image,
               bool (*read)(struct load *l, void *data, struct err *e), void *data, struct err *e)
{
    if (image.data)
        return load_image(a, path, image, read, data, e);
    struct arena *whole = arena_create(NULL); /* the bytes of the file are not worth keeping */
    if (!whole)
        return err_at(e, ERR_ENV, path, 0, 0, "out of memory");
    image.data = io_read(whole, path, 0, &image.size, e);
    bool ok = image.data && check_seal(path, &image, e) && load_image(a, path, image, read, data, e);
    arena_destroy(whole);
    return ok;
}

bool load_has(const struct load *l, const char *path)
{
    bool has = H5Lexists(l->file, path, H5P_DEFAULT) > 0 && H5Oexists_by_name(l->file, path, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    return has;
}

/* ---- attributes ---- */

/* Variable-length strings read from an attribute (at) or a dataset (!at), copied into the arena. */
static bool take_strings(struct load *l, hid_t id, bool at, size_t n, const char **out, struct err *e)
{
    char **v = ARENA_NEW(l->arena, MEM_DATA, char *, n, e);
    TRY(v);
    hid_t t = hdf5_string_type();
    herr_t got = at ? H5Aread(id, t, v) : H5Dread(id, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
    bool ok = got >= 0;
    if (!ok)
        err_at(e, ERR_INPUT, l->name, 0, 0, "damaged HDF5 file: a string cannot be read");
    for (size_t i = 0; ok && i < n; i++)
        ok = (out[i] = arena_strdup(l->arena, v[i] ? v[i] : "", e)) != NULL;
    for (size_t i = 0; got >= 0 && i < n; i++)
        H5free_memory(v[i]);
    H5Tclose(t);
    H5Eclear2(H5E_DEFAULT);
    return ok;
}

static enum load_kind kind_of(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_STRING: return H5Tis_variable_str(type) > 0 ? LOAD_STRING : LOAD_OTHER;
    case H5T_INTEGER: return LOAD_INT;
    case H5T_FLOAT: return LOAD_REAL;
    case H5T_ENUM: return H5Tget_size(type) == 1 ? LOAD_BOOL : LOAD_OTHER;
    default: return LOAD_OTHER;
    }
}

/* Kind and number of elements of an attribute or dataset. */
static void shape_of(hid_t id, bool at, enum load_kind *kind, long long *count, int *rank)
{
    hid_t type = at ? H5Aget_type(id) : H5Dget_type(id), space = at ? H5Aget_space(id) : H5Dget_space(id);
    *kind = kind_of(type);
    *count = H5Sget_simple_extent_npoints(space);
    *rank = H5Sget_simple_extent_ndims(space);
    H5Sclose(space);
    H5Tclose(type);
}

static bool take_attr(struct load *l, hid_t id, struct load_attr *at, struct err *e)
{
    long long count;
    int rank;
    int8_t flag = 0;
    shape_of(id, true, &at->kind, &count, &rank);
    if (count != 1)
        at->kind = LOAD_OTHER;
    switch (at->kind) {
    case LOAD_STRING: return take_strings(l, id, true, 1, &at->text, e);
    case LOAD_INT: return H5Aread(id, H5T_NATIVE_LLONG, &at->i) >= 0 || wrong(l, at->name, "cannot be read", e);
    case LOAD_REAL: return H5Aread(id, H5T_NATIVE_DOUBLE, &at->d) >= 0 || wrong(l, at->name, "cannot be read", e);
    case LOAD_BOOL: {
        hid_t t = hdf5_bool_type();
        bool ok = H5Aread(id, t, &flag) >= 0;
        H5Tclose(t);
        at->i = flag;
        return ok || wrong(l, at->name, "cannot be read", e);
    }
    default: return true;
    }
}

static bool one_attr(struct load *l, const char *path, const char *name, struct load_attr *at, struct err *e)
{
    char place[512];
    snprintf(place, sizeof place, "%s@%s", path, name);
    *at = (struct load_attr){.name = name, .kind = LOAD_OTHER};
    hid_t id = H5Aopen_by_name(l->file, path, name, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0)
        return wrong(l, place, "is missing", e);
    bool ok = take_attr(l, id, at, e);
    H5Aclose(id);
    return ok;
}

bool load_attr_string(struct load *l, const char *path, const char *name, const char **value, struct err *e)
{
    struct load_attr at;
    TRY(one_attr(l, path, name, &at, e));
    if (at.kind != LOAD_STRING)
        return wrong(l, name, "is not a string", e);
    *value = at.text;
    return true;
}

bool load_attr_int(struct load *l, const char *path, const char *name, long long *value, struct err *e)
{
    struct load_attr at;
    TRY(one_attr(l, path, name, &at, e));
    if (at.kind != LOAD_INT)
        return wrong(l, name, "is not an integer", e);
    *value = at.i;
    return true;
}

bool load_schema(struct load *l, const char *what, long long version, struct err *e)
{
    long long found = 0;
    TRY(load_attr_int(l, "/meta", "schema_version", &found, e));
    return found == version || err_at(e, ERR_INPUT, l->name, 0, 0, "has %s schema %lld; this program reads %lld", what,
                                      found, version);
}

bool load_attr_strings(struct load *l, const char *path, const char *name, const char ***value, size_t *n,
                       struct err *e)
{
    enum load_kind kind;
    long long count;
    int rank;
    hid_t id = H5Aopen_by_name(l->file, path, name, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0)
        return wrong(l, name, "is missing", e);
    shape_of(id, true, &kind, &count, &rank);
    bool ok = (kind == LOAD_STRING && count > 0 && (size_t)count < l->limit) ||
              wrong(l, name, "is not a list of strings", e);
    ok = ok && (*value = ARENA_NEW(l->arena, MEM_DATA, const char *, (size_t)count, e));
    ok = ok && take_strings(l, id, true, (size_t)count, *value, e);
    *n = ok ? (size_t)count : 0;
    H5Aclose(id);
    return ok;
}

struct attr_walk {
    struct load *l;
    const char *path;
    bool (*see)(void *data, const struct load_attr *at, struct err *e);
    void *data;
    struct err *e;
};

static herr_t visit_attr(hid_t id, const char *name, const H5A_info_t *info, void *data)
{
    struct attr_walk *w = data;
    struct load_attr at;
    (void)id, (void)info;
    return one_attr(w->l, w->path, name, &at, w->e) && w->see(w->data, &at, w->e) ? 0 : 1;
}

bool load_attrs(struct load *l, const char *path, bool (*see)(void *data, const struct load_attr *at, struct err *e),
                void *data, struct err *e)
{
    struct attr_walk w = {l, path, see, data, e};
    herr_t end = H5Aiterate_by_name(l->file, path, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_attr, &w, H5P_DEFAULT);
    if (end < 0)
        return wrong(l, path, "cannot be listed", e);
    return end == 0;
}

/* ---- groups ---- */

struct name_walk {
    struct load *l;
    const char **name;
    size_t n, cap;
    struct err *e;
};

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *data)
{
    struct name_walk *w = data;
    (void)info;
    hid_t id = H5Oopen(group, name, H5P_DEFAULT);
    bool dataset = id >= 0 && H5Iget_type(id) == H5I_DATASET;
    if (id >= 0)
        H5Oclose(id);
    if (!dataset)
        return 0;
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        const char **more = ARENA_NEW(w->l->arena, MEM_DATA, const char *, cap, w->e);
        if (!more)
            return 1;
        if (w->n)
            memcpy(more, w->name, w->n * sizeof *more);
        w->name = more;
        w->cap = cap;
    }
    w->name[w->n] = arena_strdup(w->l->arena, name, w->e);
    return w->name[w->n++] ? 0 : 1;
}

bool load_names(struct load *l, const char *group, const char ***names, size_t *n, struct err *e)
{
    struct name_walk w = {.l = l, .e = e};
    if (!load_has(l, group))
        return wrong(l, group, "is missing", e);
    herr_t end = H5Literate_by_name(l->file, group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, &w, H5P_DEFAULT);
    if (end < 0)
        return wrong(l, group, "cannot be listed", e);
    *names = w.name;
    *n = w.n;
    return end == 0;
}

/* ---- datasets ---- */

/* Opens a dataset of the wanted rank whose elements (of `size` bytes) can be in this file; the caller closes it. */
static hid_t open_dataset(struct load *l, const char *path, size_t size, int rank, size_t *dims, enum load_kind *kind,
                          struct err *e)
{
    long long count;
    int found;
    hsize_t extent[H5S_MAX_RANK] = {0};
    hid_t id = load_has(l, path) ? H5Dopen2(l->file, path, H5P_DEFAULT) : -1;
    if (id < 0) {
        wrong(l, path, "is missing", e);
        return -1;
    }
    shape_of(id, false, kind, &count, &found);
    hid_t space = H5Dget_space(id);
    H5Sget_simple_extent_dims(space, extent, NULL);
    H5Sclose(space);
    if (found == rank && count >= 0 && (size_t)count <= l->limit / size) {
        for (int i = 0; i < rank; i++)
            dims[i] = (size_t)extent[i];
        return id;
    }
    wrong(l, path, "has a wrong shape", e);
    H5Dclose(id);
    return -1;
}

bool load_array(struct load *l, const char *path, hid_t type, size_t size, int rank, size_t *dims, void **v,
                struct err *e)
{
    enum load_kind kind;
    hid_t id = open_dataset(l, path, size, rank, dims, &kind, e);
    TRY(id >= 0);
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    bool ok = kind == LOAD_INT || kind == LOAD_REAL || wrong(l, path, "does not hold numbers", e);
    ok = ok && (*v = arena_array(l->arena, MEM_DATA, n, size, e));
    if (ok && n && H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *v) < 0)
        ok = wrong(l, path, "cannot be read", e);
    H5Dclose(id);
    return ok;
}

static bool string_dataset(struct load *l, const char *path, int rank, const char ***v, size_t *n, struct err *e)
{
    enum load_kind kind;
    *n = 1;
    hid_t id = open_dataset(l, path, sizeof(char *), rank, n, &kind, e);
    TRY(id >= 0);
    bool ok = kind == LOAD_STRING || wrong(l, path, "does not hold text", e);
    ok = ok && (*v = ARENA_NEW(l->arena, MEM_DATA, const char *, *n, e));
    ok = ok && (*n == 0 || take_strings(l, id, false, *n, *v, e));
    H5Dclose(id);
    return ok;
}

bool load_strings(struct load *l, const char *path, const char ***v, size_t *n, struct err *e)
{
    return string_dataset(l, path, 1, v, n, e);
}

bool load_text(struct load *l, const char *path, const char **v, struct err *e)
{
    const char **list;
    size_t n;
    TRY(string_dataset(l, path, 0, &list, &n, e));
    *v = list[0];
    return true;
}

bool load_int(struct load *l, const char *path, long long *v, struct err *e)
{
    void *p;
    TRY(load_array(l, path, H5T_NATIVE_LLONG, sizeof *v, 0, NULL, &p, e));
    memcpy(v, p, sizeof *v);
    return true;
}

bool load_real(struct load *l, const char *path, double *v, struct err *e)
{
    void *p;
    TRY(load_array(l, path, H5T_NATIVE_DOUBLE, sizeof *v, 0, NULL, &p, e));
    memcpy(v, p, sizeof *v);
    return true;
}

bool load_is_text(struct load *l, const char *path)
{
    hid_t id = H5Dopen2(l->file, path, H5P_DEFAULT), type = id >= 0 ? H5Dget_type(id) : -1;
    bool text = type >= 0 && H5Tget_class(type) == H5T_STRING;
    H5Tclose(type);
    H5Dclose(id);
    H5Eclear2(H5E_DEFAULT);
    return text;
}
