/*
 * The synthetic suite: small GLUE-style tasks over a grammar of English-like sentences, written by this project, so
 * that everything runs with no data at hand. A set is determined by (generator, seed, split, size); train and dev come
 * from different streams and share no text. docs/tasks.md describes what each generator makes and how hard it is.
 */
#ifndef TASKS_SYNTH_H
#define TASKS_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct synth; /* a generator, opaque */

/* What a generator makes; the strings live in the arena. */
struct synth_example {
    const char *text_a, *text_b; /* text_b NULL for single texts      */
    int label;                   /* class id                          */
    float score;                 /* of the graded task                */
};

/* Generator by its word (`acceptability`, ...), or NULL; all words, NULL-terminated. */
const struct synth *synth_find(const char *name);
const char *const *synth_names(void);

/* True when it makes pairs; number of its classes, 1 when it gives scores. */
bool synth_is_pair(const struct synth *s);
int synth_outputs(const struct synth *s);

/* n examples of the training set (dev false) or the evaluation set; labels are balanced to within one row. */
bool synth_make(const struct synth *s, uint64_t seed, bool dev, size_t n, struct synth_example *out, struct arena *a,
                struct err *e);

#endif
