/* Sources of first values: see init_from.h. */
#include "harness/init_from.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/card.h"
#include "harness/delta.h"
#include "harness/peft_dir.h"
#include "harness/spec_impl.h"

const struct opt init_from_options[] = {
    {.name = "init_from", .type = OPT_STRING, .offset = offsetof(struct source, path), .nullable = true,
     .help = "what training starts from: a PEFT adapter, a delta directory, or a result file (.h5)"},
    {0},
};

/* What is being opened. */
struct opening {
    const struct run_spec *run;
    struct model *model;
    void *self;                   /* the method's state, planned; NULL when the values are loaded */
    struct method_env *env;
    bool values;
    bool *given;
    char *digest;
    bool located;                 /* the error stands at its place in the spec */
    struct arena *arena;
    struct err *e;
};

/* An error that has no place in the spec yet gets that of the key. */
static bool at_key(const struct opening *o)
{
    char text[1600];
    if (o->e->code != ERR_INPUT || o->located)
        return false;
    err_format(o->e, text, sizeof text);
    *o->e = (struct err){0};
    return yaml_err(o->e, o->run->init_from_at, "init_from: %s", text);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * A PEFT adapter: its configuration against the method's options */

static char *value_text(const json_t *v, struct arena *a, struct err *e)
{
    char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10)) : NULL;
    char *copy = arena_strdup(a, text ? text : "none", e);
    free(text);
    return copy;
}

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static bool differs(struct opening *o, const struct peft_dir *d, const char *key, const char *there,
                    const char *here)
{
    const struct yaml *at = yaml_get(o->run->method_at, key);
    o->located = true;
    return yaml_err(o->e, at ? at : o->run->init_from_at, "init_from: %s is %s in %s and %s here", key, there,
                    d->config_path, here);
}

static bool compare(struct opening *o, const struct peft_dir *d, const char *key, const json_t *ours)
{
    json_t *theirs = peft_dir_option(d, key);
    const char *there = value_text(theirs, o->arena, o->e), *here = value_text(ours, o->arena, o->e);
    bool same = !theirs || same_value(theirs, ours);
    json_decref(theirs);
    TRY(there && here);
    return same || differs(o, d, key, there, here);
}

/* Options that change what the tensors compute; modules are compared by the tensors themselves. */
static bool compare_all(struct opening *o, const struct peft_dir *d, json_t *ours)
{
    static const char *const apart[] = {"lora_dropout", "target_modules", "feedforward_modules", NULL};
    static const char *const forms[] = {"use_dora", "use_rslora", NULL};
    const char *key;
    json_t *v;
    if (json_is_true(json_object_get(d->config, "fan_in_fan_out"))) /* PEFT itself does not heed it in linear modules */
        json_object_set_new(d->config, "fan_in_fan_out", json_false());
    for (const char *const *form = forms; *form; form++)
        if (!json_object_get(ours, *form))
            json_object_set_new(ours, *form, json_false());
    json_object_foreach(ours, key, v)
        if (!spec_has_word(apart, key))
            TRY(compare(o, d, key, v));
    return true;
}

/* The tensors say which modules there are, whatever pattern named them. */
static bool compare_modules(struct opening *o, const struct peft_dir *d, const json_t *ours)
{
    const char *stray = peft_dir_stray(d, o->model), *missing = peft_dir_missing(d, o->model);
    const json_t *target = json_object_get(d->config, "target_modules");
    const struct yaml *at = yaml_get(o->run->method_at, "target_modules");
    if (!stray && !missing)
        return true;
    const char *there = value_text(target, o->arena, o->e);
    const char *here = value_text(json_object_get(ours, "target_modules"), o->arena, o->e);
    TRY(there && here);
    o->located = true;
    return yaml_err(o->e, at ? at : o->run->init_from_at,
                    "init_from: target_modules is %.200s in %s and %.200s here: %s `%s`", there, d->config_path, here,
                    stray ? "nothing here takes its" : "it has nothing for", stray ? stray : missing);
}

static bool compare_config(struct opening *o, const struct peft_dir *d)
{
    struct peft_config c;
    const struct method *m = o->run->method;
    if (strcmp(d->type, "SHIRA") == 0)
        return err_at(o->e, ERR_INPUT, d->config_path, 0, 0, "is a SHiRA adapter, which fills up its indices with ones "
                      "that were not trained; start from the run or its delta");
    if (!m->peft)
        return err_at(o->e, ERR_INPUT, d->config_path, 0, 0, "is an adapter of PEFT, which does not know %s", m->name);
    TRY(m->peft(o->self, o->env, &c, o->e));
    if (strcmp(c.type, d->type) != 0)
        return differs(o, d, "peft_type", d->type, c.type);
    const char *text = arena_printf(o->arena, o->e, "{%s}", c.members);
    json_t *ours = text ? json_parse(m->name, text, strlen(text), o->e) : NULL;
    TRY(ours);
    bool ok = compare_all(o, d, ours) && compare_modules(o, d, ours);
    json_decref(ours);
    return ok;
}

