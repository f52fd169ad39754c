/*
 * WordPiece from vocab.txt (one token a line, its id the line's number from 0) as BERT models were first published; see
 * wordpiece.h. What transformers' BertTokenizerFast makes of the files beside it:
 *
 *   tokenizer_config.json    do_lower_case (default true for every model type with such a vocabulary: bert,
 *                            distilbert, electra, mobilebert), strip_accents (default as do_lower_case),
 *                            tokenize_chinese_chars, names of the special tokens, added_tokens_decoder
 *   special_tokens_map.json  names of the special tokens; only where there is no added_tokens_decoder
 *   added_tokens.json        further tokens; only where there is no added_tokens_decoder
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "models/tokenizer_unicode.h"
#include "models/wordpiece.h"

enum { UNK, SEP, PAD, CLS, MASK, SPECIALS };
static const char *const special_keys[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
static const char *const special_names[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};

struct files {
    const struct model_source *source;
    const char *vocab; /* how vocab.txt is called in messages */
    struct json_at config, map, added, decoder; /* value NULL: not there */
    json_t *documents[3];
    struct added_token specials[SPECIALS];
};

/* ---- vocab.txt ---- */

/* Length of a line without the white space at its end (a carriage return among it). */
static size_t without_trailing_space(const char *line, size_t size)
{
    while (size > 0 && char_is_space(utf8_before(line + size)))
        do
            size--;
        while (((unsigned char)line[size] & 0xC0) == 0x80);
    return size;
}

/* Lines, the last one with or without its line feed. */
static size_t count_lines(const char *text, size_t size)
{
    size_t n = 0;
    for (const char *p = text, *end = text + size; p < end; n++) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        p = lf ? lf + 1 : end;
    }
    return n;
}

/* Line number, from 1, of a byte. */
static int line_of(const char *text, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

/* The vocabulary points into the text of the file. An empty line is an empty token, which no text matches. */
static bool open_vocab(struct tokenizer *t, const struct files *f, struct arena *a, struct err *e)
{
    size_t size;
    const char *text = model_source_read(f->source, "vocab.txt", a, &size, e);
    TRY(text);
    size_t valid = utf8_valid(text, size), lines = count_lines(text, size);
    if (valid < size)
        return err_at(e, ERR_INPUT, f->vocab, line_of(text, valid), 0, "is not UTF-8");
    if (lines == 0)
        return err_at(e, ERR_INPUT, f->vocab, 0, 0, "is empty");
    if (lines >= INT32_MAX)
        return err_at(e, ERR_INPUT, f->vocab, 0, 0, "has too many lines: %zu", lines);
    TRY(vocab_create(&t->vocab, lines, a, e));
    int32_t id = 0;
    for (const char *p = text, *end = text + size; p < end; id++) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((lf ? lf : end) - p);
        vocab_put(&t->vocab, p, without_trailing_space(p, n), id);
        p = lf ? lf + 1 : end;
    }
    return true;
}

/* ---- the JSON files beside it ---- */

/* A file that may be missing; *root then stays empty. */
static bool open_document(struct files *f, int i, const char *name, struct json_at *root, struct arena *a,
                          struct err *e)
{
    if (!model_source_has(f->source, name))
        return true;
    return (f->documents[i] = json_at_open(root, f->source, name, a, e)) != NULL;
}

static bool open_documents(struct files *f, struct arena *a, struct err *e)
{
    TRY(open_document(f, 0, "tokenizer_config.json", &f->config, a, e));
    f->decoder = json_at_key(&f->config, "added_tokens_decoder");
    if (json_at_given(&f->decoder))
        return json_at_object(&f->decoder, true, e);
    return open_document(f, 1, "special_tokens_map.json", &f->map, a, e) &&
           open_document(f, 2, "added_tokens.json", &f->added, a, e);
}

