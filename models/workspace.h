/* The buffers of a pass and the stages that share them: internal to the encoder. T tokens, S sequences, H hidden
 * size. */
#ifndef MODELS_WORKSPACE_H
#define MODELS_WORKSPACE_H

#include "models/attention.h"
#include "models/model.h"

/* What forward leaves for the backward of one layer. */
struct layer_state {
    real *q, *k, *v;     /* [T, H]; backward replaces them by their gradients */
    real *ctx;           /* [T, H] input of attention.output.dense            */
    real *xhat1, *rstd1; /* [T, H], [T] normalised rows of attention.output.LayerNorm */
    real *u;             /* [T, intermediate] before GELU, then its slope     */
    real *xhat2, *rstd2; /* of output.LayerNorm                               */
    real *attention_kept, *output_kept; /* what inserts keep                  */
};

struct workspace {
    struct workspace_shape shape;
    int floor;                   /* lowest layer of backward                              */
    bool needs_wide2;            /* output.dense is overridden somewhere                  */
    real *xhat0, *rstd0;         /* [T, H], [T] of the embedding LayerNorm                */
    struct layer_state *layer;   /* [layers]; layers that keep nothing share one          */
    real **kept;                 /* [n_sites] STORE: what overrides keep, NULL: nothing       */
    real **input;                /* [layers] CHECKPOINT: [T, H] input of each layer kept  */
    real *hidden, *x1, *tmp;     /* [T, H]                                                */
    real *d;                     /* [T, H] gradient that travels down                     */
    real *wide, *wide2;          /* [T, intermediate]                                     */
    real *panels, *scratch;
    real *pooled, *dense, *dropped; /* [S, H] head: its input, after tanh, after dropout  */
    real *dpooled, *ddropped;       /* [S, H]                                             */
    real *logits, *dlogits;         /* [S, labels]                                        */
    struct attention attention;
};

/* Dropout of the encoder's site number, for this pass; p = 0 outside training. */
struct dropout workspace_dropout(const struct pass *p, uint32_t site, double rate);

/* Stages, bottom up. hidden [T, H] is what goes up, d [T, H] what comes down. */
void embedding_forward(const struct model *m, struct workspace *ws, const struct pass *p, real *hidden);
void embedding_output(const struct model *m, const struct workspace *ws, const struct pass *p, real *hidden);
bool embedding_backward(const struct model *m, struct workspace *ws, const struct pass *p, struct err *e);
void layer_forward(const struct model *m, struct workspace *ws, struct pass *p, int layer, const real *x, real *y);
bool layer_backward(const struct model *m, struct workspace *ws, struct pass *p, int layer, struct err *e);
void head_forward(const struct model *m, struct workspace *ws, struct pass *p, const real *hidden);
bool head_backward(const struct model *m, struct workspace *ws, struct pass *p, bool go_down, struct err *e);

#endif
