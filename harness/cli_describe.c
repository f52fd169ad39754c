/* describe: one method, model, task or measurement, from its own table. Methods as docs/methods.md has them. */
#include <ctype.h>

#include "base/opt.h"
#include "harness/cli_impl.h"
#include "harness/measure/measure.h"
#include "methods/method.h"
#include "models/model.h"
#include "tasks/task.h"

bool cli_describe_options(const struct opt *table, struct text *out, struct err *e)
{
    static const char *const names[] = {"option", "type", "default", "range", "meaning", NULL};
    struct cli_table t = {.arena = out->arena, .columns = 5};
    if (!table->name)
        return text_add(out, e, "It has no options.\n");
    TRY(cli_cells(&t, names, e));
    for (const struct opt *row = table; row->name; row++) {
        const char *dflt = opt_default_text(row, out->arena, e), *range = opt_range_text(row, out->arena, e);
        TRY(dflt && range);
        TRY(cli_cell(&t, e, "%s", row->name) && cli_cell(&t, e, "%s", opt_type_name(row)) &&
            cli_cell(&t, e, "%s", dflt) && cli_cell(&t, e, "%s", range) && cli_cell(&t, e, "%s", row->help));
    }
    return cli_table_text(&t, false, out, e);
}

static bool unknown(const char *what, const char *name, const char *const *words, struct err *e)
{
    char hint[128];
    return err_set(e, ERR_INPUT, "unknown %s `%s`%s", what, name, text_did_you_mean(name, words, hint, sizeof hint));
}

/* What it trains, the paper, and what its file says about it. */
static bool describe_text(const struct method *m, struct text *out, struct err *e)
{
    enum { COLUMNS = 100 };
    char *first = arena_printf(out->arena, e, "%c%s (%s).", toupper((unsigned char)m->help[0]), m->help + 1, m->paper);
    TRY(first && text_wrap(out, first, COLUMNS, e) && text_add(out, e, "\n"));
    return !m->about || (text_wrap(out, m->about, COLUMNS, e) && text_add(out, e, "\n"));
}

static bool describe_method(const char *name, struct text *out, struct err *e)
{
    const struct method *m = method_find(name);
    if (!m) {
        const char **names = method_names(out->arena, e);
        return names && unknown("method", name, names, e);
    }
    return text_add(out, e, "## %s: %s\n\n", m->name, m->title) && describe_text(m, out, e) &&
           cli_describe_options(m->options, out, e) &&
           (!m->knob || text_add(out, e, "\nA spec's `budget` sets `%s`.\n", m->knob));
}

static bool describe_measure(const char *name, struct text *out, struct err *e)
{
    const struct measure *m = measure_find(name);
    if (!m) {
        const char *names[64] = {NULL};
        for (size_t i = 0; i < 63 && measure_table[i]; i++)
            names[i] = measure_table[i]->name;
        return unknown("measure", name, names, e);
    }
    return text_add(out, e, "%s (%s)\n%s\n\n", m->name, m->title, m->help) && cli_describe_options(m->options, out, e);
}

static bool describe_task(const char *name, struct text *out, struct err *e)
{
    const struct task *t = task_open(name, NULL, NULL, out->arena, e);
    const char *text = t ? task_describe(t, out->arena, e) : NULL;
    return text && text_add(out, e, "%s", text);
}

/* Scalars of the embeddings, of the encoder's layers, and of the head. */
static bool describe_counts(const struct model *m, struct text *out, struct err *e)
{
    size_t embeddings = 0, layers = 0, head = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        *(p->head ? &head : p->layer < 0 ? &embeddings : &layers) += param_size(p);
    }
    return text_add(out, e,
                    "parameters:      %zu with a head of two labels\n"
                    "  embeddings:    %zu\n"
                    "  layers:        %zu\n"
                    "  head:          %zu\n",
                    embeddings + layers + head, embeddings, layers, head);
}

static bool describe_model(const char *name, struct text *out, struct err *e)
{
    struct model_source s;
    struct model_config c;
    struct model m;
    TRY(model_source_open(&s, name, NULL, out->arena, e) && model_config_read(&c, &s, out->arena, e) &&
        model_build(&m, &c, out->arena, e));
    bool weights = model_source_has(&s, "model.safetensors") || model_source_has(&s, "model.safetensors.index.json");
    bool words = model_source_has(&s, "tokenizer.json") || model_source_has(&s, "vocab.txt");
    TRY(text_add(out, e,
                 "%s\nfamily:          %s\nlayers:          %d\nhidden size:     %d\nheads:           %d\n"
                 "intermediate:    %d\nvocabulary:      %d\nlongest input:   %d tokens\n"
                 "dropout:         %g hidden, %g attention\nweights:         %s\ntokenizer:       %s\n",
                 s.name, c.family == FAMILY_ROBERTA ? "roberta" : "bert", c.num_hidden_layers, c.hidden_size,
                 c.num_attention_heads, c.intermediate_size, c.vocab_size, model_config_max_tokens(&c),
                 c.hidden_dropout_prob, c.attention_probs_dropout_prob,
                 weights ? "pretrained" : s.zoo ? "none: starts from a random initialisation" : "none",
                 words ? "yes" : "none"));
    return describe_counts(&m, out, e);
}

const char *const cli_describe_words[] = {"method", "model", "task", "measure", NULL};
static bool (*const describers[])(const char *name, struct text *out, struct err *e) = {
    describe_method, describe_model, describe_task, describe_measure};

bool cli_describe(struct cli_call *c, struct err *e)
{
    int kind = 0;
    struct text out = {.arena = c->arena};
    return cli_choice("what to describe", c->arg[0], cli_describe_words, &kind, e) &&
           describers[kind](c->arg[1], &out, e) && cli_print(c, out.s, e);
}
