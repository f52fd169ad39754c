/*
 * Optimizers: see optim.h; what each of them computes stands in optim_rules.c. The shared walk brings every form of
 * request down to runs of neighbours: a rule sees w, g and the state as contiguous arrays, whatever the form. Elements
 * do not depend on each other, so that the number of threads cannot change a bit.
 */
#include "methods/optim.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/optim_rules.h"
#include "methods/target.h"

enum { CHUNK = 4096, GATHER = 256 };

/* State of one parameter. `t` is a double so that it can be saved like the tensors. */
struct slot {
    const struct param *p;
    double learning_rate, weight_decay, t;
    real *state[OPTIM_STATES];
    real *init;
};

struct optim {
    struct optim_options options;
    const struct optim_rule *rule;
    struct slot *slot; /* [n] in the order of the parameters */
    size_t n;
};

/* -------------------------------------------------------------------------------------------------------------------
 * Options and groups */

struct optim_options optim_defaults(void)
{
    return (struct optim_options){.learning_rate = 5e-5, .head_learning_rate = NAN, .adam_beta1 = 0.9,
                                  .adam_beta2 = 0.999,   .adam_epsilon = 1e-8};
}

bool optim_check(const struct optim_options *o, const struct model *m, struct arena *a, struct err *e)
{
    for (size_t g = 0; g < o->n_groups; g++) {
        bool hit = false;
        for (size_t i = 0; i < m->params.n && !hit; i++)
            hit = target_matches_param(o->group[g].pattern, m->params.item[i]);
        if (!hit)
            return target_nothing(m, "a parameter group", o->group[g].pattern, o->group[g].at, a, e);
    }
    return true;
}

double optim_learning_rate(const struct optim_options *o, const struct param *p)
{
    double rate = p->head && !isnan(o->head_learning_rate) ? o->head_learning_rate : o->learning_rate;
    for (size_t g = 0; g < o->n_groups; g++)
        if (!isnan(o->group[g].learning_rate) && target_matches_param(o->group[g].pattern, p))
            rate = o->group[g].learning_rate;
    return rate;
}

double optim_weight_decay(const struct optim_options *o, const struct param *p)
{
    bool spared = strstr(p->name, "bias") || strstr(p->name, "LayerNorm.weight");
    double decay = spared && !optim_rules[o->optim].decays_all ? 0 : o->weight_decay;
    for (size_t g = 0; g < o->n_groups; g++)
        if (!isnan(o->group[g].weight_decay) && target_matches_param(o->group[g].pattern, p))
            decay = o->group[g].weight_decay;
    return decay;
}

/* -------------------------------------------------------------------------------------------------------------------
 * State */

static bool has_slot(const struct param *p)
{
    return p->grad.form != GRAD_NONE && !p->watched && !p->self_stepped;
}

static bool has_init(const struct optim_options *o, const struct param *p)
{
    return o->decay_to == DECAY_TO_INIT && optim_weight_decay(o, p) != 0;
}

void optim_bytes(const struct optim_options *o, const struct param_list *params, size_t bytes[MEM_TAGS])
{
    size_t n = 0;
    for (size_t i = 0; i < params->n; i++) {
        const struct param *p = params->item[i];
        if (!has_slot(p))
            continue;
        size_t arrays = (size_t)optim_rules[o->optim].n_state(o) + has_init(o, p);
        bytes[MEM_OPTIMIZER] += arrays * mem_round(p->grad.size * sizeof(real));
        n++;
    }
    bytes[MEM_OPTIMIZER] += mem_round(sizeof(struct optim)) + mem_round(n * sizeof(struct slot));
}

static bool slot_create(struct optim *o, const struct param *p, struct arena *a, struct err *e)
{
    struct slot *s = &o->slot[o->n++];
    *s = (struct slot){.p = p,
                       .learning_rate = optim_learning_rate(&o->options, p),
                       .weight_decay = optim_weight_decay(&o->options, p)};
    for (int i = 0; i < o->rule->n_state(&o->options); i++)
        TRY(s->state[i] = ARENA_NEW(a, MEM_OPTIMIZER, real, p->grad.size, e));
    if (has_init(&o->options, p)) {
        TRY(s->init = ARENA_NEW(a, MEM_OPTIMIZER, real, p->grad.size, e));
        param_gather(p, p->w, s->init);
    }
    return true;
}

struct optim *optim_create(const struct optim_options *options, struct param_list *params, struct arena *a,
                           struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < params->n; i++)
        n += has_slot(params->item[i]);
    struct optim *o = ARENA_NEW(a, MEM_OPTIMIZER, struct optim, 1, e);
    TRY(o);
    o->options = *options;
    o->rule = &optim_rules[options->optim];
    TRY(o->slot = ARENA_NEW(a, MEM_OPTIMIZER, struct slot, n, e));
    for (size_t i = 0; i < params->n; i++)
        if (has_slot(params->item[i]))
            TRY(slot_create(o, params->item[i], a, e));
    return o;
}

