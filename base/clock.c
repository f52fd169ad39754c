/* Clocks and the kernel's memory figures: see clock.h. */
#include "base/clock.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void clock_utc(char *buf, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* The value in bytes of a `Name:  123 kB` line of a /proc file. */
static size_t proc_kib(const char *path, const char *field)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    char line[256];
    size_t value = 0, n = strlen(field);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, field, n) == 0 && sscanf(line + n, ": %zu", &value) == 1)
            break;
    fclose(f);
    return value * 1024;
}

size_t clock_peak_rss(void) { return proc_kib("/proc/self/status", "VmHWM"); }

/* What a limit leaves; a limit that is reached leaves 1, since 0 means that nothing is known. SIZE_MAX: no limit. */
static size_t left_of(size_t limit, size_t used)
{
    return limit == SIZE_MAX ? SIZE_MAX : limit > used ? limit - used : 1;
}

/* The number after `key` in a file of the control groups, or at its beginning (key ""); `missing` where there is
 * none. */
static size_t cgroup_number(const char *file, const char *key, size_t missing)
{
    FILE *f = fopen(file, "r");
    if (!f)
        return missing;
    char line[128];
    size_t n = strlen(key), value = missing;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, n) == 0 && sscanf(line + n, "%zu", &value) == 1)
            break;
    fclose(f);
    return value;
}

/* What a container still grants. Cached files count as used there, but are dropped before anything is refused. */
static size_t group_left(const char *limit, const char *usage, const char *stat)
{
    size_t used = cgroup_number(usage, "", 0);
    size_t cached = cgroup_number(stat, "inactive_file ", 0) + cgroup_number(stat, "active_file ", 0);
    return left_of(cgroup_number(limit, "", SIZE_MAX), used > cached ? used - cached : 0);
}

/* What `ulimit -v` still grants this process. */
static size_t address_space_left(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return left_of((size_t)r.rlim_cur, proc_kib("/proc/self/status", "VmSize"));
}

size_t clock_memory_available(void)
{
    size_t least = proc_kib("/proc/meminfo", "MemAvailable");
    size_t limits[] = {
        group_left("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
        group_left("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                   "/sys/fs/cgroup/memory/memory.stat"),
        address_space_left()};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (limits[i] < least || !least)
            least = limits[i];
    return least == SIZE_MAX ? 0 : least;
}

void clock_reset_peak_rss(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f)
        return;
    fputs("5\n", f);
    fclose(f);
}
