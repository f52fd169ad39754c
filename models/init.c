/* First weights: see init.h. */
#include "models/init.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "models/bf16.h"

static void fill(struct param *p, real value)
{
    for (size_t i = 0, n = param_size(p); i < n; i++)
        p->w[i] = value;
}

enum { RUN = 4096 }; /* numbers that a thread draws at a time */

/* The same numbers with any number of threads: each run of them begins at its place in the stream. */
static void fill_normal(struct param *p, double std, uint64_t seed)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", p->head ? "head" : "init", p->name);
    const struct rng stream = rng_stream(seed, name);
    const size_t size = param_size(p);
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < size; from += RUN) {
        real strip[RUN];
        size_t n = size - from < RUN ? size - from : RUN;
        struct rng r = stream;
        rng_seek(&r, 2 * from); /* a normal takes two words */
        for (size_t i = 0; i < n; i++)
            strip[i] = (real)(std * rng_normal(&r));
        param_store(p, from, n, strip);
    }
}

/* Tables whose row pad_token_id stands for nothing: the padding_idx of the Hugging Face modules. */
static bool has_padding_row(const struct model_config *c, const struct param *p)
{
    return text_ends(p->name, "word_embeddings.weight") ||
           (c->family == FAMILY_ROBERTA && text_ends(p->name, "position_embeddings.weight"));
}

static void clear_row(struct param *p, size_t row)
{
    size_t n = (size_t)p->cols;
    if (p->half)
        memset(p->half + row * n, 0, n * sizeof *p->half);
    else
        memset(p->w + row * n, 0, n * sizeof *p->w);
}

void init_param(const struct model_config *c, struct param *p, uint64_t seed)
{
    assert(p->w || p->half);
    switch (p->kind) {
    case PARAM_BIAS:
        fill(p, 0);
        break;
    case PARAM_NORM:
        fill(p, text_ends(p->name, ".weight") ? 1 : 0);
        break;
    case PARAM_LINEAR:
    case PARAM_EMBEDDING:
        fill_normal(p, c->initializer_range, seed);
        if (p->kind == PARAM_EMBEDDING && has_padding_row(c, p))
            clear_row(p, (size_t)c->pad_token_id);
        break;
    }
}
