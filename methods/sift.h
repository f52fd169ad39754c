/* SIFT's state, shared by the files that make it up: sift.c (options, hooks), sift_select.c (which entries),
 * sift_refresh.c (again, in the middle of training) and sift_reference.c (the published code's semantics). */
#ifndef METHODS_SIFT_H
#define METHODS_SIFT_H

#include "methods/method.h"

enum sift_select {
    SIFT_GRADIENT,
    SIFT_FISHER,
    SIFT_SNIP,
    SIFT_MAGNITUDE,
    SIFT_RANDOM,
    SIFT_BOTTOM,
    SIFT_OUTER,
    SIFT_PERMUTED,
    SIFT_ALLOCATION
};
#define SIFT_SELECT_WORDS "gradient|fisher|snip|magnitude|random|bottom|outer|permuted|allocation"

enum sift_ranking { SIFT_RANK_TENSOR, SIFT_RANK_GLOBAL };
enum sift_compat { SIFT_PAPER, SIFT_REFERENCE };

struct sift {
    double density;
    struct opt_strings target_modules;
    bool bias;
    int select, ranking, compat;
    long long select_batches, select_examples, select_after, refresh_every;
    bool select_dropout;

    struct param **target; /* [n] in the model's order                                                     */
    size_t n;
    struct param *starved; /* compat: reference: a target that only counts for clipping, not among target[] */
    double captured;       /* share of the gradient's norm in the kept entries at selection; 0: not measured */
    double overlap;        /* share of the entries that the last refresh kept; NAN: there was none         */
    real **increment;      /* compat: reference: [n] what the last step left                               */
};

/* Are the tensors' shares known only after a ranking over all of them? */
bool sift_pools(const struct sift *s);

/* Fills the index lists from training batch env->step on; sets `captured`. At step 0 it shares out the room among the
 * tensors where they are ranked together; later each keeps its count. */
bool sift_select(struct sift *s, const struct method_env *env, struct err *e);

/* Selects again in the middle of training and moves the optimizer's state along; sets `overlap`. */
bool sift_refresh(struct sift *s, const struct method_env *env, struct err *e);

/* compat: reference: the hooks of its own. */
void sift_reference_bytes(const struct sift *s, size_t bytes[MEM_TAGS]);
bool sift_reference_attach(struct sift *s, const struct method_env *env, struct err *e);
void sift_reference_after_backward(struct sift *s, const struct method_env *env);
void sift_reference_step(struct sift *s, const struct method_env *env, double schedule);
void sift_reference_state(struct sift *s, void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u);

#endif
