/* Ten optimizer steps of each method against PyTorch and transformers (tests/golden/encoder): losses and final
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
