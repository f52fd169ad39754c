/* One linear module y [2, 3] = x [2, 4] Wᵀ + b under a method, small enough for examples worked out by hand. */
#ifndef TESTS_METHODS_SITE_H
#define TESTS_METHODS_SITE_H

#include "tests/methods/fixture.h"

enum { SITE_TOKENS = 2, SITE_OUT = 3, SITE_IN = 4, SITE_SCRATCH = 512 };

struct site {
    struct run r;
    struct linear *l;        /* intermediate.dense of the only layer */
    struct batch batch;
    struct pass pass;
    int32_t start[2], row[1];
    size_t room;             /* reals of scratch that the method asked for */
    real scratch[SITE_SCRATCH], panels[SITE_SCRATCH];
};

/* The method as its options say (they must name intermediate.dense alone), attached to these weights. Closing asserts
 * that it kept to the scratch it had asked for. */
void site_open(struct site *s, const char *method, const char *options, const real *w, const real *b);
void site_close(struct site *s);

/* Added parameter <module>.<which>, and its values. */
struct param *site_param(struct site *s, const char *which);
void site_set(struct site *s, const char *which, const real *values);

/* Forward; backward of the same, after which the requests hold the gradients of these two tokens alone. */
void site_forward(struct site *s, const real *x, real *y);
void site_backward(struct site *s, const real *x, const real *dy, real *dx);

/* |a[i] - b[i]| <= 1e-6 max(1, |b[i]|), with `what` in the message. */
void site_same(const char *what, size_t n, const real *a, const real *b);

#endif
