/* Scores of the square blocks of a matrix, here of a sum of gradients: what SMT ranks blocks by. */
#ifndef METHODS_BLOCK_SCORE_H
#define METHODS_BLOCK_SCORE_H

#include "models/param.h"

/* Of the entries g of a block: mean of |g|, modulus of the mean of g, sum of |g|, root of the sum of g². */
#define BLOCK_SCORE_WORDS "abs_mean|mean_abs|l1|l2"
enum block_score { BLOCK_ABS_MEAN, BLOCK_MEAN_ABS, BLOCK_L1, BLOCK_L2 };

/* score[i] of block i of g [rows, cols], blocks of side x side numbered as GRAD_BLOCKS does; sums in double. */
void block_scores(enum block_score kind, const real *g, int rows, int cols, int side, real *score);

#endif
