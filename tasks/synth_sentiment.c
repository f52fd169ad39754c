/*
 * Sentiment: opinions whose class follows from words of praise and blame, turned round by negation (a quarter), by a
 * contrast of which the main clause decides, and by opinions that are said to be wrong. Counting words alone gets about
 * two thirds right.
 */
#include "tasks/synth_kinds.h"

static const char *const praise[] = {
    "wonderful", "brilliant", "charming", "delightful", "excellent", "superb",   "lovely",   "fascinating", "moving",
    "funny",     "fresh",     "elegant",  "touching",   "gripping",  "splendid", "clever",   "beautiful",   "perfect",
    "great",     "good",      "amazing",  "enjoyable",  "thrilling", "witty",
};
static const char *const blame[] = {
    "terrible", "boring",   "awful",      "dull",     "horrible", "clumsy",    "tedious",  "disappointing", "stupid",
    "ugly",     "annoying", "predictable", "weak",    "shallow",  "confusing", "dreadful", "pointless",     "bland",
    "bad",      "poor",     "tiresome",   "painful",  "lifeless", "silly",
};
static const struct verb liking[] = {
    {"love", "loves", "loved", "loved", NULL},       {"enjoy", "enjoys", "enjoyed", "enjoyed", NULL},
    {"admire", "admires", "admired", "admired", NULL}, {"adore", "adores", "adored", "adored", NULL},
    {"praise", "praises", "praised", "praised", NULL}, {"recommend", "recommends", "recommended", "recommended", NULL},
};
static const struct verb disliking[] = {
    {"hate", "hates", "hated", "hated", NULL},       {"dislike", "dislikes", "disliked", "disliked", NULL},
    {"regret", "regrets", "regretted", "regretted", NULL}, {"despise", "despises", "despised", "despised", NULL},
    {"resent", "resents", "resented", "resented", NULL},   {"loathe", "loathes", "loathed", "loathed", NULL},
};
static const char *const topics[] = {
    "film", "story", "plot", "music", "ending", "acting", "book", "song", "play", "meal", "hotel", "show", "dialogue",
    "novel", "concert", "service",
};
static const char *const degrees[] = {"very", "really", "quite", "rather", "so", "truly"};
static const char *const people[] = {"I", "we", "they", "my brother", "the critics", "our neighbours", "most people"};

static const char *word_of(struct rng *r, bool positive) { return (positive ? praise : blame)[pick(r, 24)]; }

static void say_topic(struct rng *r, struct sentence *s)
{
    say(s, chance(r, 80) ? "the" : "this", W_DET);
    say(s, topics[pick(r, 16)], W_NOUN);
    if (chance(r, 15))
        say(s, lex_places.row[pick(r, lex_places.n)], W_OTHER);
}

/* `the film was not very dull`; negation turns the word's side round */
static void say_judgement(struct rng *r, struct sentence *s, bool positive, int negation)
{
    bool negated = chance(r, negation);
    say_topic(r, s);
    say(s, "was", W_BE);
    if (negated)
        say(s, chance(r, 60) ? "not" : "never", W_OTHER);
    if (chance(r, 40))
        say(s, degrees[pick(r, 6)], W_OTHER);
    say(s, word_of(r, positive != negated), W_ADJ);
    if (!negated && chance(r, 30)) {
        say(s, "and", W_OTHER);
        say(s, word_of(r, positive), W_ADJ);
    }
}

/* `they did not enjoy the brilliant ... `: who felt what */
static void say_feeling(struct rng *r, struct sentence *s, bool positive, int negation)
{
    bool negated = chance(r, negation);
    const struct verb *v = &(positive != negated ? liking : disliking)[pick(r, 6)];
    say(s, people[pick(r, 7)], W_SUBJECT);
    say_finite(s, v, true, false, negated);
    say_topic(r, s);
    if (chance(r, 40))
        say(s, lex_times.row[pick(r, lex_times.n)], W_OTHER);
}

static void say_opinion(struct rng *r, struct sentence *s, bool positive, int negation)
{
    if (chance(r, 65))
        say_judgement(r, s, positive, negation);
    else
        say_feeling(r, s, positive, negation);
}

/* The main clause decides: `although P, Q` and `P, but Q` both mean Q. */
static void say_contrast(struct rng *r, struct sentence *s, bool positive)
{
    bool although = chance(r, 50);
    if (although)
        say(s, "although", W_OTHER);
    say_opinion(r, s, !positive, 0);
    say(s, ",", W_OTHER);
    if (!although)
        say(s, "but", W_OTHER);
    say_opinion(r, s, positive, 0);
}

/* `most people called it dull , and they were wrong` */
static void say_report(struct rng *r, struct sentence *s, bool positive)
{
    bool wrong = chance(r, 50);
    say(s, people[2 + pick(r, 5)], W_SUBJECT);
    say(s, "called", W_VERB);
    say_topic(r, s);
    say(s, word_of(r, positive != wrong), W_ADJ);
    say(s, ",", W_OTHER);
    say(s, wrong ? "which was wrong" : "which was right", W_OTHER);
}

void synth_sentiment(struct rng *r, int label, struct synth_pair *out)
{
    bool positive = label == 1;
    int kind = pick(r, 100);
    if (kind < 72)
        say_opinion(r, &out->a, positive, 25);
    else if (kind < 92)
        say_contrast(r, &out->a, positive);
    else
        say_report(r, &out->a, positive);
}
