/* A run's model: its configuration, its head, its optimizer and schedule. See spec.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/spec_impl.h"
#include "models/bf16.h"

bool run_model_config(const struct run_spec *r, struct model_config *c, struct arena *a, struct err *e)
{
    const struct train_options *t = &r->train;
    TRY(model_config_read(c, &r->model, a, e));
    if (r->layers > 0)
        c->num_hidden_layers = r->layers;
    c->num_labels = r->task->n_labels;
    c->pooling = (enum pooling)r->pooling;
    if (!isnan(t->hidden_dropout_prob))
        c->hidden_dropout_prob = t->hidden_dropout_prob;
    if (!isnan(t->attention_probs_dropout_prob))
        c->attention_probs_dropout_prob = t->attention_probs_dropout_prob;
    if (!isnan(t->classifier_dropout))
        c->classifier_dropout = t->classifier_dropout;
    return true;
}

struct optim_options run_optim_options(const struct run_spec *r)
{
    const struct train_options *t = &r->train;
    return (struct optim_options){
        .optim = t->optim,
        .learning_rate = t->learning_rate,
        .head_learning_rate = t->head_learning_rate,
        .weight_decay = t->weight_decay,
        .decay_to = t->decay_to,
        .adam_beta1 = t->adam_beta1,
        .adam_beta2 = t->adam_beta2,
        .adam_epsilon = t->adam_epsilon,
        .momentum = t->momentum,
        .group = t->group,
        .n_groups = t->n_groups,
    };
}

struct schedule run_schedule(const struct run_spec *r, long total_steps, long steps_per_epoch)
{
    const struct train_options *t = &r->train;
    return (struct schedule){
        .type = (enum schedule_type)t->lr_scheduler_type,
        .warmup_steps =
            t->warmup_steps > 0 ? (long)t->warmup_steps : schedule_warmup_steps(t->warmup_ratio, total_steps),
        .total_steps = total_steps,
        .end = t->learning_rate > 0 ? t->lr_end / t->learning_rate : 0,
        .power = t->power,
        .gamma = t->gamma,
        .step_size = (long)t->step_size * (t->step_unit == STEP_UNIT_EPOCH ? steps_per_epoch : 1),
    };
}

/* Is the pattern a run of whole parts of the dotted name? `pooler` is one of `bert.pooler.dense.weight`. */
static bool names_part(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    for (const char *at = strstr(name, pattern); at && n; at = strstr(at + 1, pattern))
        if ((at == name || at[-1] == '.') && (at[n] == '.' || !at[n]))
            return true;
    return false;
}

static bool head_error(const struct run_spec *r, size_t word, const char *msg, struct err *e)
{
    const struct yaml *at = r->head.at;
    if (at && at->kind == YAML_LIST && at->child)
        for (at = at->child; word > 0; word--)
            at = at->next;
    return at ? yaml_err(e, at, "%s", msg) : err_set(e, ERR_INPUT, "%s", msg);
}

static bool nothing_named(const struct run_spec *r, const struct model *m, size_t word, struct err *e)
{
    static const char *const words[] = {"pooler", "classifier", NULL}, *const no_pooler[] = {"classifier", NULL};
    bool has_pooler = m->config.family == FAMILY_BERT && m->config.pooling == POOLING_POOLER;
    char hint[128], msg[768];
    text_did_you_mean(r->head.word[word], has_pooler ? words : no_pooler, hint, sizeof hint);
    snprintf(msg, sizeof msg, "`%.200s` in head names no part of the head of %.200s%s", r->head.word[word],
             r->model.name, hint);
    return head_error(r, word, msg, e);
}

/* The default names a pooler, which RoBERTa and other poolings do not have. */
static bool may_be_absent(const struct run_spec *r, size_t word)
{
    return !r->head.at && strcmp(r->head.word[word], "pooler") == 0;
}

bool run_request_head(const struct run_spec *r, struct model *m, struct err *e)
{
    int head_layer = m->config.num_hidden_layers;
    if (r->head.n == 0)
        return head_error(r, 0, "head is empty; the classifier at least has to be trained", e);
    for (size_t i = 0; i < m->params.n; i++)
        m->params.item[i]->head = false;
    for (size_t w = 0; w < r->head.n; w++) {
        bool hit = false;
        for (size_t i = 0; i < m->params.n; i++) {
            struct param *p = m->params.item[i];
            if (p->layer != head_layer || !names_part(r->head.word[w], p->name))
                continue;
            hit = p->head = true;
            param_request(p, GRAD_DENSE, 0, 0);
        }
        if (!hit && !may_be_absent(r, w))
            return nothing_named(r, m, w, e);
    }
    return true;
}

bool run_build_bare(const struct run_spec *r, const struct model_config *c, struct run_bare *b, struct arena *a,
                    struct err *e)
{
    b->env = (struct method_env){.model = &b->model, .arena = a, .seed = r->seed, .at = r->method_at};
    b->self = arena_alloc(a, MEM_METHOD, r->method->state_size, e);
    TRY(b->self && model_build(&b->model, c, a, e) && run_request_head(r, &b->model, e));
    if (r->method->state_size)
        memcpy(b->self, r->method_options, r->method->state_size);
    return r->method->plan(b->self, &b->env, e);
}

static bool hold_as(const struct run_spec *r, struct model *m, enum weight_hold frozen, struct arena *a, struct err *e)
{
    struct model_config c;
    struct run_bare b;
    TRY(run_model_config(r, &c, a, e) && run_build_bare(r, &c, &b, a, e));
    bf16_hold(&m->params, &b.model.params, c.num_hidden_layers,
              r->train.frozen_dtype == FROZEN_BFLOAT16 ? frozen : HOLD_REAL);
    return true;
}

bool run_hold_weights(const struct run_spec *r, struct model *m, enum weight_hold frozen, struct err *e)
{
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = hold_as(r->frozen_as ? r->frozen_as : r, m, frozen, a, e);
    arena_destroy(a);
    return ok;
}
