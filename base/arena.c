/*
 * Tagged arenas: see arena.h. An arena is a list of chunks; blocks are cut from the current chunk, large blocks get a
 * chunk of their own. The chunks after the current one are empty, kept by a release for the next round: the one that
 * fits best is used first, and where none fits the largest is given back for a larger one, so that blocks whose size
 * changes from round to round do not leave a trail of chunks behind.
 *
 * Large chunks come from the system directly, in huge pages where it gives them: a step touches all of them, and with
 * pages of 4 KB a fifth of the first one goes into faults. What was never handed out is zero by itself.
 *
 * Under the address sanitizer everything but the bytes that were asked for is poisoned, with at least GUARD bytes
 * between two blocks: writing past a block and using it after a release are reported as with malloc.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */

#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
enum { GUARD = 64, MAPS = 0 };
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { GUARD = 0, MAPS = 1 };
#endif

enum { ALIGN = 64, CHUNK = 64 * 1024, HUGE = 2 * 1024 * 1024 };

struct chunk {
    struct chunk *next;
    size_t size, used;
    size_t written;      /* bytes that were ever handed out: behind them all is zero */
    bool mapped;
    unsigned char *data; /* ALIGN-aligned */
};

struct arena {
    struct mem_meter *meter;
    struct chunk *first, *current;
    size_t live[MEM_TAGS];
};

static long fail_countdown = -1;

static const char *const names[] = {
#define X(id, name, what) name,
    MEM_TAG_LIST(X)
#undef X
};
static const char *const meanings[] = {
#define X(id, name, what) what,
    MEM_TAG_LIST(X)
#undef X
};

const char *mem_tag_name(enum mem_tag tag) { return names[tag]; }
const char *mem_tag_meaning(enum mem_tag tag) { return meanings[tag]; }
size_t mem_round(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }
void arena_fail_at(long n) { fail_countdown = n; }

void mem_count(struct mem_meter *m, enum mem_tag tag, ptrdiff_t bytes)
{
    assert(bytes >= 0 || m->live[tag] >= -(size_t)bytes);
    m->live[tag] += (size_t)bytes;
    m->live_sum += (size_t)bytes;
    if (m->live[tag] > m->peak[tag])
        m->peak[tag] = m->live[tag];
    if (m->live_sum > m->peak_live) {
        m->peak_live = m->live_sum;
        memcpy(m->at_peak, m->live, sizeof m->live);
    }
}

void mem_restart_peaks(struct mem_meter *m)
{
    memcpy(m->peak, m->live, sizeof m->live);
    memcpy(m->at_peak, m->live, sizeof m->live);
    m->peak_live = m->live_sum;
}

static void count(struct arena *a, enum mem_tag tag, ptrdiff_t bytes)
{
    a->live[tag] += (size_t)bytes;
    if (a->meter)
        mem_count(a->meter, tag, bytes);
}

void arena_count(struct arena *a, enum mem_tag tag, size_t bytes) { count(a, tag, (ptrdiff_t)bytes); }

struct arena *arena_create(struct mem_meter *m)
{
    struct arena *a = calloc(1, sizeof *a);
    if (a)
        a->meter = m;
    return a;
}

static void chunk_free(struct chunk *c)
{
    UNPOISON(c->data, c->size);
    if (c->mapped)
        munmap(c->data, c->size);
    else
        free(c->data);
    free(c);
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    for (int t = 0; t < MEM_TAGS; t++)
        if (a->meter && a->live[t])
            mem_count(a->meter, (enum mem_tag)t, -(ptrdiff_t)a->live[t]);
    for (struct chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        chunk_free(c);
    }
    free(a);
}

/* Zeroed memory that begins where a huge page does. Its last part, smaller than one, stays in small pages: huge pages
 * take no more than was asked for. */
static void *map_huge(size_t size)
{
    size_t room = size + HUGE;
    unsigned char *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t before = (HUGE - (uintptr_t)at % HUGE) % HUGE;
    if (before)
        munmap(at, before);
    munmap(at + before + size, room - before - size);
    madvise(at + before, size / HUGE * HUGE, MADV_HUGEPAGE);
    return at + before;
}

static bool chunk_fill(struct chunk *c, size_t size)
{
    enum { PAGE = 65536 }; /* no system's pages are larger */
    c->mapped = MAPS && size >= HUGE;
    c->size = c->mapped ? (size + PAGE - 1) / PAGE * PAGE : size;
    c->written = c->mapped ? 0 : size;
    return (c->data = c->mapped ? map_huge(c->size) : aligned_alloc(ALIGN, size)) != NULL;
}

