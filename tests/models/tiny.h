/* Small models for tests: built from a golden directory or from a configuration, with a batch beside them. */
#ifndef TESTS_MODELS_TINY_H
#define TESTS_MODELS_TINY_H

#include "tests/test.h"

#include "base/rng.h"
#include "models/model.h"
#include "models/safetensors.h"

enum { TINY_TOKENS = 512, TINY_SEQS = 32 };

struct tiny {
    struct arena *arena;
    struct model model;
    struct workspace *ws;
    struct pass pass;
    struct batch batch;
    int32_t ids[TINY_TOKENS], types[TINY_TOKENS], start[TINY_SEQS + 1], row[TINY_SEQS], label[TINY_SEQS];
    float score[TINY_SEQS];
};

/* Packs padded rows [n, width] of which `lengths` tokens are real. */
static inline void tiny_pack(struct tiny *t, int n, int width, const int32_t *ids, const int32_t *types,
                             const int32_t *lengths, const int32_t *label, const float *score)
{
    struct batch *b = &t->batch;
    int at = 0;
    for (int s = 0; s < n; s++) {
        t->start[s] = at;
        t->row[s] = s;
        memcpy(t->ids + at, ids + s * width, (size_t)lengths[s] * sizeof *ids);
        memcpy(t->types + at, types + s * width, (size_t)lengths[s] * sizeof *types);
        at += lengths[s];
    }
    t->start[n] = at;
    *b = (struct batch){.n_seq = n, .n_tok = at, .ids = t->ids, .types = t->types, .start = t->start, .row = t->row,
                        .label = label, .score = score};
    t->pass.batch = b;
    t->pass.loss_examples = n;
}

/* Random weights of the scale 0.2 everywhere, so that nothing is degenerate. */
static inline void tiny_random(struct tiny *t, uint64_t seed)
{
    struct rng r = rng_stream(seed, "tiny");
    for (size_t i = 0; i < t->model.params.n; i++) {
        struct param *p = t->model.params.item[i];
        for (size_t j = 0; j < param_size(p); j++)
            p->w[j] = (real)(0.2 * rng_normal(&r) + (p->kind == PARAM_NORM && strstr(p->name, "weight") ? 1 : 0));
    }
}

static inline void tiny_weights(struct tiny *t, struct err *e)
{
    for (size_t i = 0; i < t->model.params.n; i++) {
        struct param *p = t->model.params.item[i];
        if (!p->w)
            ASSERT_OK(p->w = ARENA_NEW(t->arena, MEM_WEIGHTS, real, param_size(p), e), e);
    }
}

static inline struct model_config tiny_config(int labels)
{
    return (struct model_config){.vocab_size = 40, .hidden_size = 16, .num_hidden_layers = 2, .num_attention_heads = 4,
                                 .intermediate_size = 24, .max_position_embeddings = 24, .type_vocab_size = 2,
                                 .layer_norm_eps = 1e-12, .classifier_dropout = -1, .num_labels = labels,
                                 .initializer_range = 0.02};
}

/* A random model of this configuration with a batch of n sequences; label or score as the configuration asks. */
static inline void tiny_make(struct tiny *t, const struct model_config *c, int n, struct err *e)
{
    int32_t ids[TINY_SEQS * 16], types[TINY_SEQS * 16], lengths[TINY_SEQS];
    struct rng r = rng_stream(7, "batch");
    t->arena = test_arena();
    ASSERT_OK(model_build(&t->model, c, t->arena, e), e);
    tiny_weights(t, e);
    tiny_random(t, 1);
    for (int s = 0; s < n; s++) {
        lengths[s] = 2 + (int)rng_below(&r, 14);
        t->label[s] = (int32_t)rng_below(&r, (uint32_t)c->num_labels);
        t->score[s] = 5 * rng_uniform(&r);
        for (int i = 0; i < 16; i++) {
            ids[s * 16 + i] = 1 + (int32_t)rng_below(&r, (uint32_t)c->vocab_size - 1);
            types[s * 16 + i] = i > lengths[s] / 2 && c->type_vocab_size > 1;
        }
    }
    tiny_pack(t, n, 16, ids, types, lengths, c->num_labels > 1 ? t->label : NULL, c->num_labels > 1 ? NULL : t->score);
}

static inline void tiny_workspace(struct tiny *t, enum workspace_mode mode, struct err *e)
{
    struct workspace_shape shape = {.mode = mode, .max_tokens = TINY_TOKENS, .max_seqs = TINY_SEQS, .max_len = 48};
    ASSERT_OK(t->ws = workspace_create(&t->model, &shape, t->arena, e), e);
}

static inline void tiny_request_all(struct tiny *t, struct err *e)
{
    for (size_t i = 0; i < t->model.params.n; i++)
        param_request(t->model.params.item[i], GRAD_DENSE, 0, 0);
    ASSERT_OK(param_allocate(&t->model.params, t->arena, e), e);
}

/* Zeroes gradients, forward, loss, backward. */
static inline double tiny_step(struct tiny *t, struct err *e)
{
    param_zero_grads(&t->model.params);
    model_forward(&t->model, t->ws, &t->pass);
    double loss = model_loss(&t->model, t->ws, &t->pass);
    ASSERT_OK(model_backward(&t->model, t->ws, &t->pass, e), e);
    return loss;
}

static inline double tiny_loss(struct tiny *t)
{
    model_forward(&t->model, t->ws, &t->pass);
    return model_loss(&t->model, t->ws, &t->pass);
}

#endif
