/* Scores of blocks: see block_score.h. */
#include "methods/block_score.h"

#include <math.h>

/* Sums over one block: of g, |g| and g². */
struct sums {
    double plain, modulus, square;
};

static struct sums sum_block(const real *g, int cols, int side)
{
    struct sums s = {0};
    for (int r = 0; r < side; r++)
        for (int c = 0; c < side; c++) {
            double v = (double)g[(size_t)r * (size_t)cols + (size_t)c];
            s.plain += v;
            s.modulus += fabs(v);
            s.square += v * v;
        }
    return s;
}

static double score_of(enum block_score kind, const struct sums *s, double entries)
{
    switch (kind) {
    case BLOCK_ABS_MEAN: return s->modulus / entries;
    case BLOCK_MEAN_ABS: return fabs(s->plain) / entries;
    case BLOCK_L1: return s->modulus;
    default: return sqrt(s->square);
    }
}

void block_scores(enum block_score kind, const real *g, int rows, int cols, int side, real *score)
{
    for (int r = 0; r < rows; r += side)
        for (int c = 0; c < cols; c += side) {
            struct sums s = sum_block(g + (size_t)r * (size_t)cols + (size_t)c, cols, side);
            *score++ = (real)score_of(kind, &s, (double)side * side);
        }
}
