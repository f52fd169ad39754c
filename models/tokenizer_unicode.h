/*
 * Characters as the reference tokenizers see them: UTF-8 in and out, and the properties that BERT's text cleaning asks
 * for. The categories are those of the reference's own Unicode version (8), whatever version the installed library
 * knows: a character that is newer is an ordinary letter to it.
 */
#ifndef MODELS_TOKENIZER_UNICODE_H
#define MODELS_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Length of the valid UTF-8 sequence at s (1..4), n bytes left; where it is ill-formed, minus the length of its maximal
 * subpart (1..3), the part that a lossy decoder replaces by one U+FFFD. n must not be 0. */
int utf8_length(const unsigned char *s, size_t n);

/* Offset of the first byte that is not part of valid UTF-8; n when all of it is. */
size_t utf8_valid(const char *s, size_t n);

/* *text as valid UTF-8: itself, or a copy in the arena with U+FFFD for every maximal ill-formed subpart (what Python's
 * errors="replace" and Rust's from_utf8_lossy do). */
bool utf8_lossy(const char **text, size_t *size, struct arena *a, struct err *e);

/* Code point at *s, which moves on; the text must be valid UTF-8. */
uint32_t utf8_next(const char **s);

/* Code point that ends at s[-1]. */
uint32_t utf8_before(const char *s);

/* Writes c (1..4 bytes) and returns the place behind it. */
char *utf8_put(char *s, uint32_t c);

bool char_is_space(uint32_t c);       /* White_Space, the separators U+0009..000D and U+0085 included       */
bool char_is_control(uint32_t c);     /* Cc, Cf, Co, but not tab, line feed, carriage return                */
bool char_is_mark(uint32_t c);        /* Mn                                                                 */
bool char_is_punctuation(uint32_t c); /* ASCII symbols (+ < = $ ^ ` ...) and P                              */
bool char_is_chinese(uint32_t c);     /* CJK ideographs; without U+2B820..2B91F, as in the Rust library     */
bool char_is_word(uint32_t c);        /* \w of Rust's regular expressions, by the installed Unicode version */

/* Lower-case image of one character (no final-sigma rule): 1 or 2 code points into out. */
int char_lower(uint32_t c, uint32_t out[2]);

/* Canonical decomposition (NFD) of one character: 1..4 code points into out. */
int char_decompose(uint32_t c, uint32_t out[4]);

/* Canonical combining class, 0 for starters. */
int char_combining(uint32_t c);

#endif
