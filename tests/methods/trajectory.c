/* Trajectories: see trajectory.h. */
#include "tests/methods/trajectory.h"

#include <math.h>

/* Losses differ by rounding that ten steps have carried on; AdamW turns a gradient's rounding near zero into steps of
 * up to the learning rate, hence an absolute bound for weights. */
static const double LOSS = 1e-4, WEIGHT = 1e-4;

static struct err e;
static struct trajectory traj;

static const void *data_of(const char *name)
{
    const struct tensor *t = safetensors_find(traj.file, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t->data;
}

/* Padded rows of a step, packed. */
static void pack(int step, const int32_t *ids, const int32_t *types, const int32_t *lengths, const void *labels,
                 bool classes)
{
    int at = step * TRAJ_BATCH * 24, n = 0;
    for (int s = 0; s < TRAJ_BATCH; s++) {
        traj.row[s] = s;
        traj.start[step][s] = n;
        memcpy(traj.ids + at + n, ids + s * 24, (size_t)lengths[s] * sizeof *ids);
        memcpy(traj.types + at + n, types + s * 24, (size_t)lengths[s] * sizeof *types);
        n += lengths[s];
    }
    traj.start[step][TRAJ_BATCH] = n;
    traj.batch[step] = (struct batch){.n_seq = TRAJ_BATCH, .n_tok = n, .ids = traj.ids + at, .types = traj.types + at,
                                      .start = traj.start[step], .row = traj.row, .label = classes ? labels : NULL,
                                      .score = classes ? NULL : labels};
}

struct trajectory *trajectory_open(const char *folder, const char *prefix)
{
    traj.file = traj.golden = open_golden(folder, "traj.safetensors");
    traj.prefix = prefix;
    bool classes = safetensors_find(traj.file, "traj.labels")->type == TENSOR_I32;
    const int32_t *ids = data_of("traj.input_ids"), *types = data_of("traj.token_type_ids");
    const int32_t *lengths = data_of("traj.lengths");
    const char *labels = data_of("traj.labels");
    for (int t = 0; t < TRAJ_STEPS; t++)
        pack(t, ids + t * TRAJ_BATCH * 24, types + t * TRAJ_BATCH * 24, lengths + t * TRAJ_BATCH,
             labels + t * TRAJ_BATCH * 4, classes);
    return &traj;
}

struct trajectory *trajectory_open_golden(const char *folder, const char *file)
{
    static struct safetensors golden;
    char path[1024];
    trajectory_open(folder, "");
    snprintf(path, sizeof path, "%s/tests/golden/methods/%s", PEFTLAB_SOURCE_DIR, file);
    ASSERT_OK(safetensors_open(&golden, path, test_arena(), &e), &e);
    traj.golden = &golden;
    return &traj;
}

struct run_spec trajectory_spec(const struct trajectory *t, const char *folder, const char *method,
                                const char *options)
{
    struct run_spec s = run_spec(method, options, &t->batch[0]);
    s.golden = folder;
    s.max_grad_norm = 1;
    s.optim.weight_decay = 0.1;
    return s;
}

const struct tensor *trajectory_find(const struct trajectory *t, const char *kind, const char *parameter)
{
    char full[640];
    snprintf(full, sizeof full, "%s%s%s", t->prefix, kind, parameter);
    return safetensors_find(t->golden, full);
}

void trajectory_set_init(const struct trajectory *t, struct run *r)
{
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *p = r->model.params.item[i];
        const struct tensor *init = trajectory_find(t, "init.", p->name);
        if (!init && p->added)
            fail_msg("no tensor %sinit.%s", t->prefix, p->name);
        if (!init)
            continue;
        assert_int_equal(tensor_count(init), param_size(p));
        tensor_to_real(init, p->w);
    }
}

void trajectory_check_index(const struct trajectory *t, struct run *r)
{
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *p = r->model.params.item[i];
        const struct tensor *idx = trajectory_find(t, "idx.", p->name);
        if (!idx || p->grad.n == 0)
            continue;
        assert_int_equal(tensor_count(idx), p->grad.n);
        if (strstr(p->name, "key.bias"))
            param_set_index(p, idx->data);
        else
            assert_memory_equal(p->grad.idx, idx->data, idx->bytes);
    }
}

static double factor(int t) { return t < 2 ? t / 2.0 : (10 - t) / 8.0; }

void trajectory_follow(const struct trajectory *t, struct run *r)
{
    const struct tensor *want = trajectory_find(t, "loss", "");
    assert_true(want && tensor_count(want) == TRAJ_STEPS);
    for (int i = 0; i < TRAJ_STEPS; i++) {
        double loss, expected = (double)((const float *)want->data)[i];
        ASSERT_OK(run_step(r, &t->batch[i], 1, factor(i), &loss, &e), &e);
        if (!(fabs(loss - expected) <= LOSS))
            fail_msg("%s: loss of step %d is %.7f, PyTorch has %.7f", r->method->name, i, loss, expected);
    }
}

/* What key biases end at is AdamW's answer to rounding: their true gradient is zero. */
void trajectory_check_final(const struct trajectory *t, const struct run *r)
{
    size_t compared = 0;
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i];
        const struct tensor *want = trajectory_find(t, "final.", p->name);
        if (!want || strstr(p->name, "key.bias"))
            continue;
        assert_int_equal(tensor_count(want), param_size(p));
        for (size_t k = 0; k < param_size(p); k++) {
            double value = (double)((const float *)want->data)[k];
            if (!(fabs((double)p->w[k] - value) <= WEIGHT))
                fail_msg("%s: %s[%zu] ends at %.7f, PyTorch's at %.7f", r->method->name, p->name, k, (double)p->w[k],
                         value);
        }
        compared++;
    }
    assert_true(compared > 0);
}

void trajectory_of_method(const char *folder, const char *file, const char *variant, const char *method,
                          const char *options, bool all)
{
    struct run r;
    char path[64], prefix[32];
    snprintf(path, sizeof path, "%s.safetensors", file);
    snprintf(prefix, sizeof prefix, "%s.%s", folder, variant);
    struct trajectory *t = trajectory_open_golden(folder, path);
    t->prefix = prefix;
    struct run_spec s = trajectory_spec(t, folder, method, options);
    ASSERT_OK(run_open(&r, &s, &e), &e);
    trajectory_set_init(t, &r);
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        bool trained = p->grad.form != GRAD_NONE, there = trajectory_find(t, "final.", p->name);
        if (there ? !trained : trained && all)
            fail_msg("%s is trained by one of the two alone", p->name);
    }
    run_close(&r);
}
