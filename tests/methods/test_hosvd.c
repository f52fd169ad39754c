/* Bases from stacks of gradients, and changes of basis. labels: unit
 */
#include "tests/test.h"

#include <math.h>

#include "base/rng.h"
#include "methods/hosvd.h"
#include "methods/rotation.h"
#include "methods/topk.h"
#include "models/eigen.h"

enum { OUT = 12, IN = 9, STACK = 5, NUMEL = OUT * IN };

static struct err e;

static real *random_matrix(struct rng *r, size_t n)
{
    real *m;
    ASSERT_OK(m = ARENA_NEW(test_arena(), MEM_DATA, real, n, &e), &e);
    for (size_t i = 0; i < n; i++)
        m[i] = (real)rng_normal(r);
    return m;
}

/* | 2 1 |   has eigenvectors (1, 1) / sqrt 2 for 3 and (1, -1) / sqrt 2 for 1; beside it a lone -4 and a lone 7.
 * | 1 2 |   */
TEST(eigenvectors_by_hand)
{
    double a[16] = {2, 1, 0, 0, 1, 2, 0, 0, 0, 0, -4, 0, 0, 0, 0, 7}, value[4];
    const double h = sqrt(0.5), want[4] = {7, 3, 1, -4};
    ASSERT_OK(eigen_symmetric(4, a, value, test_arena(), &e), &e);
    for (int i = 0; i < 4; i++)
        ASSERT_NEAR(value[i], want[i], 1e-14);
    ASSERT_NEAR(a[3], 1, 1e-14);
    ASSERT_NEAR(a[4], h, 1e-14);
    ASSERT_NEAR(a[5], h, 1e-14);
    ASSERT_NEAR(fabs(a[8]), h, 1e-14);
    ASSERT_NEAR(a[8] + a[9], 0, 1e-14);
    ASSERT_NEAR(a[14], 1, 1e-14); /* -1 is as good an eigenvector: the sign is made positive */
}

TEST(eigenvectors_of_what_is_not_finite_are_an_error)
{
    double a[4] = {1, NAN, NAN, 1}, value[2];
    assert_false(eigen_symmetric(2, a, value, test_arena(), &e));
    assert_int_equal(e.code, ERR_RUN);
}

/* b bᵀ - I, largest entry, for a basis with a vector a row. */
static double not_orthogonal(int n, const real *b)
{
    double worst = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double dot = 0;
            for (int k = 0; k < n; k++)
                dot += (double)b[i * n + k] * (double)b[j * n + k];
            worst = fmax(worst, fabs(dot - (i == j)));
        }
    return worst;
}

/* Left singular vectors of u [rows, cols], strongest first, by one-sided Jacobi (Hestenes): rotations make its rows
 * orthogonal, and what they do to the identity is the answer. left [rows, rows] has a vector a row. */
static void jacobi(int rows, int cols, double *u, double *left)
{
    for (int i = 0; i < rows * rows; i++)
        left[i] = i % (rows + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++)
        for (int i = 0; i < rows; i++)
            for (int j = i + 1; j < rows; j++) {
                double a = 0, b = 0, c = 0;
                for (int k = 0; k < cols; k++) {
                    a += u[i * cols + k] * u[i * cols + k];
                    b += u[j * cols + k] * u[j * cols + k];
                    c += u[i * cols + k] * u[j * cols + k];
                }
                double angle = 0.5 * atan2(2 * c, a - b), cs = cos(angle), sn = sin(angle);
                for (int k = 0; k < cols; k++) {
                    double x = u[i * cols + k], y = u[j * cols + k];
                    u[i * cols + k] = cs * x + sn * y;
                    u[j * cols + k] = cs * y - sn * x;
                }
                for (int k = 0; k < rows; k++) {
                    double x = left[i * rows + k], y = left[j * rows + k];
                    left[i * rows + k] = cs * x + sn * y;
                    left[j * rows + k] = cs * y - sn * x;
                }
            }
}

/* The same vectors up to sign. */
static void same_vectors(int n, const real *basis, const double *left)
{
    for (int i = 0; i < n; i++) {
        double dot = 0;
        for (int k = 0; k < n; k++)
            dot += (double)basis[i * n + k] * left[i * n + k];
        ASSERT_NEAR(fabs(dot), 1, 1e-4);
    }
}

