/*
 * What can be wrong with a run before any data or weights are seen. The model is built without memory, and the method
 * plans on it: a pattern that matches nothing or a rank too high is found here, at its place in the spec.
 */
#include <math.h>
#include <string.h>

#include "harness/spec_impl.h"

/* Place of a training option: its own, else the method's entry. */
static const struct yaml *train_place(const struct variant *v, const char *option)
{
    const struct yaml *from = v->train_from.row[opt_find(train_options, option) - train_options];
    return from ? from : v->at;
}

/* Options of `train` that contradict each other, and such that would silently do nothing. */
static bool check_train(const struct run_spec *r, const struct variant *v, struct err *e)
{
    const struct train_options *t = &r->train;
    if (t->gradient_accumulation_steps > t->batch_size)
        return yaml_err(e, train_place(v, "gradient_accumulation_steps"),
                        "gradient_accumulation_steps is %lld; a batch has only %lld examples (batch_size)",
                        t->gradient_accumulation_steps, t->batch_size);
    if (t->train_samples && t->per_class)
        return yaml_err(e, train_place(v, "per_class"), "per_class and train_samples exclude each other");
    if (t->per_class && r->task->kind == TASK_REGRESSION)
        return yaml_err(e, train_place(v, "per_class"), "per_class needs classes; task %s is a regression",
                        r->task->name);
    if (t->select_on == SELECT_TRAIN_HOLDOUT && t->train_holdout <= 0)
        return yaml_err(e, train_place(v, "train_holdout"),
                        "train_holdout is 0, but select_on is train_holdout: nothing is left to select on");
    if (t->eval_strategy != EVAL_STEPS && v->train_from.row[opt_find(train_options, "eval_steps") - train_options])
        return yaml_err(e, train_place(v, "eval_steps"), "eval_steps needs eval_strategy: steps");
    if (t->eval_strategy == EVAL_END && t->early_stopping_patience > 0)
        return yaml_err(e, train_place(v, "early_stopping_patience"),
                        "early_stopping_patience needs evaluations; eval_strategy is no");
    return true;
}

static bool check_length(const struct run_spec *r, const struct variant *v, const struct yaml *model_at,
                         const struct model_config *c, struct err *e)
{
    const struct yaml *from = v->train_from.row[opt_find(train_options, "max_seq_length") - train_options];
    int most = model_config_max_tokens(c);
    return r->train.max_seq_length <= most ||
           yaml_err(e, from ? from : model_at, "max_seq_length is %lld; model %s takes at most %d tokens",
                    r->train.max_seq_length, r->model.name, most);
}

static bool plan_method(const struct run_spec *r, const struct variant *v, const struct model_config *c,
                        struct arena *a, struct err *e)
{
    struct model m;
    struct optim_options optim = run_optim_options(r);
    struct method_env env = {.model = &m, .arena = a, .seed = r->seed, .at = v->at};
    void *self = arena_alloc(a, MEM_DATA, v->method->state_size, e);
    TRY(self && model_build(&m, c, a, e) && run_request_head(r, &m, e));
    if (v->method->state_size)
        memcpy(self, v->options, v->method->state_size);
    return v->method->plan(self, &env, e) && optim_check(&optim, &m, a, e);
}

bool spec_check_run(const struct run_spec *r, const struct variant *v, const struct yaml *model_at,
                    struct model_config *config, struct err *e)
{
    struct arena *scratch = arena_create(NULL);
    if (!scratch)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = check_train(r, v, e) && run_model_config(r, config, scratch, e) &&
              check_length(r, v, model_at, config, e) && plan_method(r, v, config, scratch, e);
    arena_destroy(scratch);
    return ok;
}
