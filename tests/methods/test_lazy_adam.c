/* SparseAdam with state where it is needed. labels: unit
 */
#include "tests/methods/toy.h"

#include <math.h>

#include "base/rng.h"
#include "methods/lazy_adam.h"

enum { N = 100 };

static struct err e;
static const size_t sizes[2] = {N, 7};

static struct lazy_adam *open_adam(void)
{
    struct lazy_adam *s;
    ASSERT_OK(s = lazy_adam_create(sizes, 2, test_arena(), &e), &e);
    return s;
}

static real move(struct lazy_adam *s, uint32_t entry, double g)
{
    struct optim_options o = optim_defaults();
    real v = (real)g;
    ASSERT_OK(lazy_adam_step(s, 0, &o, 0.1, &entry, 1, &v, &e), &e);
    return v;
}

/*
 * Learning rate 0.1, entry 5 has gradient 2 in steps 1 and 3, entry 6 in step 2.
 *
 *     step 1  m = .2, v = .004:     -0.1 sqrt(.001)/.1 .2/sqrt(.004) = -0.1
 *     step 2  entry 6, t = 2:       -0.1 sqrt(.001999)/.19 .2/sqrt(.004) = -0.1 * .744137
 *     step 3  m = .38, v = .007996: -0.1 sqrt(.002997001)/.271 .38/sqrt(.007996) = -0.1 * .858461
 *
 * Had m and v of entry 5 decayed in step 2, m would be .362.
 */
TEST(three_steps_by_hand)
{
    struct lazy_adam *s = open_adam();
    real m, v;
    ASSERT_NEAR(move(s, 5, 2), -.1, 1e-6);
    ASSERT_NEAR(move(s, 6, 2), -.0744137, 1e-6);
    lazy_adam_look(s, 0, 5, &m, &v);
    ASSERT_NEAR(m, .2, 1e-7);
    ASSERT_NEAR(v, .004, 1e-8);
    ASSERT_NEAR(move(s, 5, 2), -.0858461, 1e-6);
    lazy_adam_look(s, 0, 5, &m, &v);
    ASSERT_NEAR(m, .38, 1e-7);
    ASSERT_NEAR(v, .007996, 1e-8);
    assert_int_equal(lazy_adam_entries(s), 8);
}

/* The same with all of m and v, as PyTorch has it. */
struct dense {
    double m[N], v[N], t;
};

static double dense_step(struct dense *d, uint32_t i, double g, double lr)
{
    d->m[i] += 0.1 * (g - d->m[i]);
    d->v[i] += 0.001 * (g * g - d->v[i]);
    return -lr * sqrt(1 - pow(0.999, d->t)) / (1 - pow(0.9, d->t)) * d->m[i] / (sqrt(d->v[i]) + 1e-8);
}

/* Some 10 of the entries below `limit`, ascending. */
static size_t some(struct rng *r, uint32_t limit, uint32_t *idx)
{
    size_t n = 0;
    for (uint32_t i = 0; i < limit; i++)
        if (rng_below(r, limit) < 10)
            idx[n++] = i;
    return n;
}

TEST(the_numbers_are_those_of_dense_state)
{
    static struct dense d;
    struct lazy_adam *s = open_adam();
    struct optim_options o = optim_defaults();
    struct rng r = rng_stream(1, "steps");
    for (int t = 0; t < 60; t++) {
        uint32_t idx[N];
        real g[N];
        double want[N];
        size_t n = some(&r, t < 30 ? N / 2 : N, idx);
        d.t++;
        for (size_t i = 0; i < n; i++) {
            g[i] = (real)rng_normal(&r);
            want[i] = dense_step(&d, idx[i], (double)g[i], 0.1);
        }
        ASSERT_OK(lazy_adam_step(s, 0, &o, 0.1, idx, n, g, &e), &e);
        for (size_t i = 0; i < n; i++)
            ASSERT_NEAR(g[i], want[i], 1e-6);
        if (t == 29)
            assert_int_equal(lazy_adam_entries(s), 56); /* 7 groups of 8 hold the first 50 */
    }
    for (uint32_t i = 0; i < N; i++) {
        real m, v;
        lazy_adam_look(s, 0, i, &m, &v);
        ASSERT_NEAR(m, d.m[i], 1e-6);
        ASSERT_NEAR(v, d.v[i], 1e-6);
    }
    assert_int_equal(lazy_adam_entries(s), 104);
}

