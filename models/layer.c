/*
 * One post-LayerNorm block (Devlin et al. 2019; Vaswani et al. 2017):
 *   x1 = LN(x + drop(Wo attention(x))),   y = LN(x1 + drop(W2 gelu(W1 x1))).
 * Backward computes gelu(u), x1 and the layer's input again from u and the normalised rows instead of keeping them.
 */
#include "models/workspace.h"

#include <string.h>

#include "models/linear.h"
#include "models/weight_grad.h"

/* Dropout sites: three a layer, after that of the embeddings. */
static uint32_t site_probs(int layer) { return 1 + 3 * (uint32_t)layer; }
static uint32_t site_attention(int layer) { return 2 + 3 * (uint32_t)layer; }
static uint32_t site_output(int layer) { return 3 + 3 * (uint32_t)layer; }

static void drop(const struct model *m, const struct pass *p, uint32_t site, real *x)
{
    struct dropout d = workspace_dropout(p, site, m->config.hidden_dropout_prob);
    dropout_packed(&d, p->batch->n_seq, p->batch->start, p->batch->row, m->config.hidden_size, x);
}

static size_t hidden_size(const struct model *m, const struct pass *p)
{
    return (size_t)p->batch->n_tok * (size_t)m->config.hidden_size;
}

static size_t wide_size(const struct model *m, const struct pass *p)
{
    return (size_t)p->batch->n_tok * (size_t)m->config.intermediate_size;
}

static void norm_forward(const struct model *m, const struct pass *p, const struct norm *n, real *x, real *rstd,
                         real *y)
{
    layernorm_forward(p->batch->n_tok, m->config.hidden_size, (real)m->config.layer_norm_eps, x, n->w->w, n->b->w, x,
                      rstd, y);
}

static struct attention *attention_of(const struct model *m, struct workspace *ws, const struct pass *p, int layer)
{
    ws->attention.dropout = workspace_dropout(p, site_probs(layer), m->config.attention_probs_dropout_prob);
    return &ws->attention;
}

static void insert_forward(const struct insert *i, bool after_residual, struct pass *p, real *h, real *kept)
{
    if (i->ops && i->ops->after_residual == after_residual)
        i->ops->forward(i, p, p->batch->n_tok, h, kept);
}

static bool insert_backward(const struct insert *i, bool after_residual, const struct workspace *ws, struct pass *p,
                            const real *kept, real *d, struct err *e)
{
    return !i->ops || i->ops->after_residual != after_residual ||
           i->ops->backward(i, p, p->batch->n_tok, kept, d, ws->panels, e);
}

/* Where backward needs GELU's slope alone, it is kept in the place of u. */
static void activate(const struct model *m, struct workspace *ws, const struct pass *p, int layer)
{
    struct layer_state *s = &ws->layer[layer];
    bool backward = !p->forward_only && layer >= ws->floor;
    if (backward && !linear_needs_input(&m->block[layer].output, p->probe))
        gelu_and_slope(wide_size(m, p), s->u, ws->wide);
    else
        gelu_forward(wide_size(m, p), s->u, ws->wide);
}

void layer_forward(const struct model *m, struct workspace *ws, struct pass *p, int layer, const real *x, real *y)
{
    const struct block *k = &m->block[layer];
    struct layer_state *s = &ws->layer[layer];
    int tokens = p->batch->n_tok;
    linear_forward(&k->query, p, tokens, x, s->q);
    linear_forward(&k->key, p, tokens, x, s->k);
    linear_forward(&k->value, p, tokens, x, s->v);
    attention_forward(attention_of(m, ws, p, layer), p->batch, s->q, s->k, s->v, s->ctx);
    linear_forward(&k->attention_output, p, tokens, s->ctx, s->xhat1);
    drop(m, p, site_attention(layer), s->xhat1);
    insert_forward(&k->attention_insert, false, p, s->xhat1, s->attention_kept);
    add_to(hidden_size(m, p), x, s->xhat1);
    insert_forward(&k->attention_insert, true, p, s->xhat1, s->attention_kept);
    norm_forward(m, p, &k->attention_norm, s->xhat1, s->rstd1, ws->x1);
    linear_forward(&k->intermediate, p, tokens, ws->x1, s->u);
    activate(m, ws, p, layer);
    linear_forward(&k->output, p, tokens, ws->wide, s->xhat2);
    drop(m, p, site_output(layer), s->xhat2);
    insert_forward(&k->output_insert, false, p, s->xhat2, s->output_kept);
    add_to(hidden_size(m, p), ws->x1, s->xhat2);
    insert_forward(&k->output_insert, true, p, s->xhat2, s->output_kept);
    norm_forward(m, p, &k->output_norm, s->xhat2, s->rstd2, y);
}

