/*
 * First weights of parameters that no checkpoint holds, drawn as the Hugging Face classes do.
 */
#ifndef MODELS_INIT_H
#define MODELS_INIT_H

#include <stdint.h>

#include "models/config.h"
#include "models/param.h"

/* Fills p->w or p->half, whichever is there: linear and embedding weights from normal(0, initializer_range), the
 * padding row of the word embedding (and of RoBERTa's positions) zero, biases zero, LayerNorm weight 1 and bias
 * 0. Every parameter has a stream of its own under `seed`, "head/<name>" in the head and "init/<name>"
 * elsewhere: which others are drawn, and in which order, changes nothing. */
void init_param(const struct model_config *c, struct param *p, uint64_t seed);

#endif