/* Eigenvectors of the Gram matrices against singular vectors of the unfoldings [OUT, IN STACK] and [IN, OUT STACK]. */
TEST(bases_are_the_singular_vectors_of_the_unfoldings)
{
    static double by_out[OUT * IN * STACK], by_in[IN * OUT * STACK], left_out[OUT * OUT], left_in[IN * IN];
    static real p[OUT * OUT], q[IN * IN];
    struct rng r = rng_stream(3, "stack");
    struct hosvd h;
    ASSERT_OK(hosvd_open(&h, OUT, IN, test_arena(), &e), &e);
    for (int t = 0; t < STACK; t++) {
        const real *g = random_matrix(&r, NUMEL);
        hosvd_add(&h, g);
        for (int i = 0; i < OUT; i++)
            for (int j = 0; j < IN; j++)
                by_out[i * IN * STACK + t * IN + j] = by_in[j * OUT * STACK + t * OUT + i] = (double)g[i * IN + j];
    }
    ASSERT_OK(hosvd_bases(&h, p, q, test_arena(), &e), &e);
    jacobi(OUT, IN * STACK, by_out, left_out);
    jacobi(IN, OUT * STACK, by_in, left_in);
    same_vectors(OUT, p, left_out);
    same_vectors(IN, q, left_in);
    ASSERT_NEAR(not_orthogonal(OUT, p), 0, 1e-6);
    ASSERT_NEAR(not_orthogonal(IN, q), 0, 1e-6);
}

TEST(random_bases_are_orthogonal_and_differ)
{
    static real a[OUT * OUT], b[OUT * OUT];
    struct rng r = rng_stream(1, "method/basis");
    double largest = 0;
    ASSERT_OK(random_basis(OUT, &r, a, test_arena(), &e), &e);
    ASSERT_OK(random_basis(OUT, &r, b, test_arena(), &e), &e);
    ASSERT_NEAR(not_orthogonal(OUT, a), 0, 1e-6);
    assert_memory_not_equal(a, b, sizeof a);
    for (int i = 0; i < OUT * OUT; i++)
        largest = fmax(largest, fabs((double)a[i]));
    assert_true(largest < 0.98); /* no vector is one of the axes */
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Share of the energy of a stack that its k largest entries hold, matrix by matrix, in a basis. */
static double energy(const struct rotation *r, real (*g)[NUMEL], size_t k)
{
    static real m[NUMEL], room[NUMEL];
    uint32_t idx[NUMEL];
    double all = 0, kept = 0;
    for (int t = 0; t < STACK; t++) {
        memcpy(m, g[t], sizeof m);
        rotate(r, true, true, m, room);
        topk(m, NUMEL, k, idx);
        for (size_t i = 0; i < k; i++)
            kept += (double)m[idx[i]] * (double)m[idx[i]];
        for (int i = 0; i < NUMEL; i++)
            all += (double)m[i] * (double)m[i];
    }
    return kept / all;
}

static void turn(int n, const real *a, real *b)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            b[i * n + j] = a[j * n + i];
}

/* Gradients of rank 2 between subspaces that all of them share, and some noise. */
static void low_rank_stack(uint64_t seed, real (*g)[NUMEL], struct hosvd *h)
{
    struct rng r = rng_stream(seed, "low rank");
    const real *u = random_matrix(&r, OUT * 2), *v = random_matrix(&r, IN * 2);
    for (int t = 0; t < STACK; t++) {
        const real *core = random_matrix(&r, 4), *noise = random_matrix(&r, NUMEL);
        for (int i = 0; i < NUMEL; i++) {
            int o = i / IN, c = i % IN;
            g[t][i] = (u[2 * o] * core[0] + u[2 * o + 1] * core[2]) * v[2 * c] +
                      (u[2 * o] * core[1] + u[2 * o + 1] * core[3]) * v[2 * c + 1] + noise[i] / 100;
        }
        hosvd_add(h, g[t]);
    }
}

/* 6 of 108 entries: all of a 2 x 2 core in its own basis; with the input basis transposed the core's rows are found,
 * its columns not. Means over 20 stacks. */
