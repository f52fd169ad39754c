/* Named random streams: see rng.h. */
#include "base/rng.h"

#include <assert.h>
#include <math.h>

#include <Random123/philox.h>

void rng_block(struct rng_key key, const uint32_t counter[4], uint32_t out[4])
{
    philox4x32_ctr_t c = {{counter[0], counter[1], counter[2], counter[3]}};
    philox4x32_key_t k = {{key.k[0], key.k[1]}};
    philox4x32_ctr_t r = philox4x32(c, k);
    for (int i = 0; i < 4; i++)
        out[i] = r.v[i];
}

struct rng_key rng_key(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    const uint32_t counter[4] = {(uint32_t)h, (uint32_t)(h >> 32), 0, 0};
    uint32_t out[4];
    rng_block((struct rng_key){{(uint32_t)seed, (uint32_t)(seed >> 32)}}, counter, out);
    return (struct rng_key){{out[0], out[1]}};
}

struct rng rng_stream(uint64_t seed, const char *name) { return (struct rng){.key = rng_key(seed, name)}; }

void rng_seek(struct rng *r, uint64_t word)
{
    assert(word % 4 == 0);
    r->block = word / 4;
    r->have = 0;
}

uint32_t rng_u32(struct rng *r)
{
    if (r->have == 0) {
        const uint32_t counter[4] = {(uint32_t)r->block, (uint32_t)(r->block >> 32), 0, 0};
        rng_block(r->key, counter, r->word);
        r->block++;
        r->have = 4;
    }
    return r->word[4 - r->have--];
}

float rng_uniform(struct rng *r) { return (float)(rng_u32(r) >> 8) * 0x1p-24f; }

double rng_normal(struct rng *r)
{
    const double two_pi = 6.283185307179586;
    double u = ((double)rng_u32(r) + 1) * 0x1p-32; /* (0, 1]: the logarithm is finite */
    double v = (double)rng_u32(r) * 0x1p-32;
    return sqrt(-2 * log(u)) * cos(two_pi * v);
}

/* Lemire's multiplication with rejection: exactly uniform. */
uint32_t rng_below(struct rng *r, uint32_t n)
{
    assert(n > 0);
    uint64_t m = (uint64_t)rng_u32(r) * n;
    if ((uint32_t)m < n) {
        const uint32_t low = -n % n;
        while ((uint32_t)m < low)
            m = (uint64_t)rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

void rng_shuffle(struct rng *r, int32_t *v, size_t n)
{
    assert(n <= UINT32_MAX);
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(r, (uint32_t)i);
        int32_t t = v[i - 1];
        v[i - 1] = v[j];
        v[j] = t;
    }
}
