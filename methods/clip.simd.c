/* Sums of squares, vectorised; the same bits on every instruction set, no FMA. */
#include "methods/clip_table.h"

enum { LANES = 64 };

/* That many running sums, added in a fixed order. */
static double squares(const real *v, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)v[i + j] * (double)v[i + j];
    for (size_t j = 0; i + j < n; j++)
        lane[j] += (double)v[i + j] * (double)v[i + j];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

const struct clip_kernels ISA_TABLE(clip_) = {squares};
