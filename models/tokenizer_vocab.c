/* Token to id: see tokenizer_vocab.h. Linear probing; nothing is ever removed. */
#include "models/tokenizer_vocab.h"

#include <string.h>

uint32_t vocab_hash_bytes(uint32_t hash, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = vocab_hash(hash, (unsigned char)s[i]);
    return hash;
}

bool vocab_create(struct vocab *v, size_t n, struct arena *a, struct err *e)
{
    uint32_t slots = 16;
    while (slots / 2 < n && slots < 1u << 31)
        slots *= 2;
    *v = (struct vocab){.mask = slots - 1, .last = -1};
    TRY(v->slots = ARENA_NEW(a, MEM_DATA, struct vocab_token, slots, e));
    return true;
}

/* FNV-1a's low bits alone are weak for short strings: the high half is mixed in. */
static uint32_t first_slot(const struct vocab *v, uint32_t hash) { return (hash ^ hash >> 15) & v->mask; }

/* The slot of prefix + text, or the empty one where it belongs. */
static struct vocab_token *slot_of(const struct vocab *v, uint32_t hash, const char *prefix, size_t prefix_size,
                                   const char *text, size_t size)
{
    for (uint32_t i = first_slot(v, hash);; i = (i + 1) & v->mask) {
        struct vocab_token *t = &v->slots[i];
        if (!t->text || (t->hash == hash && t->size == prefix_size + size &&
                         memcmp(t->text, prefix, prefix_size) == 0 && memcmp(t->text + prefix_size, text, size) == 0))
            return t;
    }
}

void vocab_put(struct vocab *v, const char *text, size_t size, int32_t id)
{
    uint32_t hash = vocab_hash_bytes(VOCAB_HASH, text, size);
    struct vocab_token *t = slot_of(v, hash, "", 0, text, size);
    if (!t->text) {
        *t = (struct vocab_token){.text = text, .size = (uint32_t)size, .hash = hash};
        v->n++;
    }
    t->id = id;
    if (id > v->last)
        v->last = id;
    if (size > v->longest)
        v->longest = size;
}

int32_t vocab_find(const struct vocab *v, const char *text, size_t size)
{
    return vocab_find_joined(v, vocab_hash_bytes(VOCAB_HASH, text, size), "", 0, text, size);
}

int32_t vocab_find_joined(const struct vocab *v, uint32_t hash, const char *prefix, size_t prefix_size,
                          const char *text, size_t size)
{
    const struct vocab_token *t = slot_of(v, hash, prefix, prefix_size, text, size);
    return t->text ? t->id : -1;
}
