/*
 * A model's configuration: what config.json says, with the Hugging Face default of the model type for keys that are
 * missing. BERT and RoBERTa share one encoder; they differ in names, positions, token types and head.
 */
#ifndef MODELS_CONFIG_H
#define MODELS_CONFIG_H

#include <stdbool.h>

#include "base/arena.h"
#include "models/source.h"

enum model_family { FAMILY_BERT, FAMILY_ROBERTA };
enum pooling { POOLING_POOLER, POOLING_CLS, POOLING_MEAN };

struct model_config {
    enum model_family family;
    int vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size;
    int max_position_embeddings, type_vocab_size, pad_token_id;
    double hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout; /* the last: < 0 = hidden's */
    double initializer_range, layer_norm_eps;
    /* set by the task and the spec, not by config.json: */
    int num_labels;        /* 1 for a regression */
    enum pooling pooling;
};

/* Reads and checks config.json. Errors name the file and the key: a model type that is not supported, an activation
 * other than exact GELU, sizes that do not divide, values out of range. num_labels becomes 2, pooling POOLER. */
bool model_config_read(struct model_config *c, const struct model_source *source, struct arena *a, struct err *e);

/* Names of the labels in id order (id2label of config.json), in the arena; *n = 0 and NULL names when it has none. */
bool model_config_labels(const struct model_source *source, const char *const **names, int *n, struct arena *a,
                         struct err *e);

/* Longest input in tokens: max_position_embeddings, for RoBERTa less the padding offset (2). */
int model_config_max_tokens(const struct model_config *c);

/* Prefix of the encoder's names: "bert." or "roberta.". */
const char *model_config_prefix(const struct model_config *c);

#endif