/* ws->d: gradient of y -> gradient of x1, where `lowest` asks for it. */
static bool feed_forward_backward(const struct model *m, struct workspace *ws, struct pass *p, int layer,
                                  enum block_floor lowest, struct err *e)
{
    const struct block *k = &m->block[layer];
    struct layer_state *s = &ws->layer[layer];
    int tokens = p->batch->n_tok, h = m->config.hidden_size;
    TRY(weight_grad_norm(&k->output_norm, p, tokens, s->xhat2, ws->d, e));
    layernorm_backward(tokens, h, s->xhat2, s->rstd2, k->output_norm.w->w, ws->d, ws->d);
    TRY(insert_backward(&k->output_insert, true, ws, p, s->output_kept, ws->d, e));
    memcpy(ws->tmp, ws->d, hidden_size(m, p) * sizeof(real));
    TRY(insert_backward(&k->output_insert, false, ws, p, s->output_kept, ws->tmp, e));
    if (lowest == FLOOR_OUTPUT_NORM)
        return true;
    drop(m, p, site_output(layer), ws->tmp);

    bool gelu_wanted = linear_needs_input(&k->output, p->probe);
    real *dg = k->output.ops ? ws->wide2 : ws->wide; /* overrides still read gelu(u) when dx is there */
    if (gelu_wanted)
        gelu_and_slope(wide_size(m, p), s->u, ws->wide);
    TRY(linear_backward(&k->output, p, tokens, gelu_wanted ? ws->wide : NULL, ws->tmp,
                        lowest < FLOOR_OUTPUT ? dg : NULL, 0, ws->panels, e));
    if (lowest == FLOOR_OUTPUT)
        return true;
    multiply(wide_size(m, p), s->u, dg);

    bool x1_wanted = linear_needs_input(&k->intermediate, p->probe);
    if (x1_wanted)
        layernorm_output(tokens, h, s->xhat1, k->attention_norm.w->w, k->attention_norm.b->w, ws->x1);
    return linear_backward(&k->intermediate, p, tokens, x1_wanted ? ws->x1 : NULL, dg,
                           lowest < FLOOR_INTERMEDIATE ? ws->d : NULL, 1, ws->panels, e);
}

/* The layer's input again, into ws->x1. */
static void layer_input(const struct model *m, const struct workspace *ws, const struct pass *p, int layer)
{
    if (ws->shape.mode == WORKSPACE_CHECKPOINT) {
        memcpy(ws->x1, ws->input[layer], hidden_size(m, p) * sizeof(real));
    } else if (layer == 0) {
        embedding_output(m, ws, p, ws->x1);
    } else {
        const struct norm *n = &m->block[layer - 1].output_norm;
        layernorm_output(p->batch->n_tok, m->config.hidden_size, ws->layer[layer - 1].xhat2, n->w->w, n->b->w, ws->x1);
    }
}

/* ws->d: gradient of x1 -> gradient of the layer's input, where it is wanted below. */
static bool self_attention_backward(const struct model *m, struct workspace *ws, struct pass *p, int layer,
                                    bool go_down, enum block_floor lowest, struct err *e)
{
    const struct block *k = &m->block[layer];
    struct layer_state *s = &ws->layer[layer];
    int tokens = p->batch->n_tok;
    TRY(weight_grad_norm(&k->attention_norm, p, tokens, s->xhat1, ws->d, e));
    layernorm_backward(tokens, m->config.hidden_size, s->xhat1, s->rstd1, k->attention_norm.w->w, ws->d, ws->d);
    TRY(insert_backward(&k->attention_insert, true, ws, p, s->attention_kept, ws->d, e));
    memcpy(ws->tmp, ws->d, hidden_size(m, p) * sizeof(real));
    TRY(insert_backward(&k->attention_insert, false, ws, p, s->attention_kept, ws->tmp, e));
    if (lowest == FLOOR_ATTENTION_NORM)
        return true;
    drop(m, p, site_attention(layer), ws->tmp);
    real *dctx = lowest == FLOOR_QKV ? ws->hidden : NULL;
    TRY(linear_backward(&k->attention_output, p, tokens, s->ctx, ws->tmp, dctx, 0, ws->panels, e));
    if (!dctx)
        return true;
    attention_backward(attention_of(m, ws, p, layer), p->batch, dctx, s->q, s->k, s->v);

    const struct linear *site[] = {&k->query, &k->key, &k->value};
    const real *dy[] = {s->q, s->k, s->v};
    if (linear_needs_input(site[0], p->probe) || linear_needs_input(site[1], p->probe) ||
        linear_needs_input(site[2], p->probe))
        layer_input(m, ws, p, layer);
    for (int i = 0; i < 3; i++)
        TRY(linear_backward(site[i], p, tokens, ws->x1, dy[i], go_down ? ws->d : NULL, 1, ws->panels, e));
    return true;
}

bool layer_backward(const struct model *m, struct workspace *ws, struct pass *p, int layer, struct err *e)
{
    if (ws->shape.mode == WORKSPACE_CHECKPOINT)
        layer_forward(m, ws, p, layer, ws->input[layer], ws->hidden);
    bool go_down = layer > ws->floor || model_floor(m, p->probe) < 0;
    enum block_floor lowest = go_down ? FLOOR_QKV : model_block_floor(&m->block[layer], p->probe);
    return feed_forward_backward(m, ws, p, layer, lowest, e) &&
           (lowest > FLOOR_ATTENTION_NORM || self_attention_backward(m, ws, p, layer, go_down, lowest, e));
}
