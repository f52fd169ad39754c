/* Linear sites: see linear.h. */
#include "models/linear.h"

#include "models/bf16.h"
#include "models/blas.h"
#include "models/kernels.h"
#include "models/weight_grad.h"

void linear_plain_forward(const struct linear *l, int tokens, const real *x, real *y)
{
    blas_linear(tokens, l->out, l->in, x, param_wide(l->w), l->b->w, y);
}

void linear_forward(const struct linear *l, struct pass *p, int tokens, const real *x, real *y)
{
    if (l->ops && l->ops->forward)
        l->ops->forward(l, p, tokens, x, y);
    else
        linear_plain_forward(l, tokens, x, y);
}

bool linear_plain_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                           real beta, real *panels, struct err *e)
{
    if (weight_grad_wanted(l->w, p))
        TRY(weight_grad_linear(l->w, p, tokens, x, dy, panels, e));
    TRY(weight_grad_bias(l->b, p, tokens, dy, e));
    if (dx)
        blas_gemm(BLAS_N, BLAS_N, tokens, l->in, l->out, 1, dy, l->out, param_wide(l->w), l->in, beta, dx, l->in);
    return true;
}

bool linear_backward(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                     real beta, real *panels, struct err *e)
{
    return (l->ops && l->ops->backward ? l->ops->backward : linear_plain_backward)(l, p, tokens, x, dy, dx, beta,
                                                                                   panels, e);
}

bool linear_needs_input(const struct linear *l, bool probe)
{
    return l->ops || l->w->tapped || (!probe && l->w->grad.form != GRAD_NONE);
}