static bool take_adapter(struct opening *o, const char *path)
{
    struct peft_dir d;
    bool ok = peft_dir_open(&d, path, o->arena, o->e) && (!o->self || compare_config(o, &d)) &&
              peft_dir_load(&d, o->model, o->values, NULL, o->e) &&
              (!o->digest || peft_dir_digest(&d, o->digest, o->e));
    peft_dir_close(&d);
    return ok;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * A delta */

/* Values trained on other weights mean nothing on these. */
static bool same_base(struct opening *o, const char *path, const char *digest)
{
    return !o->digest || !digest || !*digest || strcmp(digest, o->run->model_digest) == 0 ||
           err_at(o->e, ERR_INPUT, path, 0, 0, "was trained from other weights (SHA-256 %.12s...) than %s has "
                  "(%.12s...)", digest, o->run->model.name, o->run->model_digest);
}

static bool take_delta(struct opening *o, const char *path)
{
    struct safetensors file;
    if (!io_exists(path))
        return err_at(o->e, ERR_INPUT, path, 0, 0, "is not there: nothing was kept of what was trained");
    TRY(safetensors_open(&file, path, o->arena, o->e));
    bool ok = delta_start(o->model, &file, o->values, o->given, o->arena, o->e);
    safetensors_close(&file);
    return ok && (!o->digest || digest_file(path, o->digest, o->e));
}

static bool take_run(struct opening *o, const char *path)
{
    struct run_record record;
    TRY(run_record_read(&record, o->arena, path, 0, o->e));
    const char *delta = arena_printf(o->arena, o->e, "%.*s.safetensors", (int)(strlen(path) - strlen(".h5")), path);
    return delta && same_base(o, path, values_get_string(&record.meta, "model_digest", NULL)) && take_delta(o, delta);
}

static bool take_directory(struct opening *o, const char *dir)
{
    struct card card;
    const char *delta = text_path(o->arena, dir, "delta.safetensors", o->e);
    TRY(delta);
    if (!io_exists(delta))
        return take_adapter(o, dir);
    return card_read(&card, dir, o->arena, o->e) && same_base(o, dir, card.model_digest) && take_delta(o, delta);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Either of them */

static bool is_pickle(const char *path)
{
    return text_ends(path, ".bin") || text_ends(path, ".pt") || text_ends(path, ".pth") || text_ends(path, ".ckpt");
}

static bool take(struct opening *o)
{
    const char *path = o->run->init_from;
    if (text_ends(path, ".h5"))
        return take_run(o, path);
    if (io_is_dir(path))
        return take_directory(o, path);
    if (!io_exists(path))
        return err_at(o->e, ERR_INPUT, path, 0, 0, "is not there");
    return err_at(o->e, ERR_INPUT, path, 0, 0, "%s",
                  is_pickle(path) ? "is a pickle, which runs code where it is read; convert it to a directory with "
                                    "adapter_config.json and adapter_model.safetensors"
                                  : "is neither a directory nor a result file (.h5)");
}

static bool check_in(struct run_spec *r, struct arena *a, struct err *e)
{
    struct model_config config;
    struct run_bare bare;
    TRY(run_model_config(r, &config, a, e) && run_build_bare(r, &config, &bare, a, e));
    struct opening o = {.run = r, .model = &bare.model, .self = bare.self, .env = &bare.env, .digest = r->init_digest,
                        .arena = a, .e = e};
    return take(&o) || at_key(&o);
}

bool init_from_check(struct run_spec *r, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    bool ok = check_in(r, a, e);
    arena_release(a, mark);
    return ok;
}

bool init_from_load(const struct run_spec *r, struct model *m, bool *given, struct err *e)
{
    struct arena *a = arena_create(NULL);
    *given = false;
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    struct opening o = {.run = r, .model = m, .values = true, .given = given, .arena = a, .e = e};
    bool ok = take(&o) || at_key(&o);
    arena_destroy(a);
    if (ok)
        log_info("starts from %s, but for the head", r->init_from);
    return ok;
}
