/* Global-norm clipping: see clip.h. */
#include "methods/clip.h"

#include <math.h>

enum { BLOCK = 16384, BLOCKS = 64, LANES = 8 };

/* Eight running sums, added in a fixed order: the compiler may use vectors, the result does not depend on them. */
static double block_squares(const real *v, size_t n)
{
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)v[i + j] * (double)v[i + j];
    for (size_t j = 0; i + j < n; j++)
        lane[j] += (double)v[i + j] * (double)v[i + j];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/* Threads take whole blocks; their sums are added in the order of the blocks. */
double sum_of_squares(const real *v, size_t n)
{
    double sum = 0, part[BLOCKS];
    for (size_t at = 0; at < n; at += (size_t)BLOCK * BLOCKS) {
        size_t left = n - at, blocks = (left + BLOCK - 1) / BLOCK;
        blocks = blocks < BLOCKS ? blocks : BLOCKS;
#pragma omp parallel for schedule(static) if (blocks > 1)
        for (size_t b = 0; b < blocks; b++) {
            size_t from = b * BLOCK, length = left - from < BLOCK ? left - from : BLOCK;
            part[b] = block_squares(v + at + from, length);
        }
        for (size_t b = 0; b < blocks; b++)
            sum += part[b];
    }
    return sum;
}

double grad_norm(const struct param_list *params)
{
    double sum = 0;
    for (size_t i = 0; i < params->n; i++)
        sum += sum_of_squares(params->item[i]->grad.v, params->item[i]->grad.size);
    return sqrt(sum);
}

static void scale(real *v, size_t n, real factor)
{
#pragma omp parallel for simd schedule(static) if (n > 65536)
    for (size_t i = 0; i < n; i++)
        v[i] *= factor;
}

double clip_factor(double norm, double max_norm)
{
    double factor = max_norm / (norm + 1e-6);
    return max_norm <= 0 || !isfinite(norm) || factor >= 1 ? 1 : factor;
}

double clip_grad_norm(struct param_list *params, double max_norm)
{
    double norm = grad_norm(params), factor = clip_factor(norm, max_norm);
    for (size_t i = 0; i < params->n && factor < 1; i++)
        scale(params->item[i]->grad.v, params->item[i]->grad.size, (real)factor);
    return norm;
}
