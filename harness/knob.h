/*
 * Turning a method's knob: the value of a number option at which a count stays within a budget. The count must not fall
 * when the value rises; values from some point on may be refused.
 */
#ifndef HARNESS_KNOB_H
#define HARNESS_KNOB_H

#include "base/opt.h"

enum knob_end {
    KNOB_FITS,  /* the largest count within the budget                              */
    KNOB_LEAST, /* the budget is below the least count: this is the least           */
    KNOB_MOST,  /* the budget is above the most: this is the most                   */
    KNOB_IDLE   /* the count is the same for all values, and not the budget         */
};

struct knob {
    const struct opt *row; /* OPT_INT or OPT_REAL: its range is searched */
    void *options;         /* the struct that the row is of              */
    /* Counts with the options as they are. ERR_INPUT: it takes no such value. */
    bool (*count)(void *self, size_t *n, struct err *e);
    void *self;
    size_t budget;
    size_t n;              /* the count found */
};

/* Sets the option: of the values that count as found, an integer becomes the largest, a real number the shortest
 * decimal (and of these the largest). False where even the smallest value is refused (the reason in *e), and where
 * counting fails otherwise. */
bool knob_turn(struct knob *k, enum knob_end *end, struct err *e);

#endif
