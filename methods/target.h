/*
 * Patterns that name parts of a model: target_modules of the methods, patterns of parameter groups.
 *
 * A pattern is a dotted suffix of a module's name (`query`, `attention.output.dense`, and `output.dense`, which takes
 * both output layers, as in Hugging Face's PEFT), or of a parameter's name (`query.weight`), or a glob (* and ?) for
 * such a suffix. A module stands for its weight and its bias. Two words are special: `all-linear`, every linear module
 * of the encoder, and `all`, every parameter. The head belongs to the harness: no pattern reaches it.
 */
#ifndef METHODS_TARGET_H
#define METHODS_TARGET_H

#include "base/opt.h"
#include "models/model.h"

/* Does the pattern (not one of the special words) match this dotted name? */
bool target_matches(const char *pattern, const char *name);

/* Does it match this parameter, by its own name or by its module's? `all` matches every parameter. */
bool target_matches_param(const char *pattern, const struct param *p);

/* The linear modules of the encoder that any pattern names, in the model's order, in the arena (MEM_METHOD). A pattern
 * that matches none, and `all`, are errors at the pattern's place (patterns->at, else `at`) with the nearest right
 * word. */
bool target_linears(const struct model *m, const struct opt_strings *patterns, const struct yaml *at, struct arena *a,
                    struct linear ***found, size_t *n, struct err *e);

/* The parameters outside the head that any pattern names, in the model's order; errors as above. */
bool target_params(const struct model *m, const struct opt_strings *patterns, const struct yaml *at, struct arena *a,
                   struct param ***found, size_t *n, struct err *e);

/* Those of them for which `is` holds, for methods that train one kind; a pattern that names no such `kind` ("bias") is
 * an error too. */
bool target_params_of(const struct model *m, const struct opt_strings *patterns, bool (*is)(const struct param *p),
                      const char *kind, const struct yaml *at, struct arena *a, struct param ***found, size_t *n,
                      struct err *e);

/* Error at `at` (may be NULL) that `pattern`, a word of `option`, matches nothing, with the nearest right word. False.
 * */
bool target_nothing(const struct model *m, const char *option, const char *pattern, const struct yaml *at,
                    struct arena *a, struct err *e);

/* Is it a bias, of a linear module or of a LayerNorm? */
bool target_is_bias(const struct param *p);

#endif
