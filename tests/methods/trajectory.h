/*
 * Ten optimizer steps against PyTorch: the batches of tests/golden/encoder/<folder>/traj.safetensors, and what a
 * method's golden file says of losses, first and final values. tools/golden/README.md describes the files.
 */
#ifndef TESTS_METHODS_TRAJECTORY_H
#define TESTS_METHODS_TRAJECTORY_H

#include "tests/methods/fixture.h"

#include "models/safetensors.h"

enum { TRAJ_STEPS = 10, TRAJ_BATCH = 4 };

struct trajectory {
    const struct safetensors *file;  /* traj.safetensors of the folder        */
    const struct safetensors *golden; /* where the method's tensors stand      */
    const char *prefix;              /* of their names, such as `traj.sift.`  */
    struct batch batch[TRAJ_STEPS];
    int32_t start[TRAJ_STEPS][TRAJ_BATCH + 1], row[TRAJ_BATCH];
    int32_t ids[TRAJ_STEPS * TRAJ_BATCH * 24], types[TRAJ_STEPS * TRAJ_BATCH * 24];
};

/* The batches of `cls2` or `reg`, with the method's tensors in the same file under `prefix`. One at a time. */
struct trajectory *trajectory_open(const char *folder, const char *prefix);

/* The same with the method's tensors (`loss`, `init.<parameter>`, `idx.<parameter>`, `final.<parameter>`) in
 * tests/golden/methods/<file>. */
struct trajectory *trajectory_open_golden(const char *folder, const char *file);

/* A run from the folder's model.safetensors as all trajectories have it: clipping to 1, decay 0.1, learning rate
 * 1e-3. Change *spec between trajectory_spec and run_open where the golden file's metadata says otherwise. */
struct run_spec trajectory_spec(const struct trajectory *t, const char *folder, const char *method,
                                const char *options);

/* Tensor <prefix><kind><parameter>, or NULL. */
const struct tensor *trajectory_find(const struct trajectory *t, const char *kind, const char *parameter);

/* Puts every `init.<parameter>` into the run, and fails where an added parameter has none. */
void trajectory_set_init(const struct trajectory *t, struct run *r);

/* Asserts that the run's index lists are `idx.<parameter>`; key biases, where rounding decides, take the stored one. */
void trajectory_check_index(const struct trajectory *t, struct run *r);

/* Ten steps with the schedule of all trajectories (two warm-up steps, then linear): every loss within 1e-4. */
void trajectory_follow(const struct trajectory *t, struct run *r);

/* Every `final.<parameter>` within 1e-4, key biases apart; at least one must be there. */
void trajectory_check_final(const struct trajectory *t, const struct run *r);

/* All of this for a run of the method with these options against <file>.safetensors, whose tensors are named
 * <folder>.<variant>...: losses, final values, and that nothing has a final value that is not trained here. With `all`
 * every trained parameter must have one. */
void trajectory_of_method(const char *folder, const char *file, const char *variant, const char *method,
                          const char *options, bool all);

#endif
