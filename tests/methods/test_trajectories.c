/* Ten optimizer steps of each method against PyTorch, transformers and peft (tests/golden/encoder): losses and final
 * weights. labels: golden
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "models/safetensors.h"

enum { STEPS = 10, BATCH = 4 };

/* Losses differ by rounding that ten steps have carried on; AdamW turns a gradient's rounding near zero into steps of
 * up to the learning rate, hence the looser bound for weights. */
static const double LOSS = 1e-4, WEIGHT = 1e-4;

struct trajectory {
    const struct safetensors *file;
    struct batch batch[STEPS];
    int32_t start[STEPS][BATCH + 1], row[BATCH];
    int32_t ids[STEPS * BATCH * 24], types[STEPS * BATCH * 24];
};

static struct err e;
static struct trajectory traj;

static const void *data_of(const char *name)
{
    const struct tensor *t = safetensors_find(traj.file, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t->data;
}

static const struct tensor *find(const char *prefix, const char *name)
{
    char full[320];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return safetensors_find(traj.file, full);
}

/* Padded rows of a step, packed. */
static void pack(int step, const int32_t *ids, const int32_t *types, const int32_t *lengths, const void *labels,
                 bool classes)
{
    int at = step * BATCH * 24, n = 0;
    for (int s = 0; s < BATCH; s++) {
        traj.row[s] = s;
        traj.start[step][s] = n;
        memcpy(traj.ids + at + n, ids + s * 24, (size_t)lengths[s] * sizeof *ids);
        memcpy(traj.types + at + n, types + s * 24, (size_t)lengths[s] * sizeof *types);
        n += lengths[s];
    }
    traj.start[step][BATCH] = n;
    traj.batch[step] = (struct batch){.n_seq = BATCH, .n_tok = n, .ids = traj.ids + at, .types = traj.types + at,
                                      .start = traj.start[step], .row = traj.row, .label = classes ? labels : NULL,
                                      .score = classes ? NULL : labels};
}

static void open_trajectory(const char *folder)
{
    traj.file = open_golden(folder, "traj.safetensors");
    bool classes = safetensors_find(traj.file, "traj.labels")->type == TENSOR_I32;
    const int32_t *ids = data_of("traj.input_ids"), *types = data_of("traj.token_type_ids");
    const int32_t *lengths = data_of("traj.lengths");
    const char *labels = data_of("traj.labels");
    for (int t = 0; t < STEPS; t++)
        pack(t, ids + t * BATCH * 24, types + t * BATCH * 24, lengths + t * BATCH, labels + t * BATCH * 4, classes);
}

/* Linear schedule with two warm-up steps, clipping to 1: what the metadata says for all of them. */
static void open_run(struct run *r, const char *folder, const char *method, const char *options)
{
    struct run_spec s = run_spec(method, options, &traj.batch[0]);
    s.golden = folder;
    s.max_grad_norm = 1;
    s.optim.weight_decay = 0.1;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static double factor(int t) { return t < 2 ? t / 2.0 : (10 - t) / 8.0; }

static void follow(struct run *r, const char *method)
{
    char name[64];
    snprintf(name, sizeof name, "traj.%s.loss", method);
    const float *want = data_of(name);
    for (int t = 0; t < STEPS; t++) {
        double loss;
        ASSERT_OK(run_step(r, &traj.batch[t], 1, factor(t), &loss, &e), &e);
        if (!(fabs(loss - (double)want[t]) <= LOSS))
            fail_msg("%s: loss of step %d is %.7f, PyTorch has %.7f", method, t, loss, (double)want[t]);
    }
}

/* What key biases end at is AdamW's answer to rounding: their true gradient is zero. */
static void compare_final(const struct run *r, const char *method)
{
    char prefix[64];
    size_t compared = 0;
    snprintf(prefix, sizeof prefix, "traj.%s.final.", method);
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i];
        const struct tensor *t = find(prefix, p->name);
        if (!t || strstr(p->name, "key.bias"))
            continue;
        assert_int_equal(tensor_count(t), param_size(p));
        for (size_t k = 0; k < param_size(p); k++)
            if (!(fabs((double)p->w[k] - (double)((const float *)t->data)[k]) <= WEIGHT))
                fail_msg("%s: %s[%zu] ends at %.7f, PyTorch's at %.7f", method, p->name, k, (double)p->w[k],
                         (double)((const float *)t->data)[k]);
        compared++;
    }
    assert_true(compared > 0);
}

static void plain(const char *folder, const char *method)
{
    struct run r;
    open_trajectory(folder);
    open_run(&r, folder, method, NULL);
    follow(&r, method);
    compare_final(&r, method);
    run_close(&r);
}

TEST(full_classification) { plain("cls2", "full"); }
TEST(full_regression) { plain("reg", "full"); }
TEST(head_classification) { plain("cls2", "head"); }
TEST(head_regression) { plain("reg", "head"); }

/* peft's lora_A and lora_B lack our `.weight`. */
static const float *lora_tensor(const char *prefix, const struct param *p)
{
    char name[320];
    snprintf(name, sizeof name, "%s%.*s", prefix, (int)(strlen(p->name) - strlen(".weight")), p->name);
    const struct tensor *t = safetensors_find(traj.file, name);
    if (!t)
        fail_msg("no tensor %s", name);
    assert_int_equal(tensor_count(t), param_size(p));
    return t->data;
}

static void lora(const char *folder)
{
    struct run r;
    open_trajectory(folder);
    open_run(&r, folder, "lora", "{r: 4, lora_alpha: 8}");
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        for (size_t k = 0; p->added && k < param_size(p); k++)
            p->w[k] = lora_tensor("traj.lora.init.", p)[k];
    }
    follow(&r, "lora");
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        for (size_t k = 0; p->added && k < param_size(p); k++)
            ASSERT_NEAR(p->w[k], lora_tensor("traj.lora.final.", p)[k], WEIGHT);
    }
    run_close(&r);
}

TEST(lora_classification) { lora("cls2"); }
TEST(lora_regression) { lora("reg"); }

/* Our selection must be PyTorch's, key biases apart (rounding decides there): they take the stored one. */
static void check_selection(struct run *r)
{
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *p = r->model.params.item[i];
        const struct tensor *t = find("traj.sift.idx.", p->name);
        if (!t || p->grad.form != GRAD_ENTRIES)
            continue;
        assert_int_equal(tensor_count(t), p->grad.n);
        if (strstr(p->name, "key.bias"))
            param_set_index(p, t->data);
        else
            assert_memory_equal(p->grad.idx, t->data, t->bytes);
    }
}

static void sift(const char *folder, const char *method, const char *options)
{
    struct run r;
    open_trajectory(folder);
    open_run(&r, folder, "sift", options);
    check_selection(&r);
    follow(&r, method);
    compare_final(&r, method);
    run_close(&r);
}

TEST(sift_classification) { sift("cls2", "sift", "{density: 0.05}"); }
TEST(sift_regression) { sift("reg", "sift", "{density: 0.05}"); }
TEST(sift_reference_classification) { sift("cls2", "sift_reference", "{density: 0.05, compat: reference}"); }
TEST(sift_reference_regression) { sift("reg", "sift_reference", "{density: 0.05, compat: reference}"); }
