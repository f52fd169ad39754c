/* Gradients in another basis: see rotated_site.h. */
#include "methods/rotated_site.h"

#include <math.h>

#include "models/blas.h"
#include "models/linear.h"
#include "models/weight_grad.h"

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Room for pieces of steps that are small enough to be rotated on the way: dy P, then x Q. */
static size_t dy_room(const struct rotation *r, size_t tokens) { return least(tokens, (size_t)r->in) * (size_t)r->out; }

static size_t scratch(const struct linear *l, int tokens)
{
    const struct rotation *r = &((const struct rotated_site *)l->state)->rotation;
    return dy_room(r, (size_t)tokens) + least((size_t)tokens, (size_t)r->out) * (size_t)r->in;
}

/* Probes and taps see the plain gradient. */
static bool backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                     real beta, real *panels, struct err *e)
{
    const struct rotated_site *s = l->state;
    const struct rotation *r = &s->rotation;
    real *dy_rotated = p->scratch, *x_rotated = p->scratch + dy_room(r, (size_t)tokens);
    if (p->probe || (!s->dy && !s->x))
        return linear_plain_backward(l, p, tokens, x, dy, dx, beta, panels, e);
    if (s->dy)
        blas_gemm(BLAS_N, BLAS_T, tokens, r->out, r->out, 1, dy, r->out, r->p, r->out, 0, dy_rotated, r->out);
    if (s->x)
        blas_gemm(BLAS_N, BLAS_T, tokens, r->in, r->in, 1, x, r->in, r->q, r->in, 0, x_rotated, r->in);
    TRY(weight_grad_linear(l->w, p, tokens, s->x ? x_rotated : x, s->dy ? dy_rotated : dy, panels, e) &&
        weight_grad_bias(l->b, p, tokens, dy, e));
    if (dx)
        blas_gemm(BLAS_N, BLAS_N, tokens, l->in, l->out, 1, dy, l->out, l->w->w, l->in, beta, dx, l->in);
    return true;
}

static const struct linear_ops ops = {.backward = backward, .scratch = scratch};

void rotated_site_put(struct linear *l, struct rotated_site *s)
{
    l->ops = &ops;
    l->state = s;
}

void rotated_site_choose(struct rotated_site *s, size_t tokens)
{
    s->dy = tokens < (size_t)s->rotation.in;
    s->x = tokens < (size_t)s->rotation.out;
}

void rotated_site_finish(const struct rotated_site *s, real *g, real *room)
{
    rotate(&s->rotation, !s->dy, !s->x, g, room);
}

double rotated_site_flops(const struct rotated_site *s, double tokens)
{
    double out = s->rotation.out, in = s->rotation.in;
    return 2 * out * out * fmin(tokens, in) + 2 * in * in * fmin(tokens, out);
}
