/*
 * Reloading: see reload.h. A result file keeps the resolved spec of its run; from that, and the delta beside it, the
 * session is opened again as for training. A directory gets a spec that evaluates it.
 */
#include "harness/reload.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "harness/delta.h"
#include "harness/peft_dir.h"
#include "harness/reload_impl.h"
#include "models/export.h"

static void close_reloaded(struct reloaded *r)
{
    if (r->open)
        session_close(&r->session);
    arena_destroy(r->arena);
}

/* `x.h5` -> `x<ending>` */
static char *beside(const char *run_path, const char *ending, struct arena *a, struct err *e)
{
    return arena_printf(a, e, "%.*s%s", (int)(strlen(run_path) - strlen(".h5")), run_path, ending);
}

/* The run of a resolved spec, perhaps on another task than its own. */
static bool parse_spec(struct reloaded *r, const char *path, const char *text, const char *task, struct err *e)
{
    TRY(r->spec = spec_parse(path, text, NULL, 0, 0, r->arena, e));
    r->run = &r->spec->run[0];
    if (!task || strcmp(task, r->run->task->name) == 0)
        return true;
    const struct task *other = task_open(task, NULL, NULL, r->arena, e);
    TRY(other);
    if (other->n_labels != r->run->task->n_labels)
        return err_at(e, ERR_INPUT, path, 0, 0, "was trained on %s with %d outputs; %s has %d", r->run->task->name,
                      r->run->task->n_labels, other->name, other->n_labels);
    r->run->task = other;
    return true;
}

static bool parse_run(struct reloaded *r, const char *path, const char *task, struct err *e)
{
    TRY(run_record_read(&r->record, r->arena, path, 0, e));
    const char *text = values_get_string(&r->record.meta, "spec", NULL);
    if (!text)
        return err_at(e, ERR_INPUT, path, 0, 0, "keeps no spec");
    const char *data = values_get_string(&r->record.meta, "data", "");
    r->data = *data ? data : NULL;
    return parse_spec(r, path, text, task, e);
}

static char *delta_path(const char *run_path, bool best, struct arena *a, struct err *e)
{
    char *path = beside(run_path, best ? ".best.safetensors" : ".safetensors", a, e);
    TRY(path);
    if (best && !io_exists(path)) /* the last weights were the best */
        return beside(run_path, ".safetensors", a, e);
    return path;
}

/* Weights of another base model would be met by values that were trained on this one. */
static bool same_base(const struct reloaded *r, const char *path, const char *digest, struct err *e)
{
    char now[IO_DIGEST];
    if (!digest || !*digest)
        return true;
    return checkpoint_digest(r->session.checkpoint, now, e) &&
           (strcmp(now, digest) == 0 ||
            err_at(e, ERR_INPUT, path, 0, 0, "was trained on other weights than %s has now (SHA-256 %.12s..., not "
                   "%.12s...)", r->run->model.name, now, digest));
}

static bool open_session(struct reloaded *r, const struct run_env *env, enum session_use use, struct err *e)
{
    r->open = true;
    r->env = *env;
    if (!r->env.data)
        r->env.data = r->data;
    return session_open(&r->session, r->run, &r->env, use, e);
}

/* The session of a finished run with its trained weights, up to where evaluation is possible. */
static bool open_run(struct reloaded *r, const char *path, const char *task, bool best, const struct run_env *env,
                     enum session_use use, struct err *e)
{
    TRY(parse_run(r, path, task, e));
    char *delta = delta_path(path, best, r->arena, e);
    TRY(delta);
    if (!io_exists(delta))
        return err_at(e, ERR_INPUT, delta, 0, 0, "there are no weights of this run (keep: none)");
    return open_session(r, env, use, e) &&
           same_base(r, path, values_get_string(&r->record.meta, "model_digest", NULL), e) &&
           delta_read(&r->session.model, delta, e);
}

static bool is_run(const char *path) { return text_ends(path, ".h5"); }

/* A delta directory: as a run, from the spec on its card. */
static bool open_delta(struct reloaded *r, const struct card *card, const char *dir, const char *task,
                       const struct run_env *env, struct err *e)
{
    const char *path = text_path(r->arena, dir, "delta.safetensors", e);
    const char *name = text_path(r->arena, dir, "peftlab.json", e);
    TRY(path && name);
    if (!card->spec)
        return err_at(e, ERR_INPUT, name, 0, 0, "is missing: it says which model and method the delta belongs to");
    return parse_spec(r, name, card->spec, task, e) && open_session(r, env, SESSION_EVALUATE, e) &&
           same_base(r, dir, card->model_digest, e) && delta_read(&r->session.model, path, e);
}

