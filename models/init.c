/* First weights: see init.h. */
#include "models/init.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"

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
    const size_t n = param_size(p);
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < n; from += RUN) {
        struct rng r = stream;
        rng_seek(&r, 2 * from); /* a normal takes two words */
        for (size_t i = from; i < n && i < from + RUN; i++)
            p->w[i] = (real)(std * rng_normal(&r));
    }
}

/* Tables whose row pad_token_id stands for nothing: the padding_idx of the Hugging Face modules. */
static bool has_padding_row(const struct model_config *c, const struct param *p)
{
    return text_ends(p->name, "word_embeddings.weight") ||
           (c->family == FAMILY_ROBERTA && text_ends(p->name, "position_embeddings.weight"));
}

void init_param(const struct model_config *c, struct param *p, uint64_t seed)
{
    assert(p->w);
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
            memset(p->w + (size_t)c->pad_token_id * (size_t)p->cols, 0, (size_t)p->cols * sizeof *p->w);
        break;
    }
}
