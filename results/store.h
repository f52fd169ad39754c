/*
 * Writer of one HDF5 file. The file is built in memory (core driver without backing store) and committed in one piece:
 * write, fsync, rename, fsync of the folder; on a full disk HDF5's own writing reports success or crashes. It ends in a
 * line with the digest of its bytes, which HDF5 ignores. The first
 * error is latched: setters then do nothing, and the function that opened the store reports it.
 *
 * Strings are variable-length UTF-8, booleans h5py's enum of int8 (FALSE, TRUE), numbers little-endian. Every dataset
 * carries the attributes `units` and `description`; big ones are chunked, shuffled and compressed (gzip 4).
 */
#ifndef RESULTS_STORE_H
#define RESULTS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/io.h"

struct store; /* opaque; alive while `fill` runs */

/* Builds a file by calling fill(store, data) and commits it as `path`. ERR_ENV on failure; an old file stays then. */
bool store_write(const char *path, void (*fill)(struct store *s, const void *data), const void *data, struct err *e);

/* Builds a file likewise and leaves its bytes in the arena. */
bool store_image(void (*fill)(struct store *s, const void *data), const void *data, struct arena *a,
                 struct io_piece *image, struct err *e);

/* Zeroed memory that lives as long as the store; NULL (and the error latched) when memory is out. */
void *store_scratch(struct store *s, size_t n, size_t size);

/* Groups and datasets are named by absolute path; parents are made as needed. The description may be NULL. */
void store_group(struct store *s, const char *path, const char *description);

/* Attributes of the group or dataset at `path` ("/" is the file). Strings may be of any length: HDF5 keeps those of
 * variable length outside of the header, whose limit is 64 KB. */
void store_attr_string(struct store *s, const char *path, const char *name, const char *value);
void store_attr_strings(struct store *s, const char *path, const char *name, const char *const *v, size_t n);
void store_attr_int(struct store *s, const char *path, const char *name, long long value);
void store_attr_real(struct store *s, const char *path, const char *name, double value);
void store_attr_bool(struct store *s, const char *path, const char *name, bool value);

/* Text of any length: a scalar string dataset; a list of strings: a vector of them. Units are "text". */
void store_text(struct store *s, const char *path, const char *text, const char *description);
void store_strings(struct store *s, const char *path, const char *const *v, size_t n, const char *description);

enum store_type { STORE_F64, STORE_F32, STORE_I64, STORE_I32, STORE_U64, STORE_U32, STORE_U8 };

/* A dataset of numbers; rank 0 is a scalar. `label[i]` names axis i; `scale[i]` is the path of the dataset that is its
 * dimension scale (made one by store_scale). Both may be NULL. */
struct store_array {
    const char *path;
    enum store_type type;
    const void *data; /* row by row */
    int rank;
    size_t dims[3];
    const char *units, *description;
    const char *label[3], *scale[3];
};
void store_array(struct store *s, const struct store_array *d);

/* Scalars. */
void store_real(struct store *s, const char *path, double value, const char *units, const char *description);
void store_int(struct store *s, const char *path, long long value, const char *units, const char *description);

/* Makes a written vector a dimension scale called `name`. */
void store_scale(struct store *s, const char *path, const char *name);

/* Soft link at `link` to `target`. */
void store_link(struct store *s, const char *target, const char *link);

#endif
