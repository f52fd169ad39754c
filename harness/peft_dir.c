/* Adapter directories: see peft_dir.h. */
#include "harness/peft_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "harness/peft_shira.h"
#include "methods/method.h"

bool peft_dir_is(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/adapter_config.json", dir);
    return io_exists(path);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Opening */

/* `base_model.model.x.lora_A.default.weight` -> `x.lora_A.weight`; PEFT wraps a saved module in `modules_to_save`, and
 * has changed its mind on whether a magnitude is a module with a weight. */
static const char *parameter_name(const char *key, struct arena *a, struct err *e)
{
    static const char prefix[] = "base_model.model.", magnitude[] = ".lora_magnitude_vector.weight";
    struct text t = {.arena = a};
    if (text_starts(key, prefix))
        key += sizeof prefix - 1;
    while (*key) {
        size_t n = strcspn(key, ".");
        bool word = (n == 7 && strncmp(key, "default", n) == 0) || (n == 15 && strncmp(key, "modules_to_save", n) == 0);
        if (!word)
            TRY(text_add(&t, e, "%s%.*s", t.len ? "." : "", (int)n, key));
        key += n + (key[n] == '.');
    }
    TRY(text_add(&t, e, "%s", ""));
    if (text_ends(t.s, magnitude))
        t.s[t.len - strlen(".weight")] = 0;
    return t.s;
}

static bool name_tensors(struct peft_dir *d, struct arena *a, struct err *e)
{
    TRY(d->name = ARENA_NEW(a, MEM_DATA, const char *, d->file.n, e));
    for (size_t i = 0; i < d->file.n; i++)
        TRY(d->name[i] = parameter_name(d->file.tensor[i].name, a, e));
    return true;
}

/* The tensors, or why there are none. */
static bool open_tensors(struct peft_dir *d, struct arena *a, struct err *e)
{
    const char *path = text_path(a, d->dir, "adapter_model.safetensors", e);
    const char *pickle = text_path(a, d->dir, "adapter_model.bin", e);
    TRY(path && pickle);
    if (!io_exists(path) && io_exists(pickle))
        return err_at(e, ERR_INPUT, pickle, 0, 0,
                      "is a pickle, which runs code where it is read; convert it to adapter_model.safetensors");
    return safetensors_open(&d->file, path, a, e);
}

static bool plain(const struct peft_dir *d, const char *key, bool ok, struct err *e)
{
    return ok || err_at(e, ERR_INPUT, d->config_path, 0, 0, "`%s` is given; only adapters without it can be read", key);
}

static bool check_config(struct peft_dir *d, struct err *e)
{
    static const char *const types[] = {"LORA", "IA3", "SHIRA", NULL};
    const char *bias = "none";
    bool known = false;
    TRY(json_get_string(d->config, d->config_path, "peft_type", &d->type, e) &&
        json_get_string(d->config, d->config_path, "bias", &bias, e));
    if (!d->type)
        return err_at(e, ERR_INPUT, d->config_path, 0, 0, "`peft_type` is missing");
    for (const char *const *t = types; *t; t++)
        known |= strcmp(*t, d->type) == 0;
    if (!known)
        return err_at(e, ERR_INPUT, d->config_path, 0, 0, "`peft_type` is `%s`; LORA (also with use_dora), IA3 and "
                      "SHIRA can be read", d->type);
    return plain(d, "rank_pattern", json_object_size(json_object_get(d->config, "rank_pattern")) == 0, e) &&
           plain(d, "alpha_pattern", json_object_size(json_object_get(d->config, "alpha_pattern")) == 0, e) &&
           plain(d, "bias", strcmp(bias, "none") == 0, e);
}

bool peft_dir_open(struct peft_dir *d, const char *dir, struct arena *a, struct err *e)
{
    *d = (struct peft_dir){.dir = dir};
    if (!io_is_dir(dir))
        return err_at(e, ERR_INPUT, dir, 0, 0, "there is no such directory");
    TRY(d->config_path = text_path(a, dir, "adapter_config.json", e));
    TRY(d->config = json_read(d->config_path, e));
    return check_config(d, e) && open_tensors(d, a, e) && name_tensors(d, a, e);
}

void peft_dir_close(struct peft_dir *d)
{
    json_decref(d->config);
    safetensors_close(&d->file);
}

json_t *peft_dir_option(const struct peft_dir *d, const char *key)
{
    json_t *there = json_object_get(d->config, key);
    if (there && !json_is_null(there))
        return json_incref(there);
    if (strcmp(key, "r") == 0 || strcmp(key, "lora_alpha") == 0)
        return json_integer(8);
    if (strcmp(key, "bias") == 0)
        return json_string("none");
    return strncmp(key, "use_", 4) == 0 || strcmp(key, "fan_in_fan_out") == 0 ? json_false() : NULL;
}

bool peft_dir_digest(const struct peft_dir *d, char hex[IO_DIGEST], struct err *e)
{
    char lines[2 * IO_DIGEST + 8], one[IO_DIGEST], two[IO_DIGEST];
    TRY(digest_file(d->config_path, one, e) && digest_file(d->file.path, two, e));
    int n = snprintf(lines, sizeof lines, "%s\n%s\n", one, two);
    return io_sha256(lines, (size_t)n, hex, e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Tensors and parameters */

/* The parameter of a name, which may lack the model's prefix. */
static struct param *parameter(const struct model *m, const char *name)
{
    char full[640];
    struct param *p = param_find(&m->params, name);
    snprintf(full, sizeof full, "%s%s", model_config_prefix(&m->config), name);
    return p ? p : param_find(&m->params, full);
}

static bool of_head(const struct model *m, const struct param *p)
{
    return p == m->head_dense.w || p == m->head_dense.b || p == m->head_out.w || p == m->head_out.b;
}

/* Names of head modules, for heads that this model does not have. */
static bool names_head(const char *name)
{
    return text_starts(name, "classifier.") || text_starts(name, "score.") || strstr(name, "pooler.dense.");
}

const char *peft_dir_stray(const struct peft_dir *d, const struct model *m)
{
    for (size_t i = 0; i < d->file.n; i++) {
        const struct param *p = parameter(m, d->name[i]);
        if (!(p ? p->added || of_head(m, p) : names_head(d->name[i]) || peft_shira_is(d->name[i])))
            return d->file.tensor[i].name;
    }
    return NULL;
}

const char *peft_dir_missing(const struct peft_dir *d, const struct model *m)
{
    for (size_t k = 0; k < m->params.n; k++) {
        const struct param *p = m->params.item[k];
        bool there = !p->added;
        for (size_t i = 0; i < d->file.n && !there; i++)
            there = parameter(m, d->name[i]) == p;
        if (!there)
            return p->name;
    }
    return NULL;
}

static bool take(const struct peft_dir *d, const struct tensor *t, struct param *p, bool values, struct err *e)
{
    char there[160], here[160];
    const struct tensor want = p->ndim == 1 ? tensor_vector("", t->type, (size_t)p->cols, NULL)
                                            : tensor_matrix("", t->type, (size_t)p->rows, (size_t)p->cols, NULL);
    bool same = t->ndim == want.ndim;
    for (int i = 0; same && i < t->ndim; i++)
        same = t->shape[i] == want.shape[i];
    if (!same)
        return err_at(e, ERR_INPUT, d->file.path, 0, 0, "tensor `%s` has shape %s; the model needs %s", t->name,
                      tensor_shape_text(t, there, sizeof there), tensor_shape_text(&want, here, sizeof here));
    if (!tensor_is_float(t->type))
        return err_at(e, ERR_INPUT, d->file.path, 0, 0, "tensor `%s`: dtype is %s; it must be floating-point", t->name,
                      tensor_type_name(t->type));
    if (values)
        tensor_to_real(t, p->w);
    return true;
}

bool peft_dir_load(const struct peft_dir *d, struct model *m, bool values, size_t *heads, struct err *e)
{
    const char *stray = peft_dir_stray(d, m), *missing = peft_dir_missing(d, m);
    if (stray)
        return err_at(e, ERR_INPUT, d->file.path, 0, 0, "tensor `%s` has no place in the model", stray);
    if (missing)
        return err_at(e, ERR_INPUT, d->file.path, 0, 0, "there is no tensor for `%s`", missing);
    for (size_t i = 0; i < d->file.n; i++) {
        struct param *p = parameter(m, d->name[i]);
        bool head = p && !p->added;
        if (!p || (head && !heads))
            continue;
        TRY(take(d, &d->file.tensor[i], p, values, e));
        if (head)
            ++*heads;
    }
    return strcmp(d->type, "SHIRA") != 0 || peft_shira_add(d, m, values, e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * As a method */

/* `x` of `x.lora_A.weight`, `x.ia3_l`: its length, 0 for other tensors. */
static size_t module_length(const char *name)
{
    const char *at = strstr(name, ".lora_");
    at = at ? at : strstr(name, ".ia3_");
    return at ? (size_t)(at - name) : 0;
}

static bool module_list(const struct peft_dir *d, struct text *out, struct err *e)
{
    const char *begin = "target_modules: [";
    for (size_t i = 0; i < d->file.n; i++) {
        size_t n = module_length(d->name[i]);
        bool seen = n == 0;
        for (size_t k = 0; k < i && !seen; k++)
            seen = module_length(d->name[k]) == n && strncmp(d->name[k], d->name[i], n) == 0;
        if (!seen)
            TRY(text_add(out, e, "%s%.*s", begin, (int)n, d->name[i]));
        begin = seen ? begin : ", ";
    }
    if (*begin == 't')
        return err_at(e, ERR_INPUT, d->file.path, 0, 0, "holds no tensor of an adapter");
    return text_add(out, e, "]");
}

/* A member that the method has an option for: numbers, booleans and lists of words. */
static bool option_text(const json_t *v, const char *key, struct text *out, struct err *e)
{
    if (!json_is_number(v) && !json_is_boolean(v) && !json_is_array(v))
        return true;
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    bool ok = text && text_add(out, e, "%s: %s, ", key, text);
    free(text);
    return ok || e->code || err_set(e, ERR_ENV, "out of memory");
}

static const char *method_name(const struct peft_dir *d)
{
    if (strcmp(d->type, "SHIRA") == 0)
        return "head";
    if (strcmp(d->type, "IA3") == 0)
        return "ia3";
    return json_is_true(json_object_get(d->config, "use_dora")) ? "dora" : "lora";
}

char *peft_dir_method(const struct peft_dir *d, struct arena *a, struct err *e)
{
    struct text out = {.arena = a};
    const char *name = method_name(d);
    const struct method *m = method_find(name);
    if (!m || strcmp(name, "head") == 0)
        return arena_strdup(a, name, e);
    TRY(text_add(&out, e, "%s: {", name));
    for (const struct opt *row = m->options; row->name; row++)
        if (strcmp(row->name, "target_modules") != 0)
            TRY(option_text(json_object_get(d->config, row->name), row->name, &out, e));
    return module_list(d, &out, e) && text_add(&out, e, "}") ? out.s : NULL;
}
