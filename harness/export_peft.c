/*
 * Adapters for Hugging Face's PEFT: adapter_config.json, adapter_model.safetensors, README.md. A method that PEFT knows
 * exports the parameters it added under their names; what changed weights of linear modules in place becomes a SHiRA
 * adapter where it fits. The head goes along whole under modules_to_save, since a base model's own is random or another
 * task's. Only keys that old releases of PEFT know are written: they refuse others.
 */
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "harness/peft_shira.h"
#include "harness/reload_impl.h"

struct adapter {
    struct tensor *tensor; /* [n] */
    size_t n;
    struct peft_config config;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Tensors */

static bool add_param(struct adapter *x, const struct param *p, struct arena *a, struct err *e)
{
    const char *name = arena_printf(a, e, "base_model.model.%s", p->name);
    TRY(name);
    x->tensor[x->n++] = p->ndim == 1 ? tensor_vector(name, TENSOR_REAL, (size_t)p->cols, p->w)
                                     : tensor_matrix(name, TENSOR_REAL, (size_t)p->rows, (size_t)p->cols, p->w);
    return true;
}

static bool add_head(struct adapter *x, const struct model *m, struct arena *a, struct err *e)
{
    const struct param *head[] = {m->head_dense.w, m->head_dense.b, m->head_out.w, m->head_out.b};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        TRY(!head[i] || add_param(x, head[i], a, e));
    return true;
}

/* What the method added; nothing else may have been trained. */
static bool add_known(struct adapter *x, const struct session *s, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < s->model.params.n; i++) {
        const struct param *p = s->model.params.item[i];
        if (p->added)
            TRY(add_param(x, p, a, e));
        else if (!p->head && !p->watched && p->grad.form != GRAD_NONE)
            return err_set(e, ERR_INPUT, "%s trained `%s` too, which PEFT's %s has no place for; --to delta keeps it",
                           s->method->name, p->name, x->config.type);
    }
    return s->method->peft(s->state, &s->menv, &x->config, e);
}

/* The model before training, from its checkpoint. */
static bool load_base(struct model *base, const struct session *s, struct checkpoint **c, struct arena *a,
                      struct err *e)
{
    struct model_config config;
    struct checkpoint_report report;
    TRY(run_model_config(s->spec, &config, a, e) && model_build(base, &config, a, e) &&
        run_hold_weights(s->spec, base, HOLD_ROUNDED, e));
    TRY(*c = checkpoint_open(&s->spec->model, a, e));
    return checkpoint_load(*c, base, s->spec->seed, false, a, &report, e);
}

static bool add_sparse(struct adapter *x, const struct session *s, struct arena *a, struct err *e)
{
    struct model base;
    struct checkpoint *c = NULL;
    long long r = 0;
    const char *modules = NULL;
    size_t n = 0;
    bool ok = load_base(&base, s, &c, a, e) && peft_shira_tensors(&s->model, &base, s->method->name,
                                                                  x->tensor + x->n, &n, &r, &modules, a, e);
    checkpoint_close(c);
    TRY(ok);
    x->n += n;
    x->config.type = "SHIRA";
    x->config.members = arena_printf(a, e, "\"r\": %lld, \"mask_type\": \"random\", \"random_seed\": null, "
                                     "\"fan_in_fan_out\": false, \"init_weights\": true, \"target_modules\": %s", r,
                                     modules);
    return x->config.members != NULL;
}

