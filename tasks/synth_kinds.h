/* The generators, for tasks/synth.c alone: each writes one example of the class (or score) it is asked for. */
#ifndef TASKS_SYNTH_KINDS_H
#define TASKS_SYNTH_KINDS_H

#include "tasks/synth_grammar.h"

struct synth_pair {
    struct sentence a, b; /* b empty for single texts */
};

/* 0 unacceptable, 1 acceptable. */
void synth_acceptability(struct rng *r, int label, struct synth_pair *out);

/* 0 negative, 1 positive. */
void synth_sentiment(struct rng *r, int label, struct synth_pair *out);

/* 0 not equivalent, 1 equivalent. */
void synth_paraphrase(struct rng *r, int label, struct synth_pair *out);

/* 0 to 5: parts that both events share. */
void synth_similarity(struct rng *r, int label, struct synth_pair *out);

/* 0 entailment, 1 neutral, 2 contradiction. */
void synth_entailment(struct rng *r, int label, struct synth_pair *out);

#endif
