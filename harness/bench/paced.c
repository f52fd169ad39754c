/* The protocol for programs that alternate with this one: see bench_paced in bench.h. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "harness/bench/stepper.h"

enum { LINE = 64 };

static bool sent(FILE *out, struct err *e)
{
    return fflush(out) == 0 || err_errno(e, ERR_ENV, "standard output", "cannot be written");
}

static void print_config(const struct model_config *c, FILE *out)
{
    fprintf(out,
            "\"config\": {\"model_type\": \"%s\", \"hidden_size\": %d, \"num_hidden_layers\": %d, "
            "\"num_attention_heads\": %d, \"intermediate_size\": %d, \"vocab_size\": %d, "
            "\"max_position_embeddings\": %d, \"type_vocab_size\": %d, \"pad_token_id\": %d, \"num_labels\": %d, "
            "\"hidden_dropout_prob\": %.17g, \"attention_probs_dropout_prob\": %.17g, \"layer_norm_eps\": %.17g}",
            c->family == FAMILY_BERT ? "bert" : "roberta", c->hidden_size, c->num_hidden_layers,
            c->num_attention_heads, c->intermediate_size, c->vocab_size, c->max_position_embeddings,
            c->type_vocab_size, c->pad_token_id, c->num_labels, c->hidden_dropout_prob,
            c->attention_probs_dropout_prob, c->layer_norm_eps);
}

/* Lengths of every batch; their mean operations. */
static double print_batches(struct stepper *x, FILE *out)
{
    double flops = 0;
    size_t batches = stepper_batches(x), n;
    for (size_t i = 0; i < batches; i++) {
        const int32_t *rows = stepper_rows(x, i, &n);
        flops += stepper_flops(x, rows, n);
        fprintf(out, "%s[", i ? ", " : "");
        for (size_t k = 0; k < n; k++)
            fprintf(out, "%s%d", k ? ", " : "", x->c->length[rows[k]]);
        fprintf(out, "]");
    }
    return flops / (double)batches;
}

static bool greet(struct stepper *x, FILE *out, struct err *e)
{
    const struct bench_case *c = x->c;
    fprintf(out, "{\"shape\": \"%s\", \"method\": \"%s\", \"eval\": %s, \"threads\": %d, ", c->shape.name,
            c->method->name, c->eval ? "true" : "false", c->threads);
    print_config(&x->s.model.config, out);
    fprintf(out, ", \"trained\": %zu, \"select_seconds\": %.9g, \"setup_seconds\": %.9g, \"batches\": [",
            param_trainable(&x->s.model.params, true), x->select_seconds, x->setup_seconds);
    double flops = print_batches(x, out);
    fprintf(out, "], \"flops\": %.17g}\n", flops);
    return sent(out, e);
}

static bool step(struct stepper *x, FILE *out, struct err *e)
{
    struct step_cost cost;
    TRY(stepper_step(x, &cost, e));
    fprintf(out, "{\"seconds\": %.9g, \"tokens\": %.17g, \"flops\": %.17g, \"phases\": {", cost.seconds, cost.tokens,
            cost.flops);
    for (int i = 0; i < STEP_PHASES; i++)
        fprintf(out, "%s\"%s\": %.9g", i ? ", " : "", step_phase_names[i], cost.phase[i]);
    fprintf(out, "}}\n");
    return sent(out, e);
}

static bool sgemm(struct stepper *x, FILE *out, struct err *e)
{
    double gflops;
    TRY(stepper_sgemm(x, &gflops, e));
    fprintf(out, "{\"gflops\": %.9g}\n", gflops);
    return sent(out, e);
}

static bool memory(struct stepper *x, FILE *out, struct err *e)
{
    const struct mem_meter *m = &x->s.meter;
    fprintf(out, "{\"peak_rss\": %zu, \"step_peak_rss\": %zu, \"bytes\": {", x->peak_rss, x->step_peak_rss);
    for (int t = 0; t < MEM_TAGS; t++)
        fprintf(out, "%s\"%s\": %zu", t ? ", " : "", mem_tag_name((enum mem_tag)t), m->at_peak[t]);
    fprintf(out, "}, \"peak_live\": %zu, \"planned\": %zu}\n", m->peak_live, x->plan.bytes_total);
    return sent(out, e);
}

static bool answer(struct stepper *x, const char *word, FILE *out, struct err *e)
{
    static const char *const words[] = {"step", "sgemm", "memory", NULL};
    static bool (*const functions[])(struct stepper *, FILE *, struct err *) = {step, sgemm, memory};
    char hint[64];
    for (size_t i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return functions[i](x, out, e);
    return err_set(e, ERR_INPUT, "--paced: unknown word `%s`%s (step, sgemm or memory)", word,
                   text_did_you_mean(word, words, hint, sizeof hint));
}

static bool converse(struct stepper *x, FILE *in, FILE *out, struct err *e)
{
    char line[LINE];
    TRY(greet(x, out, e));
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\r\n")] = 0;
        TRY(answer(x, line, out, e));
    }
    return true;
}

bool bench_paced(const struct bench_case *c, FILE *in, FILE *out, struct err *e)
{
    struct stepper x;
    bool ok = stepper_open(&x, c, e) && converse(&x, in, out, e);
    stepper_close(&x);
    return ok;
}
