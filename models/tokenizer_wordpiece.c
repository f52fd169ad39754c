/*
 * BERT WordPiece: words of the normalized text are cut greedily into the longest pieces that the vocabulary has; pieces
 * inside a word carry a prefix (`##`). A word that cannot be cut to its end, or has more than max_input_chars_per_word
 * characters, becomes the unknown token.
 * Source: Schuster and Nakajima 2012; Devlin et al. 2018, arXiv:1810.04805; for all details the Rust library
 * `tokenizers`. One pass gives the hashes of all prefixes of the rest of a word, so each candidate is one probe.
 */
#include "models/wordpiece.h"

#include <string.h>

static bool wordpiece_normalize(const void *model, const char **text, size_t *size, struct arena *a, struct err *e)
{
    const struct wordpiece *w = model;
    return bert_normalize(&w->normalizer, text, size, a, e);
}

/* Longest piece of the word from `start` on, which is moved behind it. -1 when there is none. hashes: [longest + 1]. */
static int32_t next_piece(const struct tokenizer *t, const struct bert_word *word, size_t *start, uint32_t *hashes)
{
    const struct wordpiece *w = t->model;
    const char *text = word->text + *start;
    size_t n = word->size - *start, prefix_size = *start ? w->prefix_size : 0;
    if (prefix_size > t->vocab.longest)
        return -1;
    if (n > t->vocab.longest - prefix_size)
        n = t->vocab.longest - prefix_size;
    hashes[0] = *start ? w->prefix_hash : VOCAB_HASH;
    for (size_t i = 0; i < n; i++)
        hashes[i + 1] = vocab_hash(hashes[i], (unsigned char)text[i]);
    for (; n > 0; n--) {
        if (*start + n < word->size && ((unsigned char)text[n] & 0xC0) == 0x80)
            continue; /* inside a character */
        int32_t id = vocab_find_joined(&t->vocab, hashes[n], w->prefix, prefix_size, text, n);
        if (id >= 0) {
            *start += n;
            return id;
        }
    }
    return -1;
}

/* Ids of one word; a word that cannot be cut to its end takes its pieces back. */
static bool add_word(const struct tokenizer *t, const struct bert_word *word, uint32_t *hashes, struct id_list *ids,
                     struct err *e)
{
    const struct wordpiece *w = t->model;
    size_t before = ids->n;
    bool known = word->chars <= w->max_chars;
    for (size_t start = 0; known && start < word->size;) {
        int32_t id = next_piece(t, word, &start, hashes);
        known = id >= 0;
        if (known)
            TRY(id_list_add(ids, id, e));
    }
    if (known)
        return true;
    ids->n = before;
    return id_list_add(ids, w->unk, e);
}

static bool wordpiece_tokenize(const struct tokenizer *t, const char *text, size_t size, struct id_list *ids,
                               struct err *e)
{
    const char *end = text + size;
    size_t longest = t->vocab.longest < size ? t->vocab.longest : size;
    uint32_t *hashes = ARENA_NEW(ids->arena, MEM_SCRATCH, uint32_t, longest + 1, e);
    TRY(hashes);
    for (struct bert_word word; bert_next_word(&text, end, &word);)
        TRY(add_word(t, &word, hashes, ids, e));
    return true;
}

static const char *const vocab_files[] = {"vocab.txt", NULL};

const struct tokenizer_kind tokenizer_wordpiece = {
    .model_type = "WordPiece",
    .vocab_file = vocab_files,
    .open_json = wordpiece_open_json,
    .open_files = wordpiece_open_files,
    .normalize = wordpiece_normalize,
    .tokenize = wordpiece_tokenize,
};
