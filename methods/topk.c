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

/* Adds the digits [shift, shift + bits) of the keys that begin like `prefix` to count. */
static void count_digits(const real *v, size_t n, key_bits prefix, int shift, int bits, size_t count[BINS])
{
    key_bits mask = ((key_bits)1 << bits) - 1;
    int above = shift + bits;
#pragma omp parallel if (n > 1u << 17)
    {
        size_t mine[BINS] = {0};
#pragma omp for schedule(static) nowait
        for (size_t i = 0; i < n; i++) {
            key_bits k = key(v[i]);
            if (k >> above == prefix >> above)
                mine[(k >> shift) & mask]++;
        }
#pragma omp critical(topk_count)
        for (size_t d = 0; d < BINS; d++)
            count[d] += mine[d];
    }
}

struct topk_cut topk_find_cut(const struct topk_span *span, size_t n_spans, size_t k)
{
    size_t count[BINS];
    key_bits prefix = 0;
    if (k == 0)
        return (struct topk_cut){.key = ALL_KEY_BITS};
    for (int top = KEY_BITS; top > 0;) {
        int bits = top >= DIGIT ? DIGIT : LOWEST, shift = top - bits;
        memset(count, 0, sizeof count);
        for (size_t s = 0; s < n_spans; s++)
            count_digits(span[s].v, span[s].n, prefix, shift, bits, count);
        size_t digit = (size_t)1 << bits;
        while (count[--digit] < k)
            k -= count[digit];
        prefix |= (key_bits)digit << shift;
        top = shift;
    }
    return (struct topk_cut){.key = prefix, .ties = k};
}

static key_bits median(key_bits a, key_bits b, key_bits c)
{
    key_bits low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* Keeps of a [n] what is above the pivot, or what is below it, at the front; how many that is. No branch depends on a
 * key. */
static size_t keep_side(key_bits *a, size_t n, key_bits pivot, bool above)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        key_bits x = a[i];
        a[kept] = x;
        kept += above ? x > pivot : x < pivot;
    }
    return kept;
}

struct topk_cut topk_find_row_cut(const real *v, size_t n, size_t k, real *room)
{
    key_bits *a = (key_bits *)(void *)room;
    assert(sizeof *a == sizeof *room && k > 0 && k <= n);
    for (size_t i = 0; i < n; i++)
        a[i] = key(v[i]);
    for (;;) {
        key_bits pivot = median(a[0], a[n / 2], a[n - 1]), above = 0, equal = 0;
        for (size_t i = 0; i < n; i++) {
            above += a[i] > pivot;
            equal += a[i] == pivot;
        }
        if (k > above && k <= above + equal)
            return (struct topk_cut){.key = pivot, .ties = k - above};
        bool up = k <= above;
        n = keep_side(a, n, pivot, up);
        k -= up ? 0 : above + equal;
    }
}

bool topk_keeps(struct topk_cut *cut, real v)
{
    key_bits x = key(v);
    if (x != cut->key)
        return x > cut->key;
    if (cut->ties == SIZE_MAX)
        return true;
    return cut->ties > 0 && cut->ties--;
}

void topk(const real *v, size_t n, size_t k, uint32_t *out)
{
    assert(k <= n && n <= UINT32_MAX);
    size_t found = 0;
    struct topk_cut cut = topk_find_cut(&(struct topk_span){v, n}, 1, k);
    for (size_t i = 0; i < n && found < k; i++)
        if (topk_keeps(&cut, v[i]))
            out[found++] = (uint32_t)i;
    assert(found == k);
}
