/*
 * BERT's text cleaning (BertNormalizer) and its split into words (BertPreTokenizer), step by step as in the Rust
 * library.
 */
#ifndef MODELS_TOKENIZER_BERT_H
#define MODELS_TOKENIZER_BERT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct bert_normalizer {
    bool clean_text;           /* drop NUL, U+FFFD and controls, make white space one kind */
    bool handle_chinese_chars; /* spaces around ideographs                                 */
    bool strip_accents;        /* NFD without nonspacing marks                             */
    bool lowercase;            /* character by character                                   */
};

/* Normalizes valid UTF-8; the result lives in the arena (the text itself when nothing is to be done). */
bool bert_normalize(const struct bert_normalizer *n, const char **text, size_t *size, struct arena *a, struct err *e);

/* A word or a punctuation character. */
struct bert_word {
    const char *text;
    size_t size;  /* bytes      */
    size_t chars; /* characters */
};

/* The first word from *text on (up to end), and *text moved behind it. False when there is none left. */
bool bert_next_word(const char **text, const char *end, struct bert_word *word);

#endif