TEST(the_basis_gathers_the_energy_of_low_rank_gradients)
{
    double own = 0, transposed = 0, none = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        static real g[STACK][NUMEL], p[OUT * OUT], q[IN * IN], qt[IN * IN];
        struct hosvd h;
        ASSERT_OK(hosvd_open(&h, OUT, IN, test_arena(), &e), &e);
        low_rank_stack(seed, g, &h);
        ASSERT_OK(hosvd_bases(&h, p, q, test_arena(), &e), &e);
        turn(IN, q, qt);
        double best = energy(&(struct rotation){OUT, IN, p, q}, g, 6);
        double official = energy(&(struct rotation){OUT, IN, p, qt}, g, 6);
        assert_true(best > 0.99 && best >= official);
        own += best / 20;
        transposed += official / 20;
        none += energy(&(struct rotation){.out = OUT, .in = IN}, g, 6) / 20;
    }
    print_message("energy of the largest 6 of 108: %.3f, transposed %.3f, original %.3f\n", own, transposed, none);
    assert_true(own > transposed + 0.1 && transposed > none + 0.1);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/*
 * p = Pᵀ = | .6 .8 |, q = Qᵀ = | 0 1 |:  M = | 10 5 |  ->  Pᵀ M = | 6 3 |  ->  Pᵀ M Q = | 3 6 |
 *          | .8 -.6 |          | 1 0 |       |  0 0 |             | 8 4 |                | 4 8 |
 *
 * and the entry 10 at (0, 1) of the rotated matrix is 10 (.6, .8)ᵀ (1, 0) in the original: a first column 6, 8.
 */
TEST(rotations_by_hand)
{
    real p[4] = {(real).6, (real).8, (real).8, (real)-.6}, q[4] = {0, 1, 1, 0};
    real m[4] = {10, 5, 0, 0}, room[4], w[4] = {1, 1, 1, 1};
    const double rotated[4] = {3, 6, 4, 8}, moved[4] = {7, 1, 9, 1};
    struct rotation r = {2, 2, p, q};
    rotate(&r, true, true, m, room);
    rotate_back(&r, (uint32_t[]){1}, 1, (real[]){10}, w, room);
    for (int i = 0; i < 4; i++) {
        ASSERT_NEAR(m[i], rotated[i], 1e-5);
        ASSERT_NEAR(w[i], moved[i], 1e-5);
    }
    real b[2] = {10, 5};
    rotate_out(&r, b, room); /* .6 10 + .8 5, .8 10 - .6 5 */
    ASSERT_NEAR(b[0], 10, 1e-5);
    ASSERT_NEAR(b[1], 5, 1e-5);
}

/* There and back over all entries is nothing at all, whichever side is the larger; a few entries come back as the
 * dense product P D Qᵀ says. */
static void there_and_back(int out, int in)
{
    size_t n = (size_t)out * (size_t)in;
    uint32_t all[4000];
    struct rng g = rng_stream(1, "rotation");
    struct rotation r = {.out = out, .in = in};
    ASSERT_OK(r.p = ARENA_NEW(test_arena(), MEM_DATA, real, (size_t)out * (size_t)out, &e), &e);
    ASSERT_OK(r.q = ARENA_NEW(test_arena(), MEM_DATA, real, (size_t)in * (size_t)in, &e), &e);
    ASSERT_OK(random_basis(out, &g, r.p, test_arena(), &e), &e);
    ASSERT_OK(random_basis(in, &g, r.q, test_arena(), &e), &e);
    real *m = random_matrix(&g, n), *w = random_matrix(&g, n), *room = random_matrix(&g, n);
    real *m0 = random_matrix(&g, n), *w0 = random_matrix(&g, n);
    assert_true(n <= 4000);
    memcpy(m0, m, n * sizeof *m);
    memcpy(w0, w, n * sizeof *w);
    for (size_t i = 0; i < n; i++)
        all[i] = (uint32_t)i;
    rotate(&r, true, true, m, room);
    rotate_back(&r, all, n, m, w, room);
    for (size_t i = 0; i < n; i++)
        ASSERT_NEAR(w[i], (double)w0[i] + (double)m0[i], 1e-5);
    memcpy(w, w0, n * sizeof *w);
    rotate_back(&r, (uint32_t[]){7, (uint32_t)n - 1}, 2, (real[]){2, -3}, w, room);
    for (int i = 0; i < out; i++)
        for (int j = 0; j < in; j++) {
            int row = 7 / in, col = 7 % in;
            double want = (double)w0[i * in + j] + 2 * (double)r.p[row * out + i] * (double)r.q[col * in + j] -
                          3 * (double)r.p[(out - 1) * out + i] * (double)r.q[(in - 1) * in + j];
            ASSERT_NEAR(w[i * in + j], want, 1e-5);
        }
}

TEST(what_is_rotated_comes_back)
{
    there_and_back(OUT, IN);
    there_and_back(IN, OUT);
    there_and_back(6, 600); /* vectors longer than a slice */
    there_and_back(600, 6);
}
