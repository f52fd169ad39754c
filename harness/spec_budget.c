/*
 * budget: how much a method trains, in scalars outside the head, in place of its knob (method->knob): a number, a share
 * of all of the model's parameters outside the head, or what another method of the spec trains.
 *
 * Each trial of the search (knob.h) builds the model without memory, lets head and method make their requests, and
 * counts them; a value that the method refuses for this model is too large.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/knob.h"
#include "harness/spec_impl.h"

const struct opt budget_options[] = {
    {.name = "budget", .type = OPT_STRING, .offset = offsetof(struct budget, text), .nullable = true,
     .help = "scalars to train outside the head: a number, a share of the model (0.5%), or match METHOD"},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * What a budget says */

struct amount {
    long long scalars;          /* > 0: so many                         */
    double percent;             /* > 0: of the model's, without head    */
    const struct method *match; /* what this method trains              */
};

static const char MATCH[] = "match ";

static bool read_match(struct amount *b, const struct yaml *y, const char *name, struct arena *a, struct err *e)
{
    char hint[128];
    if ((b->match = method_find(name)))
        return true;
    const char **names = method_names(a, e);
    return names && yaml_err(e, y, "unknown method `%s` in budget%s", name,
                             text_did_you_mean(name, names, hint, sizeof hint));
}

static bool read_percent(struct amount *b, const struct yaml *y, const char *number, struct err *e)
{
    if (!text_to_double(number, &b->percent))
        return yaml_err(e, y, "budget is `%s`; a share is written like 0.5%%", y->value);
    return (b->percent > 0 && b->percent <= 100) ||
           yaml_err(e, y, "range: budget is %s; it must lie in (0, 100]%%", y->value);
}

static bool read_amount(struct amount *b, const struct yaml *y, struct arena *a, struct err *e)
{
    const char *text = y->value;
    *b = (struct amount){0};
    if (text_starts(text, MATCH))
        return read_match(b, y, text + strlen(MATCH), a, e);
    if (text_ends(text, "%")) {
        char *number = arena_strndup(a, text, strlen(text) - 1, e);
        return number && read_percent(b, y, number, e);
    }
    if (!text_to_long(text, &b->scalars))
        return yaml_err(e, y, "budget is `%s`; it must be a number of scalars (800000), a share of the model (0.5%%), "
                        "or `match METHOD`", text);
    return b->scalars > 0 || yaml_err(e, y, "range: budget is %s; it must be > 0", text);
}

