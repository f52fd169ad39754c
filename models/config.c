/*
 * config.json: see config.h. Defaults of missing keys are those of Hugging Face's BertConfig and RobertaConfig classes,
 * which are not the values of the published checkpoints (roberta-base itself states 514 positions, one token type, eps
 * 1e-5).
 */
#include "models/config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

static const struct model_config defaults[] = {
    [FAMILY_BERT] = {.family = FAMILY_BERT, .vocab_size = 30522, .hidden_size = 768, .num_hidden_layers = 12,
                     .num_attention_heads = 12, .intermediate_size = 3072, .max_position_embeddings = 512,
                     .type_vocab_size = 2, .pad_token_id = 0, .hidden_dropout_prob = .1,
                     .attention_probs_dropout_prob = .1, .classifier_dropout = -1, .initializer_range = .02,
                     .layer_norm_eps = 1e-12, .num_labels = 2, .pooling = POOLING_POOLER},
    [FAMILY_ROBERTA] = {.family = FAMILY_ROBERTA, .vocab_size = 50265, .hidden_size = 768, .num_hidden_layers = 12,
                        .num_attention_heads = 12, .intermediate_size = 3072, .max_position_embeddings = 512,
                        .type_vocab_size = 2, .pad_token_id = 1, .hidden_dropout_prob = .1,
                        .attention_probs_dropout_prob = .1, .classifier_dropout = -1, .initializer_range = .02,
                        .layer_norm_eps = 1e-12, .num_labels = 2, .pooling = POOLING_POOLER},
};

static const char *const family_names[] = {[FAMILY_BERT] = "bert", [FAMILY_ROBERTA] = "roberta", NULL};

/* An integer key, its place and range: wide enough for every model there is, narrow enough that no product
 * overflows. */
struct size_key {
    const char *name;
    size_t offset;
    long long min, max;
};
static const struct size_key sizes[] = {
    {"vocab_size", offsetof(struct model_config, vocab_size), 1, 1 << 21},
    {"hidden_size", offsetof(struct model_config, hidden_size), 1, 1 << 15},
    {"num_hidden_layers", offsetof(struct model_config, num_hidden_layers), 1, 1024},
    {"num_attention_heads", offsetof(struct model_config, num_attention_heads), 1, 1024},
    {"intermediate_size", offsetof(struct model_config, intermediate_size), 1, 1 << 16},
    {"max_position_embeddings", offsetof(struct model_config, max_position_embeddings), 4, 1 << 20},
    {"type_vocab_size", offsetof(struct model_config, type_vocab_size), 1, 1024},
    {"pad_token_id", offsetof(struct model_config, pad_token_id), 0, 1 << 21},
};

struct real_key {
    const char *name;
    size_t offset;
    double min, max;       /* [min, max)  */
    const char *range;
};
static const struct real_key reals[] = {
    {"hidden_dropout_prob", offsetof(struct model_config, hidden_dropout_prob), 0, 1, "[0, 1)"},
    {"attention_probs_dropout_prob", offsetof(struct model_config, attention_probs_dropout_prob), 0, 1, "[0, 1)"},
    {"classifier_dropout", offsetof(struct model_config, classifier_dropout), 0, 1, "[0, 1)"},
    {"initializer_range", offsetof(struct model_config, initializer_range), 0, 10, "[0, 10)"},
    {"layer_norm_eps", offsetof(struct model_config, layer_norm_eps), 1e-15, .1, "[1e-15, 0.1)"},
};

static bool read_family(const json_t *j, const char *path, enum model_family *family, struct err *e)
{
    const char *type = NULL;
    TRY(json_get_string(j, path, "model_type", &type, e));
    if (!type)
        return err_at(e, ERR_INPUT, path, 0, 0, "`model_type` is missing; supported are `bert` and `roberta`");
    for (int i = 0; family_names[i]; i++)
        if (strcmp(type, family_names[i]) == 0) {
            *family = (enum model_family)i;
            return true;
        }
    return err_at(e, ERR_INPUT, path, 0, 0, "`model_type` is `%.64s`; supported are `bert` and `roberta`", type);
}

/* A key that must have one value where it is given: other values name computations that the encoder does not have. */
static bool only_word(const json_t *j, const char *path, const char *key, const char *right, const char *why,
                      struct err *e)
{
    const char *word = right;
    TRY(json_get_string(j, path, key, &word, e));
    if (strcmp(word, right) == 0)
        return true;
    return err_at(e, ERR_INPUT, path, 0, 0, "`%s` is `%.64s`; only `%s`%s is supported", key, word, right, why);
}

static bool only_false(const json_t *j, const char *path, const char *key, struct err *e)
{
    bool value = false;
    TRY(json_get_bool(j, path, key, &value, e));
    return !value || err_at(e, ERR_INPUT, path, 0, 0, "`%s` is true; only encoders are supported", key);
}

