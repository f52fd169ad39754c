/*
 * Tagged arenas: the memory meter of the project. Every large allocation carries a tag; one meter, shared by the arenas
 * of a run, knows for each tag the bytes alive now and at most, and the maximum over time of their sum (`peak_live`)
 * with the breakdown at that moment. An arena frees everything at once, or back to a mark; nothing is freed singly.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One list for the enum, the names in tables and HDF5, and the meanings that the documentation prints. */
#define MEM_TAG_LIST(X)                                                        \
    X(WEIGHTS, "weights", "parameters held in memory")                         \
    X(MAPPED, "mapped", "parameters in the mapped checkpoint")                 \
    X(GRADIENTS, "gradients", "requested gradients, index lists included")     \
    X(OPTIMIZER, "optimizer", "optimizer state")                               \
    X(METHOD, "method", "what a method keeps for itself")                      \
    X(ACTIVATIONS, "activations", "what forward keeps for backward")           \
    X(SCRATCH, "scratch", "buffers shared by operations")                      \
    X(DATA, "data", "tokenized examples, texts, predictions")

enum mem_tag {
#define X(id, name, what) MEM_##id,
    MEM_TAG_LIST(X)
#undef X
        MEM_TAGS
};

struct mem_meter {
    size_t live[MEM_TAGS], peak[MEM_TAGS];
    size_t live_sum, peak_live;
    size_t at_peak[MEM_TAGS]; /* live[] at the moment of peak_live */
};

struct arena; /* opaque */
struct arena_mark {
    void *chunk;
    size_t used;
    size_t live[MEM_TAGS];
};

/* Name of a tag as in tables and files; meaning as in the documentation. */
const char *mem_tag_name(enum mem_tag tag);
const char *mem_tag_meaning(enum mem_tag tag);

/* Bytes that an allocation of `bytes` is counted as: rounded up to 64, the alignment of every block. */
size_t mem_round(size_t bytes);

/* Counts memory that no arena owns (a mapped file); negative bytes give it back. */
void mem_count(struct mem_meter *m, enum mem_tag tag, ptrdiff_t bytes);

/* Forgets peaks: they restart from what is alive now. */
void mem_restart_peaks(struct mem_meter *m);

/* A new arena that counts into *m (may be NULL: not counted). NULL when memory is out. */
struct arena *arena_create(struct mem_meter *m);

/* Frees the arena and all it holds; NULL is allowed. */
void arena_destroy(struct arena *a);

/* Zeroed, 64-byte aligned memory, alive until the arena is destroyed or released below it.
 * NULL with ERR_ENV in *e when memory is out; never NULL for bytes == 0. */
void *arena_alloc(struct arena *a, enum mem_tag tag, size_t bytes, struct err *e);

/* arena_alloc for n objects of `size` bytes, refusing products that overflow. */
void *arena_array(struct arena *a, enum mem_tag tag, size_t n, size_t size, struct err *e);
#define ARENA_NEW(a, tag, T, n, e) ((T *)arena_array((a), (tag), (n), sizeof(T), (e)))

/* Counts memory that belongs to the arena's owner but lies elsewhere (a mapped file): given back, as a number, when the
 * arena is destroyed or released below. */
void arena_count(struct arena *a, enum mem_tag tag, size_t bytes);

/* Copies of strings in the arena under MEM_DATA; arena_strndup ends at n bytes or a NUL; arena_printf formats. */
char *arena_strdup(struct arena *a, const char *s, struct err *e);
char *arena_strndup(struct arena *a, const char *s, size_t n, struct err *e);
char *arena_printf(struct arena *a, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Release gives back everything allocated after the mark; the memory itself is kept for the next allocations, so a loop
 * that marks and releases allocates from the system only while it still grows. */
struct arena_mark arena_mark(const struct arena *a);
void arena_release(struct arena *a, struct arena_mark m);

/* Test hook: the n-th allocation from now on (0 = the next) of any arena fails, and every one after it; -1 switches
 * it off. */
void arena_fail_at(long n);

#endif
