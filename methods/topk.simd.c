/* Passes over magnitudes: see topk_table.h. Loops that the compiler vectorises; n is at most some thousands, so that
 * what one loop reads again is in the first-level cache. */
#include "methods/topk_table.h"

#include <string.h>

static inline key_bits key(real v)
{
    key_bits k;
    memcpy(&k, &v, sizeof k);
    k &= KEY_MAX;
    return k > KEY_INFINITY ? KEY_MAX : k;
}

static void keys(const real *v, size_t n, key_bits *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = key(v[i]);
}

static size_t count(const key_bits *k, size_t n, key_bits least)
{
    key_bits below = 0;
    for (size_t i = 0; i < n; i++)
        below += k[i] < least;
    return n - (size_t)below;
}

/* Those in the range side by side; no branch depends on a key. */
static inline size_t put_between(const key_bits *k, size_t n, key_bits lo, key_bits hi, key_bits *in)
{
    const key_bits width = hi - lo;
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        in[found] = k[i];
        found += (k[i] >= lo) & (k[i] - lo <= width);
    }
    return found;
}

/* In groups, of which most have no key in a narrow range. */
static size_t between(const real *v, size_t n, key_bits lo, key_bits hi, key_bits *restrict in, size_t *above)
{
    enum { GROUP = 64 };
    key_bits k[GROUP];
    size_t found = 0;
    *above = 0;
    for (size_t at = 0; at < n; at += GROUP) {
        size_t m = n - at < GROUP ? n - at : GROUP;
        keys(v + at, m, k);
        size_t reach = lo > 0 ? count(k, m, lo) : m, beyond = hi < KEY_MAX ? count(k, m, hi + 1) : 0;
        *above += beyond;
        if (reach > beyond)
            found += put_between(k, m, lo, hi, in + found);
    }
    return found;
}

static void mask(const real *score, size_t n, key_bits least, real *v, const real *other)
{
    if (other)
        for (size_t i = 0; i < n; i++)
            v[i] = key(score[i]) < least ? other[i] : v[i];
    else
        for (size_t i = 0; i < n; i++)
            v[i] = key(score[i]) < least ? 0 : v[i];
}

const struct topk_passes ISA_TABLE(topk_) = {keys, count, between, mask};
