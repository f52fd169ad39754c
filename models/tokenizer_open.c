/* Opening a tokenizer: which kind it is follows from the files; see tokenizer.h. */
#include <string.h>

#include "models/tokenizer_impl.h"

static const struct tokenizer_kind *const kinds[] = {&tokenizer_wordpiece};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* Everything that a tokenizer may consist of, in the order in which it is listed and copied. */
static const char *const known_files[] = {"tokenizer.json", "vocab.txt", "tokenizer_config.json",
                                          "special_tokens_map.json", "added_tokens.json"};
enum { KNOWN = sizeof known_files / sizeof known_files[0] };

static bool list_files(struct tokenizer *t, const struct model_source *source, struct arena *a, struct err *e)
{
    TRY(t->files = ARENA_NEW(a, MEM_DATA, const char *, KNOWN + 1, e));
    for (int i = 0, n = 0; i < KNOWN; i++)
        if (model_source_has(source, known_files[i]))
            t->files[n++] = known_files[i];
    return true;
}

/* Old files have no `model.type`; the merges of BPE tell them apart. */
static bool kind_of_json(struct tokenizer *t, const struct json_at *root, struct err *e)
{
    struct json_at model = json_at_key(root, "model"), type = json_at_key(&model, "type");
    const char *name = json_object_get(model.value, "merges") ? "BPE" : "WordPiece";
    TRY(json_at_object(&model, true, e));
    if (type.value)
        TRY(json_at_string(&model, "type", &name, NULL, e));
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i]->model_type, name) == 0) {
            t->kind = kinds[i];
            return true;
        }
    return json_at_err(&type, e, "is `%.64s`; supported: WordPiece", name);
}

static bool check_version(const struct json_at *root, struct err *e)
{
    struct json_at version = json_at_key(root, "version");
    if (!version.value)
        return true;
    const char *text;
    TRY(json_at_string(root, "version", &text, NULL, e));
    return strcmp(text, "1.0") == 0 || json_at_err(&version, e, "is `%.64s`; supported: 1.0", text);
}

static bool open_sections(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e)
{
    return check_version(root, e) && kind_of_json(t, root, e) && t->kind->open_json(t, root, a, e) &&
           added_open(t, root, a, e) && layout_open(t, root, a, e);
}

static bool open_json(struct tokenizer *t, const struct model_source *source, struct arena *a, struct err *e)
{
    struct json_at root;
    json_t *document = json_at_open(&root, source, "tokenizer.json", a, e);
    TRY(document);
    bool ok = open_sections(t, &root, a, e);
    json_decref(document);
    return ok;
}

static bool has_all(const struct model_source *source, const char *const *files)
{
    for (; *files; files++)
        if (!model_source_has(source, *files))
            return false;
    return true;
}

/* Without tokenizer.json: the first kind whose files are all there. */
static bool open_files(struct tokenizer *t, const struct model_source *source, struct arena *a, struct err *e)
{
    for (int i = 0; i < KINDS; i++)
        if (has_all(source, kinds[i]->vocab_file)) {
            t->kind = kinds[i];
            return t->kind->open_files(t, source, a, e);
        }
    const char *const bpe = "vocab.json";
    const char *path = model_source_path(source, bpe, a, e);
    TRY(path);
    if (model_source_has(source, bpe))
        return err_at(e, ERR_INPUT, path, 0, 0,
                      "is the vocabulary of a byte-level BPE tokenizer; supported: WordPiece (tokenizer.json or "
                      "vocab.txt)");
    return err_set(e, ERR_INPUT, "model `%s` has no tokenizer: neither tokenizer.json nor vocab.txt is there",
                   source->name);
}

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* Largest id that encoding can give. */
static int32_t last_id(const struct tokenizer *t)
{
    int32_t last = t->vocab.last;
    for (int i = 0; i < t->added.n; i++)
        last = larger(last, t->added.tokens[i].id);
    for (int i = 0; i < t->single.n; i++)
        last = larger(last, t->single.pieces[i].id);
    for (int i = 0; i < t->pair.n; i++)
        last = larger(last, t->pair.pieces[i].id);
    return last;
}

struct tokenizer *tokenizer_open(const struct model_source *source, struct arena *a, struct err *e)
{
    struct tokenizer *t = ARENA_NEW(a, MEM_DATA, struct tokenizer, 1, e);
    TRY(t);
    TRY(list_files(t, source, a, e));
    TRY(model_source_has(source, "tokenizer.json") ? open_json(t, source, a, e) : open_files(t, source, a, e));
    t->size = last_id(t) + 1;
    return t;
}
