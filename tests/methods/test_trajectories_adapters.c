/* Ten optimizer steps of the adapters, BitFit and meProp against PyTorch programs: losses and final values.
 * labels: golden
 */
#include "tests/methods/trajectory.h"

static struct err e;

/* With `all` every trained parameter must have a final value. */
static void follow(const char *folder, const char *file, const char *variant, const char *method, const char *options,
                   bool all)
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

static void adapter(const char *method, const char *variant)
{
    char prefix[32], options[64];
    snprintf(prefix, sizeof prefix, "%s.", variant);
    snprintf(options, sizeof options, "{bottleneck: 3, variant: %s}", variant);
    follow("cls2", method, prefix, method, options, true);
    follow("reg", method, prefix, method, options, true);
}

TEST(houlsby_as_in_the_code_of_lora) { adapter("houlsby", "mslora"); }
TEST(houlsby_original) { adapter("houlsby", "original"); }
TEST(pfeiffer_as_in_the_code_of_lora) { adapter("pfeiffer", "mslora"); }
TEST(pfeiffer_original) { adapter("pfeiffer", "original"); }

TEST(bitfit)
{
    follow("cls2", "bitfit", "", "bitfit", NULL, true);
    follow("reg", "bitfit", "", "bitfit", NULL, true);
}

TEST(meprop)
{
    follow("cls2", "meprop", "", "meprop", "{k: 5}", false);
    follow("reg", "meprop", "", "meprop", "{k: 5}", false);
}

TEST(meprop_unified)
{
    follow("cls2", "meprop_unified", "", "meprop", "{k: 5, unified: true}", false);
    follow("reg", "meprop_unified", "", "meprop", "{k: 5, unified: true}", false);
}
