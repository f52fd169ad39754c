/*
 * Steps that move k entries of each feed-forward weight, for methods that step these weights themselves: after backward
 * the k largest entries of a gradient are kept and listed, after clipping lazy Adam turns them into increments.
 */
#ifndef METHODS_SPARSE_STEP_H
#define METHODS_SPARSE_STEP_H

#include "methods/lazy_adam.h"
#include "methods/mlp.h"

struct sparse_step {
    const struct mlp *mlp;
    uint32_t **idx;        /* [mlp->n] of [k], ascending: entries of this step */
    real *value;           /* [mlp->most_kept] gradient, then increment        */
    struct lazy_adam *adam;
    /* Adds the increments value [k] at idx to the weights of site i; NULL: there. */
    void (*add)(void *self, size_t i, const uint32_t *idx, size_t k, const real *value);
    void *self;
};

/* Declares the sites' weights as stepped here; *s stays where it is. */
void sparse_step_plan(struct sparse_step *s, const struct mlp *mlp);

/* What sparse_step_attach takes, and the state can grow to. */
void sparse_step_bytes(const struct sparse_step *s, size_t bytes[MEM_TAGS]);
bool sparse_step_attach(struct sparse_step *s, struct arena *a, struct err *e);

/* Keeps the k largest entries of the gradient of site i, the rest becomes 0. */
void sparse_step_keep(struct sparse_step *s, size_t i);

/* One step of all sites from the kept entries of their gradients. */
bool sparse_step(struct sparse_step *s, const struct method_env *env, double schedule, struct err *e);

#endif
