/*
 * Added tokens: see tokenizer_added.h. Source of the rules: AddedVocabulary of the Rust library `tokenizers`
 * (leftmost-longest matching; a match that single_word refuses is skipped whole).
 */
#include "models/tokenizer_added.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "models/tokenizer_impl.h"
#include "models/tokenizer_unicode.h"

struct added_pattern {
    const char *text;
    size_t size;
    int token; /* index into added_tokens.tokens */
};

bool added_create(struct tokenizer *t, size_t cap, struct arena *a, struct err *e)
{
    if (cap > (size_t)(INT_MAX - t->vocab.n) / 2)
        return err_set(e, ERR_INPUT, "too many added tokens: %zu", cap);
    t->added = (struct added_tokens){.cap = (int)cap, .next = t->vocab.n};
    TRY(vocab_create(&t->added.index, cap, a, e));
    return (t->added.tokens = ARENA_NEW(a, MEM_DATA, struct added_token, cap, e)) != NULL;
}

/* The token of this text, or NULL. */
static struct added_token *added_find(const struct added_tokens *added, const char *text, size_t size)
{
    int32_t i = vocab_find(&added->index, text, size);
    return i >= 0 ? &added->tokens[i] : NULL;
}

bool added_has(const struct added_tokens *added, const char *text, size_t size)
{
    return added_find(added, text, size) != NULL;
}

bool added_put(struct tokenizer *t, const struct added_token *token, struct arena *a, struct err *e)
{
    struct added_tokens *added = &t->added;
    if (token->size == 0)
        return true;
    struct added_token *old = added_find(added, token->text, token->size);
    if (old) {
        struct added_token keep = *old;
        *old = *token;
        old->text = keep.text;
        old->id = keep.id;
        return true;
    }
    if (added->n == added->cap)
        return err_set(e, ERR_INPUT, "too many added tokens: more than %d", added->cap);
    struct added_token *new = &added->tokens[added->n];
    *new = *token;
    TRY(new->text = arena_strndup(a, token->text, token->size, e));
    int32_t id = vocab_find(&t->vocab, token->text, token->size);
    new->id = id >= 0 ? id : added->next++;
    vocab_put(&added->index, new->text, new->size, added->n++);
    return true;
}

/* ---- matching ---- */

static int by_first_byte_then_longer(const void *x, const void *y)
{
    const struct added_pattern *a = x, *b = y;
    unsigned char ca = (unsigned char)a->text[0], cb = (unsigned char)b->text[0];
    if (ca != cb)
        return ca < cb ? -1 : 1;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return a->token - b->token;
}

/* Patterns of all tokens with this value of `normalized`. */
static bool matcher_build(struct added_matcher *m, const struct tokenizer *t, bool normalized, struct arena *a,
                          struct err *e)
{
    TRY(m->patterns = ARENA_NEW(a, MEM_DATA, struct added_pattern, (size_t)t->added.n, e));
    m->n = 0;
    for (int i = 0; i < t->added.n; i++) {
        const struct added_token *token = &t->added.tokens[i];
        struct added_pattern p = {token->text, token->size, i};
        if (token->normalized != normalized)
            continue;
        if (normalized)
            TRY(t->kind->normalize(t->model, &p.text, &p.size, a, e));
        if (p.size > 0)
            m->patterns[m->n++] = p;
    }
    qsort(m->patterns, (size_t)m->n, sizeof *m->patterns, by_first_byte_then_longer);
    for (int b = 0, i = 0; b <= 256; b++) {
        while (i < m->n && (unsigned char)m->patterns[i].text[0] < b)
            i++;
        m->first[b] = i;
    }
    return true;
}

bool added_finish(struct tokenizer *t, struct arena *a, struct err *e)
{
    return matcher_build(&t->added.raw, t, false, a, e) && matcher_build(&t->added.normalized, t, true, a, e);
}

/* The longest pattern at text[pos], or NULL. */
static const struct added_pattern *pattern_at(const struct added_matcher *m, const char *text, size_t size, size_t pos)
{
    unsigned char b = (unsigned char)text[pos];
    for (int i = m->first[b]; i < m->first[b + 1]; i++)
        if (m->patterns[i].size <= size - pos && memcmp(m->patterns[i].text, text + pos, m->patterns[i].size) == 0)
            return &m->patterns[i];
    return NULL;
}

