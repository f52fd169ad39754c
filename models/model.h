/*
 * The encoder with its classification or regression head: parameters, linear sites, forward and backward.
 *
 * BertForSequenceClassification as in Devlin et al. 2019 (arXiv:1810.04805) and the Hugging Face code: post-LayerNorm
 * blocks, exact GELU, pooler on the first token, dropout, classifier; RobertaForSequenceClassification likewise with
 * its two-layer head.
 */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include "base/arena.h"
#include "base/rng.h"
#include "models/batch.h"
#include "models/config.h"
#include "models/param.h"

struct pass;
struct linear;

/* What a method puts in place of a linear site's arithmetic (LoRA, DoRA, IA3, meProp, SparseGrad). Both functions have
 * the contract of linear_forward and linear_backward in models/linear.h and may call linear_plain_forward and
 * linear_plain_backward for the site's own part; NULL: the plain one. */
struct linear_ops {
    void (*forward)(const struct linear *l, struct pass *p, int tokens, const real *x, real *y);
    bool (*backward)(const struct linear *l, struct pass *p, int tokens, const real *x, const real *dy, real *dx,
                     real beta, real *panels, struct err *e);
    size_t (*scratch)(const struct linear *l, int tokens); /* reals of pass->scratch it needs; NULL: none */
    double (*flops)(const struct linear *l, int tokens, bool backward); /* matrix products it adds to the plain ones
                                                                         * (less than 0: saves); NULL: none */
    size_t (*kept)(const struct linear *l, int tokens); /* reals that forward may keep for backward; NULL: none */
};

struct insert;

/* A module put into a block (adapters): works in place on h [T, H], the output of the attention or the feed-forward
 * network after dropout, before the residual is added, or with `after_residual` on the sum that goes into the
 * LayerNorm. */
struct insert_ops {
    bool after_residual;
    /* kept: room for what backward needs, of kept(i, tokens) reals. */
    void (*forward)(const struct insert *i, struct pass *p, int tokens, real *h, real *kept);
    /* d [T, H]: gradient of what forward left -> gradient of what it found; adds requested gradients. */
    bool (*backward)(const struct insert *i, struct pass *p, int tokens, const real *kept, real *d, real *panels,
                     struct err *e);
    size_t (*kept)(const struct insert *i, int tokens);
    size_t (*scratch)(const struct insert *i, int tokens); /* reals of pass->scratch; NULL: none */
    double (*flops)(const struct insert *i, int tokens, bool backward);
};

struct insert {
    const struct insert_ops *ops; /* NULL: nothing is there */
    void *state;                  /* the method's           */
};

/* A linear site y [T, out] = x [T, in] Wᵀ + b. */
struct linear {
    const char *name;       /* module name: the parameters' without .weight / .bias */
    int in, out, layer;
    int number;             /* position among all sites of the model: names dropout masks */
    struct param *w, *b;
    const struct linear_ops *ops; /* NULL: plain */
    void *state;            /* the method's, for ops                         */
};

struct norm {
    struct param *w, *b;
};

struct block {
    struct linear query, key, value, attention_output, intermediate, output;
    struct norm attention_norm, output_norm;
    struct insert attention_insert, output_insert;
};

struct model {
    struct model_config config;
    struct param_list params;
    struct param *word, *position, *token_type;
    struct norm embedding_norm;
    struct block *block;          /* [num_hidden_layers]                                   */
    struct linear head_dense;     /* BERT pooler or RoBERTa classifier.dense; w NULL if not used */
    struct linear head_out;       /* classifier, or classifier.out_proj                    */
    struct linear **site;         /* [n_sites] all linear sites, head last                 */
    int n_sites;
};

/* Builds the registry and the sites from a configuration, without memory for weights: all that `plan` needs. */
bool model_build(struct model *m, const struct model_config *c, struct arena *a, struct err *e);

