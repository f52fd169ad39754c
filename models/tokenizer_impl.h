/*
 * Inside of the tokenizers. What all kinds share (added tokens, pair layout, truncation, opening) works on the struct
 * below; a kind brings the functions of one row. A new kind is one file and one word in `kinds` (tokenizer_open.c).
 */
#ifndef MODELS_TOKENIZER_IMPL_H
#define MODELS_TOKENIZER_IMPL_H

#include "models/tokenizer.h"
#include "models/tokenizer_added.h"
#include "models/tokenizer_json.h"
#include "models/tokenizer_vocab.h"

/* A growing list of ids in an arena. */
struct id_list {
    struct arena *arena;
    int32_t *ids;
    size_t n, cap;
};

bool id_list_add(struct id_list *list, int32_t id, struct err *e);

/* How special tokens and texts follow each other: `[CLS] A [SEP] B [SEP]`. */
struct layout_piece {
    enum { LAYOUT_ID, LAYOUT_A, LAYOUT_B } what;
    int32_t id, type;
};

struct layout {
    struct layout_piece *pieces;
    int n, n_special; /* n_special: pieces that are ids */
};

struct tokenizer_kind {
    const char *model_type;        /* `model.type` of a tokenizer.json                                             */
    const char *const *vocab_file; /* what to open without tokenizer.json: files that must all be there, then NULL */

    /* Fills t->vocab and t->model from `normalizer`, `pre_tokenizer` and `model` of a tokenizer.json. */
    bool (*open_json)(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e);

    /* Fills the whole of *t, layouts and added tokens included, from the files without tokenizer.json. */
    bool (*open_files)(struct tokenizer *t, const struct model_source *source, struct arena *a, struct err *e);

    /* Normalized form of valid UTF-8, in the arena. */
    bool (*normalize)(const void *model, const char **text, size_t *size, struct arena *a, struct err *e);

    /* Appends the ids of a normalized text. Scratch may come from ids->arena. */
    bool (*tokenize)(const struct tokenizer *t, const char *text, size_t size, struct id_list *ids, struct err *e);
};

struct tokenizer {
    const struct tokenizer_kind *kind;
    const void *model; /* the kind's own */
    struct vocab vocab;
    struct added_tokens added;
    struct layout single, pair;
    int size;
    const char **files; /* NULL-terminated */
};

extern const struct tokenizer_kind tokenizer_wordpiece;

/* The layout of BERT: [CLS] A [SEP], and [CLS] A [SEP] B [SEP] with type 1 from B on. */
bool layout_bert(struct tokenizer *t, int32_t cls, int32_t sep, struct arena *a, struct err *e);

/* The `post_processor` section of a tokenizer.json. */
bool layout_open(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e);

#endif
