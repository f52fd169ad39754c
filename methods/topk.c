/*
 * Top-k by counting: see topk.h. The threshold (the k-th largest magnitude) is found on keys, the bits of the
 * magnitudes (topk_table.h), in a range that shrinks: of the keys inside, 11 bits are counted in a histogram, and the
 * bin that holds the k-th is the next range. A range that a sample of the values gives holds a few percent of the keys,
 * so that most values are compared and no more, and two passes are enough; where the sample was wrong, the range is all
 * there is. One last pass hands out the offsets: everything above the threshold, and of what equals it the first ones.
 */
#include "methods/topk.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "methods/topk_table.h"

enum { BINS = 1 << 11, BLOCK = 2048, SAMPLE = 8192, MANY = 1 << 17 };

ISA_DECLARE(struct topk_passes, topk_);

static key_bits key(real v)
{
    key_bits k;
    memcpy(&k, &v, sizeof k);
    k &= KEY_MAX;
    return k > KEY_INFINITY ? KEY_MAX : k;
}

static size_t block(size_t n, size_t at) { return n - at < BLOCK ? n - at : BLOCK; }

/* -------------------------------------------------------------------------------------------------------------------
 * The cut */

struct range {
    key_bits lo, hi;
    int shift; /* a bin holds 1 << shift keys */
};

static struct range range(key_bits lo, key_bits hi)
{
    struct range r = {lo, hi, 0};
    while ((hi - lo) >> r.shift >= BINS)
        r.shift++;
    return r;
}

struct tally {
    size_t above, bin[BINS];
};

/* Values [from, to). */
static void tally_part(const struct range *r, const real *v, size_t from, size_t to, struct tally *t)
{
    const struct topk_passes *pass = ISA_CHOOSE(topk_);
    key_bits in[BLOCK];
    for (size_t at = from; at < to; at += BLOCK) {
        size_t above, n = pass->between(v + at, block(to, at), r->lo, r->hi, in, &above);
        t->above += above;
        for (size_t i = 0; i < n; i++)
            t->bin[(in[i] - r->lo) >> r->shift]++;
    }
}

static void add_tally(const struct range *r, const real *v, size_t n, struct tally *t)
{
    if (n <= MANY) {
        tally_part(r, v, 0, n, t);
        return;
    }
#pragma omp parallel
    {
        struct tally mine = {0};
#pragma omp for schedule(static) nowait
        for (size_t at = 0; at < n; at += BLOCK)
            tally_part(r, v, at, at + block(n, at), &mine);
#pragma omp critical(topk_tally)
        {
            t->above += mine.above;
            for (size_t d = 0; d < BINS; d++)
                t->bin[d] += mine.bin[d];
        }
    }
}

