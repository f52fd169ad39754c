/* Ten optimizer steps of SPruFT and SMT against PyTorch: what is chosen, losses, final values. labels: golden
 */
#include "tests/methods/trajectory.h"

static struct err e;

static void follow(const char *file, const char *folder, const char *prefix, const char *method, const char *options,
                   double decay)
{
    struct run r;
    struct trajectory *t = trajectory_open_golden(folder, file);
    t->prefix = prefix;
    struct run_spec s = trajectory_spec(t, folder, method, options);
    s.optim.weight_decay = decay;
    ASSERT_OK(run_open(&r, &s, &e), &e);
    trajectory_check_index(t, &r);
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        bool there = trajectory_find(t, "final.", p->name) != NULL;
        if (!p->moved && (p->grad.form != GRAD_NONE) != there)
            fail_msg("%s is trained here or there alone", p->name);
    }
    run_close(&r);
}

/* Rows in place here, a branch beside frozen weights there. */
TEST(rowsft_classification)
{
    follow("rowsft.safetensors", "cls2", "cls2.", "rowsft", "{ratio: 0.25, taylor_batches: 1, train_layernorm: true}",
           0);
}

TEST(rowsft_regression)
{
    follow("rowsft.safetensors", "reg", "reg.", "rowsft",
           "{ratio: 0.4, taylor_batches: 1, per_head: false, multivariable: true}", 0);
}

/* Blocks of 8, the largest that sides of 16 and 40 share. */
TEST(smt_regression)
{
    follow("smt.safetensors", "reg", "reg.", "smt", "{blocks: 16, warmup_steps: 1}", 0.1);
}

TEST(smt_reference_classification)
{
    follow("smt.safetensors", "cls2", "cls2.", "smt",
           "{blocks: 16, warmup_steps: 1, compat: reference, score: mean_abs}", 0.1);
}
