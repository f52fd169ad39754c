/*
 * Tokenizers: text to ids, with the special tokens and the pair layout of the model. The kind (BERT WordPiece) follows
 * from the files of the model directory, tokenizer.json before vocab.txt.
 */
#ifndef MODELS_TOKENIZER_H
#define MODELS_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "models/source.h"

struct tokenizer; /* opaque, immutable after opening: safe to share between threads */

/* Ids of one example. */
struct encoding {
    int32_t *ids;   /* [n] */
    int32_t *types; /* [n] token type ids */
    int n;
};

/* Reads the tokenizer of a model: tokenizer.json if there is one, else vocab.txt with the small files beside it. NULL
 * with an error that names the file and the line or the JSON path. */
struct tokenizer *tokenizer_open(const struct model_source *source, struct arena *a, struct err *e);

/* Number of ids (largest id + 1). */
int tokenizer_size(const struct tokenizer *t);

/* Encodes text a, and b as its pair where b is not NULL (bytes, any content; invalid UTF-8 as the reference does), with
 * special tokens, cut to max_length ids by longest-first truncation as in the Rust library. An error when max_length
 * leaves no room for the special tokens. The result, and nothing else, lives in the arena `out`; concurrent calls need
 * arenas of their own. */
bool tokenizer_encode(const struct tokenizer *t, const char *a, size_t a_size, const char *b, size_t b_size,
                      int max_length, struct encoding *encoding, struct arena *out, struct err *e);

/* Files that make up the tokenizer (tokenizer.json, vocab.txt, ...), NULL-terminated: for digests and exports. */
const char *const *tokenizer_files(const struct tokenizer *t);

#endif
