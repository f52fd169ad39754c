/* The WordPiece model inside the tokenizers, and the two ways to read it. */
#ifndef MODELS_WORDPIECE_H
#define MODELS_WORDPIECE_H

#include "models/tokenizer_bert.h"
#include "models/tokenizer_impl.h"

struct wordpiece {
    struct bert_normalizer normalizer;
    const char *prefix; /* of pieces inside a word: `##` */
    size_t prefix_size;
    uint32_t prefix_hash;
    size_t max_chars; /* longer words are unknown */
    int32_t unk;
};

/* From tokenizer.json: `normalizer`, `pre_tokenizer`, `model`. */
bool wordpiece_open_json(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e);

/* From vocab.txt with tokenizer_config.json, special_tokens_map.json and added_tokens.json, each of these three only
 * where it is there. */
bool wordpiece_open_files(struct tokenizer *t, const struct model_source *source, struct arena *a, struct err *e);

#endif
