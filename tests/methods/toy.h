/*
 * A model of one layer that consists of its feed-forward linears alone, intermediate [3, 4] and output [4, 3] with
 * their biases, whose gradients a test writes down itself: for examples small enough to be worked out by hand. There is
 * no forward or backward; hooks are called in the order of methods/method.h.
 */
#ifndef TESTS_METHODS_TOY_H
#define TESTS_METHODS_TOY_H

#include "tests/test.h"

#include "methods/method.h"
#include "methods/optim.h"

enum { TOY_ROWS = 3, TOY_COLS = 4, TOY = TOY_ROWS * TOY_COLS };

struct toy {
    struct arena *arena;
    struct model model;
    struct block block;
    struct param *w, *b;         /* intermediate; all weights start at 0                */
    struct param *output;        /* the output's weight                                 */
    const struct method *method;
    void *self;
    struct method_env env;
    struct probe probe;          /* shows `probed` to the tap, transposed for the output */
    const real (*probed)[TOY];   /* [n_probed] gradients of the intermediate's weight by training batch */
    long n_probed;
    double norm;                 /* before clipping, last step                          */
};

/* Ready for the first step. probed may be NULL for a method that probes nothing. */
void toy_open(struct toy *t, const char *method, const char *options, const struct optim_options *optim,
              const real (*probed)[TOY], long n_probed);

/* One step in which the intermediate's weight has gradient g, its bias gb (NULL: 0), the output none. */
void toy_step(struct toy *t, const real g[TOY], const real *gb, double max_norm);

/* The same with the gradients of two micro-batches. */
void toy_step_two(struct toy *t, const real g1[TOY], const real g2[TOY], double max_norm);

/* Asserts that the intermediate's weight is this, to within `tolerance`. */
void toy_check(const struct toy *t, const double want[TOY], double tolerance);

void toy_close(struct toy *t);

/* Plain SGD at this learning rate. */
struct optim_options toy_sgd(double learning_rate);

#endif
