/*
 * Heads as in BertForSequenceClassification (pooler: tanh of a dense layer on the first token; dropout; classifier) and
 * RobertaForSequenceClassification (dropout; dense; tanh; dropout; out_proj), with pooling cls or mean as options;
 * losses as there: cross-entropy over classes, mean squared error for a regression.
 */
#include "models/workspace.h"

#include <math.h>
#include <string.h>

#include "models/linear.h"

static uint32_t site_input(const struct model *m) { return 1 + 3 * (uint32_t)m->config.num_hidden_layers; }
static uint32_t site_classifier(const struct model *m) { return 2 + 3 * (uint32_t)m->config.num_hidden_layers; }

/* Dropout on [n_seq, H]: every sequence is one row. */
static void drop(const struct model *m, const struct pass *p, uint32_t site, real *x)
{
    const struct model_config *c = &m->config;
    struct dropout d =
        workspace_dropout(p, site, c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout);
    for (int s = 0; s < p->batch->n_seq; s++) {
        d.row = (uint32_t)p->batch->row[s];
        dropout_range(&d, 0, (size_t)c->hidden_size, x + (size_t)s * (size_t)c->hidden_size);
    }
}

static void pool(const struct model *m, const struct batch *b, const real *hidden, real *pooled)
{
    size_t h = (size_t)m->config.hidden_size;
    for (int s = 0; s < b->n_seq; s++) {
        real *out = pooled + (size_t)s * h;
        memcpy(out, hidden + (size_t)b->start[s] * h, h * sizeof *out);
        if (m->config.pooling != POOLING_MEAN)
            continue;
        for (int t = b->start[s] + 1; t < b->start[s + 1]; t++)
            for (size_t c = 0; c < h; c++)
                out[c] += hidden[(size_t)t * h + c];
        for (size_t c = 0; c < h; c++)
            out[c] /= (real)(b->start[s + 1] - b->start[s]);
    }
}

static void pool_backward(const struct model *m, const struct batch *b, const real *dpooled, real *d)
{
    size_t h = (size_t)m->config.hidden_size;
    memset(d, 0, (size_t)b->n_tok * h * sizeof *d);
    for (int s = 0; s < b->n_seq; s++) {
        const real *from = dpooled + (size_t)s * h;
        int len = b->start[s + 1] - b->start[s], rows = m->config.pooling == POOLING_MEAN ? len : 1;
        for (int t = 0; t < rows; t++)
            for (size_t c = 0; c < h; c++)
                d[(size_t)(b->start[s] + t) * h + c] = from[c] / (real)rows;
    }
}

void head_forward(const struct model *m, struct workspace *ws, struct pass *p, const real *hidden)
{
    int n = p->batch->n_seq;
    size_t size = (size_t)n * (size_t)m->config.hidden_size;
    pool(m, p->batch, hidden, ws->pooled);
    if (m->config.family == FAMILY_ROBERTA)
        drop(m, p, site_input(m), ws->pooled);
    const real *features = ws->pooled;
    if (m->head_dense.w) {
        linear_forward(&m->head_dense, p, n, ws->pooled, ws->dense);
        tanh_forward(size, ws->dense, ws->dense);
        features = ws->dense;
    }
    memcpy(ws->dropped, features, size * sizeof(real));
    drop(m, p, site_classifier(m), ws->dropped);
    linear_forward(&m->head_out, p, n, ws->dropped, ws->logits);
}

bool head_backward(const struct model *m, struct workspace *ws, struct pass *p, bool go_down, struct err *e)
{
    int n = p->batch->n_seq;
    size_t size = (size_t)n * (size_t)m->config.hidden_size;
    real *d = m->head_dense.w ? ws->ddropped : ws->dpooled;
    TRY(linear_backward(&m->head_out, p, n, ws->dropped, ws->dlogits, d, 0, ws->panels, e));
    drop(m, p, site_classifier(m), d);
    if (m->head_dense.w) {
        tanh_backward(size, ws->dense, d, d);
        TRY(linear_backward(&m->head_dense, p, n, ws->pooled, d, go_down ? ws->dpooled : NULL, 0, ws->panels, e));
    }
    if (!go_down)
        return true;
    if (m->config.family == FAMILY_ROBERTA)
        drop(m, p, site_input(m), ws->dpooled);
    pool_backward(m, p->batch, ws->dpooled, ws->d);
    return true;
}

/* -log softmax(z)[label] in double; dz = (softmax - onehot) / n. */
static double cross_entropy(int labels, const real *z, int label, double n, real *dz)
{
    double top = (double)z[0], sum = 0;
    for (int c = 1; c < labels; c++)
        top = (double)z[c] > top ? (double)z[c] : top;
    for (int c = 0; c < labels; c++)
        sum += exp((double)z[c] - top);
    for (int c = 0; c < labels; c++)
        dz[c] = (real)((exp((double)z[c] - top) / sum - (c == label)) / n);
    return log(sum) + top - (double)z[label];
}

static double squared_error(real z, double score, double n, real *dz)
{
    double error = (double)z - score;
    *dz = (real)(2 * error / n);
    return error * error;
}

double model_loss(const struct model *m, struct workspace *ws, struct pass *p)
{
    const struct batch *b = p->batch;
    int labels = m->config.num_labels;
    double n = p->loss_examples, loss = 0;
    for (int s = 0; s < b->n_seq; s++) {
        const real *z = ws->logits + (size_t)s * (size_t)labels;
        real *dz = ws->dlogits + (size_t)s * (size_t)labels;
        double own = b->label ? cross_entropy(labels, z, b->label[s], n, dz)
                              : squared_error(z[0], (double)b->score[s], n, dz);
        if (p->losses)
            p->losses[s] = own;
        loss += own;
    }
    return loss / n;
}
