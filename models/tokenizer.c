/*
 * Tokenizers: see tokenizer.h. Encoding a text: ill-formed UTF-8 becomes U+FFFD (a Python program that reads the file
 * with errors="replace" hands the reference the same text; BERT's cleaning then drops U+FFFD and NUL), added tokens are
 * cut out, the pieces between them are normalized, added tokens of the second sort are cut out of those, and what is
 * left goes through the model. Two texts are then cut to the limit and laid out with their special tokens.
 *
 * Source of order and truncation: the Rust library `tokenizers`.
 */
#include <string.h>

#include "models/tokenizer_impl.h"
#include "models/tokenizer_unicode.h"

bool id_list_add(struct id_list *list, int32_t id, struct err *e)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 256;
        int32_t *ids = ARENA_NEW(list->arena, MEM_SCRATCH, int32_t, cap, e);
        TRY(ids);
        if (list->n)
            memcpy(ids, list->ids, list->n * sizeof *ids);
        list->ids = ids;
        list->cap = cap;
    }
    list->ids[list->n++] = id;
    return true;
}

enum stage { STAGE_RAW, STAGE_NORMALIZED };

static bool encode_stage(const struct tokenizer *t, enum stage stage, const char *text, size_t size,
                         struct id_list *ids, struct err *e);

/* A piece between added tokens: on to the next stage. */
static bool encode_gap(const struct tokenizer *t, enum stage stage, const char *text, size_t size,
                       struct id_list *ids, struct err *e)
{
    if (size == 0)
        return true;
    if (stage == STAGE_NORMALIZED)
        return t->kind->tokenize(t, text, size, ids, e);
    TRY(t->kind->normalize(t->model, &text, &size, ids->arena, e));
    return encode_stage(t, STAGE_NORMALIZED, text, size, ids, e);
}

/* Cuts the added tokens of a stage out of the text; the rest goes on piece by piece. */
static bool encode_stage(const struct tokenizer *t, enum stage stage, const char *text, size_t size,
                         struct id_list *ids, struct err *e)
{
    const struct added_matcher *m = stage == STAGE_RAW ? &t->added.raw : &t->added.normalized;
    struct added_search search = {0};
    struct added_hit hit;
    size_t done = 0;
    while (added_next(m, &t->added, text, size, &search, &hit)) {
        TRY(encode_gap(t, stage, text + done, hit.start - done, ids, e));
        TRY(id_list_add(ids, hit.id, e));
        done = hit.end;
    }
    return encode_gap(t, stage, text + done, size - done, ids, e);
}

/* Ids of one text without special tokens, appended to *ids, which also gives the scratch memory. */
static bool encode_text(const struct tokenizer *t, const char *text, size_t size, struct id_list *ids, struct err *e)
{
    if (size > INT32_MAX / 8)
        return err_set(e, ERR_INPUT, "a text of %zu bytes is too long to tokenize", size);
    TRY(utf8_lossy(&text, &size, ids->arena, e));
    return encode_stage(t, STAGE_RAW, text, size, ids, e);
}

/* Longest-first truncation of n[0] and n[1] to max in all: the shorter is kept whole while the longer keeps at least as
 * much; else both share, and the odd one goes to the longer, or to the second of two equal ones. */
static void truncate_pair(size_t n[2], size_t max)
{
    int shorter = n[0] > n[1], longer = !shorter;
    if (n[0] + n[1] <= max)
        return;
    size_t least = n[shorter] <= max && max - n[shorter] > n[shorter] ? max - n[shorter] : n[shorter];
    n[longer] = least;
    if (n[shorter] + n[longer] > max) {
        n[shorter] = max / 2;
        n[longer] = max - max / 2;
    }
}

/* Fills *encoding from the first keep[k] ids of each text, in the order of the layout. */
static bool lay_out(const struct layout *l, const struct id_list texts[2], const size_t keep[2],
                    struct encoding *encoding, struct arena *out, struct err *e)
{
    size_t n = (size_t)l->n_special + keep[0] + keep[1], k = 0;
    *encoding = (struct encoding){.n = (int)n};
    TRY(encoding->ids = ARENA_NEW(out, MEM_DATA, int32_t, n, e));
    TRY(encoding->types = ARENA_NEW(out, MEM_DATA, int32_t, n, e));
    for (int i = 0; i < l->n; i++) {
        const struct layout_piece *p = &l->pieces[i];
        const int32_t *ids = p->what == LAYOUT_ID ? &p->id : texts[p->what == LAYOUT_B].ids;
        size_t count = p->what == LAYOUT_ID ? 1 : keep[p->what == LAYOUT_B];
        for (size_t j = 0; j < count; j++, k++) {
            encoding->ids[k] = ids[j];
            encoding->types[k] = p->type;
        }
    }
    return true;
}

bool tokenizer_encode(const struct tokenizer *t, const char *a, size_t a_size, const char *b, size_t b_size,
                      int max_length, struct encoding *encoding, struct arena *out, struct err *e)
{
    const struct layout *l = b ? &t->pair : &t->single;
    if (max_length < l->n_special)
        return err_set(e, ERR_INPUT, "a limit of %d tokens leaves no room for the %d special tokens of %s", max_length,
                       l->n_special, b ? "a pair" : "a text");
    struct arena *scratch = arena_create(NULL);
    if (!scratch)
        return err_set(e, ERR_ENV, "out of memory");
    struct id_list texts[2] = {{.arena = scratch}, {.arena = scratch}};
    bool ok = encode_text(t, a, a_size, &texts[0], e) && (!b || encode_text(t, b, b_size, &texts[1], e));
    if (ok) {
        size_t keep[2] = {texts[0].n, texts[1].n}, max = (size_t)(max_length - l->n_special);
        if (b)
            truncate_pair(keep, max);
        else if (keep[0] > max)
            keep[0] = max;
        ok = lay_out(l, texts, keep, encoding, out, e);
    }
    arena_destroy(scratch);
    return ok;
}

int tokenizer_size(const struct tokenizer *t) { return t->size; }

const char *const *tokenizer_files(const struct tokenizer *t) { return (const char *const *)t->files; }
