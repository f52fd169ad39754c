/* Ten optimizer steps of the adapters, BitFit and meProp against PyTorch programs: losses and final values.
 * labels: golden
 */
#include "tests/methods/trajectory.h"

static void adapter(const char *method, const char *variant)
{
    char prefix[32], options[64];
    snprintf(prefix, sizeof prefix, "%s.", variant);
    snprintf(options, sizeof options, "{bottleneck: 3, variant: %s}", variant);
    trajectory_of_method("cls2", method, prefix, method, options, true);
    trajectory_of_method("reg", method, prefix, method, options, true);
}

TEST(houlsby_as_in_the_code_of_lora) { adapter("houlsby", "mslora"); }
TEST(houlsby_original) { adapter("houlsby", "original"); }
TEST(pfeiffer_as_in_the_code_of_lora) { adapter("pfeiffer", "mslora"); }
TEST(pfeiffer_original) { adapter("pfeiffer", "original"); }

TEST(bitfit)
{
    trajectory_of_method("cls2", "bitfit", "", "bitfit", NULL, true);
    trajectory_of_method("reg", "bitfit", "", "bitfit", NULL, true);
}

TEST(meprop)
{
    trajectory_of_method("cls2", "meprop", "", "meprop", "{k: 5}", false);
    trajectory_of_method("reg", "meprop", "", "meprop", "{k: 5}", false);
}

TEST(meprop_unified)
{
    trajectory_of_method("cls2", "meprop_unified", "", "meprop", "{k: 5, unified: true}", false);
    trajectory_of_method("reg", "meprop_unified", "", "meprop", "{k: 5, unified: true}", false);
}