bool spec_check_budget(struct variant *v, struct arena *a, struct err *e)
{
    const struct yaml *y = v->budget_from.row[0];
    struct amount amount;
    if (!v->budget.text)
        return true;
    if (!v->method->knob)
        return yaml_err(e, y, "method %s has no option that sets how much is trained: it takes no budget",
                        v->method->name);
    size_t knob = (size_t)(opt_find(v->method->options, v->method->knob) - v->method->options);
    const struct yaml *given = v->options_from.row[knob];
    if (given && spec_is_override(given) == spec_is_override(y))
        return yaml_err(e, y, "budget sets `%s`, which is given too; give one of the two", v->method->knob);
    if (given && spec_is_override(given)) { /* stronger than a file's budget */
        v->budget.text = NULL;
        return true;
    }
    const struct opt alone[] = {v->method->options[knob], {0}};
    v->options_from.row[knob] = NULL;
    return opt_defaults(alone, v->options, a, e) && read_amount(&amount, y, a, e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Counting */

struct solver {
    struct run_spec run;     /* task, model and head; method and options of the trial */
    struct model_config config;
    const struct variant *const *variant; /* [n] all of the spec, budgets unsolved    */
    const struct variant **solved;        /* [n] NULL: not yet                        */
    bool *open;                           /* [n] being solved: a match that comes back here would never end */
    size_t n;
    const struct variant *top;
    struct arena *arena, *scratch;
    struct err *e;
};

/* Scalars that the run's method trains outside the head. */
static bool count(const struct solver *s, size_t *n, struct err *e)
{
    struct arena_mark mark = arena_mark(s->scratch);
    struct run_bare b;
    bool ok = run_build_bare(&s->run, &s->config, &b, s->scratch, e);
    if (ok)
        *n = param_trainable(&b.model.params, false);
    arena_release(s->scratch, mark);
    return ok;
}

/* Scalars of the model outside the head. */
static bool count_model(const struct solver *s, size_t *n)
{
    struct arena_mark mark = arena_mark(s->scratch);
    struct model m;
    TRY(model_build(&m, &s->config, s->scratch, s->e) && run_request_head(&s->run, &m, s->e));
    *n = 0;
    for (size_t i = 0; i < m.params.n; i++)
        *n += m.params.item[i]->head ? 0 : param_size(m.params.item[i]);
    arena_release(s->scratch, mark);
    return true;
}

static void set_method(struct solver *s, const struct method *m, void *options, const struct yaml *at)
{
    s->run.method = m;
    s->run.method_options = options;
    s->run.method_at = at;
}

static bool count_defaults(struct solver *s, const struct method *m, size_t *n)
{
    void *options = arena_alloc(s->scratch, MEM_SCRATCH, m->state_size, s->e);
    TRY(options && opt_defaults(m->options, options, s->scratch, s->e));
    set_method(s, m, options, NULL);
    return count(s, n, s->e);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The knob */

static bool count_trial(void *self, size_t *n, struct err *e) { return count(self, n, e); }

/* A budget that cannot be met; the knob stands where the count is nearest. */
static bool cannot(const struct solver *s, const struct knob *k, const struct variant *v, enum knob_end end)
{
    const struct yaml *y = v->budget_from.row[0];
    const char *value = opt_value_text(k->row, k->options, s->scratch, s->e), *model = s->run.model.name;
    char scalars[48] = "";
    TRY(value);
    if (end == KNOB_IDLE)
        return yaml_err(s->e, y, "budget: method %s trains %zu scalars in %s, whatever its `%s`", v->method->name, k->n,
                        model, k->row->name);
    if (strspn(v->budget.text, "0123456789") != strlen(v->budget.text))
        snprintf(scalars, sizeof scalars, " (%zu scalars)", k->budget);
    return yaml_err(s->e, y, "range: budget is `%s`%s; the %s that method %s trains in %s is %zu scalars (%s: %s)",
                    v->budget.text, scalars, end == KNOB_LEAST ? "least" : "most", v->method->name, model, k->n,
                    k->row->name, value);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Variants */

static bool solve(struct solver *s, size_t i);

/* What the first variant of a method trains; without one in the spec, what it trains by default. */
static bool count_match(struct solver *s, const struct yaml *y, const struct method *m, size_t *n)
{
    size_t i = 0;
    while (i < s->n && s->variant[i]->method != m)
        i++;
    if (i == s->n)
        return count_defaults(s, m, n);
    if (s->open[i])
        return yaml_err(s->e, y, "budget: `match %s` comes back to itself", m->name);
    TRY(solve(s, i));
    set_method(s, m, s->solved[i]->options, s->solved[i]->at);
    return count(s, n, s->e);
}

static bool count_budget(struct solver *s, const struct variant *v, size_t *n)
{
    const struct yaml *y = v->budget_from.row[0];
    struct amount b;
    TRY(read_amount(&b, y, s->scratch, s->e));
    *n = (size_t)b.scalars;
    if (b.match)
        return count_match(s, y, b.match, n);
    if (b.percent <= 0)
        return true;
    size_t all;
    TRY(count_model(s, &all));
    *n = (size_t)floor(b.percent * (double)all / 100 * (1 + 1e-12)); /* so that 0.1 % of 1000 is 1 */
    return true;
}

static bool solve_variant(struct solver *s, const struct variant *from, struct variant *v)
{
    *v = *from;
    TRY(v->options = arena_alloc(s->arena, MEM_DATA, v->method->state_size, s->e));
    memcpy(v->options, from->options, v->method->state_size);
    struct knob k = {.row = opt_find(v->method->options, v->method->knob), .options = v->options,
                     .count = count_trial, .self = s};
    enum knob_end end;
    TRY(count_budget(s, from, &k.budget));
    set_method(s, v->method, v->options, v->at);
    TRY(knob_turn(&k, &end, s->e) && (end == KNOB_FITS || cannot(s, &k, v, end)));
    v->options_from.row[k.row - v->method->options] = v->budget_from.row[0];
    v->solved = true;
    return spec_finish_variant(v, s->top, s->arena, s->e);
}

static bool solve(struct solver *s, size_t i)
{
    if (s->solved[i])
        return true;
    struct variant *v = NULL;
    s->open[i] = true;
    if (s->variant[i]->budget.text) {
        TRY(v = ARENA_NEW(s->arena, MEM_DATA, struct variant, 1, s->e));
        TRY(solve_variant(s, s->variant[i], v));
    }
    s->open[i] = false;
    s->solved[i] = v ? v : s->variant[i];
    return true;
}

static bool solve_all(struct solver *s)
{
    TRY(run_model_config(&s->run, &s->config, s->scratch, s->e));
    TRY(s->open = ARENA_NEW(s->scratch, MEM_SCRATCH, bool, s->n, s->e));
    for (size_t i = 0; i < s->n; i++)
        TRY(solve(s, i));
    return true;
}

bool spec_solve_budgets(const struct run_spec *run, const struct variant *const *variant, size_t n,
                        const struct variant **solved, const struct variant *top, struct arena *a, struct err *e)
{
    struct solver s = {.run = *run, .variant = variant, .solved = solved, .n = n, .top = top, .arena = a, .e = e};
    s.run.train = top->train;
    s.scratch = arena_create(NULL);
    if (!s.scratch)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = solve_all(&s);
    arena_destroy(s.scratch);
    return ok;
}
