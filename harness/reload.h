/* Finished runs, exported directories and Hugging Face models again: evaluation and export of what was trained. */
#ifndef HARNESS_RELOAD_H
#define HARNESS_RELOAD_H

#include "base/text.h"
#include "harness/run.h"

/* What `export --to` can make; words in this order. */
enum export_to {
    EXPORT_HF,   /* weights that the method was folded into, as a Hugging Face directory              */
    EXPORT_PEFT, /* an adapter for Hugging Face's PEFT, with the head beside it                        */
    EXPORT_DELTA /* the trained values and their indices, with the spec of the run: see harness/delta.h */
};
#define EXPORT_WORDS "hf", "peft", "delta"

/* Rebuilds the model of a result file with its trained weights (the last ones, or with `best` those of the best
 * evaluation) and writes it to a directory, which is made when missing. What a method has trained and a form cannot
 * hold is an error that says so. */
bool reload_export(const char *run_path, enum export_to to, bool best, const char *dir, struct err *e);

/* Evaluates on a task's dev sets: a result file's weights, or a directory: a delta, a PEFT adapter (of this program or
 * another, beside the base model it names), or a Hugging Face classifier. Appends a line `metric<TAB>value` for each
 * metric; with `predictions` (a path, or NULL) writes there what was predicted. env->data and env->threads are used. */
bool reload_eval(const char *what, const char *task, bool best, const char *predictions, const struct run_env *env,
                 struct text *out, struct err *e);

#endif