/* Tokenizers that differ from BERT's in nothing but their name. */
static bool check_class(const struct files *f, struct err *e)
{
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "MobileBertTokenizer", "PreTrainedTokenizer", "TokenizersBackend", NULL};
    struct json_at class = json_at_key(&f->config, "tokenizer_class");
    const char *name;
    if (!json_at_given(&class))
        return true;
    TRY(json_at_string(&f->config, "tokenizer_class", &name, NULL, e));
    size_t n = strlen(name) - (text_ends(name, "Fast") ? strlen("Fast") : 0);
    for (const char *const *k = known; *k; k++)
        if (strlen(*k) == n && strncmp(*k, name, n) == 0)
            return true;
    return json_at_err(&class, e, "is `%.64s`; supported: BertTokenizer and others that are the same", name);
}

static bool open_normalizer(struct bert_normalizer *n, const struct files *f, struct err *e)
{
    *n = (struct bert_normalizer){.clean_text = true, .handle_chinese_chars = true, .lowercase = true};
    TRY(json_at_default_bool(&f->config, "do_lower_case", &n->lowercase, e));
    TRY(json_at_default_bool(&f->config, "tokenize_chinese_chars", &n->handle_chinese_chars, e));
    n->strip_accents = n->lowercase;
    return json_at_default_bool(&f->config, "strip_accents", &n->strip_accents, e);
}

/* ---- special and added tokens ---- */

/* The five special tokens: default name, tokenizer_config.json, special_tokens_map.json; the last one counts. */
static bool name_specials(struct files *f, struct err *e)
{
    const struct json_at *from[] = {&f->config, &f->map};
    for (int i = 0; i < SPECIALS; i++) {
        f->specials[i] = (struct added_token){.text = special_names[i], .size = strlen(special_names[i])};
        for (int k = 0; k < 2; k++) {
            struct json_at j = json_at_key(from[k], special_keys[i]);
            if (!json_at_given(&j))
                continue;
            f->specials[i] = (struct added_token){0};
            TRY(added_read(&j, &f->specials[i], e));
        }
    }
    return true;
}

static bool is_special(const struct files *f, const char *text, size_t size)
{
    for (int i = 0; i < SPECIALS; i++)
        if (f->specials[i].size == size && memcmp(f->specials[i].text, text, size) == 0)
            return true;
    return false;
}

/* A token to be added with the id that its file states: only their order counts. */
struct numbered {
    long long id;
    struct added_token token;
};

