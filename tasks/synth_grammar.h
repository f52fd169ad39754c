/*
 * The grammar under the synthetic suite: a lexicon in which neighbouring rows mean the same, noun phrases, events (who
 * did what to whom, how, where, when), and their wording as tagged words. Meaning stays apart from wording, so that
 * pairs can share one and differ in the other.
 */
#ifndef TASKS_SYNTH_GRAMMAR_H
#define TASKS_SYNTH_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"

/* ---- lexicon: row i ^ 1 is a synonym of row i; among qualities, row i ^ 2 an opposite ---- */

enum wide { PERSON, ANIMAL, VEHICLE, FURNITURE, GARMENT, OBJECT, WIDES };

struct noun {
    const char *one, *many;
    const char *wrong; /* a plural that does not exist (`childs`), NULL */
    enum wide wide;
};
struct verb {
    const char *base, *third, *past, *participle;
    const char *wrong; /* a past that does not exist (`buyed`), NULL */
};
struct quality { /* adjectives and adverbs */
    const char *word;
};

struct nouns { const struct noun *row; int n; };
struct verbs { const struct verb *row; int n; };
struct qualities { const struct quality *row; int n; };
struct words { const char *const *row; int n; };

extern const struct nouns lex_animate, lex_things;
extern const struct noun lex_wide[WIDES]; /* the wider word of each kind of noun */
extern const struct verbs lex_do_to_animate, lex_do_to_things, lex_do;
extern const struct qualities lex_of_animate, lex_of_things, lex_manner;
extern const struct words lex_places, lex_times;

/* ---- meaning ---- */

enum det { DET_THE, DET_THIS, DET_THAT, DET_A, DET_MANY, DETS };

struct np {
    const struct nouns *lexicon;
    const struct qualities *of; /* adjectives that fit */
    int noun, adjective;        /* rows; adjective -1: none */
    int relative;               /* row of lex_do (`that slept`), -1: none */
    enum det det;
    bool plural, wide;          /* wide: said with the wider word */
};

struct event {
    struct np subject, object;
    const struct verbs *verbs;
    int verb;                  /* row */
    int manner, place, time;   /* rows, -1: none */
    bool present, negated;
    bool passive, time_first;  /* wording alone */
};

/* ---- wording ---- */

enum part { W_OTHER, W_DET, W_NOUN, W_ADJ, W_VERB, W_BASE, W_PARTICIPLE, W_BE, W_DO, W_PREP, W_SUBJECT, W_OBJECT };

struct word {
    const char *text;
    enum part part;
    bool plural;              /* of the noun phrase it agrees with */
    bool present;
    const struct verb *verb;  /* of verb forms */
    const struct noun *noun;  /* of nouns      */
};

enum { WORDS_MAX = 64 };
struct sentence {
    struct word w[WORDS_MAX];
    int n;
};

/* Random numbers: one of n; true in so many per cent of cases. */
int pick(struct rng *r, int n);
bool chance(struct rng *r, int percent);

/* A row of n that is neither `avoid` nor its synonym. */
int pick_other(struct rng *r, int n, int avoid);

/* Random meanings. Details (adjectives, manner, place, time, relative clauses) come with `detail` per cent each. */
struct np np_random(struct rng *r, bool animate, int detail);
struct event event_random(struct rng *r, int detail);

/* Appends words. */
void say(struct sentence *s, const char *text, enum part part);
void say_np(struct sentence *s, const struct np *np);
void say_be(struct sentence *s, bool plural, bool present);
void say_finite(struct sentence *s, const struct verb *v, bool plural, bool present, bool negated);
void say_event(struct sentence *s, const struct event *e);

/* Writes the sentence: first letter large, `an` before vowels, commas and the full stop in place. Returns its length;
 * size must be at least 1024. */
size_t sentence_text(const struct sentence *s, char *buf, size_t size);

#endif
