/*
 * Acceptability: sentences of the grammar against sentences with one thing broken. The breaks range from what a single
 * word shows (a stray `of`, `childs`, `buyed`) over neighbours (`the the`, `these dog`) to agreement across a relative
 * clause. About half are of the first sort, so that a small model sees something to learn from within 2,000 examples.
 */
#include "tasks/synth_kinds.h"

#include <string.h>

/* ---- sentences ---- */

static const char *const knowing[] = {"knows", "thinks", "says", "believes", "hopes"};
static const char *const people[] = {"Anna", "Peter", "Maria", "Tom", "Julia", "David"};
static const char *const subjects[] = {"he", "she", "they", "I", "we"};
static const char *const objects[] = {"him", "her", "them", "me", "us"};

static enum det any_det(struct rng *r) { return (enum det)pick(r, DETS); }

/* `the dogs sleep in the garden` */
static void say_alone(struct rng *r, struct sentence *s)
{
    struct np np = np_random(r, true, 25);
    int verb = pick(r, lex_do.n);
    np.det = any_det(r);
    np.relative = chance(r, 20) ? pick_other(r, lex_do.n, verb) : -1;
    say_np(s, &np);
    say_finite(s, &lex_do.row[verb], np.plural, chance(r, 60), chance(r, 20));
    if (chance(r, 50))
        say(s, lex_manner.row[pick(r, lex_manner.n)].word, W_OTHER);
    if (chance(r, 40))
        say(s, lex_places.row[pick(r, lex_places.n)], W_OTHER);
}

/* `the dogs want to sleep` */
static void say_wish(struct rng *r, struct sentence *s)
{
    static const struct verb wish[] = {{"want", "wants", "wanted", "wanted", NULL},
                                       {"try", "tries", "tried", "tried", "tryed"},
                                       {"hope", "hopes", "hoped", "hoped", NULL}};
    struct np np = np_random(r, true, 25);
    const struct verb *v = &lex_do.row[pick(r, lex_do.n)];
    say_np(s, &np);
    say_finite(s, &wish[pick(r, 3)], np.plural, chance(r, 60), false);
    say(s, "to", W_OTHER);
    say(s, v->base, W_BASE);
    s->w[s->n - 1].verb = v;
    if (chance(r, 50))
        say(s, lex_places.row[pick(r, lex_places.n)], W_OTHER);
}

/* `the dog is happy` */
static void say_state(struct rng *r, struct sentence *s)
{
    struct np np = np_random(r, true, 0);
    np.det = any_det(r);
    np.relative = chance(r, 30) ? pick(r, lex_do.n) : -1;
    say_np(s, &np);
    say_be(s, np.plural, chance(r, 60));
    if (chance(r, 20))
        say(s, "not", W_OTHER);
    say(s, lex_of_animate.row[pick(r, lex_of_animate.n)].word, W_ADJ);
    if (chance(r, 40))
        say(s, lex_times.row[pick(r, lex_times.n)], W_OTHER);
}

/* `they chased him`, `the dogs chased her` */
static void say_pronouns(struct rng *r, struct sentence *s)
{
    const struct verb *v = &lex_do_to_animate.row[pick(r, lex_do_to_animate.n)];
    bool first_person = false;
    if (chance(r, 60)) {
        int who = pick(r, 5);
        first_person = who >= 3;
        say(s, subjects[who], W_SUBJECT);
        say_finite(s, v, who >= 2, false, chance(r, 20));
    } else {
        struct np np = np_random(r, true, 25);
        say_np(s, &np);
        say_finite(s, v, np.plural, chance(r, 50), chance(r, 20));
    }
    if (chance(r, 50)) {
        say(s, objects[pick(r, first_person ? 3 : 5)], W_OBJECT); /* not `I chased me` */
    } else {
        struct np np = np_random(r, true, 25);
        say_np(s, &np);
    }
    if (chance(r, 40))
        say(s, lex_places.row[pick(r, lex_places.n)], W_OTHER);
}

static void say_what_happened(struct rng *r, struct sentence *s)
{
    struct event e = event_random(r, 20);
    e.subject.det = any_det(r);
    e.object.det = any_det(r);
    e.present = chance(r, 50);
    e.negated = chance(r, 20);
    e.subject.relative = chance(r, 15) ? pick(r, lex_do.n) : -1;
    say_event(s, &e);
}