static int by_id(const void *x, const void *y)
{
    const struct numbered *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

/* "100": {"content": "[UNK]", "special": true, ...} */
static bool read_decoder_entry(const struct json_at *object, const char *key, struct numbered *n, struct err *e)
{
    struct json_at j = json_at_key(object, key);
    bool special = false;
    if (!text_to_long(key, &n->id) || n->id < 0)
        return json_at_err(&j, e, "must have an id as its key");
    TRY(json_at_object(&j, true, e));
    TRY(json_at_default_bool(&j, "special", &special, e));
    n->token = (struct added_token){.normalized = !special};
    return added_read(&j, &n->token, e);
}

/* "[NEW]": 30522 */
static bool read_added_entry(const struct files *f, const struct json_at *object, const char *key, size_t size,
                             struct numbered *n, struct err *e)
{
    struct json_at j = json_at_key(object, key);
    TRY(json_at_integer(&j, INT32_MAX - 1, &n->id, e));
    n->token = (struct added_token){.text = key, .size = size, .normalized = !is_special(f, key, size)};
    return true;
}

/* The tokens of added_tokens_decoder or added_tokens.json, in the order of their ids. */
static bool put_numbered(struct tokenizer *t, const struct files *f, struct arena *a, struct err *e)
{
    bool decoder = json_at_given(&f->decoder);
    const struct json_at *object = decoder ? &f->decoder : &f->added;
    json_t *j = (json_t *)object->value;
    struct numbered *all = ARENA_NEW(a, MEM_DATA, struct numbered, json_object_size(j), e);
    size_t n = 0;
    TRY(all);
    for (void *i = json_object_iter(j); i; i = json_object_iter_next(j, i), n++) {
        const char *key = json_object_iter_key(i);
        TRY(decoder ? read_decoder_entry(object, key, &all[n], e)
                    : read_added_entry(f, object, key, json_object_iter_key_len(i), &all[n], e));
    }
    if (n > 0)
        qsort(all, n, sizeof *all, by_id);
    for (size_t i = 0; i < n; i++)
        TRY(added_put(t, &all[i].token, a, e));
    return true;
}

static bool put_if_new(struct tokenizer *t, const struct added_token *token, struct arena *a, struct err *e)
{
    return added_has(&t->added, token->text, token->size) || added_put(t, token, a, e);
}

/* additional_special_tokens: a list of tokens beside the five named ones. */
static bool put_additional(struct tokenizer *t, const struct json_at *list, struct arena *a, struct err *e)
{
    if (!json_at_given(list))
        return true;
    TRY(json_at_array(list, true, e));
    for (size_t i = 0; i < json_array_size(list->value); i++) {
        struct json_at j = json_at_index(list, i);
        struct added_token token = {0};
        TRY(added_read(&j, &token, e));
        TRY(put_if_new(t, &token, a, e));
    }
    return true;
}

/* Numbered tokens first: the named ones that are among them keep the flags stated there. */
static bool put_all(struct tokenizer *t, const struct files *f, struct arena *a, struct err *e)
{
    struct json_at more = json_at_key(&f->config, "additional_special_tokens");
    struct json_at from_map = json_at_key(&f->map, "additional_special_tokens");
    size_t n = json_object_size(f->decoder.value) + json_object_size(f->added.value) + SPECIALS +
               json_array_size(more.value) + json_array_size(from_map.value);
    TRY(added_create(t, n, a, e));
    TRY(put_numbered(t, f, a, e));
    for (int i = 0; i < SPECIALS; i++)
        TRY(put_if_new(t, &f->specials[i], a, e));
    return put_additional(t, &more, a, e) && put_additional(t, &from_map, a, e) && added_finish(t, a, e);
}

/* Id of a special token that the vocabulary must have. */
static bool special_id(const struct tokenizer *t, const struct files *f, int which, int32_t *id, struct err *e)
{
    const struct added_token *s = &f->specials[which];
    *id = vocab_find(&t->vocab, s->text, s->size);
    return *id >= 0 ||
           err_at(e, ERR_INPUT, f->vocab, 0, 0, "has no line `%.64s` (%s)", s->text, special_keys[which]);
}

static bool open_all(struct tokenizer *t, struct wordpiece *w, struct files *f, struct arena *a, struct err *e)
{
    int32_t cls, sep;
    TRY(open_documents(f, a, e));
    TRY(check_class(f, e));
    TRY(open_normalizer(&w->normalizer, f, e));
    TRY(name_specials(f, e));
    TRY(open_vocab(t, f, a, e));
    TRY(special_id(t, f, UNK, &w->unk, e) && special_id(t, f, CLS, &cls, e) && special_id(t, f, SEP, &sep, e));
    t->model = w;
    return put_all(t, f, a, e) && layout_bert(t, cls, sep, a, e);
}

bool wordpiece_open_files(struct tokenizer *t, const struct model_source *source, struct arena *a, struct err *e)
{
    struct files f = {.source = source, .vocab = model_source_path(source, "vocab.txt", a, e)};
    struct wordpiece *w = ARENA_NEW(a, MEM_DATA, struct wordpiece, 1, e);
    TRY(f.vocab && w);
    *w = (struct wordpiece){.prefix = "##", .prefix_size = 2, .max_chars = 100};
    w->prefix_hash = vocab_hash_bytes(VOCAB_HASH, w->prefix, w->prefix_size);
    bool ok = open_all(t, w, &f, a, e);
    for (int i = 0; i < 3; i++)
        json_decref(f.documents[i]);
    return ok;
}
