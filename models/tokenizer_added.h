/*
 * Added tokens: strings such as [MASK] that are cut out of the text before the tokenizer's own rules see it. Those with
 * `normalized` false are looked for in the text as written, the others in the normalized pieces between them.
 */
#ifndef MODELS_TOKENIZER_ADDED_H
#define MODELS_TOKENIZER_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "models/tokenizer_json.h"
#include "models/tokenizer_vocab.h"

struct tokenizer;

struct added_token {
    const char *text;
    size_t size;
    int32_t id;
    bool single_word;    /* only where neither neighbour is a word character    */
    bool lstrip, rstrip; /* takes the white space before or behind it along     */
    bool normalized;     /* matched, itself normalized, in the normalized text  */
};

/* Patterns sorted by first byte, longer ones first. */
struct added_matcher {
    struct added_pattern *patterns;
    int n;
    int first[257]; /* patterns that begin with byte b: first[b] .. first[b + 1] */
};

struct added_tokens {
    struct added_token *tokens;
    struct vocab index; /* text to place in `tokens` */
    int n, cap;
    int32_t next; /* id of the next token that the vocabulary does not have */
    struct added_matcher raw, normalized;
};

/* A token found in a text: bytes start .. end, stripped white space included. */
struct added_hit {
    size_t start, end;
    int32_t id;
};

/* Where a search stands. Zero it before the first call. */
struct added_search {
    size_t pos;  /* where the next match may begin  */
    size_t done; /* end of the last hit             */
};

/* Room for `cap` tokens; t->vocab must be complete. */
bool added_create(struct tokenizer *t, size_t cap, struct arena *a, struct err *e);

/* Adds a token. Its id is that of the vocabulary or else the next free number: what a file says about it is not asked,
 * as in the reference. A token that is there takes the new flags. Empty ones are left out. */
bool added_put(struct tokenizer *t, const struct added_token *token, struct arena *a, struct err *e);

/* True when the text is an added token already. */
bool added_has(const struct added_tokens *added, const char *text, size_t size);

/* Prepares matching; call once after the last token. */
bool added_finish(struct tokenizer *t, struct arena *a, struct err *e);

/* The next hit from the left, the longest at its place. False when there is none. The text must be valid UTF-8. */
bool added_next(const struct added_matcher *m, const struct added_tokens *added, const char *text, size_t size,
                struct added_search *search, struct added_hit *hit);

/* A token as JSON has it: a string, or an object with content and flags. Flags that are missing stay as they are. */
bool added_read(const struct json_at *j, struct added_token *token, struct err *e);

/* The `added_tokens` section of a tokenizer.json. */
bool added_open(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e);

#endif
