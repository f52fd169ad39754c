/*
 * From generators to sets: balanced labels, reproducible streams, and train and dev apart. Every text belongs to one of
 * the two sides by a hash of itself, whatever the seed and the size: an example with a text of the other side is drawn
 * again, so no sentence of dev is ever seen in training.
 */
#include "tasks/synth.h"

#include <stdio.h>
#include <string.h>

#include "tasks/synth_kinds.h"

struct synth {
    const char *name;
    bool pair, scored;
    int classes; /* or steps of the score, 0 .. classes - 1 */
    void (*make)(struct rng *r, int label, struct synth_pair *out);
};

static const struct synth table[] = {
    {"acceptability", false, false, 2, synth_acceptability}, {"sentiment", false, false, 2, synth_sentiment},
    {"paraphrase", true, false, 2, synth_paraphrase},        {"similarity", true, true, 6, synth_similarity},
    {"entailment", true, false, 3, synth_entailment},
};
enum { KINDS = sizeof table / sizeof *table, CLASSES_MAX = 6, TEXT_MAX = 2048 };

const struct synth *synth_find(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const char *const *synth_names(void)
{
    static const char *const names[] = {"acceptability", "sentiment", "paraphrase", "similarity", "entailment", NULL};
    return names;
}

bool synth_is_pair(const struct synth *s) { return s->pair; }

int synth_outputs(const struct synth *s) { return s->scored ? 1 : s->classes; }

/* A quarter of all texts is dev's (FNV-1a, folded). */
static bool is_dev(const char *text)
{
    uint32_t h = 0x811c9dc5u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x01000193u;
    return ((h ^ h >> 15 ^ h >> 22) & 3) == 0;
}

/* One example of that label on the wanted side; a pair must differ in wording. */
static bool make_one(const struct synth *s, struct rng *r, bool dev, int label, struct synth_example *out,
                     struct arena *a, struct err *e)
{
    char text[2][TEXT_MAX];
    for (;;) {
        struct synth_pair p = {0};
        s->make(r, label, &p);
        sentence_text(&p.a, text[0], TEXT_MAX);
        if (is_dev(text[0]) != dev)
            continue;
        if (!s->pair)
            break;
        sentence_text(&p.b, text[1], TEXT_MAX);
        if (is_dev(text[1]) == dev && strcmp(text[0], text[1]) != 0)
            break;
    }
    *out = (struct synth_example){.label = s->scored ? 0 : label, .score = s->scored ? (float)label : 0};
    TRY(out->text_a = arena_strdup(a, text[0], e));
    return !s->pair || (out->text_b = arena_strdup(a, text[1], e));
}

/* Labels come in shuffled rounds of all classes: balanced, and a shorter set is the beginning of a longer one. */
bool synth_make(const struct synth *s, uint64_t seed, bool dev, size_t n, struct synth_example *out, struct arena *a,
                struct err *e)
{
    char name[64];
    snprintf(name, sizeof name, "synth/%s/%s", s->name, dev ? "dev" : "train");
    struct rng r = rng_stream(seed, name);
    int32_t round[CLASSES_MAX];
    for (size_t i = 0; i < n; i++) {
        size_t k = i % (size_t)s->classes;
        for (int32_t c = 0; k == 0 && c < s->classes; c++)
            round[c] = c;
        if (k == 0)
            rng_shuffle(&r, round, (size_t)s->classes);
        TRY(make_one(s, &r, dev, round[k], &out[i], a, e));
    }
    return true;
}