TEST(memory_follows_what_is_touched)
{
    struct mem_meter meter = {0};
    struct arena *a = arena_create(&meter);
    struct lazy_adam *s;
    struct optim_options o = optim_defaults();
    size_t bytes[MEM_TAGS] = {0}, big = 1 << 20;
    ASSERT_OK(s = lazy_adam_create(&big, 1, a, &e), &e);
    lazy_adam_bytes(&big, 1, bytes);
    assert_true(meter.live_sum < big); /* half a byte an entry in place of eight */
    for (uint32_t i = 0; i < big; i += 8) {
        real g = 1;
        ASSERT_OK(lazy_adam_step(s, 0, &o, 0.1, &i, 1, &g, &e), &e);
        if (i == 0)
            assert_true(meter.live_sum < 2 * big * sizeof(real) / 8);
    }
    assert_int_equal(meter.live[MEM_OPTIMIZER], bytes[MEM_OPTIMIZER]);
    arena_destroy(a);
}

TEST(under_sgd_it_is_sgd)
{
    struct lazy_adam *s = open_adam();
    struct optim_options o = toy_sgd(0.5);
    real g[2] = {2, -3};
    ASSERT_OK(lazy_adam_step(s, 1, &o, 0.5, (uint32_t[]){1, 6}, 2, g, &e), &e);
    assert_true(g[0] == -1 && g[1] == (real)1.5);
    assert_int_equal(lazy_adam_entries(s), 0);
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct shelf {
    bool restore;
    size_t n;
    struct {
        char name[64], data[4096];
        size_t bytes;
    } item[80];
};

static void put(void *u, const char *name, void *data, size_t bytes)
{
    struct shelf *s = u;
    size_t i = 0;
    while (i < s->n && strcmp(s->item[i].name, name) != 0)
        i++;
    if (s->restore) {
        assert_true(i < s->n && s->item[i].bytes == bytes);
        memcpy(data, s->item[i].data, bytes);
        return;
    }
    assert_true(i == s->n && i < 80 && bytes <= sizeof s->item[0].data);
    snprintf(s->item[i].name, sizeof s->item[i].name, "%s", name);
    memcpy(s->item[i].data, data, bytes);
    s->item[i].bytes = bytes;
    s->n++;
}

/* A new one takes over what another has grown to. */
TEST(state_is_restored_with_its_size)
{
    static struct shelf shelf;
    struct lazy_adam *a = open_adam(), *b = open_adam();
    for (uint32_t i = 0; i < N; i += 9)
        move(a, i, 1 + i);
    lazy_adam_state(a, put, &shelf);
    shelf.restore = true;
    lazy_adam_state(b, put, &shelf);
    for (uint32_t i = 0; i < N; i += 5)
        assert_true(move(a, i, 2) == move(b, i, 2));
    assert_int_equal(lazy_adam_entries(a), lazy_adam_entries(b));
}

TEST(memory_that_is_out_while_restoring_is_reported_by_the_next_step)
{
    static struct shelf shelf;
    struct lazy_adam *a = open_adam(), *b = open_adam();
    struct optim_options o = optim_defaults();
    uint32_t entry = 0;
    real g = 1;
    move(a, 50, 1);
    lazy_adam_state(a, put, &shelf);
    shelf.restore = true;
    arena_fail_at(0);
    lazy_adam_state(b, put, &shelf);
    arena_fail_at(-1);
    assert_false(lazy_adam_step(b, 0, &o, 0.1, &entry, 1, &g, &e));
    assert_int_equal(e.code, ERR_ENV);
}