/* A method whose weights are plain as they lie may be a sparse change of them. */
static bool choose_form(struct adapter *x, const struct session *s, struct arena *a, struct err *e)
{
    if (s->method->peft)
        return add_known(x, s, a, e);
    if (s->method->unmergeable)
        return err_set(e, ERR_INPUT, "PEFT has no form for what %s adds to a model; --to delta keeps it",
                       s->method->name);
    if (s->method->fold)
        return err_set(e, ERR_INPUT, "PEFT has no form for %s: what it changes is not sparse in the weights; --to "
                       "delta keeps what was trained, --to hf writes the whole model", s->method->name);
    return add_sparse(x, s, a, e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Files */

/* As PEFT and transformers call it: `hf:` is ours. */
static const char *base_name(const struct session *s)
{
    const char *name = s->spec->model.name;
    return text_starts(name, "hf:") ? name + 3 : name;
}

static json_t *modules_to_save(const struct model *m)
{
    json_t *list = json_array();
    if (m->config.family == FAMILY_BERT && m->head_dense.w)
        json_array_append_new(list, json_string("pooler"));
    json_array_append_new(list, json_string("classifier"));
    return list;
}

static bool write_config(const struct adapter *x, const struct session *s, const char *dir, struct arena *a,
                         struct err *e)
{
    const char *path = text_path(a, dir, "adapter_config.json", e);
    const char *members = arena_printf(a, e, "{%s}", x->config.members);
    TRY(path && members);
    json_t *config = json_parse("peft", members, strlen(members), e);
    TRY(config);
    bool ok = json_object_set_new(config, "peft_type", json_string(x->config.type)) == 0 &&
              json_object_set_new(config, "task_type", json_string("SEQ_CLS")) == 0 &&
              json_object_set_new(config, "base_model_name_or_path", json_string(base_name(s))) == 0 &&
              json_object_set_new(config, "inference_mode", json_true()) == 0 &&
              json_object_set_new(config, "modules_to_save", modules_to_save(&s->model)) == 0;
    char *text = ok ? json_dumps(config, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(config);
    if (!text)
        return err_at(e, ERR_INPUT, path, 0, 0, "cannot be made: a name is not UTF-8, or memory is out");
    ok = io_write_pieces(path, (const struct io_piece[]){{text, strlen(text)}, {"\n", 1}}, 2, e);
    free(text);
    return ok;
}

static bool write_readme(const struct adapter *x, const struct reloaded *r, const char *dir, struct arena *a,
                         struct err *e)
{
    struct text t = {.arena = a};
    const struct session *s = &r->session;
    const char *path = text_path(a, dir, "README.md", e), *base = base_name(s);
    TRY(path && text_add(&t, e,
                         "---\nbase_model: %s\nlibrary_name: peft\ntags: [peftlab, %s]\n---\n\n"
                         "# %s on %s\n\nAn adapter (%s) for `%s`, trained by peftlab; `peftlab.json` has every setting."
                         " Metrics on the dev set after the last step:\n\n",
                         base, s->method->name, s->method->title, s->spec->task->name, x->config.type, base));
    for (size_t i = 0; i < r->record.metrics; i++)
        TRY(text_add(&t, e, "* %s: %.4f\n", r->record.metric[i], run_record_last(&r->record, r->record.metric[i])));
    TRY(text_add(&t, e,
                 "\n```python\nfrom peft import PeftModel\nfrom transformers import "
                 "AutoModelForSequenceClassification\n\n"
                 "base = AutoModelForSequenceClassification.from_pretrained(\"%s\", num_labels=%d)\n"
                 "model = PeftModel.from_pretrained(base, \"DIRECTORY\").eval()\n```\n",
                 base, s->model.config.num_labels));
    if (strcmp(x->config.type, "SHIRA") == 0)
        TRY(text_add(&t, e, "\nSHiRA adapters need PEFT 0.16 or later.\n"));
    return io_write(path, t.s, t.len, e);
}

static bool export_in(struct reloaded *r, const char *dir, struct arena *a, struct err *e)
{
    const struct session *s = &r->session;
    struct adapter x = {0};
    TRY(x.tensor = ARENA_NEW(a, MEM_SCRATCH, struct tensor, s->model.params.n + 2 * (size_t)s->model.n_sites + 4, e));
    TRY(choose_form(&x, s, a, e) && add_head(&x, &s->model, a, e));
    const char *path = text_path(a, dir, "adapter_model.safetensors", e);
    return path && io_mkdirs(dir, e) && write_config(&x, s, dir, a, e) && write_readme(&x, r, dir, a, e) &&
           safetensors_write(path, x.tensor, x.n, NULL, a, e);
}

bool export_peft(struct reloaded *r, const char *dir, struct err *e)
{
    const struct session *s = &r->session;
    if (s->model.config.pooling != POOLING_POOLER)
        return err_set(e, ERR_INPUT, "a model with `pooling: %s` has no Hugging Face form; only `pooling: pooler` has",
                       s->model.config.pooling == POOLING_CLS ? "cls" : "mean");
    if (s->loaded.random)
        return err_set(e, ERR_INPUT, "%s has no weights that PEFT could load beside an adapter; --to hf writes the "
                       "whole model", s->spec->model.name);
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = export_in(r, dir, a, e);
    arena_destroy(a);
    return ok;
}
