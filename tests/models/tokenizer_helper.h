/* What the tokenizer tests share: a model directory made of strings, opening it, ids as text. */
#ifndef TESTS_MODELS_TOKENIZER_HELPER_H
#define TESTS_MODELS_TOKENIZER_HELPER_H

#include "tests/test.h"

#include "models/tokenizer.h"

static struct arena *arena;
static struct err e;

/* Opens the tokenizer in `dir`. */
static inline struct tokenizer *open_dir(const char *dir)
{
    if (!arena)
        arena = arena_create(NULL);
    struct model_source s = {.name = "m", .label = "m", .dir = dir};
    return tokenizer_open(&s, arena, &e);
}

static inline struct tokenizer *open_ok(const char *dir)
{
    struct tokenizer *t = open_dir(dir);
    ASSERT_OK(t, &e);
    return t;
}

/* Encodes bytes; the arena keeps the result. */
static inline struct encoding encode_bytes(const struct tokenizer *t, const char *a, size_t a_size, const char *b,
                                           size_t b_size, int max_length)
{
    struct encoding out;
    ASSERT_OK(tokenizer_encode(t, a, a_size, b, b_size, max_length, &out, arena, &e), &e);
    return out;
}

/* Numbers separated by single spaces, in the arena. */
static inline char *numbers(const int32_t *v, int n)
{
    char *s = arena_alloc(arena, MEM_DATA, 12 * (size_t)n + 1, &e), *p = s;
    for (int i = 0; i < n; i++)
        p += sprintf(p, i ? " %d" : "%d", (int)v[i]);
    return s;
}

static inline char *ids_of(const struct tokenizer *t, const char *a, const char *b, int max_length)
{
    struct encoding out = encode_bytes(t, a, strlen(a), b, b ? strlen(b) : 0, max_length);
    return numbers(out.ids, out.n);
}

#define ASSERT_IDS(t, text, expected) assert_string_equal(ids_of((t), (text), NULL, 1 << 20), (expected))

#endif
