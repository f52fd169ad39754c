/* Digests with a cache: see digest.h. One small file per digest, renamed into place, so that programs may race. */
#include "base/digest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, SETTLED = 2 /* seconds */ };

/* Folder of the cache into buf; false when the environment names none. */
static bool cache_folder(char *buf)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (cache && cache[0] == '/') /* a relative one is to be ignored, says the XDG specification */
        n = snprintf(buf, PATH_SIZE, "%s/peftlab/digests", cache);
    else if (home && home[0] == '/')
        n = snprintf(buf, PATH_SIZE, "%s/.cache/peftlab/digests", home);
    return n > 0 && n < PATH_SIZE;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The cache's file for a state of a file: all that identifies it is in the name. */
static bool cache_path(const char *folder, const struct stat *st, char *buf)
{
    int n = snprintf(buf, PATH_SIZE, "%s/%llx-%llx-%lld-%lld.%09ld-%lld.%09ld", folder, (unsigned long long)st->st_dev,
                     (unsigned long long)st->st_ino, (long long)st->st_size, (long long)st->st_mtim.tv_sec,
                     st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
    return n > 0 && n < PATH_SIZE;
}

static bool recall(const char *path, char hex[IO_DIGEST])
{
    char text[IO_DIGEST + 1] = "";
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    if (n != IO_DIGEST - 1 || strspn(text, "0123456789abcdef") != IO_DIGEST - 1)
        return false;
    memcpy(hex, text, IO_DIGEST);
    return true;
}

/* Without fsync: a digest lost in a crash is computed again. */
static void remember(const char *folder, const char *path, const char *hex)
{
    char part[PATH_SIZE + 8];
    struct err ignored;
    if (!io_mkdirs(folder, &ignored))
        return;
    snprintf(part, sizeof part, "%s.XXXXXX", path);
    int fd = mkstemp(part);
    if (fd < 0)
        return;
    bool ok = write(fd, hex, IO_DIGEST - 1) == IO_DIGEST - 1;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(part, path) != 0)
        unlink(part);
}

bool digest_file(const char *path, char hex[IO_DIGEST], struct err *e)
{
    char folder[PATH_SIZE], known[PATH_SIZE];
    struct stat before, after;
    bool cached = stat(path, &before) == 0 && cache_folder(folder) && cache_path(folder, &before, known);
    if (cached && recall(known, hex))
        return true;
    if (!io_sha256_file(path, hex, e))
        return false;
    if (cached && stat(path, &after) == 0 && same_state(&before, &after) &&
        before.st_mtim.tv_sec + SETTLED < time(NULL))
        remember(folder, known, hex);
    return true;
}
