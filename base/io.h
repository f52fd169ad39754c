/* Files: reading whole ones, writing so that a reader sees the old or the new one, directories, digests. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Whole file into the arena, terminated by a NUL that is not counted. `limit` bytes at most (0: no limit).
 * NULL with ERR_INPUT when it cannot be read; only ordinary files are (a pipe would be waited for). */
char *io_read(struct arena *a, const char *path, size_t limit, size_t *size, struct err *e);

/* Writes path.part, fsync, rename to path, fsync of the folder. ERR_ENV on failure; the old file stays. */
bool io_write(const char *path, const void *data, size_t size, struct err *e);

/* Same for several pieces in a row. */
struct io_piece {
    const void *data;
    size_t size;
};
bool io_write_pieces(const char *path, const struct io_piece *pieces, size_t n, struct err *e);

/* Makes a directory and its parents; an existing one is fine, and so is "", where one stands. */
bool io_mkdirs(const char *path, struct err *e);

bool io_exists(const char *path);
bool io_is_dir(const char *path);

/* Copies one file (small ones: configs, vocabularies) through io_write. */
bool io_copy(struct arena *a, const char *from, const char *to, struct err *e);

/* SHA-256, as 64 hexadecimal digits and a NUL. */
enum { IO_DIGEST = 65 };
bool io_sha256(const void *data, size_t size, char hex[IO_DIGEST], struct err *e);
bool io_sha256_file(const char *path, char hex[IO_DIGEST], struct err *e);

#endif
