/* The registry of a model: parameters under their Hugging Face names, linear sites, heads. See model.h. */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "models/linear.h"

struct builder {
    struct model *m;
    struct arena *arena;
    struct err *e;
    int layer;
};

static struct param *add(struct builder *b, const char *name, enum param_kind kind, int rows, int cols)
{
    bool head = b->layer == b->m->config.num_hidden_layers;
    bool matrix = kind == PARAM_LINEAR || kind == PARAM_EMBEDDING;
    struct param like = {.name = name, .kind = kind, .ndim = matrix ? 2 : 1, .rows = rows, .cols = cols,
                         .layer = b->layer, .head = head};
    return param_add(&b->m->params, &like, b->arena, b->e);
}

/* `<module><suffix>` */
static struct param *add_part(struct builder *b, const char *module, const char *suffix, enum param_kind kind, int rows,
                              int cols)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", module, suffix);
    return add(b, name, kind, rows, cols);
}

static bool add_norm(struct builder *b, struct norm *n, const char *prefix, const char *module)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefix, module);
    int hidden = b->m->config.hidden_size;
    TRY(n->w = add_part(b, name, ".weight", PARAM_NORM, 1, hidden));
    TRY(n->b = add_part(b, name, ".bias", PARAM_NORM, 1, hidden));
    return true;
}

static bool add_linear(struct builder *b, struct linear *l, const char *prefix, const char *module, int in, int out)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefix, module);
    *l = (struct linear){.in = in, .out = out, .layer = b->layer, .number = b->m->n_sites};
    TRY(l->name = arena_strdup(b->arena, name, b->e));
    TRY(l->w = add_part(b, name, ".weight", PARAM_LINEAR, out, in));
    TRY(l->b = add_part(b, name, ".bias", PARAM_BIAS, 1, out));
    b->m->site[b->m->n_sites++] = l;
    return true;
}

static bool add_embeddings(struct builder *b, const char *prefix)
{
    struct model *m = b->m;
    const struct model_config *c = &m->config;
    char name[64];
    snprintf(name, sizeof name, "%sembeddings.", prefix);
    TRY(m->word = add_part(b, name, "word_embeddings.weight", PARAM_EMBEDDING, c->vocab_size, c->hidden_size));
    TRY(m->position = add_part(b, name, "position_embeddings.weight", PARAM_EMBEDDING, c->max_position_embeddings,
                               c->hidden_size));
    TRY(m->token_type = add_part(b, name, "token_type_embeddings.weight", PARAM_EMBEDDING, c->type_vocab_size,
                                 c->hidden_size));
    return add_norm(b, &m->embedding_norm, name, "LayerNorm");
}

static bool add_block(struct builder *b, struct block *k, const char *encoder, int layer)
{
    int h = b->m->config.hidden_size, wide = b->m->config.intermediate_size;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%sencoder.layer.%d.", encoder, layer);
    b->layer = layer;
    return add_linear(b, &k->query, prefix, "attention.self.query", h, h) &&
           add_linear(b, &k->key, prefix, "attention.self.key", h, h) &&
           add_linear(b, &k->value, prefix, "attention.self.value", h, h) &&
           add_linear(b, &k->attention_output, prefix, "attention.output.dense", h, h) &&
           add_norm(b, &k->attention_norm, prefix, "attention.output.LayerNorm") &&
           add_linear(b, &k->intermediate, prefix, "intermediate.dense", h, wide) &&
           add_linear(b, &k->output, prefix, "output.dense", wide, h) &&
           add_norm(b, &k->output_norm, prefix, "output.LayerNorm");
}

static bool add_head(struct builder *b, const char *prefix)
{
    struct model *m = b->m;
    const struct model_config *c = &m->config;
    int h = c->hidden_size;
    b->layer = c->num_hidden_layers;
    if (c->family == FAMILY_ROBERTA)
        return add_linear(b, &m->head_dense, "classifier.", "dense", h, h) &&
               add_linear(b, &m->head_out, "classifier.", "out_proj", h, c->num_labels);
    if (c->pooling == POOLING_POOLER)
        TRY(add_linear(b, &m->head_dense, prefix, "pooler.dense", h, h));
    return add_linear(b, &m->head_out, "", "classifier", h, c->num_labels);
}