/* False when the k-th largest key is not in the range. */
static bool cut_in(struct range r, const struct topk_span *span, size_t n_spans, size_t k, struct topk_cut *cut)
{
    for (;;) {
        struct tally t = {0};
        size_t inside = 0, d = BINS, left;
        for (size_t s = 0; s < n_spans; s++)
            add_tally(&r, span[s].v, span[s].n, &t);
        for (size_t i = 0; i < BINS; i++)
            inside += t.bin[i];
        if (k <= t.above || k > t.above + inside)
            return false;
        for (left = k - t.above; t.bin[--d] < left;)
            left -= t.bin[d];
        key_bits lo = r.lo + ((key_bits)d << r.shift), last = (key_bits)(((key_bits)1 << r.shift) - 1);
        if (r.shift == 0) {
            *cut = (struct topk_cut){.key = (uint64_t)lo, .ties = t.bin[d] == left ? SIZE_MAX : left};
            return true;
        }
        r = range(lo, r.hi - lo < last ? r.hi : lo + last);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * A range that very likely holds it */

static size_t sizes(const struct topk_span *span, size_t n_spans)
{
    size_t n = 0;
    for (size_t s = 0; s < n_spans; s++)
        n += span[s].n;
    return n;
}

/* One value of each `step`, at places that follow no pattern: steps may be as long as rows. */
static size_t take_sample(const struct topk_span *span, size_t n_spans, size_t step, real *sample)
{
    size_t taken = 0, begin = 0;
    uint32_t place = 12345;
    for (size_t s = 0; s < n_spans; begin += span[s++].n)
        for (; taken < SAMPLE; taken++) {
            size_t at = taken * step + (uint32_t)(place >> 8) % step;
            if (at >= begin + span[s].n)
                break;
            sample[taken] = span[s].v[at - begin];
            place = place * 1664525u + 1013904223u;
        }
    return taken;
}

static key_bits key_of_rank(const real *v, size_t n, size_t k)
{
    struct topk_cut cut;
    bool found = cut_in(range(0, KEY_MAX), &(struct topk_span){v, n}, 1, k, &cut);
    assert(found);
    (void)found;
    return (key_bits)cut.key;
}

/* Four standard deviations of the sample's rank to each side of k. */
static struct range guess(const struct topk_span *span, size_t n_spans, size_t n, size_t k)
{
    real sample[SAMPLE];
    size_t taken = take_sample(span, n_spans, n / SAMPLE, sample);
    double share = (double)k / (double)n, rank = share * (double)taken;
    double margin = 4 * sqrt((double)taken * share * (1 - share)) + 2;
    key_bits hi = rank - margin < 1 ? KEY_MAX : key_of_rank(sample, taken, (size_t)(rank - margin));
    key_bits lo = rank + margin > (double)taken ? 0 : key_of_rank(sample, taken, (size_t)(rank + margin));
    return range(lo, hi);
}

struct topk_cut topk_find_cut(const struct topk_span *span, size_t n_spans, size_t k)
{
    struct topk_cut cut = {.key = KEY_MAX};
    size_t n = sizes(span, n_spans);
    assert(k <= n);
    if (k == 0)
        return cut;
    if (n >= MANY && cut_in(guess(span, n_spans, n, k), span, n_spans, k, &cut))
        return cut;
    cut_in(range(0, KEY_MAX), span, n_spans, k, &cut);
    return cut;
}

/* Halving between a key that at least k reach and one that fewer do; most often some key between two values separates
 * exactly k before it is down to one. */
struct topk_cut topk_find_row_cut(const real *v, size_t n, size_t k, real *room)
{
    const struct topk_passes *pass = ISA_CHOOSE(topk_);
    key_bits *a = (key_bits *)(void *)room, lo = 0, hi = KEY_MAX;
    size_t beyond = 0;
    assert(sizeof *a == sizeof *room && k > 0 && k <= n);
    pass->keys(v, n, a);
    while (hi - lo > 1) {
        key_bits middle = lo + (hi - lo) / 2;
        size_t reach = pass->count(a, n, middle);
        if (reach == k)
            return (struct topk_cut){.key = (uint64_t)middle, .ties = SIZE_MAX};
        *(reach > k ? &lo : &hi) = middle;
        beyond = reach > k ? beyond : reach;
    }
    if (hi == KEY_MAX && (beyond = pass->count(a, n, KEY_MAX)) >= k)
        return (struct topk_cut){.key = KEY_MAX, .ties = k};
    return (struct topk_cut){.key = (uint64_t)lo, .ties = k - beyond};
}

/* -------------------------------------------------------------------------------------------------------------------
 * What the cut keeps */

bool topk_keeps(struct topk_cut *cut, real v)
{
    uint64_t x = (uint64_t)key(v);
    if (x != cut->key)
        return x > cut->key;
    if (cut->ties == SIZE_MAX)
        return true;
    return cut->ties > 0 && cut->ties--;
}

void topk_mask(const struct topk_cut *cut, const real *score, size_t n, real *v, const real *other)
{
    assert(cut->ties == SIZE_MAX);
    ISA_CHOOSE(topk_)->mask(score, n, (key_bits)cut->key, v, other);
}

/* Offsets of what is kept of [from, to), from out on; all ties are kept. */
static void put_offsets(const real *v, size_t from, size_t to, key_bits least, uint32_t *out)
{
    const struct topk_passes *pass = ISA_CHOOSE(topk_);
    key_bits k[BLOCK];
    for (size_t at = from; at < to; at += BLOCK) {
        size_t n = block(to, at);
        pass->keys(v + at, n, k);
        if (pass->count(k, n, least) == 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (k[i] >= least)
                *out++ = (uint32_t)(at + i);
    }
}

static size_t count_part(const real *v, size_t from, size_t to, key_bits least)
{
    const struct topk_passes *pass = ISA_CHOOSE(topk_);
    key_bits k[BLOCK];
    size_t found = 0;
    for (size_t at = from; at < to; at += BLOCK) {
        pass->keys(v + at, block(to, at), k);
        found += pass->count(k, block(to, at), least);
    }
    return found;
}

/* The array in parts, each of which is told how many the parts before it keep. */
static void put_all(const real *v, size_t n, key_bits least, uint32_t *out)
{
    enum { PARTS = 64 };
    size_t length = (n + PARTS - 1) / PARTS, found[PARTS], before = 0;
#pragma omp parallel for schedule(static) if (n > MANY)
    for (size_t p = 0; p < PARTS; p++) {
        size_t from = p * length < n ? p * length : n, to = n - from < length ? n : from + length;
        found[p] = count_part(v, from, to, least);
    }
    for (size_t p = 0; p < PARTS; p++) {
        size_t mine = found[p];
        found[p] = before;
        before += mine;
    }
#pragma omp parallel for schedule(static) if (n > MANY)
    for (size_t p = 0; p < PARTS; p++) {
        size_t from = p * length < n ? p * length : n, to = n - from < length ? n : from + length;
        put_offsets(v, from, to, least, out + found[p]);
    }
}

void topk(const real *v, size_t n, size_t k, uint32_t *out)
{
    assert(k <= n && n <= UINT32_MAX);
    size_t found = 0;
    struct topk_cut cut = topk_find_cut(&(struct topk_span){v, n}, 1, k);
    if (cut.ties == SIZE_MAX) {
        put_all(v, n, (key_bits)cut.key, out);
        return;
    }
    for (size_t i = 0; i < n && found < k; i++)
        if (topk_keeps(&cut, v[i]))
            out[found++] = (uint32_t)i;
    assert(found == k);
}
