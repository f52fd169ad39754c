/*
 * Metrics of predictions, as fractions, in double precision. What is undefined (a correlation with a constant, F1
 * without positives, no rows at all) is 0 and flagged as degenerate, never NaN.
 */
#ifndef TASKS_METRICS_H
#define TASKS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* What a model said of n rows. Classification fills label and prediction (ids in [0, n_labels)), a regression score and
 * value; the other pair is NULL. */
struct outcome {
    size_t n;
    int n_labels;              /* classes; 1 for a regression */
    const int32_t *label;      /* [n] */
    const int32_t *prediction; /* [n] */
    const float *score;        /* [n] */
    const float *value;        /* [n] */
};

struct metric {
    const char *name, *title;
    const char *help;       /* definition and source, one line */
    bool classification, regression;
    bool greater_is_better;
    double min, max;        /* values it can take */
    bool (*compute)(const struct outcome *o, struct arena *scratch, double *value, bool *degenerate, struct err *e);
};

/* All metrics; ends with a row whose name is NULL. */
extern const struct metric metric_table[];

/* Row of a name, or NULL. */
const struct metric *metric_find(const char *name);

/* Value of one metric; *degenerate says that 0 stands for undefined. Fails only when memory is out; scratch memory is
 * released before it returns. */
bool metric_compute(const struct metric *m, const struct outcome *o, struct arena *scratch, double *value,
                    bool *degenerate, struct err *e);

/* Id of the largest of n logits; the first one on ties, and NaN never wins. */
int32_t metric_argmax(const float *logits, int n);

/* True for a predictor that has given up: every row gets the same class though the labels have more than one, or, in a
 * regression, predictions spread (standard deviation) less than a hundredth of what the scores do. */
bool metric_collapsed(const struct outcome *o);

/* Share of the most frequent label: the accuracy of the majority-class predictor; 0 for a regression. */
double metric_majority(const struct outcome *o);

#endif