/* A pass over one piece: training or evaluation. The caller fills what stands before `scratch`. */
struct pass {
    const struct batch *batch;
    bool train;             /* dropout on                                              */
    uint64_t seed;          /* of the dropout streams                                  */
    uint32_t step;          /* optimizer step: part of the dropout counter             */
    int loss_examples;      /* examples of the logical batch: the loss is a sum over its examples divided by this */
    struct tap *tap;        /* NULL, or shown the dense gradient of tapped parameters  */
    double *losses;         /* NULL, or room for the loss of each of its examples by itself [n_seq] */
    bool forward_only;      /* no backward follows                                     */
    bool probe;             /* backward leaves all requested gradients alone: only the tap sees any */
    real *scratch;          /* room for linear_ops, set by the workspace               */
    real *const *kept;      /* [n_sites] what linear_ops keep; NULL where backward has to compute it again, as it has
                             * with activation checkpointing */
};

/* Shown the dense gradient of each tapped parameter once in a backward pass that holds the whole logical batch as one
 * piece. g [rows, cols] lies in shared scratch and is gone after the call. */
struct tap {
    bool (*see)(void *self, const struct param *p, const real *g, struct err *e);
    void *self;
    real *dense;            /* scratch for the largest tapped tensor                   */
};

/* Buffers of forward and backward for pieces of at most max_tokens tokens and max_seqs sequences of max_len tokens. */
struct workspace;

enum workspace_mode {
    WORKSPACE_EVAL,       /* forward only: nothing is kept                                      */
    WORKSPACE_STORE,      /* keeps what the requests need for backward                          */
    WORKSPACE_CHECKPOINT  /* keeps each layer's input alone and recomputes the layer in backward */
};

struct workspace_shape {
    enum workspace_mode mode;
    int max_tokens, max_seqs, max_len;
};

/* Bytes by tag that workspace_create will take for the requests, taps and overrides as they are now. */
void workspace_bytes(const struct model *m, const struct workspace_shape *shape, size_t bytes[MEM_TAGS]);

/* Made after the method has attached: requests and overrides must not change while it lives, except that requests may
 * move among the same tensors. */
struct workspace *workspace_create(const struct model *m, const struct workspace_shape *shape, struct arena *a,
                                   struct err *e);

/* Forward over a piece; logits [n_seq, num_labels] stay in the workspace until the next forward. */
const real *model_forward(const struct model *m, struct workspace *ws, struct pass *p);

/* Loss of the piece (its part of the logical batch's mean) from the logits, and their gradient, kept for backward.
 * Cross-entropy over classes, mean squared error for a regression, as in the Hugging Face heads. */
double model_loss(const struct model *m, struct workspace *ws, struct pass *p);

/* Backward of the last forward and loss: adds to every requested gradient down to the floor of backprop. False only
 * when the tap fails. */
bool model_backward(const struct model *m, struct workspace *ws, struct pass *p, struct err *e);

/* First dropout site number that a method may use for its linear site: no encoder mask has it. */
uint32_t model_dropout_site(const struct linear *l);

/* Lowest layer with a request, tap or override: -1 embeddings, 0.. encoder layers, num_hidden_layers: the head
 * alone. */
int model_floor(const struct model *m, bool probe);

/* How far down a layer backward has to come for what is wanted inside it, inputs of the layer apart. */
enum block_floor {
    FLOOR_QKV,              /* query, key or value                          */
    FLOOR_ATTENTION_OUTPUT, /* attention.output.dense                       */
    FLOOR_ATTENTION_NORM,   /* the insert or LayerNorm after the attention  */
    FLOOR_INTERMEDIATE,
    FLOOR_OUTPUT,           /* output.dense                                 */
    FLOOR_OUTPUT_NORM       /* the insert or LayerNorm at the top, or nothing */
};
enum block_floor model_block_floor(const struct block *k, bool probe);

/* Floating-point operations (matrix products alone, two per multiply-add) of one forward, and of forward with backward
 * for the present requests, over sequences of these lengths. */
double model_flops(const struct model *m, const int32_t *lengths, int n_seq, bool backward);

#endif
