/*
 * Lazy Adam: see lazy_adam.h. A table per tensor says for each eight neighbours which line is theirs (0: none yet);
 * lines are numbered as they are taken, through all tensors, and lie in slabs of equal size.
 */
#include "methods/lazy_adam.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/optim.h"

enum { LINE = 8, SLABS = 64 };

struct line {
    real m[LINE], v[LINE];
};

struct lazy_tensor {
    uint32_t *line; /* [lines_of(size)] number of the line + 1, 0: no state */
    size_t size;
    double t;       /* steps; a double so that it is saved like the rest     */
};

struct lazy_adam {
    struct arena *arena;
    struct lazy_tensor *tensor; /* [n] */
    size_t n;
    struct line *slab[SLABS];   /* [slab_lines] each */
    size_t slab_lines;
    uint64_t lines;             /* taken */
    struct err lost;            /* what went wrong while state was restored */
};

static size_t lines_of(size_t size) { return (size + LINE - 1) / LINE; }

static size_t all_lines(const size_t *size, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += lines_of(size[i]);
    return lines;
}

static size_t slab_lines(size_t lines) { return (lines + SLABS - 1) / SLABS; }

void lazy_adam_bytes(const size_t *size, size_t n, size_t bytes[MEM_TAGS])
{
    size_t lines = all_lines(size, n), each = slab_lines(lines), slabs = each ? (lines + each - 1) / each : 0;
    bytes[MEM_OPTIMIZER] += mem_round(sizeof(struct lazy_adam)) + mem_round(n * sizeof(struct lazy_tensor));
    for (size_t i = 0; i < n; i++)
        bytes[MEM_OPTIMIZER] += mem_round(lines_of(size[i]) * sizeof(uint32_t));
    bytes[MEM_OPTIMIZER] += slabs * mem_round(each * sizeof(struct line));
}

struct lazy_adam *lazy_adam_create(const size_t *size, size_t n, struct arena *a, struct err *e)
{
    struct lazy_adam *s = ARENA_NEW(a, MEM_OPTIMIZER, struct lazy_adam, 1, e);
    TRY(s);
    *s = (struct lazy_adam){.arena = a, .n = n, .slab_lines = slab_lines(all_lines(size, n))};
    TRY(s->tensor = ARENA_NEW(a, MEM_OPTIMIZER, struct lazy_tensor, n, e));
    for (size_t i = 0; i < n; i++) {
        s->tensor[i].size = size[i];
        TRY(s->tensor[i].line = ARENA_NEW(a, MEM_OPTIMIZER, uint32_t, lines_of(size[i]), e));
    }
    return s;
}

/* Slabs for the first `lines` lines. */
static bool reserve(struct lazy_adam *s, uint64_t lines, struct err *e)
{
    for (size_t k = 0; k < SLABS && k * s->slab_lines < lines; k++)
        if (!s->slab[k])
            TRY(s->slab[k] = ARENA_NEW(s->arena, MEM_OPTIMIZER, struct line, s->slab_lines, e));
    return true;
}

static struct line *line_at(const struct lazy_adam *s, uint32_t number)
{
    return &s->slab[(number - 1) / s->slab_lines][(number - 1) % s->slab_lines];
}

static bool touch(struct lazy_adam *s, struct lazy_tensor *t, const uint32_t *idx, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t *number = &t->line[idx[i] / LINE];
        if (*number)
            continue;
        TRY(reserve(s, s->lines + 1, e));
        *number = (uint32_t)++s->lines;
    }
    return true;
}

/* `optim` is an index into OPTIM_WORDS. */
static bool is_sgd(int optim)
{
    char word[64];
    const struct opt row = {.name = "optim", .words = OPTIM_WORDS};
    return strcmp(opt_word(&row, optim, word, sizeof word), "sgd") == 0;
}

static void sgd(size_t n, double lr, real *g)
{
    const real rate = (real)lr;
    for (size_t i = 0; i < n; i++)
        g[i] = -(rate * g[i]);
}

static void adam(const struct lazy_adam *s, const struct lazy_tensor *t, const struct optim_options *o, double lr,
                 const uint32_t *idx, size_t n, real *g)
{
    const real rate = (real)(lr * sqrt(1 - pow(o->adam_beta2, t->t)) / (1 - pow(o->adam_beta1, t->t)));
    const real a = (real)(1 - o->adam_beta1), b = (real)(1 - o->adam_beta2), epsilon = (real)o->adam_epsilon;
    for (size_t i = 0; i < n; i++) {
        struct line *line = line_at(s, t->line[idx[i] / LINE]);
        real *m = &line->m[idx[i] % LINE], *v = &line->v[idx[i] % LINE];
        *m += a * (g[i] - *m);
        *v += b * (g[i] * g[i] - *v);
        g[i] = -(rate * *m / ((real)sqrt((double)*v) + epsilon));
    }
}

bool lazy_adam_step(struct lazy_adam *s, size_t i, const struct optim_options *o, double lr, const uint32_t *idx,
                    size_t n, real *g, struct err *e)
{
    struct lazy_tensor *t = &s->tensor[i];
    if (s->lost.code) {
        *e = s->lost;
        return false;
    }
    t->t += 1;
    if (is_sgd(o->optim)) {
        sgd(n, lr, g);
        return true;
    }
    TRY(touch(s, t, idx, n, e));
    adam(s, t, o, lr, idx, n, g);
    return true;
}

size_t lazy_adam_entries(const struct lazy_adam *s) { return s->lines * LINE; }

void lazy_adam_look(const struct lazy_adam *s, size_t i, uint32_t entry, real *m, real *v)
{
    uint32_t number = s->tensor[i].line[entry / LINE];
    *m = number ? line_at(s, number)->m[entry % LINE] : 0;
    *v = number ? line_at(s, number)->v[entry % LINE] : 0;
}

/* The number of lines comes first: it says how many slabs there are to show. */
void lazy_adam_state(struct lazy_adam *s, void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    char name[64];
    tensor(u, "lazy/lines", &s->lines, sizeof s->lines);
    for (size_t i = 0; i < s->n; i++) {
        snprintf(name, sizeof name, "lazy/%zu/step", i);
        tensor(u, name, &s->tensor[i].t, sizeof s->tensor[i].t);
        snprintf(name, sizeof name, "lazy/%zu/line", i);
        tensor(u, name, s->tensor[i].line, lines_of(s->tensor[i].size) * sizeof(uint32_t));
    }
    if (!reserve(s, s->lines, &s->lost))
        return;
    for (size_t k = 0; k < SLABS && k * s->slab_lines < s->lines; k++) {
        snprintf(name, sizeof name, "lazy/slab/%zu", k);
        tensor(u, name, s->slab[k], s->slab_lines * sizeof(struct line));
    }
}