static struct chunk *chunk_new(size_t size)
{
    struct chunk *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (!chunk_fill(c, size)) {
        free(c);
        return NULL;
    }
    POISON(c->data, size);
    return c;
}

/* Where the list goes on after the current chunk: the first of the empty ones. */
static struct chunk **spares(struct arena *a) { return a->current ? &a->current->next : &a->first; }

static struct chunk *unlink_chunk(struct chunk **at)
{
    struct chunk *c = *at;
    *at = c->next;
    return c;
}

/* The smallest spare chunk with room, out of the list. Where there is none the largest is freed, and NULL is returned.
 * Small blocks keep to small chunks: one of them in a large chunk would make the next large block need another. */
static struct chunk *take_spare(struct arena *a, size_t bytes)
{
    struct chunk **best = NULL, **largest = NULL;
    for (struct chunk **at = spares(a); *at; at = &(*at)->next) {
        size_t size = (*at)->size;
        if (bytes <= CHUNK && size > CHUNK)
            continue;
        if (size >= bytes && (!best || size < (*best)->size))
            best = at;
        if (!largest || size > (*largest)->size)
            largest = at;
    }
    if (best)
        return unlink_chunk(best);
    if (largest && (*largest)->size > CHUNK)
        chunk_free(unlink_chunk(largest));
    return NULL;
}

/* A chunk with room for `bytes`: the current one, a spare one, or a new one; the last two become the current one. */
static struct chunk *chunk_with_room(struct arena *a, size_t bytes)
{
    if (a->current && a->current->size - a->current->used >= bytes)
        return a->current;
    struct chunk *c = take_spare(a, bytes);
    if (!c)
        c = chunk_new(bytes > CHUNK ? bytes : CHUNK);
    if (!c)
        return NULL;
    struct chunk **at = spares(a);
    c->next = *at;
    *at = c;
    return a->current = c;
}

/* The next block of a chunk that has room for it. */
static void *take(struct arena *a, struct chunk *c, enum mem_tag tag, size_t bytes)
{
    size_t size = mem_round(bytes ? bytes : 1), used = c->used;
    unsigned char *p = c->data + used;
    c->used += size + GUARD;
    count(a, tag, (ptrdiff_t)size);
    UNPOISON(p, bytes);
    if (used < c->written)
        memset(p, 0, bytes < c->written - used ? bytes : c->written - used);
    if (c->used > c->written)
        c->written = c->used;
    return p;
}

void *arena_alloc(struct arena *a, enum mem_tag tag, size_t bytes, struct err *e)
{
    size_t size = mem_round(bytes ? bytes : 1);
    struct chunk *c = NULL;
    if (fail_countdown < 0 || fail_countdown-- > 0)
        c = size >= bytes && size <= SIZE_MAX / 2 ? chunk_with_room(a, size + GUARD) : NULL;
    else
        fail_countdown = 0;
    if (!c) {
        err_set(e, ERR_ENV, "out of memory: %zu bytes for %s", bytes, names[tag]);
        return NULL;
    }
    return take(a, c, tag, bytes);
}

void *arena_array(struct arena *a, enum mem_tag tag, size_t n, size_t size, struct err *e)
{
    if (size && n > SIZE_MAX / 2 / size) {
        err_set(e, ERR_ENV, "out of memory: %zu objects of %zu bytes for %s", n, size, names[tag]);
        return NULL;
    }
    return arena_alloc(a, tag, n * size, e);
}

char *arena_strndup(struct arena *a, const char *s, size_t n, struct err *e)
{
    n = strnlen(s, n);
    char *p = arena_alloc(a, MEM_DATA, n + 1, e);
    if (p)
        memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s, struct err *e) { return arena_strndup(a, s, strlen(s), e); }

char *arena_printf(struct arena *a, struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *p = arena_alloc(a, MEM_DATA, (size_t)n + 1, e);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    struct arena_mark m = {.chunk = a->current, .used = a->current ? a->current->used : 0};
    memcpy(m.live, a->live, sizeof m.live);
    return m;
}

/* Everything after `used` bytes of a chunk is free again. */
static void chunk_cut(struct chunk *c, size_t used)
{
    if (c->used > used)
        POISON(c->data + used, c->used - used);
    c->used = used;
}

void arena_release(struct arena *a, struct arena_mark m)
{
    a->current = m.chunk;
    if (m.chunk)
        chunk_cut(m.chunk, m.used);
    for (struct chunk *c = *spares(a); c && c->used; c = c->next)
        chunk_cut(c, 0);
    for (int t = 0; t < MEM_TAGS; t++)
        if (a->live[t] != m.live[t])
            count(a, (enum mem_tag)t, (ptrdiff_t)m.live[t] - (ptrdiff_t)a->live[t]);
}