void optim_state(struct optim *o, void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u)
{
    char name[640];
    for (struct slot *s = o->slot; s < o->slot + o->n; s++) {
        snprintf(name, sizeof name, "%s/step", s->p->name);
        tensor(u, name, &s->t, sizeof s->t);
        for (int i = 0; i < OPTIM_STATES; i++) {
            if (!s->state[i])
                continue;
            snprintf(name, sizeof name, "%s/%s", s->p->name, o->rule->state[i]);
            tensor(u, name, s->state[i], s->p->grad.size * sizeof(real));
        }
        if (s->init) {
            snprintf(name, sizeof name, "%s/init", s->p->name);
            tensor(u, name, s->init, s->p->grad.size * sizeof(real));
        }
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * Steps */

struct walk {
    const struct optim *o;
    const struct slot *s;
    const struct optim_rates *r;
    real scale; /* of gradients */
    bool decays_to_init;
};

/* The n compact values from `at` on, whose weights stand at w. */
static struct optim_run part(const struct walk *k, size_t at, real *w, size_t n)
{
    return (struct optim_run){.n = n,
                        .w = w,
                        .g = k->s->p->grad.v + at,
                        .init = k->decays_to_init ? k->s->init + at : NULL,
                        .scale = k->scale,
                        .state = {k->s->state[0] ? k->s->state[0] + at : NULL,
                                  k->s->state[1] ? k->s->state[1] + at : NULL}};
}

/* A long run, cut for the threads. */
static void step_run(const struct walk *k, real *w, size_t compact, size_t length)
{
#pragma omp parallel for schedule(static) if (length > 4 * CHUNK)
    for (size_t at = 0; at < length; at += CHUNK) {
        struct optim_run x = part(k, compact + at, w + at, length - at < CHUNK ? length - at : CHUNK);
        optim_rule_run(k->o->options.optim, k->r, &x);
    }
}

/* Scattered entries: collected into a small buffer, stepped as a run, put back. */
static void step_entries(const struct walk *k)
{
    const struct param *p = k->s->p;
#pragma omp parallel for schedule(static) if (p->grad.n > 16 * GATHER)
    for (size_t at = 0; at < p->grad.n; at += GATHER) {
        real w[GATHER];
        size_t n = p->grad.n - at < GATHER ? p->grad.n - at : GATHER;
        const uint32_t *idx = p->grad.idx + at;
        for (size_t i = 0; i < n; i++)
            w[i] = p->w[idx[i]];
        struct optim_run x = part(k, at, w, n);
        optim_rule_run(k->o->options.optim, k->r, &x);
        for (size_t i = 0; i < n; i++)
            p->w[idx[i]] = w[i];
    }
}

static void step_neighbours(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    step_run(u, p->w + at, compact, length);
}

/* compact: what moves, NULL for the weights themselves. */
static void step_slot(const struct optim *o, struct slot *s, real *compact, double schedule, double scale)
{
    struct optim_rates r;
    s->t += 1;
    o->rule->rates(&o->options, s->learning_rate * schedule, s->weight_decay, s->t, &r);
    struct walk k = {.o = o, .s = s, .r = &r, .scale = (real)scale, .decays_to_init = s->init && !compact};
    if (compact)
        step_run(&k, compact, 0, s->p->grad.size);
    else if (s->p->grad.form == GRAD_ENTRIES)
        step_entries(&k);
    else
        param_each_run(s->p, step_neighbours, &k);
}

static struct slot *find_slot(struct optim *o, const struct param *p)
{
    for (struct slot *s = o->slot; s < o->slot + o->n; s++)
        if (s->p == p)
            return s;
    return NULL;
}

void optim_step(struct optim *o, double schedule) { optim_step_scaled(o, schedule, 1); }

void optim_step_scaled(struct optim *o, double schedule, double scale)
{
    for (struct slot *s = o->slot; s < o->slot + o->n; s++)
        step_slot(o, s, NULL, schedule, scale);
}

void optim_step_param(struct optim *o, const struct param *p, double schedule)
{
    struct slot *s = find_slot(o, p);
    if (s)
        step_slot(o, s, NULL, schedule, 1);
}

void optim_step_compact(struct optim *o, const struct param *p, real *compact, double schedule)
{
    struct slot *s = find_slot(o, p);
    assert(s && compact);
    step_slot(o, s, compact, schedule, 1);
}

const struct optim_options *optim_options(const struct optim *o) { return &o->options; }

/* v [n units of `each` scalars] from the order of `old` to that of `now`. */
static void move_units(real *v, real *copy, const uint32_t *old, const uint32_t *now, size_t n, size_t each)
{
    memcpy(copy, v, n * each * sizeof *v);
    memset(v, 0, n * each * sizeof *v);
    for (size_t i = 0, j = 0; i < n && j < n;) {
        if (old[i] == now[j])
            memcpy(v + j++ * each, copy + i++ * each, each * sizeof *v);
        else
            *(old[i] < now[j] ? &i : &j) += 1;
    }
}

void optim_move(struct optim *o, const struct param *p, const uint32_t *old, real *copy)
{
    struct slot *s = find_slot(o, p);
    assert(p->grad.form == GRAD_ENTRIES || p->grad.form == GRAD_ROWS || p->grad.form == GRAD_BLOCKS);
    for (int i = 0; s && i < OPTIM_STATES; i++)
        if (s->state[i])
            move_units(s->state[i], copy, old, p->grad.idx, p->grad.n, p->grad.size / p->grad.n);
    if (!s || !s->init)
        return;
    memcpy(copy, s->init, p->grad.size * sizeof *copy);
    param_gather(p, p->w, s->init); /* new entries are pulled to where they stand */
    size_t each = p->grad.size / p->grad.n;
    for (size_t i = 0, j = 0; i < p->grad.n && j < p->grad.n;) {
        if (old[i] == p->grad.idx[j])
            memcpy(s->init + j++ * each, copy + i++ * each, each * sizeof *copy);
        else
            *(old[i] < p->grad.idx[j] ? &i : &j) += 1;
    }
}
