/*
 * Pairs of events. Wording that keeps the meaning (synonyms, passive, the time moved to the front) is changed in every
 * class, so that only the meaning tells classes apart: a near miss, the number of shared parts, what follows from what.
 */
#include "tasks/synth_kinds.h"

static void synonym(struct rng *r, int *row, int percent)
{
    if (*row >= 0 && chance(r, percent))
        *row ^= 1;
}

static void synonyms_np(struct rng *r, struct np *np, int percent)
{
    synonym(r, &np->noun, percent);
    synonym(r, &np->adjective, percent);
}

/* Other words, same meaning. */
static void reword(struct rng *r, struct event *e)
{
    synonyms_np(r, &e->subject, 40);
    synonyms_np(r, &e->object, 40);
    synonym(r, &e->verb, 40);
    synonym(r, &e->manner, 40);
    e->passive ^= chance(r, 30);
    e->time_first ^= chance(r, 40);
}

static void say_both(const struct event *a, const struct event *b, struct synth_pair *out)
{
    say_event(&out->a, a);
    say_event(&out->b, b);
}

/* An adjunct's row other than the present one. */
static int other_row(struct rng *r, int n, int row)
{
    int i;
    do
        i = pick(r, n);
    while (i == row);
    return i;
}

/* ---- paraphrase ---- */

/* Changes what is said, a little. */
static void near_miss(struct rng *r, struct event *e)
{
    switch (pick(r, 7)) {
    case 0: e->subject.noun = pick_other(r, e->subject.lexicon->n, e->subject.noun); return;
    case 1: e->object.noun = pick_other(r, e->object.lexicon->n, e->object.noun); return;
    case 2: e->verb = pick_other(r, e->verbs->n, e->verb); return;
    case 3: e->place = other_row(r, lex_places.n, e->place); return;
    case 4:
        if (e->object.lexicon == e->subject.lexicon) { /* who did it to whom */
            struct np np = e->subject;
            e->subject = e->object;
            e->object = np;
            return;
        }
        e->verb = pick_other(r, e->verbs->n, e->verb);
        return;
    default: e->negated = !e->negated; return;
    }
}

void synth_paraphrase(struct rng *r, int label, struct synth_pair *out)
{
    struct event a = event_random(r, 30), b;
    a.negated = chance(r, 20);
    b = a;
    reword(r, &b);
    if (label == 0)
        near_miss(r, &b);
    say_both(&a, &b, out);
}

/* ---- similarity ---- */

/* Five parts: subject, verb, object, manner, place. The verb stays of its kind, so any object fits. */
static void change_part(struct rng *r, struct event *e, int part)
{
    switch (part) {
    case 0: e->subject.noun = pick_other(r, e->subject.lexicon->n, e->subject.noun); return;
    case 1: e->verb = pick_other(r, e->verbs->n, e->verb); return;
    case 2: e->object.noun = pick_other(r, e->object.lexicon->n, e->object.noun); return;
    case 3: e->manner = pick_other(r, lex_manner.n, e->manner); return;
    default: e->place = other_row(r, lex_places.n, e->place); return;
    }
}

void synth_similarity(struct rng *r, int label, struct synth_pair *out)
{
    int32_t part[5] = {0, 1, 2, 3, 4};
    struct event a = event_random(r, 0), b;
    a.manner = pick(r, lex_manner.n);
    a.place = pick(r, lex_places.n);
    b = a;
    rng_shuffle(r, part, 5);
    for (int i = 0; i < 5 - label; i++)
        change_part(r, &b, part[i]);
    reword(r, &b);
    say_both(&a, &b, out);
}

/* ---- entailment ---- */

enum { DETAILS = 5 };

/* The parts of an event that need not be said. */
static int *detail(struct event *e, int i)
{
    int *const all[DETAILS] = {&e->subject.adjective, &e->object.adjective, &e->manner, &e->place, &e->time};
    return all[i];
}

static int count_details(struct event *e)
{
    int n = 0;
    for (int i = 0; i < DETAILS; i++)
        n += *detail(e, i) >= 0;
    return n;
}

/* Leaves details out; true when one was. */
static bool drop_details(struct rng *r, struct event *e)
{
    int before = count_details(e);
    for (int i = 0; i < DETAILS; i++)
        if (chance(r, 50))
            *detail(e, i) = -1;
    return count_details(e) < before;
}

/* Says something that the premise leaves open. */
static void add_detail(struct rng *r, struct event *e)
{
    const int rows[DETAILS] = {e->subject.of->n, e->object.of->n, lex_manner.n, lex_places.n, lex_times.n};
    int i;
    do
        i = pick(r, DETAILS);
    while (*detail(e, i) >= 0);
    *detail(e, i) = pick(r, rows[i]);
}

/* A premise about which the class can be made: neutral needs a detail to add, or one to leave out. */
static struct event premise(struct rng *r, int label)
{
    bool negated = chance(r, 25);
    struct event e;
    int n;
    do {
        e = event_random(r, 35);
        n = count_details(&e);
    } while (label == 1 && (negated ? n == 0 : n == DETAILS));
    e.negated = negated;
    return e;
}

/* An affirmed event entails itself in wider words and with fewer details. */
static void follow(struct rng *r, struct event *e)
{
    bool less = drop_details(r, e);
    if (chance(r, less ? 40 : 100))
        (chance(r, 50) ? &e->subject : &e->object)->wide = true;
}

/* The opposite of a detail, or of the whole. */
static void contradict(struct rng *r, struct event *e)
{
    if (e->manner >= 0 && chance(r, 35))
        e->manner ^= 2;
    else if (e->subject.adjective >= 0 && chance(r, 35))
        e->subject.adjective ^= 2;
    else
        e->negated = !e->negated;
}

/* A denied event entails only itself in other words; with fewer details it says more, so that is neutral. */
void synth_entailment(struct rng *r, int label, struct synth_pair *out)
{
    struct event a = premise(r, label), b = a;
    reword(r, &b);
    if (label == 0 && !a.negated)
        follow(r, &b);
    else if (label == 1 && !a.negated)
        add_detail(r, &b);
    else if (label == 1)
        while (!drop_details(r, &b))
            ;
    else if (label == 2 && a.negated)
        b.negated = false;
    else if (label == 2)
        contradict(r, &b);
    say_both(&a, &b, out);
}
