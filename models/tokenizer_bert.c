/*
 * BERT's text cleaning: see tokenizer_bert.h. Order: clean, spaces around Chinese characters, NFD and marks away,
 * lower-case. A mark that is newer than the reference's tables is a letter to it and stays, where canonical ordering
 * puts it.
 */
#include "models/tokenizer_bert.h"

#include "models/tokenizer_unicode.h"

/* Cleaned and decomposed code points: at most four for each byte of the text (three around an ideograph of at least
 * three bytes, four for a decomposition of at least two). */
struct chars {
    uint32_t *c;
    size_t n;
};

/* NFD of one character; canonical ordering follows in strip_marks. */
static void put_decomposed(struct chars *out, uint32_t c)
{
    uint32_t parts[4];
    int n = char_decompose(c, parts);
    for (int i = 0; i < n; i++)
        out->c[out->n++] = parts[i];
}

/* One character of the text: cleaned, spaced, decomposed, as the options say. */
static void put(const struct bert_normalizer *n, struct chars *out, uint32_t c)
{
    if (n->clean_text) {
        if (c == 0 || c == 0xFFFD || char_is_control(c))
            return;
        if (char_is_space(c))
            c = ' ';
    }
    bool spaced = n->handle_chinese_chars && c >= 0x3400 && char_is_chinese(c);
    if (spaced)
        out->c[out->n++] = ' ';
    if (n->strip_accents && c >= 0x80)
        put_decomposed(out, c);
    else
        out->c[out->n++] = c;
    if (spaced)
        out->c[out->n++] = ' ';
}

/* Stable sort of a run of nonstarters by combining class, one pass for each class that occurs. */
static void order_run(uint32_t *c, size_t n, uint32_t *scratch)
{
    size_t done = 0;
    for (int class = 0; done < n;) {
        int next = 256;
        for (size_t i = 0; i < n; i++) {
            int k = char_combining(c[i]);
            if (k > class && k < next)
                next = k;
        }
        for (size_t i = 0; i < n; i++)
            if (char_combining(c[i]) == next)
                scratch[done++] = c[i];
        class = next;
    }
    for (size_t i = 0; i < n; i++)
        c[i] = scratch[i];
}

/* Canonical ordering and removal of nonspacing marks in one: marks inside a run of nonstarters do not change the order
 * of the others, so they go first and what is left of a run is nearly always empty. */
static void strip_marks(struct chars *s, uint32_t *scratch)
{
    size_t kept = 0, run = 0; /* the run is the last part of what is kept, c[run .. kept) */
    for (size_t i = 0; i < s->n; i++) {
        uint32_t c = s->c[i];
        bool starter = char_combining(c) == 0;
        if (starter && kept - run > 1)
            order_run(s->c + run, kept - run, scratch);
        if (!char_is_mark(c))
            s->c[kept++] = c;
        if (starter)
            run = kept;
    }
    if (kept - run > 1)
        order_run(s->c + run, kept - run, scratch);
    s->n = kept;
}

/* UTF-8 of all characters, lower-cased if asked; returns the end. */
static char *encode(const struct bert_normalizer *n, const struct chars *s, char *out)
{
    for (size_t i = 0; i < s->n; i++) {
        uint32_t parts[2] = {s->c[i]};
        int k = n->lowercase ? char_lower(s->c[i], parts) : 1;
        for (int j = 0; j < k; j++)
            out = utf8_put(out, parts[j]);
    }
    return out;
}

bool bert_normalize(const struct bert_normalizer *n, const char **text, size_t *size, struct arena *a, struct err *e)
{
    if (!n->clean_text && !n->handle_chinese_chars && !n->strip_accents && !n->lowercase)
        return true;
    struct chars s = {.c = ARENA_NEW(a, MEM_SCRATCH, uint32_t, 4 * *size, e)};
    TRY(s.c);
    for (const char *p = *text, *end = *text + *size; p < end;)
        put(n, &s, utf8_next(&p));
    if (n->strip_accents) {
        uint32_t *scratch = ARENA_NEW(a, MEM_SCRATCH, uint32_t, s.n, e);
        TRY(scratch);
        strip_marks(&s, scratch);
    }
    char *out = ARENA_NEW(a, MEM_SCRATCH, char, 4 * s.n, e); /* the longest image, of U+0130, has three bytes */
    TRY(out);
    *size = (size_t)(encode(n, &s, out) - out);
    *text = out;
    return true;
}

bool bert_next_word(const char **text, const char *end, struct bert_word *word)
{
    const char *p = *text;
    *word = (struct bert_word){0};
    while (p < end) {
        const char *here = p;
        uint32_t c = utf8_next(&p);
        bool space = char_is_space(c), alone = !space && char_is_punctuation(c);
        if (word->chars > 0 && (space || alone)) {
            *text = here;
            return true;
        }
        if (space)
            continue;
        if (word->chars++ == 0)
            word->text = here;
        word->size = (size_t)(p - word->text);
        if (alone)
            break;
    }
    *text = p;
    return word->chars > 0;
}
