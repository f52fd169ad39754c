/* Hugging Face directories: see export.h. */
#include "models/export.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "models/safetensors.h"

/* What a tokenizer may consist of; those that the source has go along as they are. */
static const char *const tokenizer_file_names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                                   "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", NULL};

/* {"0": name, ...} and {name: 0, ...}; a list without names gets LABEL_0, ... as Hugging Face does. */
static bool set_labels(json_t *config, const char *const *labels, int n)
{
    json_t *id2label = json_object(), *label2id = json_object();
    bool ok = true;
    for (int i = 0; i < n; i++) {
        char id[16], generic[32];
        snprintf(id, sizeof id, "%d", i);
        snprintf(generic, sizeof generic, "LABEL_%d", i);
        const char *name = labels ? labels[i] : generic;
        ok = ok && json_object_set_new(id2label, id, json_string(name)) == 0 &&
             json_object_set_new(label2id, name, json_integer(i)) == 0;
    }
    ok = json_object_set_new(config, "id2label", id2label) == 0 && ok; /* each takes its reference, whatever happens */
    return json_object_set_new(config, "label2id", label2id) == 0 && ok;
}

/* Turns the source's configuration into that of a classifier; everything not named here stays. */
static bool adapt_config(json_t *config, const struct model *m, const char *const *labels)
{
    const char *class = m->config.family == FAMILY_ROBERTA ? "RobertaForSequenceClassification"
                                                           : "BertForSequenceClassification";
    const char *problem = m->config.num_labels == 1 ? "regression" : "single_label_classification";
    json_object_del(config, "num_labels"); /* follows from id2label; two answers are one too many */
    json_object_del(config, "_num_labels");
    return json_object_set_new(config, "architectures", json_pack("[s]", class)) == 0 &&
           json_object_set_new(config, "problem_type", json_string(problem)) == 0 &&
           json_object_set_new(config, "torch_dtype",
                               json_string(sizeof(real) == sizeof(float) ? "float32" : "float64")) == 0 &&
           set_labels(config, labels, m->config.num_labels);
}

static bool write_config(const struct model *m, const struct model_source *source, const char *const *labels,
                         const char *to, struct arena *a, struct err *e)
{
    size_t size;
    const char *path = model_source_path(source, "config.json", a, e);
    TRY(path);
    const char *text = model_source_read(source, "config.json", a, &size, e);
    json_t *config = text ? json_parse(path, text, size, e) : NULL;
    TRY(config);
    /* 15 digits bring back 1e-12 as it was written */
    char *out = adapt_config(config, m, labels) ? json_dumps(config, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(config);
    if (!out)
        return err_at(e, ERR_INPUT, to, 0, 0, "cannot be made: a label is not UTF-8, or memory is out");
    bool ok = io_write_pieces(to, (const struct io_piece[]){{out, strlen(out)}, {"\n", 1}}, 2, e);
    free(out);
    return ok;
}

static bool write_weights(const struct model *m, const char *to, struct arena *a, struct err *e)
{
    struct tensor *t = ARENA_NEW(a, MEM_SCRATCH, struct tensor, m->params.n, e);
    TRY(t);
    size_t n = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        if (p->added)
            continue;
        assert(p->w);
        t[n++] = p->ndim == 1 ? tensor_vector(p->name, TENSOR_REAL, (size_t)p->cols, p->w)
                              : tensor_matrix(p->name, TENSOR_REAL, (size_t)p->rows, (size_t)p->cols, p->w);
    }
    return safetensors_write(to, t, n, NULL, a, e);
}

static bool write_tokenizer(const struct model_source *source, const char *dir, struct arena *a, struct err *e)
{
    for (const char *const *name = tokenizer_file_names; *name; name++) {
        if (!model_source_has(source, *name))
            continue;
        size_t size;
        const char *data = model_source_read(source, *name, a, &size, e);
        TRY(data);
        const char *to = text_path(a, dir, *name, e);
        TRY(to && io_write(to, data, size, e));
    }
    return true;
}

static bool write_all(const struct model *m, const struct model_source *source, const char *const *labels,
                      const char *dir, struct arena *a, struct err *e)
{
    const char *config = text_path(a, dir, "config.json", e), *weights = text_path(a, dir, "model.safetensors", e);
    TRY(config && weights && io_mkdirs(dir, e));
    return write_config(m, source, labels, config, a, e) && write_tokenizer(source, dir, a, e) &&
           write_weights(m, weights, a, e);
}

bool export_hf(const struct model *m, const struct model_source *source, const char *const *labels, const char *dir,
               struct arena *a, struct err *e)
{
    if (m->config.pooling != POOLING_POOLER)
        return err_set(e, ERR_INPUT, "a model with `pooling: %s` has no Hugging Face form; only `pooling: pooler` has",
                       m->config.pooling == POOLING_CLS ? "cls" : "mean");
    struct arena_mark mark = arena_mark(a);
    bool ok = write_all(m, source, labels, dir, a, e);
    arena_release(a, mark);
    return ok;
}
