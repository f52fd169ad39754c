/*
 * A piece: whole sequences packed end to end, without padding, that go through the model together. Linear layers see
 * n_tok rows; attention runs per sequence.
 */
#ifndef MODELS_BATCH_H
#define MODELS_BATCH_H

#include <stdint.h>

struct batch {
    int n_seq, n_tok;
    const int32_t *ids;    /* [n_tok] token ids                                       */
    const int32_t *types;  /* [n_tok] token type ids                                  */
    const int32_t *start;  /* [n_seq + 1] first token of each sequence, then n_tok    */
    const int32_t *row;    /* [n_seq] row in its dataset: what dropout masks hang on  */
    const int32_t *label;  /* [n_seq] classes, NULL for regression                    */
    const float *score;    /* [n_seq] targets of a regression, NULL for classes       */
};

#endif
