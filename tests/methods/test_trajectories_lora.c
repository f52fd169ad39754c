/* Ten optimizer steps of LoRA, DoRA and IA3 against peft: losses and final values. labels: golden
 */
#include "tests/methods/trajectory.h"

static struct err e;

/* peft's modules must be the defaults of ours: what is trained has an `init`, if added, and a `final`. */
static void family(const char *folder, const char *method, const char *options)
{
    trajectory_of_method(folder, method, "", method, options, true);
}

TEST(dora_classification) { family("cls2", "dora", "{r: 4, lora_alpha: 8}"); }
TEST(dora_regression) { family("reg", "dora", "{r: 4, lora_alpha: 8}"); }
TEST(ia3_classification) { family("cls2", "ia3", NULL); }
TEST(ia3_regression) { family("reg", "ia3", NULL); }

/* The encoder's golden file names lora_A and lora_B without our `.weight`, and has no head. */
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
    struct run_spec s = trajectory_spec(t, folder, "lora", "{r: 4, lora_alpha: 8}");
    ASSERT_OK(run_open(&r, &s, &e), &e);
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
