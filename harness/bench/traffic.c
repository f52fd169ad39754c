/* See traffic.h. */
#include "harness/bench/traffic.h"

#include <math.h>

/* Scalars that the element-wise work of a layer moves for one token, H of them a unit: bias and GELU, two sums with
 * dropout and LayerNorm, and attention's reading of q, k, v and writing of the context. */
static double layer_forward(double hidden, double intermediate)
{
    return 2 * intermediate + 2 * (2 + 3) * hidden + 4 * hidden;
}

/* GELU reads two and writes one; LayerNorm likewise; dropout in place; attention reads four and writes three. */
static double layer_backward(double hidden, double intermediate)
{
    return 3 * intermediate + 2 * (3 + 2) * hidden + 7 * hidden;
}

static double site_traffic(const struct linear *l, double tokens, double pieces, bool backward)
{
    double in = l->in, out = l->out, weights = pieces * in * out;
    double sum = tokens * (in + out) + weights;
    if (!backward)
        return sum;
    sum += tokens * (in + out) + weights; /* dx */
    if (l->w->grad.form != GRAD_NONE)
        sum += tokens * (in + out) + 2 * pieces * (double)l->w->grad.size;
    return sum;
}

/* The optimizer reads value, gradient and two moments, and writes all but the gradient. */
static double update_traffic(const struct model *m) { return 7.0 * (double)param_trainable(&m->params, true); }

double step_traffic(const struct session *s, double tokens, bool train)
{
    const struct model *m = &s->model;
    double pieces = s->piece_tokens > 0 ? ceil(tokens / s->piece_tokens) : 1, sum = 0;
    int floor = model_floor(m, false), layers = m->config.num_hidden_layers;
    for (int i = 0; i < m->n_sites; i++)
        if (m->site[i]->layer < layers && m->site[i]->w)
            sum += site_traffic(m->site[i], tokens, pieces, train && m->site[i]->layer >= floor);
    for (int l = 0; l < layers; l++) {
        sum += tokens * layer_forward(m->config.hidden_size, m->config.intermediate_size);
        if (train && l >= floor)
            sum += tokens * layer_backward(m->config.hidden_size, m->config.intermediate_size);
    }
    return (sum + (train ? update_traffic(m) : 0)) * sizeof(real);
}
