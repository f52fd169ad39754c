/*
 * Token to id: an open-addressing hash table over byte strings, filled once and then only read. The hash (FNV-1a) runs
 * byte by byte, so the hashes of all prefixes of a word cost one pass over it.
 */
#ifndef MODELS_TOKENIZER_VOCAB_H
#define MODELS_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct vocab_token {
    const char *text; /* not owned; NULL: empty slot */
    uint32_t size, hash;
    int32_t id;
};

struct vocab {
    struct vocab_token *slots; /* [mask + 1], at most half of them taken */
    uint32_t mask;
    int n;        /* different tokens        */
    int32_t last; /* largest id, -1 if empty */
    size_t longest; /* bytes of the longest token */
};

#define VOCAB_HASH 0x811C9DC5u /* hash of nothing */

static inline uint32_t vocab_hash(uint32_t hash, unsigned char byte) { return (hash ^ byte) * 0x01000193u; }
uint32_t vocab_hash_bytes(uint32_t hash, const char *s, size_t n);

/* Room for n tokens. */
bool vocab_create(struct vocab *v, size_t n, struct arena *a, struct err *e);

/* Adds a token whose text outlives the table; one that is there gets the new id, as in the reference. */
void vocab_put(struct vocab *v, const char *text, size_t size, int32_t id);

/* Id of a token, -1 when it is not there. */
int32_t vocab_find(const struct vocab *v, const char *text, size_t size);

/* The same for the token `prefix` + `text` whose hash is known. */
int32_t vocab_find_joined(const struct vocab *v, uint32_t hash, const char *prefix, size_t prefix_size,
                          const char *text, size_t size);

#endif
