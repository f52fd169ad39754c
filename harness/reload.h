/* Finished runs and Hugging Face directories again: evaluation and export of what a run trained. */
#ifndef HARNESS_RELOAD_H
#define HARNESS_RELOAD_H

#include "base/text.h"
#include "harness/run.h"

/* Rebuilds the model of a result file with its trained weights (the last ones, or with `best` those of the best
 * evaluation), folds the method into plain weights, and writes a Hugging Face directory. */
bool reload_export_hf(const char *run_path, bool best, const char *dir, struct err *e);

/* Evaluates a result file's weights, or the classifier of a Hugging Face directory (anything else), on a task's dev
 * sets. Appends a line `metric<TAB>value` for each metric. env->data and env->threads are used. */
bool reload_eval(const char *model_or_run, const char *task, bool best, const struct run_env *env, struct text *out,
                 struct err *e);

#endif
