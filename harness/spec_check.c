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

/* Has this option of `train` another value than its default? A resolved spec states them all. */
static bool changed(const struct train_options *t, const char *option)
{
    const struct opt *row = opt_find(train_options, option);
    const void *value = (const char *)t + row->offset;
    switch (row->type) {
    case OPT_INT: return (double)*(const long long *)value != row->dflt;
    case OPT_ENUM: return *(const int *)value != (int)row->dflt;
    default: return *(const double *)value != row->dflt;
    }
}

/* Options that only one lr_scheduler_type reads. */
static bool check_schedule(const struct run_spec *r, const struct variant *v, struct err *e)
{
    static const struct {
        const char *option, *word;
        enum schedule_type type;
    } rows[] = {
        {"lr_end", "polynomial", SCHEDULE_POLYNOMIAL}, {"power", "polynomial", SCHEDULE_POLYNOMIAL},
        {"gamma", "step", SCHEDULE_STEP},              {"step_size", "step", SCHEDULE_STEP},
        {"step_unit", "step", SCHEDULE_STEP},
    };
    const struct train_options *t = &r->train;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (t->lr_scheduler_type != (int)rows[i].type && changed(t, rows[i].option))
            return yaml_err(e, train_place(v, rows[i].option), "%s needs lr_scheduler_type: %s", rows[i].option,
                            rows[i].word);
    if (t->lr_scheduler_type == SCHEDULE_POLYNOMIAL && t->lr_end >= t->learning_rate)
        return yaml_err(e, train_place(v, changed(t, "lr_end") ? "lr_end" : "learning_rate"),
                        "lr_end is %g; it must lie below learning_rate (%g)", t->lr_end, t->learning_rate);
    return true;
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
    return check_schedule(r, v, e);
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
    const struct optim_options optim = run_optim_options(r);
    struct run_bare b;
    TRY(run_build_bare(r, c, &b, a, e) && optim_check(&optim, &b.model, a, e));
    return r->train.frozen_dtype == FROZEN_FLOAT32 || !b.env.perturbs ||
           yaml_err(e, train_place(v, "frozen_dtype"), "frozen_dtype is bfloat16, but %s moves frozen weights while it "
                    "selects; it needs float32", r->method->name);
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
