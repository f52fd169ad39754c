/* Noise by place: see noise.h. */
#include "methods/noise.h"

#include <assert.h>
#include <math.h>

/* Two words with 24 bits each -> two normal numbers. The logarithm's argument lies in (0, 1]: |number| < 5.8. */
static void box_muller(const uint32_t word[2], float out[2])
{
    float radius = sqrtf(-2 * logf((float)((word[0] >> 8) + 1) * 0x1p-24f));
    float angle = 6.2831853f * (float)(word[1] >> 8) * 0x1p-24f;
    out[0] = radius * cosf(angle);
    out[1] = radius * sinf(angle);
}

void noise_normal(struct rng_key key, uint32_t step, size_t at, real *out, size_t n)
{
    assert(at % 4 == 0);
    for (size_t i = 0; i < n; i += 4) {
        uint64_t block = (at + i) / 4;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), step, 0};
        uint32_t word[4];
        float four[4];
        rng_block(key, counter, word);
        box_muller(word, four);
        box_muller(word + 2, four + 2);
        for (size_t k = 0; k < 4 && i + k < n; k++)
            out[i + k] = (real)four[k];
    }
}
