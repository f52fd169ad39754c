/*
 * Sizes and memory of the buffers of a pass. One walk over the layout serves planning and allocation, so that what is
 * planned is what is taken.
 */
#include "models/workspace.h"

#include "base/rng.h"
#include "models/blas.h"
#include "models/linear.h"
#include "models/weight_grad.h"

struct taker {
    size_t *bytes;        /* counts here, ... */
    struct arena *arena;  /* ... or allocates here */
    struct err *e;
    bool failed;
};

static void take(struct taker *t, enum mem_tag tag, real **to, size_t n)
{
    if (t->bytes)
        t->bytes[tag] += mem_round(n ? n * sizeof(real) : 1);
    else if (!t->failed)
        t->failed = !(*to = ARENA_NEW(t->arena, tag, real, n, t->e));
}

static size_t insert_kept(const struct insert *i, size_t tokens) { return i->ops ? i->ops->kept(i, (int)tokens) : 0; }

/* The room of a layer's inserts; of the shared layer (`block` NULL): of the largest. */
static void take_inserts(struct taker *t, const struct model *m, const struct block *block, struct layer_state *s,
                         size_t tokens, enum mem_tag tag)
{
    size_t attention = 0, output = 0;
    for (int l = 0; l < m->config.num_hidden_layers; l++) {
        const struct block *k = &m->block[l];
        if (block && k != block)
            continue;
        size_t a = insert_kept(&k->attention_insert, tokens), o = insert_kept(&k->output_insert, tokens);
        attention = a > attention ? a : attention;
        output = o > output ? o : output;
    }
    if (attention)
        take(t, tag, &s->attention_kept, attention);
    if (output)
        take(t, tag, &s->output_kept, output);
}

static void take_layer(struct taker *t, const struct model *m, const struct block *block, struct layer_state *s,
                       size_t tokens, enum mem_tag tag, bool keep_ctx)
{
    size_t wide = tokens * (size_t)m->config.hidden_size;
    take(t, tag, &s->q, wide);
    take(t, tag, &s->k, wide);
    take(t, tag, &s->v, wide);
    if (keep_ctx)
        take(t, tag, &s->ctx, wide);
    take(t, tag, &s->xhat1, wide);
    take(t, tag, &s->rstd1, tokens);
    take(t, tag, &s->u, tokens * (size_t)m->config.intermediate_size);
    take(t, tag, &s->xhat2, wide);
    take(t, tag, &s->rstd2, tokens);
    take_inserts(t, m, block, s, tokens, tag);
}

/* A layer whose attention.output.dense needs no input in backward uses the shared buffer for it. */
static bool keeps_ctx(const struct model *m, int layer)
{
    return linear_needs_input(&m->block[layer].attention_output, false);
}

static void take_layers(struct taker *t, const struct model *m, struct workspace *ws, struct layer_state *layer,
                        real **input)
{
    size_t tokens = (size_t)ws->shape.max_tokens, wide = tokens * (size_t)m->config.hidden_size;
    struct layer_state shared = {0};
    take_layer(t, m, NULL, &shared, tokens, MEM_SCRATCH, true);
    for (int l = 0; l < m->config.num_hidden_layers; l++) {
        struct layer_state s = shared;
        bool kept = l >= ws->floor;
        real *in = NULL;
        if (kept && ws->shape.mode == WORKSPACE_STORE)
            take_layer(t, m, &m->block[l], &s, tokens, MEM_ACTIVATIONS, keeps_ctx(m, l));
        if (kept && ws->shape.mode == WORKSPACE_CHECKPOINT)
            take(t, MEM_ACTIVATIONS, &in, wide);
        if (!t->bytes) {
            layer[l] = s;
            input[l] = in;
        }
    }
}

/* Room of the overrides that keep something. */
static void take_kept(struct taker *t, const struct model *m, const struct workspace *ws)
{
    for (int i = 0; i < m->n_sites && ws->shape.mode == WORKSPACE_STORE; i++) {
        const struct linear *l = m->site[i];
        size_t n = l->ops && l->ops->kept && l->layer >= ws->floor ? l->ops->kept(l, ws->shape.max_tokens) : 0;
        real *room = NULL;
        if (n == 0)
            continue;
        take(t, MEM_ACTIVATIONS, &room, n);
        if (!t->bytes)
            ws->kept[i] = room;
    }
}

static size_t insert_scratch(const struct insert *i, int tokens)
{
    return i->ops && i->ops->scratch ? i->ops->scratch(i, tokens) : 0;
}

