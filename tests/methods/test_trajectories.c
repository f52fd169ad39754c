/* Ten optimizer steps of each method against PyTorch, transformers and peft (tests/golden/encoder): losses and final
 * weights. labels: golden
 */
#include "tests/methods/trajectory.h"

static struct err e;

static void open_run(struct run *r, const struct trajectory *t, const char *folder, const char *method,
                     const char *options)
{
    struct run_spec s = trajectory_spec(t, folder, method, options);
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static void plain(const char *folder, const char *method, const char *prefix)
{
    struct run r;
    struct trajectory *t = trajectory_open(folder, prefix);
    open_run(&r, t, folder, method, NULL);
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    run_close(&r);
}

TEST(full_classification) { plain("cls2", "full", "traj.full."); }
TEST(full_regression) { plain("reg", "full", "traj.full."); }
TEST(head_classification) { plain("cls2", "head", "traj.head."); }
TEST(head_regression) { plain("reg", "head", "traj.head."); }

/* peft's lora_A and lora_B lack our `.weight`. */
static const float *lora_tensor(const struct trajectory *t, const char *kind, const struct param *p)
{
    char name[320];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(p->name) - strlen(".weight")), p->name);
    const struct tensor *x = trajectory_find(t, kind, name);
    if (!x)
        fail_msg("no tensor %s%s", kind, name);
    assert_int_equal(tensor_count(x), param_size(p));
    return x->data;
}

static void lora(const char *folder)
{
    struct run r;
    struct trajectory *t = trajectory_open(folder, "traj.lora.");
    open_run(&r, t, folder, "lora", "{r: 4, lora_alpha: 8}");
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        for (size_t k = 0; p->added && k < param_size(p); k++)
            p->w[k] = lora_tensor(t, "init.", p)[k];
    }
    trajectory_follow(t, &r);
    for (size_t i = 0; i < r.model.params.n; i++) {
        struct param *p = r.model.params.item[i];
        for (size_t k = 0; p->added && k < param_size(p); k++)
            ASSERT_NEAR(p->w[k], lora_tensor(t, "final.", p)[k], 1e-4);
    }
    run_close(&r);
}

TEST(lora_classification) { lora("cls2"); }
TEST(lora_regression) { lora("reg"); }

static void sift(const char *folder, const char *prefix, const char *options)
{
    struct run r;
    struct trajectory *t = trajectory_open(folder, prefix);
    open_run(&r, t, folder, "sift", options);
    trajectory_check_index(t, &r);
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    run_close(&r);
}

TEST(sift_classification) { sift("cls2", "traj.sift.", "{density: 0.05}"); }
TEST(sift_regression) { sift("reg", "traj.sift.", "{density: 0.05}"); }
TEST(sift_reference_classification) { sift("cls2", "traj.sift_reference.", "{density: 0.05, compat: reference}"); }
TEST(sift_reference_regression) { sift("reg", "traj.sift_reference.", "{density: 0.05, compat: reference}"); }