/* Inputs are cut where they were in training; without a card at the default max_seq_length, or where the model ends. */
static bool longest_input(const char *model, const struct card *card, long long *longest, struct arena *a,
                          struct err *e)
{
    struct model_source source;
    struct model_config config;
    TRY(model_source_open(&source, model, NULL, a, e) && model_config_read(&config, &source, a, e));
    long long most = model_config_max_tokens(&config), dflt = (int)opt_find(train_options, "max_seq_length")->dflt;
    *longest = card->max_seq_length ? card->max_seq_length : most < dflt ? most : dflt;
    return true;
}

/* A spec that evaluates a model as it is, beside a method without training. What was frozen in `own` (NULL: nothing is
 * known of it) is held as it was there. */
static bool open_model(struct reloaded *r, const char *model, const char *method, const struct card *card,
                       const struct run_spec *own, const char *task, const struct run_env *env, struct err *e)
{
    long long longest;
    TRY(longest_input(model, card, &longest, r->arena, e));
    char *text = arena_printf(r->arena, e,
                              "model: \"%s\"\ntasks: [%s]\nmethods: [{%s}]\n"
                              "train: {select_on: dev, max_steps: 0, max_seq_length: %lld}\n",
                              model, task, method, longest);
    TRY(text && (r->spec = spec_parse("eval", text, NULL, 0, 0, r->arena, e)));
    r->run = &r->spec->run[0];
    r->run->frozen_as = own;
    return open_session(r, env, SESSION_EVALUATE, e);
}

static void warn_of_random_head(const struct reloaded *r, const char *what)
{
    if (r->session.loaded.random || r->session.loaded.n_initialised)
        log_warn("%s holds no trained classifier: these are the metrics of a random one", what);
}

static bool open_directory(struct reloaded *r, const char *model, const struct card *card, const char *task,
                           const struct run_env *env, struct err *e)
{
    TRY(open_model(r, model, "head: {}", card, NULL, task, env, e));
    warn_of_random_head(r, model);
    return true;
}

/* The base model that an adapter names: a directory, else a name in the hub's cache. */
static const char *base_of(const struct peft_dir *d, const struct card *card, struct arena *a, struct err *e)
{
    const char *name = NULL;
    TRY(json_get_string(d->config, d->config_path, "base_model_name_or_path", &name, e));
    if (card->model)
        return card->model;
    if (!name) {
        err_at(e, ERR_INPUT, d->config_path, 0, 0, "`base_model_name_or_path` is missing");
        return NULL;
    }
    return io_is_dir(name) ? arena_strdup(a, name, e) : arena_printf(a, e, "hf:%s", name);
}

/* Sequences are taken together and cut into pieces as in the run, so that its predictions come back to the bit. */
static bool cut_as_in_training(struct reloaded *r, const struct run_spec *own, struct err *e)
{
    struct model_config config;
    struct run_bare bare;
    TRY(run_model_config(own, &config, r->arena, e) && run_build_bare(own, &config, &bare, r->arena, e));
    r->run->train = own->train;
    r->run->train.n_groups = 0; /* their patterns may name what is not there now */
    r->session.menv.unsplit |= bare.env.unsplit;
    return true;
}

/* The run on an adapter's card; NULL without one. */
static bool run_of_card(struct reloaded *r, const struct card *card, const struct run_spec **own, struct err *e)
{
    *own = NULL;
    if (!card->spec)
        return true;
    const struct spec *s = spec_parse("peftlab.json", card->spec, NULL, 0, 0, r->arena, e);
    TRY(s);
    *own = &s->run[0];
    return true;
}

static bool load_adapter(struct reloaded *r, const struct peft_dir *d, const struct card *card, const char *task,
                         const struct run_env *env, size_t *heads, struct err *e)
{
    const struct run_spec *own;
    const char *base = base_of(d, card, r->arena, e), *method = base ? peft_dir_method(d, r->arena, e) : NULL;
    TRY(method && run_of_card(r, card, &own, e));
    if (!open_model(r, base, method, card, own, task, env, e)) /* a spec made from it is no place to point at */
        return strcmp(e->file, "eval") == 0 ? err_at(e, e->code, d->config_path, 0, 0, "%s", e->msg) : false;
    return same_base(r, d->dir, card->model_digest, e) && (!own || cut_as_in_training(r, own, e)) &&
           peft_dir_load(d, &r->session.model, true, heads, e);
}

static bool open_adapter(struct reloaded *r, const char *dir, const struct card *card, const char *task,
                         const struct run_env *env, struct err *e)
{
    struct peft_dir d;
    size_t heads = 0;
    bool ok = peft_dir_open(&d, dir, r->arena, e) && load_adapter(r, &d, card, task, env, &heads, e);
    peft_dir_close(&d);
    if (ok && heads == 0)
        warn_of_random_head(r, dir);
    return ok;
}

