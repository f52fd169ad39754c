/* Small text tools: the nearest right word, glob patterns, paths. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* A growing string in an arena. Zero it with `.arena` set; `text` is always terminated once something was added. */
struct text {
    struct arena *arena;
    char *s;
    size_t len, cap;
};

bool text_add(struct text *t, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool text_add_bytes(struct text *t, const char *s, size_t n, struct err *e);

/* Adds Markdown broken at `columns` characters: paragraphs and list items flow, tables and what is indented by four
 * spaces stay as they are. Ends with one newline. */
bool text_wrap(struct text *t, const char *markdown, size_t columns, struct err *e);

/* Edit distance (insert, delete, replace, swap of neighbours); words longer than 63 bytes are cut. */
int text_distance(const char *a, const char *b);

/* The word of `words` (NULL-terminated) nearest to `word`, upper and lower case being the same, or NULL when none is
 * near enough to be meant. The first of several equally near. */
const char *text_nearest(const char *word, const char *const *words);

/* Writes "; did you mean `x`?" or "" into buf: the tail of an unknown-word message. Returns buf. */
const char *text_did_you_mean(const char *word, const char *const *words, char *buf, size_t size);

/* Shell pattern with * and ? (no character classes); * matches dots too. */
bool text_glob(const char *pattern, const char *s);

bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);

/* `dir/name` in the arena; name alone when dir is empty or name is absolute. */
char *text_path(struct arena *a, const char *dir, const char *name, struct err *e);

/* Directory part of a path in the arena ("." when there is none). */
char *text_dirname(struct arena *a, const char *path, struct err *e);

/* Plain decimal digits with an optional minus: false for anything else (`1e3`, `8.0`, ` 7`, overflow). */
bool text_to_long(const char *s, long long *value);

/* A finite decimal number, whole string, `.` as decimal point: false for anything else (nan, inf, hex, spaces). */
bool text_to_double(const char *s, double *value);

#endif
