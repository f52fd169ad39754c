/*
 * SHA-256 of files, remembered between runs: a large checkpoint takes seconds to read through, and every run names it.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/io.h"

/* Digest of a file, from the cache where the file is known by device, inode, size, and times of change to the
 * nanosecond; else computed and remembered. The cache is $XDG_CACHE_HOME/peftlab/digests, or ~/.cache/peftlab/digests;
 * where it cannot be written, or holds nonsense, the digest is computed, and nobody hears of it. A file changed within
 * the last two seconds is not remembered: a second change could leave the same times. */
bool digest_file(const char *path, char hex[IO_DIGEST], struct err *e);

#endif
