/*
 * What a run will need, from config.json and the task file alone: the model is built without memory, head and method
 * make their requests, and the functions that will take memory are asked how much. Sequences are counted as
 * max_seq_length long, so that a plan is what can be needed at most. What `select` takes, which is over when training's
 * buffers are made, is counted apart.
 */
#include <math.h>
#include <string.h>

#include "harness/run.h"
#include "harness/shape.h"
#include "models/bf16.h"
#include "tasks/batching.h"

static long long least(long long a, long long b) { return a < b ? a : b; }

/* Rows of a set under --limit; 0 where the task file states none. */
static long long limited(const struct run_spec *r, long long rows)
{
    return r->limit > 0 ? least(rows, r->limit) : rows;
}

/* Rows of the training set before and after the hold-out. Its rounding in each class is not known here. */
static long long training_rows(const struct run_spec *r, long long *held)
{
    const struct train_options *t = &r->train;
    long long rows = task_train_rows(r->task);
    if (t->per_class > 0)
        rows = least(rows, t->per_class * r->task->n_labels);
    else if (t->train_samples > 0)
        rows = r->task->synth ? t->train_samples : least(rows, t->train_samples);
    *held = t->select_on == SELECT_TRAIN_HOLDOUT ? (long long)(t->train_holdout * (double)rows + .5) : 0;
    rows = limited(r, rows - *held);
    *held = limited(r, *held);
    return rows;
}

/* -1: the task file states no rows. */
static long long steps(const struct run_spec *r, long long rows)
{
    const struct train_options *t = &r->train;
    if (t->max_steps >= 0)
        return t->max_steps;
    return rows > 0 ? order_steps((size_t)rows, (size_t)t->batch_size, t->num_train_epochs) : -1;
}

static size_t set_bytes(const struct run_spec *r, long long rows)
{
    return rows > 0 ? dataset_bytes((size_t)rows, (size_t)rows * (size_t)r->train.max_seq_length) : 0;
}

/* What a plan is made for: the training rows and all tokenized sets. */
struct planned_data {
    struct run_data train; /* rows 0: the task file states none */
    size_t set_bytes;
};

static size_t all_sets(const struct run_spec *r, long long rows, long long held)
{
    size_t bytes = set_bytes(r, rows) + set_bytes(r, held);
    for (size_t i = 0; i < r->task->n_dev; i++)
        bytes += set_bytes(r, limited(r, r->task->dev[i].rows));
    if (r->train.select_on == SELECT_DEV_HALF)
        bytes += set_bytes(r, (limited(r, r->task->dev[0].rows) + 1) / 2);
    return bytes;
}

/* The task's, every sequence as long as it may be. */
static struct planned_data task_data(const struct run_spec *r)
{
    long long held, rows = training_rows(r, &held);
    int longest = (int)r->train.max_seq_length;
    size_t n = rows > 0 ? (size_t)rows : 0;
    return (struct planned_data){{n, n * (size_t)longest, longest, 2}, all_sets(r, rows, held)};
}

/* Tokenized sets, the order of the training rows, the buffers of pieces. */
static size_t data_bytes(const struct planned_data *d, const struct workspace_shape *shape)
{
    return d->set_bytes + mem_round(d->train.rows * sizeof(int32_t)) +
           packer_bytes(shape->max_seqs, shape->max_tokens);
}

/* Weights as the checkpoint brings them: a directory's are used where they are mapped unless all of them are written,
 * the zoo's are initialised. Those that are held as bfloat16 are taken to be converted. */
static void weight_bytes(const struct run_spec *r, struct model *m, size_t bytes[MEM_TAGS])
{
    bf16_hold(&m->params, &m->params, m->config.num_hidden_layers,
              r->train.frozen_dtype == FROZEN_BFLOAT16 ? HOLD_BF16 : HOLD_REAL);
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        if (p->added)
            continue;
        if (p->hold == HOLD_BF16)
            bytes[MEM_WEIGHTS] += mem_round(param_size(p) * sizeof(uint16_t));
        else if (r->model.zoo || p->hold == HOLD_OWN)
            bytes[MEM_WEIGHTS] += mem_round(param_size(p) * sizeof(real));
        else
            bytes[MEM_MAPPED] += param_size(p) * sizeof(real);
    }
    size_t room = bf16_room(&m->params);
    bytes[MEM_SCRATCH] += room ? mem_round(room * sizeof(real)) : 0;
}

static void count_bytes(const struct run_spec *r, struct model *m, const struct workspace_shape *shape,
                        size_t bytes[MEM_TAGS])
{
    const struct optim_options optim = run_optim_options(r);
    weight_bytes(r, m, bytes);
    param_bytes(&m->params, bytes);
    optim_bytes(&optim, &m->params, bytes);
    workspace_bytes(m, shape, bytes);
}

static void count_scalars(const struct model *m, struct run_plan *plan)
{
    plan->trainable = param_trainable(&m->params, false);
    plan->trainable_with_head = param_trainable(&m->params, true);
    for (size_t i = 0; i < m->params.n; i++)
        plan->total += param_size(m->params.item[i]);
}