static bool read_numbers(struct model_config *c, const json_t *j, const char *path, struct err *e)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int *field = (int *)(void *)((char *)c + sizes[i].offset);
        long long value = *field;
        TRY(json_get_int(j, path, sizes[i].name, sizes[i].min, sizes[i].max, &value, e));
        *field = (int)value;
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        const struct real_key *k = &reals[i];
        double *field = (double *)(void *)((char *)c + k->offset);
        double value = *field;
        json_t *given = json_object_get(j, k->name);
        TRY(json_get_real(j, path, k->name, &value, e));
        if (given && !json_is_null(given) && !(value >= k->min && value < k->max))
            return err_at(e, ERR_INPUT, path, 0, 0, "`%s` is %g; it must lie in %s", k->name, value, k->range);
        *field = value;
    }
    return true;
}

/* What keys must be to each other. */
static bool check_sizes(const struct model_config *c, const char *path, struct err *e)
{
    if (c->hidden_size % c->num_attention_heads)
        return err_at(e, ERR_INPUT, path, 0, 0, "`hidden_size` is %d: not a multiple of `num_attention_heads`, %d",
                      c->hidden_size, c->num_attention_heads);
    if (c->pad_token_id >= c->vocab_size)
        return err_at(e, ERR_INPUT, path, 0, 0, "`pad_token_id` is %d; it must be below `vocab_size`, %d",
                      c->pad_token_id, c->vocab_size);
    if (model_config_max_tokens(c) < 2)
        return err_at(e, ERR_INPUT, path, 0, 0, "`max_position_embeddings` is %d: too few for positions from %d on",
                      c->max_position_embeddings, c->pad_token_id + 1);
    /* Entries of a tensor are numbered in 32 bits. */
    if ((uint64_t)c->vocab_size * (uint64_t)c->hidden_size > UINT32_MAX ||
        (uint64_t)c->max_position_embeddings * (uint64_t)c->hidden_size > UINT32_MAX)
        return err_at(e, ERR_INPUT, path, 0, 0, "an embedding table has more than 4294967295 entries");
    return true;
}

static bool read_config(struct model_config *c, const json_t *j, const char *path, struct err *e)
{
    enum model_family family = FAMILY_BERT;
    if (!json_is_object(j))
        return err_at(e, ERR_INPUT, path, 0, 0, "is not a JSON object");
    TRY(read_family(j, path, &family, e));
    *c = defaults[family];
    TRY(only_word(j, path, "hidden_act", "gelu", " (its exact form)", e));
    TRY(only_word(j, path, "position_embedding_type", "absolute", "", e));
    TRY(only_false(j, path, "is_decoder", e));
    TRY(only_false(j, path, "add_cross_attention", e));
    TRY(read_numbers(c, j, path, e));
    return check_sizes(c, path, e);
}

/* config.json parsed; the caller owns the reference. *path is its name in messages. */
static json_t *open_config(const struct model_source *source, const char **path, struct arena *a, struct err *e)
{
    size_t size;
    TRY(*path = model_source_path(source, "config.json", a, e));
    const char *text = model_source_read(source, "config.json", a, &size, e);
    return text ? json_parse(*path, text, size, e) : NULL;
}

bool model_config_read(struct model_config *c, const struct model_source *source, struct arena *a, struct err *e)
{
    const char *path;
    json_t *j = open_config(source, &path, a, e);
    bool ok = j && read_config(c, j, path, e);
    json_decref(j);
    return ok;
}

/* id2label maps "0", "1", ... to names; it is used only when it numbers them so. */
static bool read_labels(const json_t *map, const char *path, const char *const **names, int *n, struct arena *a,
                        struct err *e)
{
    if (!json_is_object(map))
        return err_at(e, ERR_INPUT, path, 0, 0, "`id2label` is not an object");
    size_t count = json_object_size(map);
    const char **list = ARENA_NEW(a, MEM_DATA, const char *, count + 1, e);
    TRY(list);
    for (size_t i = 0; i < count; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        const char *name = json_string_value(json_object_get(map, id));
        if (!name)
            return err_at(e, ERR_INPUT, path, 0, 0, "`id2label` has no name for id %s", id);
        TRY(list[i] = arena_strdup(a, name, e));
    }
    *names = list;
    *n = (int)count;
    return true;
}

bool model_config_labels(const struct model_source *source, const char *const **names, int *n, struct arena *a,
                         struct err *e)
{
    const char *path;
    *names = NULL;
    *n = 0;
    json_t *j = open_config(source, &path, a, e);
    const json_t *map = json_object_get(j, "id2label");
    bool ok = j && (!map || json_is_null(map) || read_labels(map, path, names, n, a, e));
    json_decref(j);
    return ok;
}

int model_config_max_tokens(const struct model_config *c)
{
    int first = c->family == FAMILY_ROBERTA ? c->pad_token_id + 1 : 0; /* position of the first token */
    return c->max_position_embeddings - first;
}

const char *model_config_prefix(const struct model_config *c)
{
    return c->family == FAMILY_ROBERTA ? "roberta." : "bert.";
}
