/* Reading parts of an HDF5 file: every function opens what it needs, closes it, and checks what it finds. */
#ifndef RESULTS_LOAD_H
#define RESULTS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/arena.h"
#include "base/io.h"

struct load {
    hid_t file;
    const char *name; /* of the file, for messages                            */
    size_t limit;     /* bytes no dataset of a sound file can exceed          */
    struct arena *arena;
};

/* Opens `path`, or the image when its data are not NULL, calls read(l, data) and closes it. ERR_INPUT naming the file
 * when it is not an HDF5 file, is truncated or does not match its checksum. */
bool load_file(struct arena *a, const char *path, struct io_piece image,
               bool (*read)(struct load *l, void *data, struct err *e), void *data, struct err *e);

/* Is there an object of that path? */
bool load_has(const struct load *l, const char *path);

/* Attributes; false with ERR_INPUT when missing or of another type. */
bool load_attr_string(struct load *l, const char *path, const char *name, const char **value, struct err *e);
bool load_attr_strings(struct load *l, const char *path, const char *name, const char ***value, size_t *n,
                       struct err *e);
bool load_attr_int(struct load *l, const char *path, const char *name, long long *value, struct err *e);

/* Is /meta@schema_version what this program writes? `what` names the schema in the error. */
bool load_schema(struct load *l, const char *what, long long version, struct err *e);

enum load_kind { LOAD_STRING, LOAD_INT, LOAD_REAL, LOAD_BOOL, LOAD_OTHER };

/* One attribute of any kind; strings must be scalar, else LOAD_OTHER. */
struct load_attr {
    const char *name;
    enum load_kind kind;
    const char *text;
    long long i; /* BOOL too */
    double d;
};

/* Calls see(data, attribute) for every attribute in the order of names; stops at the first false. */
bool load_attrs(struct load *l, const char *path, bool (*see)(void *data, const struct load_attr *at, struct err *e),
                void *data, struct err *e);

/* Names of the objects in a group that are datasets, sorted. */
bool load_names(struct load *l, const char *group, const char ***names, size_t *n, struct err *e);

/* A dataset converted to `type` (H5T_NATIVE_...) of `size` bytes; rank must be as given and dims is filled. */
bool load_array(struct load *l, const char *path, hid_t type, size_t size, int rank, size_t *dims, void **v,
                struct err *e);
bool load_strings(struct load *l, const char *path, const char ***v, size_t *n, struct err *e);
bool load_text(struct load *l, const char *path, const char **v, struct err *e);
bool load_int(struct load *l, const char *path, long long *v, struct err *e);
bool load_real(struct load *l, const char *path, double *v, struct err *e);

/* Does the dataset hold strings? */
bool load_is_text(struct load *l, const char *path);

#endif
