/* WordPiece from a tokenizer.json: the sections normalizer, pre_tokenizer and model; see wordpiece.h. */
#include <string.h>

#include "models/wordpiece.h"

/* All four options must be given but strip_accents, which may be null or missing: it then follows lowercase. */
static bool open_normalizer(struct bert_normalizer *n, const struct json_at *root, struct err *e)
{
    struct json_at j = json_at_key(root, "normalizer");
    TRY(json_at_type(&j, "BertNormalizer", e));
    TRY(json_at_bool(&j, "clean_text", &n->clean_text, e));
    TRY(json_at_bool(&j, "handle_chinese_chars", &n->handle_chinese_chars, e));
    TRY(json_at_bool(&j, "lowercase", &n->lowercase, e));
    n->strip_accents = n->lowercase; /* what null stands for */
    return json_at_default_bool(&j, "strip_accents", &n->strip_accents, e);
}

/* {"[PAD]": 0, ...} in any order, holes allowed. The texts are copied: the document does not outlive the opening. */
static bool open_vocab(struct vocab *v, const struct json_at *model, struct arena *a, struct err *e)
{
    struct json_at vocab = json_at_key(model, "vocab");
    TRY(json_at_object(&vocab, false, e));
    json_t *tokens = (json_t *)vocab.value;
    size_t bytes = 0;
    for (void *i = json_object_iter(tokens); i; i = json_object_iter_next(tokens, i))
        bytes += json_object_iter_key_len(i);
    char *text = ARENA_NEW(a, MEM_DATA, char, bytes, e);
    TRY(text && vocab_create(v, json_object_size(tokens), a, e));
    for (void *i = json_object_iter(tokens); i; i = json_object_iter_next(tokens, i)) {
        size_t size = json_object_iter_key_len(i);
        const json_t *id = json_object_iter_value(i);
        long long value = json_integer_value(id);
        memcpy(text, json_object_iter_key(i), size);
        if (!json_is_integer(id) || value < 0 || value >= INT32_MAX)
            return json_at_err(&vocab, e, "gives `%.64s` no integer id in [0, %d]", json_object_iter_key(i),
                               INT32_MAX - 1);
        vocab_put(v, text, size, (int32_t)value);
        text += size;
    }
    return true;
}

/* The unknown token must be in the vocabulary; every text may need it. */
static bool open_unknown(const struct tokenizer *t, struct wordpiece *w, const struct json_at *model, struct err *e)
{
    const char *unk;
    size_t size;
    TRY(json_at_string(model, "unk_token", &unk, &size, e));
    w->unk = vocab_find(&t->vocab, unk, size);
    if (w->unk >= 0)
        return true;
    struct json_at at = json_at_key(model, "unk_token");
    return json_at_err(&at, e, "is `%.64s`, which `model.vocab` does not have", unk);
}

bool wordpiece_open_json(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e)
{
    struct json_at model = json_at_key(root, "model"), words = json_at_key(root, "pre_tokenizer");
    struct wordpiece *w = ARENA_NEW(a, MEM_DATA, struct wordpiece, 1, e);
    const char *prefix;
    long long max_chars;
    TRY(w);
    TRY(open_normalizer(&w->normalizer, root, e));
    TRY(json_at_type(&words, "BertPreTokenizer", e));
    TRY(json_at_string(&model, "continuing_subword_prefix", &prefix, &w->prefix_size, e));
    TRY(json_at_int(&model, "max_input_chars_per_word", INT64_MAX, &max_chars, e));
    TRY(open_vocab(&t->vocab, &model, a, e));
    TRY(open_unknown(t, w, &model, e));
    TRY(w->prefix = arena_strndup(a, prefix, w->prefix_size, e));
    w->prefix_hash = vocab_hash_bytes(VOCAB_HASH, prefix, w->prefix_size);
    w->max_chars = (size_t)max_chars;
    t->model = w;
    return true;
}
