/*
 * Optimizers: see optim.h. The shared walk brings every form of request down to runs of neighbours: a kernel sees w, g
 * and the state as contiguous arrays, whatever the form. Elements do not depend on each other, so that the number of
 * threads cannot change a bit.
 */
#include "methods/optim.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "methods/target.h"

enum { MAX_STATE = 2, CHUNK = 4096, GATHER = 256 };

/* Numbers of one step of one parameter, computed once in double. */
struct rates {
    real keep;          /* adamw: factor of p by decay, 1 - lr wd        */
    real decay;         /* lr wd for adamw, wd for sgd                   */
    real beta2, one_minus_beta1, one_minus_beta2;
    real step;          /* lr / (1 - b1^t) for adamw, lr for sgd         */
    real root;          /* sqrt(1 - b2^t)                                */
    real epsilon, momentum;
};

/* One run: everything [n]. `init` is what decay pulls to, NULL for zero; state that the options do not need is NULL. */
struct run {
    size_t n;
    real *w;
    const real *g, *init;
    real *state[MAX_STATE];
};

struct optimizer {
    const char *name;
    const char *state[MAX_STATE]; /* names as in PyTorch's state_dict */
    int (*n_state)(const struct optim_options *o);
    void (*rates)(const struct optim_options *o, double lr, double decay, double t, struct rates *r);
    void (*run)(const struct rates *r, const struct run *x);
};

/* State of one parameter. `t` is a double so that it can be saved like the tensors. */
struct slot {
    const struct param *p;
    double learning_rate, weight_decay, t;
    real *state[MAX_STATE];
    real *init;
};

struct optim {
    struct optim_options options;
    const struct optimizer *rule;
    struct slot *slot; /* [n] in the order of the parameters */
    size_t n;
};

/* -------------------------------------------------------------------------------------------------------------------
 * AdamW, decoupled decay first (Loshchilov & Hutter 2019, algorithm 2, in PyTorch's order of operations) */

static int adamw_states(const struct optim_options *o)
{
    (void)o;
    return 2;
}

static void adamw_rates(const struct optim_options *o, double lr, double decay, double t, struct rates *r)
{
    *r = (struct rates){.keep = (real)(1 - lr * decay),
                        .decay = (real)(lr * decay),
                        .beta2 = (real)o->adam_beta2,
                        .one_minus_beta1 = (real)(1 - o->adam_beta1),
                        .one_minus_beta2 = (real)(1 - o->adam_beta2),
                        .step = (real)(lr / (1 - pow(o->adam_beta1, t))),
                        .root = (real)sqrt(1 - pow(o->adam_beta2, t)),
                        .epsilon = (real)o->adam_epsilon};
}

static real root(real x) { return (real)(sizeof(real) == sizeof(float) ? sqrtf((float)x) : sqrt((double)x)); }

static void adamw_run(const struct rates *r, const struct run *x)
{
    const struct rates k = *r;
    real *restrict w = x->w, *restrict m = x->state[0], *restrict v = x->state[1];
    const real *restrict g = x->g, *restrict init = x->init;
    if (init)
        for (size_t i = 0; i < x->n; i++)
            w[i] -= k.decay * (w[i] - init[i]);
    else
        for (size_t i = 0; i < x->n; i++)
            w[i] *= k.keep;
    for (size_t i = 0; i < x->n; i++) {
        m[i] += k.one_minus_beta1 * (g[i] - m[i]);
        v[i] = v[i] * k.beta2 + k.one_minus_beta2 * g[i] * g[i];
        w[i] -= k.step * m[i] / (root(v[i]) / k.root + k.epsilon);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * SGD, decay in the gradient, momentum without dampening */

static int sgd_states(const struct optim_options *o) { return o->momentum != 0; }

static void sgd_rates(const struct optim_options *o, double lr, double decay, double t, struct rates *r)
{
    (void)t;
    *r = (struct rates){.step = (real)lr, .decay = (real)decay, .momentum = (real)o->momentum};
}

static void sgd_run(const struct rates *r, const struct run *x)
{
    for (size_t i = 0; i < x->n; i++) {
        real g = x->g[i] + r->decay * (x->w[i] - (x->init ? x->init[i] : 0));
        if (x->state[0])
            g = x->state[0][i] = r->momentum * x->state[0][i] + g;
        x->w[i] -= r->step * g;
    }
}

/* In the order of OPTIM_WORDS. */
static const struct optimizer table[] = {
    {"adamw_torch", {"exp_avg", "exp_avg_sq"}, adamw_states, adamw_rates, adamw_run},
    {"sgd", {"momentum_buffer", NULL}, sgd_states, sgd_rates, sgd_run},
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
    bool excluded = strstr(p->name, "bias") || strstr(p->name, "LayerNorm.weight");
    double decay = excluded ? 0 : o->weight_decay;
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
        size_t arrays = (size_t)table[o->optim].n_state(o) + has_init(o, p);
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
    o->rule = &table[options->optim];
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
        for (int i = 0; i < MAX_STATE; i++) {
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
    const struct rates *r;
    bool decays_to_init;
};

/* The n compact values from `at` on, whose weights stand at w. */
static struct run part(const struct walk *k, size_t at, real *w, size_t n)
{
    return (struct run){.n = n,
                        .w = w,
                        .g = k->s->p->grad.v + at,
                        .init = k->decays_to_init ? k->s->init + at : NULL,
                        .state = {k->s->state[0] ? k->s->state[0] + at : NULL,
                                  k->s->state[1] ? k->s->state[1] + at : NULL}};
}

/* A long run, cut for the threads. */
static void step_run(const struct walk *k, real *w, size_t compact, size_t length)
{
#pragma omp parallel for schedule(static) if (length > 4 * CHUNK)
    for (size_t at = 0; at < length; at += CHUNK) {
        struct run x = part(k, compact + at, w + at, length - at < CHUNK ? length - at : CHUNK);
        k->o->rule->run(k->r, &x);
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
        struct run x = part(k, at, w, n);
        k->o->rule->run(k->r, &x);
        for (size_t i = 0; i < n; i++)
            p->w[idx[i]] = w[i];
    }
}

static void step_neighbours(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    step_run(u, p->w + at, compact, length);
}

/* compact: what moves, NULL for the weights themselves. */
static void step_slot(const struct optim *o, struct slot *s, real *compact, double schedule)
{
    struct rates r;
    s->t += 1;
    o->rule->rates(&o->options, s->learning_rate * schedule, s->weight_decay, s->t, &r);
    struct walk k = {.o = o, .s = s, .r = &r, .decays_to_init = s->init && !compact};
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

void optim_step(struct optim *o, double schedule)
{
    for (struct slot *s = o->slot; s < o->slot + o->n; s++)
        step_slot(o, s, NULL, schedule);
}

void optim_step_param(struct optim *o, const struct param *p, double schedule)
{
    struct slot *s = find_slot(o, p);
    if (s)
        step_slot(o, s, NULL, schedule);
}

void optim_step_compact(struct optim *o, const struct param *p, real *compact, double schedule)
{
    struct slot *s = find_slot(o, p);
    assert(s && compact);
    step_slot(o, s, compact, schedule);
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
    for (int i = 0; s && i < MAX_STATE; i++)
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