static void say_clause(struct rng *r, struct sentence *s)
{
    switch (pick(r, 10)) {
    case 0:
    case 1: say_alone(r, s); return;
    case 2: say_wish(r, s); return;
    case 3:
    case 4: say_state(r, s); return;
    case 5:
    case 6:
    case 7: say_pronouns(r, s); return;
    default: say_what_happened(r, s); return;
    }
}

static void say_sentence(struct rng *r, struct sentence *s)
{
    if (chance(r, 12)) {
        say(s, people[pick(r, 6)], W_OTHER);
        say(s, knowing[pick(r, 5)], W_OTHER);
        say(s, "that", W_OTHER);
    }
    say_clause(r, s);
}

/* ---- what can be broken; a break returns false where the sentence has nothing of the kind ---- */

static void insert(struct sentence *s, int at, struct word w)
{
    for (int i = s->n++; i > at; i--)
        s->w[i] = s->w[i - 1];
    s->w[at] = w;
}

static void delete(struct sentence *s, int at)
{
    s->n--;
    for (int i = at; i < s->n; i++)
        s->w[i] = s->w[i + 1];
}

/* A random word that `fits`, -1 when there is none. */
static int find(struct rng *r, const struct sentence *s, bool (*fits)(const struct sentence *s, int i))
{
    int n = 0, found = -1;
    for (int i = 0; i < s->n; i++)
        if (fits(s, i) && pick(r, ++n) == 0)
            found = i;
    return found;
}

static bool is_anything(const struct sentence *s, int i)
{
    return i > 0 && s->w[i].text[0] != ',';
}
static bool is_finite(const struct sentence *s, int i)
{
    enum part p = s->w[i].part;
    return p == W_VERB || p == W_BE || p == W_DO;
}
static bool agrees(const struct sentence *s, int i)
{
    const struct word *w = &s->w[i];
    return w->part == W_BE || (w->present && (w->part == W_VERB || w->part == W_DO));
}
/* With an object or a state behind it: `the dog in the garden jumps` would be fine. */
static bool can_move(const struct sentence *s, int i)
{
    enum part next = i + 1 < s->n ? s->w[i + 1].part : W_OTHER;
    return is_finite(s, i) && (next == W_DET || next == W_OBJECT || next == W_ADJ);
}
static bool is_det(const struct sentence *s, int i) { return s->w[i].part == W_DET; }
/* `knows that that dog sleeps` the other way round is a phrase with a relative clause. */
static bool can_swap(const struct sentence *s, int i) { return is_det(s, i) && strcmp(s->w[i].text, "that") != 0; }
static bool is_det_of_one(const struct sentence *s, int i) { return is_det(s, i) && !s->w[i].plural; }
static bool is_dependent(const struct sentence *s, int i)
{
    return s->w[i].part == W_BASE || s->w[i].part == W_PARTICIPLE;
}
static bool has_wrong_form(const struct sentence *s, int i)
{
    const struct word *w = &s->w[i];
    return (w->part == W_NOUN && w->plural && w->noun->wrong) ||
           (w->part == W_VERB && !w->present && w->verb->wrong);
}
static bool is_pronoun(const struct sentence *s, int i)
{
    return s->w[i].part == W_SUBJECT || s->w[i].part == W_OBJECT;
}
static bool can_double(const struct sentence *s, int i)
{
    enum part p = s->w[i].part;
    return is_finite(s, i) || p == W_DET || p == W_NOUN || p == W_SUBJECT;
}

/* `the dogs is`, `he do not` */
static bool break_agreement(struct rng *r, struct sentence *s)
{
    int i = find(r, s, agrees);
    if (i < 0)
        return false;
    struct word *w = &s->w[i];
    if (w->part == W_BE)
        w->text = w->present ? (w->plural ? "is" : "are") : (w->plural ? "was" : "were");
    else if (w->part == W_DO)
        w->text = w->plural ? "does" : "do";
    else
        w->text = w->plural ? w->verb->third : w->verb->base;
    return true;
}

/* `these dog`, `a dogs` */
static bool break_determiner(struct rng *r, struct sentence *s)
{
    static const char *const one[] = {"a", "every", "this"}, *const many[] = {"these", "many", "those"};
    int i = find(r, s, is_det);
    if (i >= 0)
        s->w[i].text = (s->w[i].plural ? one : many)[pick(r, 3)];
    return i >= 0;
}

