/* Ten optimizer steps of the methods that mask gradients against short PyTorch programs. labels: golden
 */
#include "tests/methods/trajectory.h"

#include <math.h>

static struct err e;

static struct trajectory *open_case(const char *file, const char *prefix)
{
    struct trajectory *t = trajectory_open_golden("cls2", file);
    t->prefix = prefix;
    return t;
}

static void open_method(struct run *r, const struct trajectory *t, const char *method, const char *options)
{
    struct run_spec s = trajectory_spec(t, "cls2", method, options);
    s.n_first = TRAJ_STEPS;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

static void plain(const char *file, const char *prefix, const char *method, const char *options)
{
    struct run r;
    struct trajectory *t = open_case(file, prefix);
    open_method(&r, t, method, options);
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    run_close(&r);
}

TEST(gmt) { plain("gmt.safetensors", "gmt.", "gmt", "{keep_ratio: 0.2, target_modules: [query, output.dense]}"); }
TEST(gradtopk) { plain("gradtopk.safetensors", "gradtopk.", "gradtopk", "{k: 40}"); }

/* ------------------------------------------------------------------------------------------------------------------ */

/* |x . y| of rows i of two bases. */
static double alignment(const real *x, const float *y, size_t n, size_t i)
{
    double dot = 0;
    for (size_t k = 0; k < n; k++)
        dot += (double)x[i * n + k] * (double)y[i * n + k];
    return fabs(dot);
}

/* Our bases must agree with the stored ones in the strongest directions, up to sign; then the stored ones are taken:
 * where eigenvalues are close, or zero, vectors are LAPACK's choice. `u` is the trajectory. */
static void take_basis(void *u, const char *name, void *data, size_t bytes)
{
    const struct trajectory *t = u;
    if (strncmp(name, "basis/", 6) != 0)
        return;
    const struct tensor *want = trajectory_find(t, name, "");
    assert_true(want && tensor_count(want) * sizeof(real) == bytes);
    size_t n = (size_t)sqrt((double)tensor_count(want));
    bool transposed = strcmp(t->prefix, "reference.") == 0 && strstr(name, "/in");
    for (size_t i = 0; i < 5 && !transposed; i++)
        ASSERT_NEAR(alignment(data, want->data, n, i), 1, 1e-4);
    memcpy(data, want->data, bytes);
}

static void sparsegrad(const char *prefix, const char *options)
{
    struct run r;
    struct trajectory *t = open_case("sparsegrad.safetensors", prefix);
    open_method(&r, t, "sparsegrad", options);
    r.method->state(r.self, &r.env, take_basis, t);
    trajectory_follow(t, &r);
    trajectory_check_final(t, &r);
    run_close(&r);
}

TEST(sparsegrad_as_the_paper_means_it) { sparsegrad("paper.", "{k: 40, phase0_batches: 3}"); }

TEST(sparsegrad_as_the_published_code_does_it)
{
    sparsegrad("reference.", "{k: 40, phase0_batches: 3, orientation: official, bias_grad: official, phase0: update, "
               "train_layernorm: false}");
}