static bool is_delta(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/delta.safetensors", dir);
    return io_exists(path);
}

static bool open_any(struct reloaded *r, const char *what, const char *task, bool best, const struct run_env *env,
                     struct err *e)
{
    struct card card = {0};
    if (is_run(what))
        return open_run(r, what, task, best, env, SESSION_EVALUATE, e);
    TRY(!io_is_dir(what) || card_read(&card, what, r->arena, e));
    if (is_delta(what))
        return open_delta(r, &card, what, task, env, e);
    return peft_dir_is(what) ? open_adapter(r, what, &card, task, env, e)
                             : open_directory(r, what, &card, task, env, e);
}

/* One line per row, with 9 digits: a float of the scores is what it was. */
static bool write_predictions(const struct predictions *p, const char *path, struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    TRY(text_add(&t, e, "index\tlabel\tprediction"));
    for (size_t k = 0; k < p->labels; k++)
        TRY(text_add(&t, e, "\tscore%zu", k));
    for (size_t i = 0; i < p->rows; i++) {
        TRY(text_add(&t, e, "\n%lld\t%.9g\t%.9g", (long long)p->index[i], p->label[i], p->prediction[i]));
        for (size_t k = 0; k < p->labels; k++)
            TRY(text_add(&t, e, "\t%.9g", (double)p->scores[i * p->labels + k]));
    }
    return text_add(&t, e, "\n") && io_write(path, t.s, t.len, e);
}

static bool print_metrics(const struct session *s, struct text *out, struct err *e)
{
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_metrics; i++)
        TRY(text_add(out, e, "%s\t%.6f\n", t->metric[i].name, run_record_last(&s->record, t->metric[i].name)));
    return true;
}

static bool evaluate_reloaded(struct reloaded *r, struct text *out, struct err *e)
{
    struct session *s = &r->session;
    bool improved;
    const struct task *t = s->spec->task;
    for (size_t i = 0; i < t->n_metrics; i++)
        TRY(run_record_metric(&s->record, t->metric[i].name, e));
    return session_start(s, true, e) && evaluate(s, &improved, e) && print_metrics(s, out, e);
}

bool reload_eval(const char *what, const char *task, bool best, const char *predictions, const struct run_env *env,
                 struct text *out, struct err *e)
{
    struct reloaded r = {.arena = arena_create(NULL)};
    if (!r.arena)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = open_any(&r, what, task, best, env, e) && evaluate_reloaded(&r, out, e) &&
              (!predictions || write_predictions(&r.session.record.predictions, predictions, r.arena, e));
    close_reloaded(&r);
    return ok;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Export */

static bool export_merged(struct reloaded *r, const char *dir, struct err *e)
{
    struct session *s = &r->session;
    if (s->method->unmergeable)
        return err_set(e, ERR_INPUT, "what %s has trained cannot be merged: %s; --to delta keeps it", s->method->name,
                       s->method->unmergeable);
    if (s->method->fold)
        TRY(s->method->fold(s->state, &s->menv, e));
    return export_hf(&s->model, &r->run->model, r->run->task->label, dir, r->arena, e);
}

static bool export_delta(struct reloaded *r, const char *dir, struct err *e)
{
    size_t bytes;
    const char *path = text_path(r->arena, dir, "delta.safetensors", e);
    const char *const meta[] = {"peftlab.run",    r->record.name, "peftlab.model", r->run->model.name,
                                "peftlab.method", r->run->method->name, NULL};
    return path && io_mkdirs(dir, e) && delta_write(&r->session.model, path, false, meta, &bytes, e);
}

static bool export_reloaded(struct reloaded *r, enum export_to to, const char *dir, struct err *e)
{
    static const char *const words[] = {EXPORT_WORDS};
    bool ok = to == EXPORT_HF     ? export_merged(r, dir, e)
              : to == EXPORT_PEFT ? export_peft(r, dir, e)
                                  : export_delta(r, dir, e);
    return ok && card_write(&r->record, r->run, words[to], dir, r->arena, e);
}

bool reload_export(const char *run_path, enum export_to to, bool best, const char *dir, struct err *e)
{
    struct reloaded r = {.arena = arena_create(NULL)};
    struct run_env env = {.threads = 1};
    if (!r.arena)
        return err_set(e, ERR_ENV, "out of memory");
    if (!is_run(run_path))
        err_at(e, ERR_INPUT, run_path, 0, 0, "is no result file (.h5) of a run");
    bool ok = is_run(run_path) && open_run(&r, run_path, NULL, best, &env, SESSION_MODEL, e) &&
              export_reloaded(&r, to, dir, e);
    close_reloaded(&r);
    return ok;
}