/* True when a word character stands right before or behind text[start .. end). */
static bool touches_word(const char *text, size_t size, size_t start, size_t end)
{
    const char *behind = text + end;
    return (start > 0 && char_is_word(utf8_before(text + start))) || (end < size && char_is_word(utf8_next(&behind)));
}

/* Widens a hit over the white space that its token takes along, but not into the last hit. */
static void strip(const char *text, size_t size, const struct added_token *token, struct added_hit *hit, size_t done)
{
    while (token->lstrip && hit->start > done) {
        const char *s = text + hit->start;
        if (!char_is_space(utf8_before(s)))
            break;
        do
            hit->start--;
        while (((unsigned char)text[hit->start] & 0xC0) == 0x80);
    }
    while (token->rstrip && hit->end < size) {
        const char *s = text + hit->end;
        if (!char_is_space(utf8_next(&s)))
            break;
        hit->end = (size_t)(s - text);
    }
}

bool added_next(const struct added_matcher *m, const struct added_tokens *added, const char *text, size_t size,
                struct added_search *search, struct added_hit *hit)
{
    for (size_t pos = search->pos; m->n > 0 && pos < size; pos++) {
        const struct added_pattern *p = pattern_at(m, text, size, pos);
        if (!p)
            continue;
        const struct added_token *token = &added->tokens[p->token];
        *hit = (struct added_hit){pos, pos + p->size, token->id};
        search->pos = hit->end;
        if (token->single_word && touches_word(text, size, hit->start, hit->end)) {
            pos = hit->end - 1;
            continue;
        }
        if (hit->start < search->done) /* begins inside the space that the last one took along */
            hit->start = search->done;
        strip(text, size, token, hit, search->done);
        if (hit->end < search->done)
            hit->end = search->done;
        search->done = hit->end;
        return true;
    }
    return false;
}

/* ---- reading ---- */

bool added_read(const struct json_at *j, struct added_token *token, struct err *e)
{
    if (json_is_string(j->value)) {
        token->text = json_string_value(j->value);
        token->size = json_string_length(j->value);
        return true;
    }
    if (!json_is_object(j->value))
        return json_at_err(j, e, "must be a string, or an object with `content`");
    TRY(json_at_string(j, "content", &token->text, &token->size, e));
    TRY(json_at_default_bool(j, "single_word", &token->single_word, e));
    TRY(json_at_default_bool(j, "lstrip", &token->lstrip, e));
    TRY(json_at_default_bool(j, "rstrip", &token->rstrip, e));
    return json_at_default_bool(j, "normalized", &token->normalized, e);
}

/* One element of `added_tokens`. The id in the file is checked against the one given, and only that, as in the
 * reference: a difference is worth a warning. */
static bool open_one(struct tokenizer *t, const struct json_at *j, struct arena *a, struct err *e)
{
    bool special = false;
    long long id;
    TRY(json_at_object(j, true, e));
    TRY(json_at_default_bool(j, "special", &special, e));
    TRY(json_at_int(j, "id", INT32_MAX - 1, &id, e));
    struct added_token token = {.normalized = !special};
    TRY(added_read(j, &token, e));
    TRY(added_put(t, &token, a, e));
    const struct added_token *put = added_find(&t->added, token.text, token.size);
    if (put && put->id != id)
        log_warn("%s: `%s.id` is %lld, but `%s` has id %d", j->file, j->path, id, put->text, (int)put->id);
    return true;
}

bool added_open(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e)
{
    struct json_at list = json_at_key(root, "added_tokens");
    if (!json_at_given(&list))
        return added_create(t, 0, a, e) && added_finish(t, a, e);
    TRY(json_at_array(&list, true, e));
    size_t n = json_array_size(list.value);
    TRY(added_create(t, n, a, e));
    for (size_t i = 0; i < n; i++) {
        struct json_at one = json_at_index(&list, i);
        TRY(open_one(t, &one, a, e));
    }
    return added_finish(t, a, e);
}
