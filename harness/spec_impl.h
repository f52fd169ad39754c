/*
 * How a spec is read, between the files spec*.c: files and overrides become one tree (spec_merge.c), each entry of
 * `methods` and each point of its grid and zip becomes a variant (spec_axes.c, spec_bind.c), whose budget is solved for
 * each model (spec_budget.c); each task, model, variant and seed becomes a run, which is checked against its model
 * (spec_check.c) and written down (spec_resolved.c).
 */
#ifndef HARNESS_SPEC_IMPL_H
#define HARNESS_SPEC_IMPL_H

#include "base/text.h"
#include "harness/spec.h"

enum { SPEC_OPTIONS_MAX = 64 }; /* rows of one option table */

/* Keys beside `train:` that are plain options: head, pooling, keep. Bound to a struct run_spec. */
extern const struct opt run_options[];

/* Keys of a spec, and of an entry of `methods` beside the method's own options. NULL-terminated. */
extern const char *const spec_keys[];
extern const char *const method_keys[];

/* Where the value of each row of a table came from: NULL is the default. */
struct origins {
    const struct yaml *row[SPEC_OPTIONS_MAX];
};

/* ---- spec_words.c ---- */

/* Error at y's key: "unknown key `x` for <what>", followed by the name that it has here where it is a habit from
 * elsewhere, by the place where it belongs, or by the nearest of `known` (NULL-terminated). Always false. */
bool spec_unknown_key(const struct yaml *y, const char *what, const char *const *known, struct err *e);

/* Error unless every key of the map (NULL or null: none) is a row of the table or among `also`. */
bool spec_only_options(const struct yaml *map, const struct opt *table, const char *const *also, const char *what,
                       struct arena *a, struct err *e);

/* Names of a table's rows, each after `prefix`, then `also` (may be NULL); NULL-terminated. */
const char **spec_option_names(const struct opt *table, const char *prefix, const char *const *also, struct arena *a,
                               struct err *e);

/* Is the word in the NULL-terminated list? */
bool spec_has_word(const char *const *words, const char *word);

/* ---- spec_merge.c ---- */

/* The tree of a spec: its includes, itself (the file, or `text` where that is not NULL), the overrides; entries of
 * `methods` are maps of one key, the method. */
struct yaml *spec_tree(const char *path, const char *text, const char *const *overrides, size_t n_overrides,
                       struct arena *a, struct err *e);

/* Was this node given on the command line? */
bool spec_is_override(const struct yaml *y);

/* ---- spec_axes.c ---- */

/* One list of values that runs differ in. */
struct axis {
    const char *key;           /* an option of the method, or train.<option>             */
    const struct yaml *values; /* the list                                               */
    bool method;               /* stands in the method's entry, not at the top           */
    size_t group;              /* axes of one group move together: a `zip`                */
};

struct axes {
    struct axis *axis; /* [n] */
    size_t n, cap, groups;
    size_t combinations;
};

/* The axes that hold for an entry of `methods`: those at the top of the spec (train.* alone) and its own. An axis whose
 * key has a value of higher authority is left out. */
bool spec_axes(struct axes *x, const struct yaml *root, const struct method *m, const struct yaml *entry,
               struct arena *a, struct err *e);

/* Value of axis number i in a combination; the first axis changes slowest. */
const struct yaml *spec_axis_value(const struct axes *x, size_t i, size_t combination);

/* ---- spec_bind.c ---- */

/* `budget`, as it is written; NULL: none. */
struct budget {
    const char *text;
};

/* `init_from`, as it is written; NULL: none. */
struct source {
    const char *path;
};

/* A method with all its options, and the training options that hold for it. */
struct variant {
    const struct method *method;
    void *options;               /* [method->state_size] */
    struct origins options_from;
    struct budget budget;
    struct origins budget_from;
    struct source source;
    struct origins source_from;
    bool solved;                 /* the knob that the budget stands for is set, for one model */
    struct train_options train;
    struct origins train_from;
    const struct yaml *groups_from; /* param_groups */
    const struct yaml *at;       /* its options as a map, at the place of the method's name */
    const char *name;            /* `default`, or the options that differ                   */
};

/* `train:` at the top of the spec: what holds where no method says otherwise. */
bool spec_bind_train(struct variant *top, const struct yaml *root, struct arena *a, struct err *e);

/* One combination of an entry's axes. */
bool spec_bind_variant(struct variant *v, const struct variant *top, const struct yaml *root, const struct yaml *entry,
                       const struct method *m, const struct axes *x, size_t combination, struct arena *a,
                       struct err *e);

/* What follows from a variant's options: its `at` and its name. */
bool spec_finish_variant(struct variant *v, const struct variant *top, struct arena *a, struct err *e);

/* param_groups as one line: `pattern lr=1e-05 wd=0; ...`, "" without. */
char *spec_groups_text(const struct train_options *t, struct arena *a, struct err *e);

/* ---- spec_budget.c ---- */

/* The key `budget`, bound to a struct budget: one row. */
extern const struct opt budget_options[];

/* Is a variant's budget well formed, and has its method a knob that nobody else turns? A knob of the command line is
 * stronger than a file's budget, which is then gone. */
bool spec_check_budget(struct variant *v, struct arena *a, struct err *e);

/* Turns the knob of each variant that has a budget: the largest that trains no more (a decimal as short as possible for
 * the same count). The count depends on the model, so this is done for each: `run` names the model, its head and any
 * task. solved[i] (NULL before) becomes variant[i], or a copy with the knob set. A budget that the method cannot meet
 * is an error that names the nearest it can. */
bool spec_solve_budgets(const struct run_spec *run, const struct variant *const *variant, size_t n,
                        const struct variant **solved, const struct variant *top, struct arena *a, struct err *e);

/* ---- spec_check.c ---- */

/* What is wrong with a run before any data or weights are seen: options that exclude each other, a model too small for
 * them, patterns that match nothing. `config` becomes the model's configuration. */
bool spec_check_run(const struct run_spec *r, const struct variant *v, const struct yaml *model_at,
                    struct model_config *config, struct err *e);

/* ---- spec_resolved.c ---- */

/* Lists for one text: of the whole spec, or of one run. */
struct spec_lists {
    const char *name, *path;
    const struct yaml *root;
    const struct task *const *task;
    const char *const *task_word;  /* as the spec names them */
    size_t n_tasks;
    const struct model_source *model;
    size_t n_models;
    const struct variant *const *variant;
    size_t n_variants;
    const uint64_t *seed;
    size_t n_seeds;
    const struct variant *top;
    const struct run_spec *run;    /* head, pooling, keep, measurements, limit */
    const struct origins *run_from;
};

/* A spec that makes these runs, with the origin of each value behind it. */
char *spec_resolved_text(const struct spec_lists *l, struct arena *a, struct err *e);

/* Fills r->config and r->config_digest. */
bool spec_write_config(struct run_spec *r, const struct model_config *c, struct arena *a, struct err *e);

#endif
