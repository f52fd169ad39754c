/*
 * Examples of a task and what training sees of them. `examples` are texts with labels, read from a TSV file or
 * generated; subsets of them come from random streams of their own. A `dataset` is their tokenised form, packed end to
 * end.
 */
#ifndef TASKS_DATASET_H
#define TASKS_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/opt.h"
#include "models/tokenizer.h"
#include "tasks/task.h"

struct example {
    const char *text_a, *text_b; /* bytes as in the file; text_b NULL for single texts */
    uint32_t a_size, b_size;
    int32_t row;                 /* 0-based row of its file, header and skipped rows not counted */
    int32_t label;               /* class id; 0 in a regression */
    float score;                 /* a regression's score; 0 otherwise */
};

struct examples {
    const struct task *task;
    size_t n;
    struct example *item; /* [n] in file order */
    long long skipped;    /* malformed rows that were left out (QQP) */
    int skipped_line;     /* line of the first of them               */
};

/* Options that choose rows of the training set; the spec's keys. Zero means: not asked for. */
struct subset {
    long long train_samples; /* so many rows of the training set, drawn at random    */
    long long per_class;     /* so many rows of each class of the training set       */
    double train_holdout;    /* this share of the training set is held out           */
};
extern const struct opt subset_options[];

/* Reads the training set, or evaluation set number `dev`, below the data folder (NULL: not given). `rows` is the size
 * of a synthetic set (0: as the task file says) and means nothing to files. Texts and items live in `a` under
 * MEM_DATA. */
bool examples_train(struct examples *x, const struct task *t, const char *data, long long rows, struct arena *a,
                    struct err *e);
bool examples_dev(struct examples *x, const struct task *t, size_t dev, const char *data, long long rows,
                  struct arena *a, struct err *e);

/* The first n rows (n <= 0: all of them). */
void examples_limit(struct examples *x, long long n);

/* n rows drawn without replacement from the stream "subset", in file order; all when there are no more. A smaller n
 * gives a part of what a larger one gives. */
bool examples_sample(struct examples *x, long long n, uint64_t seed, struct arena *a, struct err *e);

/* k rows of each class, the same way; an error for a regression or a class with fewer rows. */
bool examples_per_class(struct examples *x, long long k, uint64_t seed, struct arena *a, struct err *e);

/* Splits off `fraction` of the rows, stratified by class (a regression: by quarter of its scores), drawn from the named
 * stream: "holdout" for train_holdout, "dev_half" for halves of dev. Both parts keep file order. In each stratum the
 * number held is rounded to nearest, but each part keeps one row where the stratum has two. */
bool examples_split(const struct examples *x, double fraction, const char *stream, uint64_t seed,
                    struct examples *rest, struct examples *held, struct arena *a, struct err *e);

/* What `subset` asks of a training set: per_class or train_samples first, then the hold-out (held->n is 0 without). */
bool examples_subset(struct examples *x, const struct subset *s, uint64_t seed, struct examples *held, struct arena *a,
                     struct err *e);

/* The training set as a run sees it: read, subset, and at most `limit` rows of each part (0: all). A synthetic task
 * makes as many rows as train_samples asks for, also more than its file states. */
bool examples_load_train(struct examples *x, struct examples *held, const struct task *t, const char *data,
                         const struct subset *s, long long limit, uint64_t seed, struct arena *a, struct err *e);

/* Share of the most frequent class: the majority predictor's accuracy; 0 for a regression. */
double examples_majority(const struct examples *x);

/* Tokenised examples, packed: sequence i has tokens start[i] .. start[i + 1] - 1. */
struct dataset {
    const struct task *task;
    size_t n;
    size_t *start;     /* [n + 1] */
    int32_t *ids;      /* [start[n]] */
    int32_t *types;    /* [start[n]] */
    int32_t *row;      /* [n] rows in the file: what dropout masks and /predictions/index carry */
    int32_t *label;    /* [n], NULL for a regression */
    float *score;      /* [n], NULL for classes      */
    int shortest, longest; /* tokens of a sequence; 0 when there is none */
    size_t full;           /* sequences of exactly max_length tokens: those that were cut, and the few that just fit */
};

/* Tokenises x with at most max_length tokens a sequence. All of it lives in `a` under MEM_DATA; what is needed on the
 * way is taken from `scratch` (another arena) and released. The texts are not needed afterwards. */
bool dataset_build(struct dataset *d, const struct examples *x, const struct tokenizer *t, int max_length,
                   struct arena *a, struct arena *scratch, struct err *e);

/* Bytes dataset_build keeps for n sequences of `tokens` tokens in all: what `plan` declares. */
size_t dataset_bytes(size_t n, size_t tokens);

#endif
