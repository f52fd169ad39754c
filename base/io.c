/* Files and digests: see io.h. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

/* An open ordinary file and its size. The kind is looked at first: to open a pipe would wait for its other end. */
static FILE *open_file(const char *path, size_t *size, struct err *e)
{
    struct stat st;
    FILE *f = NULL;
    if (stat(path, &st) != 0)
        err_errno(e, ERR_INPUT, path, "cannot be read");
    else if (!S_ISREG(st.st_mode))
        err_at(e, ERR_INPUT, path, 0, 0, "cannot be read: it is %s",
               S_ISDIR(st.st_mode) ? "a folder" : "not an ordinary file");
    else if (!(f = fopen(path, "rbe")) || fstat(fileno(f), &st) != 0)
        err_errno(e, ERR_INPUT, path, "cannot be read");
    else {
        *size = (size_t)st.st_size;
        return f;
    }
    if (f)
        fclose(f);
    return NULL;
}

char *io_read(struct arena *a, const char *path, size_t limit, size_t *size, struct err *e)
{
    size_t n;
    FILE *f = open_file(path, &n, e);
    TRY(f);
    char *data = NULL;
    if (limit && n > limit)
        err_at(e, ERR_INPUT, path, 0, 0, "is %zu bytes long; the limit is %zu", n, limit);
    else if ((data = arena_alloc(a, MEM_DATA, n + 1, e)) && fread(data, 1, n, f) != n) {
        err_at(e, ERR_INPUT, path, 0, 0, "cannot be read to its end");
        data = NULL;
    }
    fclose(f);
    if (size)
        *size = n;
    return data;
}

/* One call writes at most 2 GiB on Linux; other systems refuse more than INT_MAX. */
enum { WRITE_MOST = 1 << 30 };

static bool write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = write(fd, p, size < WRITE_MOST ? size : WRITE_MOST);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* The rename is durable only once the folder itself is on disk. */
static bool sync_folder(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    int fd = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0 || errno == EINVAL; /* some file systems do not sync folders */
    close(fd);
    return ok;
}

bool io_write_pieces(const char *path, const struct io_piece *pieces, size_t n, struct err *e)
{
    char part[4096];
    if ((size_t)snprintf(part, sizeof part, "%s.part", path) >= sizeof part)
        return err_at(e, ERR_ENV, path, 0, 0, "path is too long");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(e, ERR_ENV, part, "cannot be written");
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = write_all(fd, pieces[i].data, pieces[i].size);
    ok = ok && fsync(fd) == 0;
    int why = ok ? 0 : errno; /* of the first failure, not of closing after it */
    if (close(fd) != 0 && !why)
        why = errno;
    if (!why && rename(part, path) == 0 && sync_folder(path))
        return true;
    errno = why ? why : errno;
    err_errno(e, ERR_ENV, path, "cannot be written");
    unlink(part);
    return false;
}

bool io_write(const char *path, const void *data, size_t size, struct err *e)
{
    return io_write_pieces(path, &(struct io_piece){data, size}, 1, e);
}

static bool make_dir(const char *path, struct err *e)
{
    if (mkdir(path, 0777) == 0)
        return true;
    int why = errno;
    if (io_is_dir(path)) /* made before or by someone else meanwhile; a read-only parent may not say EEXIST */
        return true;
    errno = why;
    return err_errno(e, ERR_ENV, path, "cannot be made a folder");
}

bool io_mkdirs(const char *path, struct err *e)
{
    char p[4096];
    if ((size_t)snprintf(p, sizeof p, "%s", path) >= sizeof p)
        return err_at(e, ERR_ENV, path, 0, 0, "path is too long");
    for (char *s = p; *s;) {
        s += strspn(s, "/");
        s += strcspn(s, "/");
        char end = *s;
        *s = 0;
        TRY(make_dir(p, e));
        *s = end;
    }
    return true;
}

bool io_exists(const char *path) { return access(path, F_OK) == 0; }

bool io_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool io_copy(struct arena *a, const char *from, const char *to, struct err *e)
{
    size_t size;
    struct arena_mark m = arena_mark(a);
    char *data = io_read(a, from, 0, &size, e);
    bool ok = data && io_write(to, data, size, e);
    arena_release(a, m);
    return ok;
}

static void hex_digest(const unsigned char *md, unsigned n, char hex[IO_DIGEST])
{
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", md[i]);
}

bool io_sha256(const void *data, size_t size, char hex[IO_DIGEST], struct err *e)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(data, size, md, &n, EVP_sha256(), NULL))
        return err_set(e, ERR_ENV, "SHA-256 is not available");
    hex_digest(md, n, hex);
    return true;
}

static bool digest_stream(FILE *f, EVP_MD_CTX *ctx, char hex[IO_DIGEST])
{
    static _Thread_local unsigned char buf[1 << 16];
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;)
        TRY(EVP_DigestUpdate(ctx, buf, n));
    TRY(!ferror(f) && EVP_DigestFinal_ex(ctx, md, &len));
    hex_digest(md, len, hex);
    return true;
}

bool io_sha256_file(const char *path, char hex[IO_DIGEST], struct err *e)
{
    size_t size;
    FILE *f = open_file(path, &size, e);
    TRY(f);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = false;
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        err_set(e, ERR_ENV, "SHA-256 is not available");
    else if (!(ok = digest_stream(f, ctx, hex)))
        err_errno(e, ERR_INPUT, path, "cannot be read");
    EVP_MD_CTX_free(ctx);
    fclose(f);
    return ok;
}
