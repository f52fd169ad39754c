/*
 * A resolved spec in writing: as a spec again, every value with its origin behind it (for <out>/spec.yaml and /meta),
 * as /config of a run, and as the digest of what a run's numbers depend on.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/measure/measure.h"
#include "harness/spec_impl.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * YAML */

struct writer {
    struct text out;
    const struct spec_lists *l;
    struct arena *arena;
    struct err *e;
};

/* A scalar as YAML reads it back: quoted where it is not plain. */
static const char *quoted(struct writer *w, const char *s)
{
    size_t plain = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:+-");
    bool starts = s[0] && !strchr("-:", s[0]), ends = s[0] && s[strlen(s) - 1] != ':';
    if (!s[plain] && starts && ends && strcmp(s, "null") != 0)
        return s;
    struct text t = {.arena = w->arena};
    TRY(text_add(&t, w->e, "'"));
    for (; *s; s++)
        TRY(text_add(&t, w->e, *s == '\'' ? "''" : "%c", *s));
    return text_add(&t, w->e, "'") ? t.s : NULL;
}

static const char *origin(struct writer *w, const struct yaml *from)
{
    if (!from)
        return "default";
    if (spec_is_override(from))
        return "command line";
    return arena_printf(w->arena, w->e, "%s%s:%d", strcmp(from->file, w->l->path) == 0 ? "" : "include ", from->file,
                        from->line);
}

static bool line(struct writer *w, const char *indent, const char *key, const char *value, const struct yaml *from)
{
    const char *where = origin(w, from);
    TRY(value && where);
    return text_add(&w->out, w->e, "%s%s: %s  # %s\n", indent, key, value, where);
}

/* A knob that a budget turned; one that several models turn differently stays a budget. */
static bool budget_line(struct writer *w, const char *indent, const struct variant *v, const struct opt *knob,
                        const char *value)
{
    const struct yaml *from = v->budget_from.row[0];
    const char *where = origin(w, from), *text = quoted(w, v->budget.text);
    TRY(where && text && value);
    if (!v->solved)
        return line(w, indent, "budget", text, from);
    return text_add(&w->out, w->e, "%s%s: %s  # budget %s, %s\n", indent, knob->name, value, v->budget.text, where);
}

/* The value of an option: lists in brackets, what is not given as null. */
static const char *option_value(struct writer *w, const struct opt *row, const void *object)
{
    if (row->type != OPT_STRINGS) {
        const char *text = opt_value_text(row, object, w->arena, w->e);
        bool word = row->type == OPT_ENUM || row->type == OPT_BOOL;
        bool none = text && !word && strcmp(text, "none") == 0;
        return !text ? NULL : none ? "null" : row->type == OPT_STRING ? quoted(w, text) : text;
    }
    const struct opt_strings *list = (const void *)((const char *)object + row->offset);
    struct text t = {.arena = w->arena};
    TRY(text_add(&t, w->e, "["));
    for (size_t i = 0; i < list->n; i++) {
        const char *word = quoted(w, list->word[i]);
        TRY(word && text_add(&t, w->e, "%s%s", i ? ", " : "", word));
    }
    return text_add(&t, w->e, "]") ? t.s : NULL;
}

static bool groups_line(struct writer *w, const char *indent, const struct variant *v)
{
    struct text t = {.arena = w->arena};
    TRY(text_add(&t, w->e, "["));
    for (size_t i = 0; i < v->train.n_groups; i++) {
        const struct optim_group *g = &v->train.group[i];
        const char *pattern = quoted(w, g->pattern);
        TRY(pattern && text_add(&t, w->e, "%s{pattern: %s", i ? ", " : "", pattern));
        if (!isnan(g->learning_rate))
            TRY(text_add(&t, w->e, ", learning_rate: %.17g", g->learning_rate));
        if (!isnan(g->weight_decay))
            TRY(text_add(&t, w->e, ", weight_decay: %.17g", g->weight_decay));
        TRY(text_add(&t, w->e, "}"));
    }
    return text_add(&t, w->e, "]") && line(w, indent, "param_groups", t.s, v->groups_from);
}

static bool same_value(struct writer *w, const struct opt *row, const void *a, const void *b, bool *same)
{
    const char *x = opt_value_text(row, a, w->arena, w->e), *y = opt_value_text(row, b, w->arena, w->e);
    TRY(x && y);
    *same = strcmp(x, y) == 0;
    return true;
}

static bool write_train(struct writer *w)
{
    const struct variant *top = w->l->top;
    TRY(text_add(&w->out, w->e, "train:\n"));
    for (const struct opt *row = train_options; row->name; row++) {
        const struct yaml *from = top->train_from.row[row - train_options];
        if (row->type == OPT_INT && !from && strcmp(row->name, "eval_steps") == 0)
            continue; /* an error where eval_strategy is not `steps` */
        TRY(line(w, "  ", row->name, option_value(w, row, &top->train), from));
    }
    return top->train.n_groups == 0 || groups_line(w, "  ", top);
}

