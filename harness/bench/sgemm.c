/* See sgemm.h. Whatever computes the models' products, OpenBLAS is the yardstick. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "harness/bench/sgemm.h"

#include <stddef.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "models/blas.h"

enum { TOKENS = 1024 };

static void product(int in, int out, const float *x, const float *w, float *y)
{
    blas_gemm_openblas(BLAS_N, BLAS_T, TOKENS, out, in, 1, x, in, w, in, 0, y, out);
}

static double rate(int in, int out, float *x, double seconds)
{
    float *w = x + (size_t)TOKENS * (size_t)in, *y = w + (size_t)in * (size_t)out;
    for (float *v = x; v < y; v++)
        *v = (float)((v - x) % 17) * .01f - .08f;
    product(in, out, x, w, y);
    double begun = clock_seconds(), now;
    long n = 0;
    do {
        product(in, out, x, w, y);
        n++;
    } while ((now = clock_seconds()) - begun < seconds);
    return 2. * TOKENS * in * out * (double)n / (now - begun) / 1e9;
}

bool sgemm_gflops(int hidden, int intermediate, double seconds, double *gflops, struct err *e)
{
    size_t in = (size_t)hidden, out = (size_t)intermediate;
    size_t bytes = (TOKENS * in + in * out + TOKENS * out) * sizeof(float);
    float *x = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (x == MAP_FAILED)
        return err_set(e, ERR_ENV, "out of memory");
    *gflops = rate(hidden, intermediate, x, seconds);
    munmap(x, bytes);
    return true;
}
