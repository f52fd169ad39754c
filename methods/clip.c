/* Global-norm clipping: see clip.h. */
#include "methods/clip.h"

#include <math.h>

#include "methods/clip_table.h"

enum { BLOCK = 16384, BLOCKS = 64 };

ISA_DECLARE(struct clip_kernels, clip_);

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
            part[b] = ISA_CHOOSE(clip_)->squares(v + at + from, length);
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
