/* Meanings and their wording: see synth_grammar.h. */
#include "tasks/synth_grammar.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

int pick(struct rng *r, int n) { return (int)rng_below(r, (uint32_t)n); }

bool chance(struct rng *r, int percent) { return pick(r, 100) < percent; }

int pick_other(struct rng *r, int n, int avoid)
{
    int i;
    do
        i = pick(r, n);
    while (i / 2 == avoid / 2);
    return i;
}

static int maybe(struct rng *r, int n, int percent) { return chance(r, percent) ? pick(r, n) : -1; }

struct np np_random(struct rng *r, bool animate, int detail)
{
    struct np np = {.lexicon = animate ? &lex_animate : &lex_things, .of = animate ? &lex_of_animate : &lex_of_things};
    np.noun = pick(r, np.lexicon->n);
    np.adjective = maybe(r, np.of->n, detail);
    np.relative = -1;
    np.det = (enum det[]){DET_THE, DET_THE, DET_THIS, DET_THAT}[pick(r, 4)];
    np.plural = chance(r, 40);
    return np;
}

struct event event_random(struct rng *r, int detail)
{
    bool animate = chance(r, 50);
    struct event e = {.verbs = animate ? &lex_do_to_animate : &lex_do_to_things};
    e.subject = np_random(r, true, detail);
    e.object = np_random(r, animate, detail);
    if (animate)
        e.object.noun = pick_other(r, lex_animate.n, e.subject.noun);
    e.verb = pick(r, e.verbs->n);
    e.manner = maybe(r, lex_manner.n, detail);
    e.place = maybe(r, lex_places.n, detail);
    e.time = maybe(r, lex_times.n, detail);
    e.passive = chance(r, 25);
    e.time_first = chance(r, 30);
    return e;
}

void say(struct sentence *s, const char *text, enum part part)
{
    assert(s->n < WORDS_MAX);
    s->w[s->n++] = (struct word){.text = text, .part = part};
}

static struct word *last(struct sentence *s) { return &s->w[s->n - 1]; }

static void say_verb(struct sentence *s, const struct verb *v, const char *form, enum part part)
{
    say(s, form, part);
    last(s)->verb = v;
}

void say_be(struct sentence *s, bool plural, bool present)
{
    say(s, present ? (plural ? "are" : "is") : (plural ? "were" : "was"), W_BE);
    last(s)->plural = plural;
    last(s)->present = present;
}

void say_finite(struct sentence *s, const struct verb *v, bool plural, bool present, bool negated)
{
    if (!negated) {
        say_verb(s, v, present ? (plural ? v->base : v->third) : v->past, W_VERB);
    } else {
        say(s, present ? (plural ? "do" : "does") : "did", W_DO);
        last(s)->plural = plural;
        last(s)->present = present;
        say(s, "not", W_OTHER);
        say_verb(s, v, v->base, W_BASE);
    }
    last(s)->plural = plural;
    last(s)->present = present;
}

static const char *det_text(enum det det, bool plural)
{
    static const char *const one[DETS] = {"the", "this", "that", "a", "every"};
    static const char *const many[DETS] = {"the", "these", "those", "some", "many"};
    return (plural ? many : one)[det];
}

void say_np(struct sentence *s, const struct np *np)
{
    const struct noun *noun = &np->lexicon->row[np->noun];
    if (np->wide)
        noun = &lex_wide[noun->wide];
    say(s, det_text(np->det, np->plural), W_DET);
    last(s)->plural = np->plural;
    if (np->adjective >= 0)
        say(s, np->of->row[np->adjective].word, W_ADJ);
    say(s, np->plural ? noun->many : noun->one, W_NOUN);
    last(s)->plural = np->plural;
    last(s)->noun = noun;
    if (np->relative >= 0) {
        say(s, "that", W_OTHER);
        say_finite(s, &lex_do.row[np->relative], np->plural, false, false);
    }
}

static void say_active(struct sentence *s, const struct event *e)
{
    say_np(s, &e->subject);
    say_finite(s, &e->verbs->row[e->verb], e->subject.plural, e->present, e->negated);
    say_np(s, &e->object);
}

static void say_passive(struct sentence *s, const struct event *e)
{
    const struct verb *v = &e->verbs->row[e->verb];
    say_np(s, &e->object);
    say_be(s, e->object.plural, e->present);
    if (e->negated)
        say(s, "not", W_OTHER);
    say_verb(s, v, v->participle, W_PARTICIPLE);
    say(s, "by", W_PREP);
    say_np(s, &e->subject);
}

void say_event(struct sentence *s, const struct event *e)
{
    bool first = e->time_first && e->time >= 0;
    if (first) {
        say(s, lex_times.row[e->time], W_OTHER);
        say(s, ",", W_OTHER);
    }
    if (e->passive)
        say_passive(s, e);
    else
        say_active(s, e);
    if (e->manner >= 0)
        say(s, lex_manner.row[e->manner].word, W_OTHER);
    if (e->place >= 0)
        say(s, lex_places.row[e->place], W_OTHER);
    if (e->time >= 0 && !first)
        say(s, lex_times.row[e->time], W_OTHER);
}

/* `a` becomes `an` where the next word asks for it. */
static const char *article(const struct sentence *s, int i)
{
    bool vowel = strcmp(s->w[i].text, "a") == 0 && i + 1 < s->n && strchr("aeiou", s->w[i + 1].text[0]);
    return vowel ? "an" : s->w[i].text;
}

size_t sentence_text(const struct sentence *s, char *buf, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < s->n; i++) {
        const char *text = article(s, i);
        size_t n = strlen(text);
        assert(at + n + 3 < size);
        if (i > 0 && text[0] != ',')
            buf[at++] = ' ';
        memcpy(buf + at, text, n);
        at += n;
    }
    assert(at + 2 <= size);
    buf[0] = (char)toupper((unsigned char)buf[0]);
    buf[at++] = '.';
    buf[at] = 0;
    return at;
}
