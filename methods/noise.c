/* Noise by place: see noise.h. */
#include "methods/noise.h"

#include <assert.h>

#include "methods/noise_table.h"

ISA_DECLARE(struct noise_kernels, noise_);

const struct noise_kernels *noise_kernels(void) { return ISA_CHOOSE(noise_); }

void noise_normal(struct rng_key key, uint32_t step, size_t at, real *out, size_t n)
{
    assert(at % 4 == 0);
    noise_kernels()->normal(key, step, at, out, n);
}