static size_t max_scratch(const struct model *m, int tokens, size_t *panels)
{
    size_t scratch = 0;
    for (int l = 0; l < m->config.num_hidden_layers; l++) {
        size_t a = insert_scratch(&m->block[l].attention_insert, tokens);
        size_t o = insert_scratch(&m->block[l].output_insert, tokens);
        scratch = a > scratch ? a : scratch;
        scratch = o > scratch ? o : scratch;
    }
    *panels = 0;
    for (int i = 0; i < m->n_sites; i++) {
        const struct linear *l = m->site[i];
        size_t s = l->ops && l->ops->scratch ? l->ops->scratch(l, tokens) : 0, p = weight_grad_scratch(l->w, tokens);
        scratch = s > scratch ? s : scratch;
        *panels = p > *panels ? p : *panels;
    }
    for (size_t i = 0; i < m->params.n; i++) { /* added matrices take their gradients with the same panels */
        const struct param *added = m->params.item[i];
        size_t p = added->added && added->kind == PARAM_LINEAR ? weight_grad_scratch(added, tokens) : 0;
        *panels = p > *panels ? p : *panels;
    }
    return scratch;
}

static void take_head(struct taker *t, const struct model *m, struct workspace *ws)
{
    size_t n = (size_t)ws->shape.max_seqs, wide = n * (size_t)m->config.hidden_size;
    real **hidden[] = {&ws->pooled, &ws->dense, &ws->dropped, &ws->dpooled, &ws->ddropped};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        take(t, MEM_ACTIVATIONS, hidden[i], wide);
    take(t, MEM_ACTIVATIONS, &ws->logits, n * (size_t)m->config.num_labels);
    take(t, MEM_ACTIVATIONS, &ws->dlogits, n * (size_t)m->config.num_labels);
}

static void layout(struct taker *t, const struct model *m, struct workspace *ws)
{
    const struct model_config *c = &m->config;
    size_t tokens = (size_t)ws->shape.max_tokens, hidden = tokens * (size_t)c->hidden_size;
    size_t wide = tokens * (size_t)c->intermediate_size, panels,
           scratch = max_scratch(m, ws->shape.max_tokens, &panels);
    bool backward = ws->shape.mode != WORKSPACE_EVAL;
    take(t, MEM_ACTIVATIONS, &ws->xhat0, hidden);
    take(t, MEM_ACTIVATIONS, &ws->rstd0, tokens);
    take_layers(t, m, ws, ws->layer, ws->input);
    take_kept(t, m, ws);
    take(t, MEM_SCRATCH, &ws->hidden, hidden);
    take(t, MEM_SCRATCH, &ws->x1, hidden);
    take(t, MEM_SCRATCH, &ws->wide, wide);
    take(t, MEM_SCRATCH, &ws->scratch, scratch);
    take(t, MEM_SCRATCH, &ws->attention.scratch,
         attention_scratch(c->hidden_size, c->num_attention_heads, ws->shape.max_len, blas_threads()));
    take_head(t, m, ws);
    if (backward && ws->floor < c->num_hidden_layers) {
        take(t, MEM_SCRATCH, &ws->tmp, hidden);
        take(t, MEM_SCRATCH, &ws->d, hidden);
        take(t, MEM_SCRATCH, &ws->wide2, ws->needs_wide2 ? wide : 0);
    }
    if (backward)
        take(t, MEM_SCRATCH, &ws->panels, panels);
}

/* Probes see taps only; training sees requests. A workspace for a probe is made while parameters are tapped. */
static struct workspace describe(const struct model *m, const struct workspace_shape *shape)
{
    struct workspace ws = {.shape = *shape};
    const struct model_config *c = &m->config;
    ws.floor = shape->mode == WORKSPACE_EVAL ? c->num_hidden_layers : model_floor(m, false);
    if (ws.floor < 0)
        ws.floor = 0;
    for (int l = 0; l < c->num_hidden_layers; l++)
        ws.needs_wide2 |= m->block[l].output.ops != NULL;
    ws.attention = (struct attention){.heads = c->num_attention_heads, .hidden = c->hidden_size,
                                      .max_len = shape->max_len};
    return ws;
}

void workspace_bytes(const struct model *m, const struct workspace_shape *shape, size_t bytes[MEM_TAGS])
{
    struct workspace ws = describe(m, shape);
    layout(&(struct taker){.bytes = bytes}, m, &ws);
}

struct workspace *workspace_create(const struct model *m, const struct workspace_shape *shape, struct arena *a,
                                   struct err *e)
{
    struct workspace *ws = ARENA_NEW(a, MEM_DATA, struct workspace, 1, e);
    TRY(ws);
    *ws = describe(m, shape);
    size_t layers = (size_t)m->config.num_hidden_layers;
    TRY(ws->layer = ARENA_NEW(a, MEM_DATA, struct layer_state, layers, e));
    TRY(ws->kept = ARENA_NEW(a, MEM_DATA, real *, (size_t)m->n_sites, e));
    TRY(ws->input = ARENA_NEW(a, MEM_DATA, real *, layers, e));
    struct taker t = {.arena = a, .e = e};
    layout(&t, m, ws);
    return t.failed ? NULL : ws;
}

struct dropout workspace_dropout(const struct pass *p, uint32_t site, double rate)
{
    return (struct dropout){
        .key = rng_key(p->seed, "dropout"), .site = site, .step = p->step, .p = p->train ? rate : 0};
}
