/* Claim files: see claim.h. The text of a claim is `host pid start since`. */
#include "harness/launch/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CLAIM_TEXT = 256 };

/* Fields 3 (state) and 22 (start time) of /proc/<pid>/stat; the second field may hold spaces and brackets, so counting
 * begins behind its last one. False when there is no such process or no such file. */
static bool process_stat(long pid, char *state, unsigned long long *start)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *s = strrchr(text, ')');
    return s && sscanf(s, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", state,
                       start) == 2;
}

static void this_host(char *host, size_t size)
{
    if (gethostname(host, size) != 0 || !*host)
        snprintf(host, size, "localhost");
    host[size - 1] = 0;
    for (char *c = host; *c; c++) /* a word of the claim's text */
        if (*c <= ' ')
            *c = '_';
}

static struct claim_owner this_process(void)
{
    char state;
    struct claim_owner me = {.pid = (long)getpid(), .since = (long long)time(NULL)};
    this_host(me.host, sizeof me.host);
    if (!process_stat(me.pid, &state, &me.start))
        me.start = 0;
    return me;
}

/* An ended process that nobody has waited for yet is dead, too. */
static bool process_lives(const struct claim_owner *o)
{
    char state;
    unsigned long long start;
    if (kill((pid_t)o->pid, 0) != 0 && errno == ESRCH)
        return false;
    if (!process_stat(o->pid, &state, &start))
        return true;
    return state != 'Z' && state != 'X' && (!o->start || start == o->start);
}

/* Text of the claim into buf (empty when it holds nothing), and its age by its date. */
static void read_open(int fd, char buf[CLAIM_TEXT], double *age)
{
    struct stat st;
    ssize_t n = read(fd, buf, CLAIM_TEXT - 1);
    buf[n > 0 ? n : 0] = 0;
    *age = fstat(fd, &st) == 0 ? difftime(time(NULL), st.st_mtime) : 0;
}

/* The same by name. False: there is no claim. */
static bool read_claim(const char *path, char buf[CLAIM_TEXT], double *age)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    read_open(fd, buf, age);
    close(fd);
    return true;
}

static bool parse(const char *text, struct claim_owner *o)
{
    struct claim_owner read = {.pid = 0};
    *o = (struct claim_owner){.pid = 0};
    if (sscanf(text, "%64s %ld %llu %lld", read.host, &read.pid, &read.start, &read.since) != 4 || read.pid <= 0)
        return false;
    *o = read;
    return true;
}

/* A claim that cannot be read was being written a moment ago, or when its machine went down: its date decides. */
static bool is_live(const char *text, double age, struct claim_owner *o)
{
    char host[65];
    this_host(host, sizeof host);
    if (parse(text, o) && strcmp(o->host, host) == 0)
        return process_lives(o);
    return age < CLAIM_LOST;
}

bool claim_is_held(const char *path, struct claim_owner *owner)
{
    char text[CLAIM_TEXT];
    double age;
    *owner = (struct claim_owner){.pid = 0};
    return read_claim(path, text, &age) && is_live(text, age, owner);
}

/* Is this open file still the one of that name? */
static bool is_there(int fd, const char *path)
{
    struct stat open_one, named;
    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_dev == named.st_dev &&
           open_one.st_ino == named.st_ino;
}

/* Of several processes that find the same dead claim, one must remove it, and none the new claim of another: whoever
 * removes a claim holds the lock of its file, and looks again under it. */
static void bury(const char *path)
{
    char text[CLAIM_TEXT];
    double age;
    struct claim_owner o;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    flock(fd, LOCK_EX); /* where locks do not work, the second look alone has to do */
    read_open(fd, text, &age);
    if (!is_live(text, age, &o) && is_there(fd, path))
        unlink(path);
    close(fd);
}

/* Writes the new file's content; a file that could not be written is removed. */
static bool write_claim(const char *path, int fd, const struct claim_owner *me, struct err *e)
{
    char text[CLAIM_TEXT];
    int n = snprintf(text, sizeof text, "%s %ld %llu %lld\n", me->host, me->pid, me->start, me->since);
    errno = ENOSPC; /* of a short write */
    bool ok = write(fd, text, (size_t)n) == n;
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok)
        return true;
    unlink(path);
    errno = why;
    return err_errno(e, ERR_ENV, path, "cannot be written");
}

bool claim_take(const char *path, bool *mine, struct claim_owner *owner, struct err *e)
{
    char text[CLAIM_TEXT];
    double age;
    *mine = false;
    for (int attempt = 0; attempt < 16; attempt++) { /* each but the first because somebody was quicker */
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            *owner = this_process();
            return *mine = write_claim(path, fd, owner, e);
        }
        if (errno != EEXIST)
            return err_errno(e, ERR_ENV, path, "cannot be written");
        if (!read_claim(path, text, &age))
            continue;
        if (is_live(text, age, owner))
            return true;
        bury(path);
    }
    return err_at(e, ERR_ENV, path, 0, 0, "cannot be taken or read");
}

void claim_refresh(const char *path, long pid)
{
    char text[CLAIM_TEXT], host[65];
    double age;
    struct claim_owner o;
    this_host(host, sizeof host);
    if (read_claim(path, text, &age) && parse(text, &o) && o.pid == pid && strcmp(o.host, host) == 0)
        utimensat(AT_FDCWD, path, NULL, 0);
}

void claim_drop(const char *path)
{
    char text[CLAIM_TEXT];
    double age;
    struct claim_owner o, me = this_process();
    if (read_claim(path, text, &age) && parse(text, &o) && o.pid == me.pid && o.start == me.start &&
        strcmp(o.host, me.host) == 0)
        unlink(path);
}
