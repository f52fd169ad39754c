/* Embeddings: word + position + token type, LayerNorm, dropout. RoBERTa's positions start behind the padding index. */
#include "models/workspace.h"

#include "models/bf16.h"
#include "models/weight_grad.h"

enum { SITE = 0 }; /* dropout site of the embeddings */

static int first_position(const struct model_config *c)
{
    return c->family == FAMILY_ROBERTA ? c->pad_token_id + 1 : 0;
}

/* Position ids [n_tok] of a packed batch. */
static void position_ids(const struct model_config *c, const struct batch *b, int32_t *out)
{
    for (int s = 0; s < b->n_seq; s++)
        for (int t = b->start[s]; t < b->start[s + 1]; t++)
            out[t] = t - b->start[s] + first_position(c);
}

static void sum_embeddings(const struct model *m, const struct batch *b, real *out)
{
    size_t h = (size_t)m->config.hidden_size;
    int first = first_position(&m->config);
#pragma omp parallel for schedule(static)
    for (int s = 0; s < b->n_seq; s++)
        for (int t = b->start[s]; t < b->start[s + 1]; t++) {
            real *to = out + (size_t)t * h;
            param_row(m->word, (size_t)b->ids[t], false, to);
            param_row(m->token_type, (size_t)b->types[t], true, to);
            param_row(m->position, (size_t)(t - b->start[s] + first), true, to);
        }
}

static void drop(const struct model *m, const struct pass *p, real *x)
{
    struct dropout d = workspace_dropout(p, SITE, m->config.hidden_dropout_prob);
    dropout_packed(&d, p->batch->n_seq, p->batch->start, p->batch->row, m->config.hidden_size, x);
}

void embedding_forward(const struct model *m, struct workspace *ws, const struct pass *p, real *hidden)
{
    const struct norm *n = &m->embedding_norm;
    sum_embeddings(m, p->batch, ws->xhat0);
    layernorm_forward(p->batch->n_tok, m->config.hidden_size, (real)m->config.layer_norm_eps, ws->xhat0, n->w->w,
                      n->b->w, ws->xhat0, ws->rstd0, hidden);
    drop(m, p, hidden);
}

void embedding_output(const struct model *m, const struct workspace *ws, const struct pass *p, real *hidden)
{
    const struct norm *n = &m->embedding_norm;
    layernorm_output(p->batch->n_tok, m->config.hidden_size, ws->xhat0, n->w->w, n->b->w, hidden);
    drop(m, p, hidden);
}

bool embedding_backward(const struct model *m, struct workspace *ws, const struct pass *p, struct err *e)
{
    const struct norm *n = &m->embedding_norm;
    const struct batch *b = p->batch;
    int tokens = b->n_tok;
    drop(m, p, ws->d);
    TRY(weight_grad_norm(n, p, tokens, ws->xhat0, ws->d, e));
    layernorm_backward(tokens, m->config.hidden_size, ws->xhat0, ws->rstd0, n->w->w, ws->d, ws->d);
    int32_t *positions = (int32_t *)(void *)ws->wide; /* free by now, and larger than [n_tok] */
    position_ids(&m->config, b, positions);
    return weight_grad_embedding(m->word, p, tokens, b->ids, m->config.pad_token_id, ws->d, e) &&
           weight_grad_embedding(m->position, p, tokens, positions, -1, ws->d, e) &&
           weight_grad_embedding(m->token_type, p, tokens, b->types, -1, ws->d, e);
}
