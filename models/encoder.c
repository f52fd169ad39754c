/* Forward and backward of the whole model: embeddings, layers, head. See model.h. */
#include "models/workspace.h"

#include <assert.h>
#include <string.h>

const real *model_forward(const struct model *m, struct workspace *ws, struct pass *p)
{
    const struct batch *b = p->batch;
    assert(b->n_tok <= ws->shape.max_tokens && b->n_seq <= ws->shape.max_seqs);
    p->scratch = ws->scratch;
    p->kept = ws->kept;
    embedding_forward(m, ws, p, ws->hidden);
    for (int l = 0; l < m->config.num_hidden_layers; l++) {
        if (ws->input[l])
            memcpy(ws->input[l], ws->hidden, (size_t)b->n_tok * (size_t)m->config.hidden_size * sizeof(real));
        layer_forward(m, ws, p, l, ws->hidden, ws->hidden);
    }
    head_forward(m, ws, p, ws->hidden);
    return ws->logits;
}

bool model_backward(const struct model *m, struct workspace *ws, struct pass *p, struct err *e)
{
    assert(ws->shape.mode != WORKSPACE_EVAL);
    int floor = model_floor(m, p->probe), layers = m->config.num_hidden_layers;
    assert((floor < 0 ? 0 : floor) >= ws->floor || ws->floor == layers);
    p->scratch = ws->scratch;
    p->kept = ws->kept;
    TRY(head_backward(m, ws, p, floor < layers, e));
    for (int l = layers - 1; l >= 0 && l >= floor; l--)
        TRY(layer_backward(m, ws, p, l, e));
    TRY(floor >= 0 || embedding_backward(m, ws, p, e));
    for (size_t i = 0; i < m->params.n && !p->probe; i++)
        param_settle_grad(m->params.item[i]);
    return true;
}
