/*
 * A ranking over several tensors: see entry_ranking.h. Candidates lie tensor by tensor in the order of arrival. Each
 * new tensor is cut together with them; what falls below the cut can never come back, because scores are only ever
 * added. At the cut, equal scores are shared out in the order of tensor numbers.
 */
#include "methods/entry_ranking.h"

#include <string.h>

#include "methods/topk.h"

struct segment {
    size_t tensor, from, n; /* candidates [from, from + n) */
};

struct entry_ranking {
    size_t k, n;                       /* room for candidates, candidates        */
    real *score;                       /* [k]                                    */
    uint32_t *offset;                  /* [k] within the tensor                  */
    struct segment *segment;           /* [n_segments] in the order of arrival   */
    size_t n_tensors, n_segments;
    struct topk_span *span;            /* [n_tensors] candidates and the newcomer, by tensor number */
    struct topk_cut *cut;              /* [n_tensors] with each tensor's share of ties              */
};

struct entry_ranking *entry_ranking_open(size_t n_tensors, size_t k, struct arena *a, struct err *e)
{
    struct entry_ranking *r = ARENA_NEW(a, MEM_SCRATCH, struct entry_ranking, 1, e);
    TRY(r);
    r->k = k;
    r->n_tensors = n_tensors;
    TRY(r->score = ARENA_NEW(a, MEM_SCRATCH, real, k, e));
    TRY(r->offset = ARENA_NEW(a, MEM_SCRATCH, uint32_t, k, e));
    TRY(r->segment = ARENA_NEW(a, MEM_SCRATCH, struct segment, n_tensors, e));
    TRY(r->span = ARENA_NEW(a, MEM_SCRATCH, struct topk_span, n_tensors, e));
    TRY(r->cut = ARENA_NEW(a, MEM_SCRATCH, struct topk_cut, n_tensors, e));
    return r;
}

static size_t count_ties(const struct topk_span *s, uint64_t key)
{
    struct topk_cut with = {key, SIZE_MAX}, without = {key, 0};
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += topk_keeps(&with, s->v[i]) && !topk_keeps(&without, s->v[i]);
    return n;
}

/* The cut through all spans, each with its share of the ties. */
static void find_cuts(struct entry_ranking *r)
{
    struct topk_cut whole = topk_find_cut(r->span, r->n_tensors, r->k);
    for (size_t t = 0; t < r->n_tensors; t++) {
        size_t ties = count_ties(&r->span[t], whole.key);
        r->cut[t] = (struct topk_cut){whole.key, ties < whole.ties ? ties : whole.ties};
        whole.ties -= r->cut[t].ties;
    }
}

static void set_spans(struct entry_ranking *r, const struct topk_span *newcomer, size_t tensor)
{
    memset(r->span, 0, r->n_tensors * sizeof *r->span);
    for (const struct segment *s = r->segment; s < r->segment + r->n_segments; s++)
        r->span[s->tensor] = (struct topk_span){r->score + s->from, s->n};
    r->span[tensor] = *newcomer;
}

static void drop_below_cut(struct entry_ranking *r)
{
    size_t at = 0;
    for (struct segment *s = r->segment; s < r->segment + r->n_segments; s++) {
        size_t from = at;
        for (size_t i = s->from; i < s->from + s->n; i++) {
            if (!topk_keeps(&r->cut[s->tensor], r->score[i]))
                continue;
            r->score[at] = r->score[i];
            r->offset[at++] = r->offset[i];
        }
        *s = (struct segment){s->tensor, from, at - from};
    }
    r->n = at;
}

void entry_ranking_add(struct entry_ranking *r, size_t tensor, const real *score, size_t n)
{
    bool all = r->n + n <= r->k;
    if (!all) {
        set_spans(r, &(struct topk_span){score, n}, tensor);
        find_cuts(r);
        drop_below_cut(r);
    }
    struct segment *s = &r->segment[r->n_segments++];
    *s = (struct segment){tensor, r->n, 0};
    for (size_t i = 0; i < n; i++) {
        if (!all && !topk_keeps(&r->cut[tensor], score[i]))
            continue;
        r->score[r->n] = score[i];
        r->offset[r->n++] = (uint32_t)i;
    }
    s->n = r->n - s->from;
}

struct entries_kept entry_ranking_kept(const struct entry_ranking *r, size_t tensor)
{
    for (const struct segment *s = r->segment; s < r->segment + r->n_segments; s++)
        if (s->tensor == tensor)
            return (struct entries_kept){s->n, r->offset + s->from, r->score + s->from};
    return (struct entries_kept){0};
}
