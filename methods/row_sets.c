/* Numbers and choice of rows: see row_sets.h. */
#include "methods/row_sets.h"

#include <stdlib.h>

static size_t round_down(size_t n, size_t to) { return n - n % to; }

size_t row_set_keep(size_t units, size_t heads, double ratio, size_t rank, size_t round_to)
{
    size_t width = units / heads, trained = rank ? rank : round_down((size_t)((double)units * ratio), round_to);
    size_t kept = width - (units - trained) / heads;
    if (rank)
        return kept;
    kept = round_down(kept, round_to);
    return kept > round_to ? kept : round_to < width ? round_to : width;
}

struct ranked {
    double score;
    size_t at;
};

static int by_score(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Units of one head, best first. */
static void rank_head(const struct row_set *s, size_t head, struct ranked *r)
{
    size_t width = s->units / s->heads;
    for (size_t i = 0; i < width; i++)
        r[i] = (struct ranked){s->score[head * width + i], head * width + i};
    qsort(r, width, sizeof *r, by_score);
}

bool row_set_choose(const struct row_set *s, uint32_t *idx, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    struct ranked *r = ARENA_NEW(a, MEM_SCRATCH, struct ranked, s->units / s->heads, e);
    bool *kept = r ? ARENA_NEW(a, MEM_SCRATCH, bool, s->units, e) : NULL;
    size_t n = 0;
    TRY(kept);
    for (size_t h = 0; h < s->heads; h++) {
        rank_head(s, h, r);
        for (size_t j = 0; j < s->keep; j++)
            kept[r[j].at] = true;
    }
    for (size_t u = 0; u < s->units; u++)
        if (kept[u])
            idx[n++] = (uint32_t)u;
    arena_release(a, mark);
    return true;
}

/* Mean over the heads of their j-th best, for every j, as candidates at `from` and on. */
static void add_levels(const struct row_set *s, struct ranked *head, struct ranked *level, size_t from)
{
    size_t width = s->units / s->heads;
    for (size_t j = 0; j < width; j++)
        level[j] = (struct ranked){0, from + j};
    for (size_t h = 0; h < s->heads; h++) {
        rank_head(s, h, head);
        for (size_t j = 0; j < width; j++)
            level[j].score += head[j].score / (double)s->heads;
    }
}

static bool rank_all(struct row_set *s, size_t n, size_t room, struct arena *a, struct err *e)
{
    size_t all = 0, widest = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t width = s[i].units / s[i].heads;
        all += width;
        widest = width > widest ? width : widest;
    }
    struct ranked *level = ARENA_NEW(a, MEM_SCRATCH, struct ranked, all, e), *head;
    size_t *set_of = level ? ARENA_NEW(a, MEM_SCRATCH, size_t, all, e) : NULL;
    TRY(set_of && (head = ARENA_NEW(a, MEM_SCRATCH, struct ranked, widest, e)));
    for (size_t i = 0; i < n; i++) {
        add_levels(&s[i], head, level + at, at);
        for (size_t end = at + s[i].units / s[i].heads; at < end; at++)
            set_of[at] = i;
        s[i].keep = 0;
    }
    qsort(level, all, sizeof *level, by_score);
    for (size_t k = 0; k < all; k++) {
        struct row_set *of = &s[set_of[level[k].at]];
        if (of->cost <= room) {
            room -= of->cost;
            of->keep++;
        }
    }
    return true;
}

bool row_sets_rank(struct row_set *s, size_t n, size_t room, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    bool ok = rank_all(s, n, room, a, e);
    arena_release(a, mark);
    return ok;
}
