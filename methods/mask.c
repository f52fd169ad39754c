/* Masks: see mask.h. */
#include "methods/mask.h"

#include <math.h>

enum { CHUNK = 1 << 16, CHUNKS = 64 };

size_t mask_count(double share, size_t n)
{
    size_t k = (size_t)floor(share * (double)n);
    k = k < n ? k : n;
    return k > 0 ? k : 1;
}

/* Entries that equal the k-th largest. */
static size_t count_ties(const real *score, size_t n, const struct topk_cut *cut)
{
    const size_t many = SIZE_MAX - 1;
    struct topk_cut counter = {.key = cut->key, .ties = many};
    for (size_t i = 0; i < n; i++)
        topk_keeps(&counter, score[i]);
    return many - counter.ties;
}

static void mask_chunk(const real *score, size_t n, struct topk_cut cut, real *v, const real *other)
{
    for (size_t i = 0; i < n; i++)
        if (!topk_keeps(&cut, score[i]))
            v[i] = other ? other[i] : 0;
}

static size_t chunk_length(size_t n, size_t at) { return n - at < CHUNK ? n - at : CHUNK; }

/* Ties belong to the first entries that claim them: each chunk is told how many the chunks before it have left. */
static void mask_chunks(const real *score, size_t n, struct topk_cut *cut, real *v, const real *other)
{
    size_t ties[CHUNKS], chunks = (n + CHUNK - 1) / CHUNK;
    struct topk_cut mine[CHUNKS];
#pragma omp parallel for schedule(static) if (chunks > 1)
    for (size_t c = 0; c < chunks; c++)
        ties[c] = count_ties(score + c * CHUNK, chunk_length(n, c * CHUNK), cut);
    for (size_t c = 0; c < chunks; c++) {
        mine[c] = *cut;
        if (cut->ties != SIZE_MAX)
            cut->ties -= ties[c] < cut->ties ? ties[c] : cut->ties;
    }
#pragma omp parallel for schedule(static) if (chunks > 1)
    for (size_t c = 0; c < chunks; c++) {
        size_t at = c * CHUNK;
        mask_chunk(score + at, chunk_length(n, at), mine[c], v + at, other ? other + at : NULL);
    }
}

/* All ties are kept: nothing depends on what came before. */
static void mask_plain(const real *score, size_t n, const struct topk_cut *cut, real *v, const real *other)
{
    enum { PIECE = 4096 };
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t at = 0; at < n; at += PIECE)
        topk_mask(cut, score + at, n - at < PIECE ? n - at : PIECE, v + at, other ? other + at : NULL);
}

void mask_below(const real *score, size_t n, struct topk_cut *cut, real *v, const real *other)
{
    if (cut->ties == SIZE_MAX) {
        mask_plain(score, n, cut, v, other);
        return;
    }
    for (size_t at = 0, length; at < n; at += length) {
        length = n - at < (size_t)CHUNK * CHUNKS ? n - at : (size_t)CHUNK * CHUNKS;
        mask_chunks(score + at, length, cut, v + at, other ? other + at : NULL);
    }
}

void mask_topk(real *v, size_t n, size_t k, bool ge)
{
    if (k >= n)
        return;
    struct topk_cut cut = topk_find_cut(&(struct topk_span){v, n}, 1, k);
    if (ge)
        cut.ties = SIZE_MAX;
    mask_below(v, n, &cut, v, NULL);
}

/* Knuth, vol. 2, 3.4.2, algorithm S. */
bool mask_drawn(struct mask_draw *d)
{
    bool drawn = d->kept > 0 && rng_below(&d->rng, (uint32_t)d->n) < d->kept;
    d->kept -= drawn;
    d->n--;
    return drawn;
}

void mask_undrawn(struct mask_draw *d, size_t n, real *v, const real *other)
{
    for (size_t i = 0; i < n; i++)
        if (!mask_drawn(d))
            v[i] = other ? other[i] : 0;
}