/* `the dog the cat` */
static bool drop_verb(struct rng *r, struct sentence *s)
{
    int i = find(r, s, is_finite);
    if (i >= 0)
        delete(s, i);
    return i >= 0;
}

/* `dog chased the cat` */
static bool drop_determiner(struct rng *r, struct sentence *s)
{
    int i = find(r, s, is_det_of_one);
    if (i >= 0)
        delete(s, i);
    return i >= 0;
}

/* `dog the chased the cat` */
static bool swap_determiner(struct rng *r, struct sentence *s)
{
    int i = find(r, s, can_swap);
    if (i < 0)
        return false;
    struct word w = s->w[i];
    s->w[i] = s->w[i + 1];
    s->w[i + 1] = w;
    return true;
}

/* `the dog the cat chased` */
static bool move_verb(struct rng *r, struct sentence *s)
{
    int i = find(r, s, can_move);
    if (i < 0)
        return false;
    struct word w = s->w[i];
    delete(s, i);
    insert(s, s->n, w);
    return true;
}

/* `the the dog` */
static bool double_word(struct rng *r, struct sentence *s)
{
    int i = find(r, s, can_double);
    if (i >= 0)
        insert(s, i, s->w[i]);
    return i >= 0;
}

/* `did not chased`, `was chase` */
static bool break_form(struct rng *r, struct sentence *s)
{
    int i = find(r, s, is_dependent);
    if (i < 0)
        return false;
    struct word *w = &s->w[i];
    w->text = w->part == W_BASE ? (chance(r, 50) ? w->verb->third : w->verb->past)
                                : (chance(r, 50) ? w->verb->base : w->verb->third);
    return true;
}

/* `childs`, `buyed` */
static bool regularise(struct rng *r, struct sentence *s)
{
    int i = find(r, s, has_wrong_form);
    if (i >= 0)
        s->w[i].text = s->w[i].part == W_NOUN ? s->w[i].noun->wrong : s->w[i].verb->wrong;
    return i >= 0;
}

/* `him chased they` */
static bool break_case(struct rng *r, struct sentence *s)
{
    int i = find(r, s, is_pronoun);
    if (i >= 0)
        s->w[i].text = (s->w[i].part == W_SUBJECT ? objects : subjects)[pick(r, 5)];
    return i >= 0;
}

/* Some breaks find no place, and `a` or `every` may be drawn where it stands already. */
static bool changed(const struct sentence *a, const struct sentence *b)
{
    char x[1024], y[1024];
    sentence_text(a, x, sizeof x);
    sentence_text(b, y, sizeof y);
    return strcmp(x, y) != 0;
}

/* `the dog of chased the cat`: a word that has no business there. */
static bool stray_word(struct rng *r, struct sentence *s)
{
    static const char *const strays[] = {"of", "whether", "than", "whom", "is", "whose"};
    int i = find(r, s, is_anything);
    insert(s, i, (struct word){.text = strays[pick(r, 6)]});
    return true;
}

/* Breaks and how often each is chosen, in per cent. */
static const struct {
    bool (*apply)(struct rng *r, struct sentence *s);
    int weight;
} breaks[] = {
    {stray_word, 30},     {regularise, 16}, {break_case, 12},      {break_agreement, 8}, {break_determiner, 6},
    {drop_determiner, 6}, {drop_verb, 6},   {swap_determiner, 4}, {break_form, 4},      {double_word, 4},
    {move_verb, 4},
};

static int pick_break(struct rng *r)
{
    int k = 0, at = pick(r, 100);
    while (at >= breaks[k].weight)
        at -= breaks[k++].weight;
    return k;
}

/* The kind of break comes first and sentences are made until one has a place for it, which keeps the weights. */
void synth_acceptability(struct rng *r, int label, struct synth_pair *out)
{
    int k = label == 0 ? pick_break(r) : -1;
    struct sentence whole;
    do {
        whole = (struct sentence){0};
        say_sentence(r, &whole);
        out->a = whole;
        if (k >= 0)
            breaks[k].apply(r, &out->a);
    } while (k >= 0 && !changed(&whole, &out->a));
}
