/*
 * Top-k by radix selection: see topk.h. The bits of a non-negative IEEE number, read as an integer, are ordered as the
 * number is. The threshold (the k-th largest magnitude) is found 11 bits at a time from the top by counting, and one
 * last pass hands out the offsets: everything above the threshold, and of what equals it the first ones.
 */
#include "methods/topk.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    DIGIT = 11,
    BINS = 1 << DIGIT,
    KEY_BITS = 8 * (int)sizeof(real) - 1, /* without the sign */
    LOWEST = KEY_BITS % DIGIT             /* bits left for the last digit; the others are full */
};

#ifdef PEFTLAB_F64
typedef uint64_t key_bits;
#else
typedef uint32_t key_bits;
#endif

static const key_bits ALL_KEY_BITS = (key_bits)-1 >> 1;

static key_bits key(real v)
{
    key_bits k;
    memcpy(&k, &v, sizeof k);
    k &= ALL_KEY_BITS;
    return isnan(v) ? ALL_KEY_BITS : k;
}

/* Counts the digits [shift, shift + bits) of the keys that begin like `prefix`. */
static void count_digits(const real *v, size_t n, key_bits prefix, int shift, int bits, size_t count[BINS])
{
    memset(count, 0, BINS * sizeof count[0]);
    key_bits mask = ((key_bits)1 << bits) - 1;
    int above = shift + bits;
    for (size_t i = 0; i < n; i++) {
        key_bits k = key(v[i]);
        if ((k & ALL_KEY_BITS) >> above == prefix >> above)
            count[(k >> shift) & mask]++;
    }
}

/* The k-th largest key, and in *ties how many of those that equal it belong to the k largest. */
static key_bits threshold(const real *v, size_t n, size_t k, size_t *ties)
{
    size_t count[BINS];
    key_bits prefix = 0;
    for (int top = KEY_BITS; top > 0;) {
        int bits = top >= DIGIT ? DIGIT : LOWEST, shift = top - bits;
        count_digits(v, n, prefix, shift, bits, count);
        size_t digit = (size_t)1 << bits;
        while (count[--digit] < k)
            k -= count[digit];
        prefix |= (key_bits)digit << shift;
        top = shift;
    }
    *ties = k;
    return prefix;
}

void topk(const real *v, size_t n, size_t k, uint32_t *out)
{
    assert(k <= n && n <= UINT32_MAX);
    if (k == 0)
        return;
    size_t ties, found = 0;
    key_bits least = threshold(v, n, k, &ties);
    for (size_t i = 0; i < n && found < k; i++) {
        key_bits x = key(v[i]);
        if (x < least || (x == least && ties == 0))
            continue;
        ties -= x == least;
        out[found++] = (uint32_t)i;
    }
    assert(found == k);
}