/* What a variant's training options have that the spec's have not. */
static bool write_own_train(struct writer *w, const struct variant *v)
{
    const struct variant *top = w->l->top;
    bool begun = false;
    for (const struct opt *row = train_options; row->name; row++) {
        const struct yaml *from = v->train_from.row[row - train_options];
        bool same;
        TRY(same_value(w, row, &v->train, &top->train, &same));
        if (same)
            continue;
        TRY(begun || text_add(&w->out, w->e, "      train:\n"));
        begun = true;
        TRY(line(w, "        ", row->name, option_value(w, row, &v->train), from));
    }
    if (v->groups_from == top->groups_from)
        return true;
    return (begun || text_add(&w->out, w->e, "      train:\n")) && groups_line(w, "        ", v);
}

static bool write_methods(struct writer *w)
{
    TRY(text_add(&w->out, w->e, "methods:\n"));
    for (size_t i = 0; i < w->l->n_variants; i++) {
        const struct variant *v = w->l->variant[i];
        TRY(text_add(&w->out, w->e, "  - %s:  # variant %s\n", v->method->name, v->name));
        for (const struct opt *row = v->method->options; row->name; row++) {
            const char *value = option_value(w, row, v->options);
            bool knob = v->budget.text && strcmp(row->name, v->method->knob) == 0;
            TRY(knob ? budget_line(w, "      ", v, row, value)
                     : line(w, "      ", row->name, value, v->options_from.row[row - v->method->options]));
        }
        const char *source = v->source.path ? quoted(w, v->source.path) : NULL;
        TRY(!v->source.path || line(w, "      ", "init_from", source, v->source_from.row[0]));
        TRY(write_own_train(w, v));
    }
    return true;
}

static bool write_measures(struct writer *w)
{
    const struct run_spec *r = w->l->run;
    if (r->n_measures)
        TRY(text_add(&w->out, w->e, "measure:\n"));
    for (size_t i = 0; i < r->n_measures; i++) {
        const struct measure *m = r->measure[i].measure;
        const struct yaml *map = yaml_get(yaml_get(w->l->root, "measure"), m->name);
        TRY(text_add(&w->out, w->e, "  %s:\n", m->name));
        for (const struct opt *row = m->options; row->name; row++)
            TRY(line(w, "    ", row->name, option_value(w, row, r->measure[i].options), yaml_get(map, row->name)));
    }
    return true;
}

/* A task's word; a file of the user's own by its absolute path, for this text may move to another folder. */
static const char *task_word(struct writer *w, const struct task *t, const char *word)
{
    if (!strchr(word, '/') && !text_ends(word, ".yaml"))
        return word;
    char *full = realpath(t->origin, NULL);
    const char *copy = arena_strdup(w->arena, full ? full : t->origin, w->e);
    free(full);
    return copy ? quoted(w, copy) : NULL;
}

static bool write_lists(struct writer *w)
{
    const struct spec_lists *l = w->l;
    struct text tasks = {.arena = w->arena}, models = tasks, seeds = tasks;
    for (size_t i = 0; i < l->n_tasks; i++) {
        const char *word = task_word(w, l->task[i], l->task_word[i]);
        TRY(word && text_add(&tasks, w->e, "%s%s", i ? ", " : "[", word));
    }
    for (size_t i = 0; i < l->n_models; i++) {
        const char *word = quoted(w, l->model[i].name);
        TRY(word && text_add(&models, w->e, "%s%s", i ? ", " : "[", word));
    }
    for (size_t i = 0; i < l->n_seeds; i++)
        TRY(text_add(&seeds, w->e, "%s%llu", i ? ", " : "[", (unsigned long long)l->seed[i]));
    TRY(text_add(&tasks, w->e, "]") && text_add(&models, w->e, "]") && text_add(&seeds, w->e, "]"));
    return line(w, "", "model", models.s, yaml_get(l->root, "model")) &&
           line(w, "", "tasks", tasks.s, yaml_get(l->root, "tasks")) &&
           line(w, "", "seeds", seeds.s, yaml_get(l->root, "seeds"));
}

