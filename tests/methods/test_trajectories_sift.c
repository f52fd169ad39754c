/* Ten optimizer steps of SIFT's relatives: a trained sparse matrix beside frozen weights against peft's SHiRA, and a
 * mask that moves against a short PyTorch program. labels: golden
 */
#include "tests/methods/trajectory.h"

#include <math.h>

static struct err e;

/* What is compared: no biases, whose names would not decay in the programs either. */
static void open_golden_run(struct run *r, struct trajectory **t, const char *file, const char *options,
                            struct optim_group *group, size_t n_groups)
{
    *t = trajectory_open_golden("cls2", file);
    struct run_spec s = trajectory_spec(*t, "cls2", "sift", options);
    s.n_first = TRAJ_STEPS;
    if (n_groups)
        s.optim.decay_to = DECAY_TO_INIT;
    s.optim.group = group;
    s.optim.n_groups = n_groups;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/* W + S with W frozen is W trained at S's places; decay of S is decay towards the weights there were. */
TEST(sift_without_biases_is_shira)
{
    struct run r;
    struct trajectory *t;
    struct optim_group head[] = {{"pooler", NAN, 0, NULL}, {"classifier", NAN, 0, NULL}};
    open_golden_run(&r, &t, "sift_shira.safetensors", "{density: 0.122, bias: false}", head, 2);
    trajectory_check_index(t, &r);
    assert_int_equal(param_trainable(&r.model.params, false), 8 * 32); /* floor(0.122 * 256) + 1 = 1 (16 + 16) */
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    run_close(&r);
}

TEST(sift_with_a_mask_that_moves)
{
    struct run r;
    struct trajectory *t;
    open_golden_run(&r, &t, "sift_refresh.safetensors", "{density: 0.05, bias: false, refresh_every: 3}", NULL, 0);
    trajectory_follow(t, &r);
    trajectory_check_index(t, &r);
    trajectory_check_final(t, &r);
    run_close(&r);
}