bool model_build(struct model *m, const struct model_config *c, struct arena *a, struct err *e)
{
    *m = (struct model){.config = *c};
    struct builder b = {.m = m, .arena = a, .e = e, .layer = -1};
    const char *prefix = model_config_prefix(c);
    size_t layers = (size_t)c->num_hidden_layers;
    TRY(m->block = ARENA_NEW(a, MEM_DATA, struct block, layers, e));
    TRY(m->site = ARENA_NEW(a, MEM_DATA, struct linear *, 6 * layers + 2, e));
    TRY(add_embeddings(&b, prefix));
    for (int l = 0; l < c->num_hidden_layers; l++)
        TRY(add_block(&b, &m->block[l], prefix, l));
    return add_head(&b, prefix);
}

static bool param_wanted(const struct param *p, bool probe)
{
    return p->tapped || (!probe && p->grad.form != GRAD_NONE);
}

static bool site_wanted(const struct linear *l, bool probe)
{
    return l->ops || param_wanted(l->w, probe) || param_wanted(l->b, probe);
}

enum block_floor model_block_floor(const struct block *k, bool probe)
{
    if (site_wanted(&k->query, probe) || site_wanted(&k->key, probe) || site_wanted(&k->value, probe))
        return FLOOR_QKV;
    if (site_wanted(&k->attention_output, probe))
        return FLOOR_ATTENTION_OUTPUT;
    if (k->attention_insert.ops || param_wanted(k->attention_norm.w, probe) || param_wanted(k->attention_norm.b, probe))
        return FLOOR_ATTENTION_NORM;
    if (site_wanted(&k->intermediate, probe))
        return FLOOR_INTERMEDIATE;
    return site_wanted(&k->output, probe) ? FLOOR_OUTPUT : FLOOR_OUTPUT_NORM;
}

int model_floor(const struct model *m, bool probe)
{
    int floor = m->config.num_hidden_layers;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        if (param_wanted(p, probe) && p->layer < floor)
            floor = p->layer;
    }
    for (int i = 0; i < m->n_sites; i++)
        if (m->site[i]->ops && m->site[i]->layer < floor)
            floor = m->site[i]->layer;
    return floor;
}

uint32_t model_dropout_site(const struct linear *l) { return 0x10000u + (uint32_t)l->number; }

/* Is the gradient of this site's input needed? In the lowest layer only down to what is wanted there. */
static bool needs_dx(const struct model *m, const struct linear *l, int floor)
{
    int layers = m->config.num_hidden_layers;
    if (l->layer != floor)
        return l->layer > floor;
    if (l->layer == layers)
        return l == &m->head_out && m->head_dense.w;
    const struct block *k = &m->block[l->layer];
    enum block_floor lowest = model_block_floor(k, false);
    return (l == &k->output && lowest < FLOOR_OUTPUT) || (l == &k->intermediate && lowest < FLOOR_INTERMEDIATE) ||
           (l == &k->attention_output && lowest < FLOOR_ATTENTION_OUTPUT);
}

static double linear_flops(const struct model *m, const struct linear *l, double rows, bool backward, int floor)
{
    double product = 2.0 * rows * l->in * l->out, sum = product;
    if (backward && l->w) {
        if (l->w->grad.form != GRAD_NONE)
            sum += 2.0 * rows * (double)l->w->grad.size;
        sum += needs_dx(m, l, floor) ? product : 0;
    }
    if (l->ops && l->ops->flops)
        sum += l->ops->flops(l, (int)rows, backward);
    return sum;
}

static double insert_flops(const struct insert *i, double tokens, bool backward)
{
    return i->ops && i->ops->flops ? i->ops->flops(i, (int)tokens, backward) : 0;
}

double model_flops(const struct model *m, const int32_t *lengths, int n_seq, bool backward)
{
    int floor = model_floor(m, false), layers = m->config.num_hidden_layers;
    double tokens = 0, squares = 0, sum = 0;
    for (int s = 0; s < n_seq; s++) {
        tokens += lengths[s];
        squares += (double)lengths[s] * lengths[s];
    }
    for (int i = 0; i < m->n_sites; i++)
        sum += linear_flops(m, m->site[i], m->site[i]->layer == layers ? n_seq : tokens, backward, floor);
    for (int l = 0; l < layers; l++)
        sum += insert_flops(&m->block[l].attention_insert, tokens, backward) +
               insert_flops(&m->block[l].output_insert, tokens, backward);
    /* Scores and context: 2 products forward; backward 5 more, the recomputed scores among them. */
    int below = floor < 0 ? layers : layers - floor;
    below -= floor >= 0 && floor < layers && model_block_floor(&m->block[floor], false) != FLOOR_QKV;
    sum += 2.0 * squares * m->config.hidden_size * (2.0 * layers + (backward ? 5.0 * below : 0));
    return sum;
}