/* Of a probe of one batch in the middle of training: its workspace and its piece. */
static void probe_bytes(const struct run_spec *r, const struct model *m, size_t n, const struct run_data *d,
                        enum workspace_mode mode, size_t bytes[MEM_TAGS])
{
    struct workspace_shape shape = run_workspace_shape(r, true, n, d->longest, d->shortest);
    shape.mode = mode;
    workspace_bytes(m, &shape, bytes);
    bytes[MEM_DATA] += packer_bytes(shape.max_seqs, shape.max_tokens);
}

static size_t sum_of(const size_t bytes[MEM_TAGS])
{
    size_t sum = 0;
    for (int t = 0; t < MEM_TAGS; t++)
        sum += bytes[t];
    return sum;
}

/* Optimizer state of n scalars that take ordinary steps. */
static size_t warm_up_bytes(const struct run_spec *r, size_t n)
{
    const struct optim_options optim = run_optim_options(r);
    struct param p = {.name = "", .kind = PARAM_LINEAR, .rows = 1, .cols = (int)n}, *item = &p;
    const struct param_list list = {.item = &item, .n = 1};
    size_t bytes[MEM_TAGS] = {0};
    param_request(&p, GRAD_DENSE, 0, 0);
    optim_bytes(&optim, &list, bytes);
    return n ? bytes[MEM_OPTIMIZER] : 0;
}

static size_t largest_tapped(const struct model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < m->params.n; i++)
        if (m->params.item[i]->tapped && param_size(m->params.item[i]) > most)
            most = param_size(m->params.item[i]);
    return most;
}

/* Everything alive while the method selects: no buffers of training and no optimizer yet. */
static size_t select_bytes(const struct run_spec *r, struct run_bare *b, const struct planned_data *d, size_t n,
                           const struct run_plan *plan)
{
    struct select_plan s = {0};
    size_t bytes[MEM_TAGS] = {[MEM_METHOD] = plan->bytes[MEM_METHOD], [MEM_DATA] = d->set_bytes};
    if (!r->method->select || !r->method->select_bytes)
        return 0;
    r->method->select_bytes(b->self, &b->env, &s);
    weight_bytes(r, &b->model, bytes);
    param_bytes(&b->model.params, bytes);
    size_t probe[MEM_TAGS] = {0}, shown = largest_tapped(&b->model) * sizeof(real);
    n = n < (size_t)r->train.batch_size ? n : (size_t)r->train.batch_size;
    if (s.probes || s.forward)
        probe_bytes(r, &b->model, n, &d->train, s.probes ? WORKSPACE_CHECKPOINT : WORKSPACE_EVAL, probe);
    size_t most = sum_of(probe) + shown > s.later ? sum_of(probe) + shown : s.later;
    return sum_of(bytes) + sum_of(s.bytes) + s.warm * sizeof(real) + warm_up_bytes(r, s.warm) + most;
}

/* `meter` counts the arena: what the method notes down while it plans is of its memory. */
static bool plan_in(const struct run_spec *r, const struct planned_data *d, struct run_plan *plan,
                    const struct mem_meter *meter, struct arena *a, struct err *e)
{
    struct model_config c;
    struct run_bare b;
    struct model *m = &b.model;
    TRY(run_model_config(r, &c, a, e) && run_build_bare(r, &c, &b, a, e));
    for (size_t i = 0; i < m->params.n; i++) /* what taps see is `select`'s: over when training begins */
        m->params.item[i]->tapped = false;

    size_t n = d->train.rows ? d->train.rows : (size_t)r->train.batch_size;
    struct workspace_shape shape = run_workspace_shape(r, b.env.unsplit, n, d->train.longest, d->train.shortest);
    *plan = (struct run_plan){.steps = steps(r, (long long)d->train.rows),
                              .bytes[MEM_METHOD] = meter->live[MEM_METHOD]};
    count_scalars(m, plan);
    count_bytes(r, m, &shape, plan->bytes);
    if (r->method->bytes)
        r->method->bytes(b.self, &b.env, plan->bytes);
    if (b.env.probes)
        probe_bytes(r, m, n, &d->train, WORKSPACE_CHECKPOINT, plan->bytes);
    plan->bytes[MEM_DATA] += data_bytes(d, &shape);
    plan->bytes_total = sum_of(plan->bytes);
    plan->bytes_select = select_bytes(r, &b, d, n, plan);
    return true;
}

static bool plan_with(const struct run_spec *r, const struct planned_data *d, struct run_plan *plan, struct err *e)
{
    struct mem_meter meter = {0};
    struct arena *a = arena_create(&meter);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = plan_in(r, d, plan, &meter, a, e);
    arena_destroy(a);
    return ok;
}

bool run_plan(const struct run_spec *r, struct run_plan *plan, struct err *e)
{
    const struct planned_data d = task_data(r);
    return plan_with(r, &d, plan, e);
}

bool run_plan_for(const struct run_spec *r, const struct run_data *data, struct run_plan *plan, struct err *e)
{
    const struct planned_data d = {*data, dataset_bytes(data->rows, data->tokens)};
    return plan_with(r, &d, plan, e);
}