char *spec_resolved_text(const struct spec_lists *l, struct arena *a, struct err *e)
{
    struct writer w = {.out.arena = a, .l = l, .arena = a, .e = e};
    TRY(text_add(&w.out, e, "# %s, resolved: every value, and where it came from.\n", l->path));
    if (l->run->limit > 0)
        TRY(text_add(&w.out, e, "# Run with --limit %lld.\n", l->run->limit));
    TRY(line(&w, "", "name", quoted(&w, l->name), yaml_get(l->root, "name")) && write_lists(&w));
    for (const struct opt *row = run_options; row->name; row++) {
        const struct yaml *from = l->run_from->row[row - run_options];
        bool silent = row->type == OPT_STRINGS && !from; /* a head that is stated must be there in full */
        TRY(line(&w, silent ? "# " : "", row->name, option_value(&w, row, l->run), from));
    }
    TRY(write_train(&w) && write_methods(&w) && write_measures(&w));
    return w.out.s;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * /config */

static bool add_option(struct values *to, const char *prefix, const struct opt *row, const void *object, struct err *e)
{
    char key[160];
    const void *p = (const char *)object + row->offset;
    snprintf(key, sizeof key, "%s%s", prefix, row->name);
    switch (row->type) {
    case OPT_BOOL: return values_bool(to, key, *(const bool *)p, e);
    case OPT_INT: return values_int(to, key, *(const long long *)p, e);
    case OPT_REAL: return values_real(to, key, *(const double *)p, e);
    default: break;
    }
    const char *text = opt_value_text(row, object, to->arena, e);
    return text && values_string(to, key, text, e);
}

static bool add_options(struct values *to, const char *prefix, const struct opt *table, const void *object,
                        struct err *e)
{
    for (const struct opt *row = table; row->name; row++)
        TRY(add_option(to, prefix, row, object, e));
    return true;
}

/* What stood for "as elsewhere" gets the value it has there. */
static bool add_train(struct values *to, const struct train_options *given, const struct model_config *c, struct err *e)
{
    struct train_options t = *given;
    if (isnan(t.head_learning_rate))
        t.head_learning_rate = t.learning_rate;
    t.hidden_dropout_prob = c->hidden_dropout_prob;
    t.attention_probs_dropout_prob = c->attention_probs_dropout_prob;
    t.classifier_dropout = c->classifier_dropout < 0 ? c->hidden_dropout_prob : c->classifier_dropout;
    const char *groups = spec_groups_text(given, to->arena, e);
    return groups && add_options(to, "train.", train_options, &t, e) &&
           values_string(to, "train.param_groups", groups, e);
}

static bool add_model(struct values *to, const struct model_config *c, struct err *e)
{
    return values_string(to, "model.family", c->family == FAMILY_ROBERTA ? "roberta" : "bert", e) &&
           values_int(to, "model.vocab_size", c->vocab_size, e) &&
           values_int(to, "model.hidden_size", c->hidden_size, e) &&
           values_int(to, "model.num_hidden_layers", c->num_hidden_layers, e) &&
           values_int(to, "model.num_attention_heads", c->num_attention_heads, e) &&
           values_int(to, "model.intermediate_size", c->intermediate_size, e) &&
           values_int(to, "model.max_position_embeddings", c->max_position_embeddings, e) &&
           values_int(to, "model.type_vocab_size", c->type_vocab_size, e) &&
           values_real(to, "model.layer_norm_eps", c->layer_norm_eps, e) &&
           values_real(to, "model.initializer_range", c->initializer_range, e);
}

static bool add_measures(struct values *to, const struct run_spec *r, struct err *e)
{
    for (size_t i = 0; i < r->n_measures; i++) {
        char prefix[96];
        const struct measure *m = r->measure[i].measure;
        snprintf(prefix, sizeof prefix, "measure.%s.", m->name);
        TRY(add_options(to, prefix, m->options, r->measure[i].options, e));
    }
    return true;
}

/* What changes no number: names of things, what is kept, and how often a state is saved. */
static const char *const without_effect[] = {"experiment", "model", "keep", "train.save_steps", NULL};

static bool digest_config(struct run_spec *r, struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    for (size_t i = 0; i < r->config.n; i++) {
        const struct value *v = &r->config.v[i];
        if (spec_has_word(without_effect, v->key))
            continue;
        TRY(text_add(&t, e, "%s=", v->key));
        switch (v->type) {
        case VALUE_INT: TRY(text_add(&t, e, "%lld\n", v->i)); break;
        case VALUE_REAL: TRY(text_add(&t, e, "%.17g\n", v->d)); break;
        case VALUE_BOOL: TRY(text_add(&t, e, "%d\n", v->b)); break;
        default: TRY(text_add(&t, e, "%s\n", v->text)); break;
        }
    }
    return io_sha256(t.s, t.len, r->config_digest, e);
}

bool spec_write_config(struct run_spec *r, const struct model_config *c, struct arena *a, struct err *e)
{
    struct values *to = &r->config;
    *to = (struct values){.arena = a};
    return values_string(to, "experiment", r->experiment, e) && values_string(to, "task", r->task->name, e) &&
           values_int(to, "task.version", r->task->version, e) && values_string(to, "model", r->model.name, e) &&
           add_model(to, c, e) && values_string(to, "method", r->method->name, e) &&
           add_options(to, "method.", r->method->options, r->method_options, e) &&
           (!r->init_from || values_string(to, "init_from", r->init_from, e)) &&
           values_int(to, "seed", (long long)r->seed, e) && values_int(to, "limit", r->limit, e) &&
           add_options(to, "", run_options, r, e) && add_train(to, &r->train, c, e) && add_measures(to, r, e) &&
           digest_config(r, a, e);
}
