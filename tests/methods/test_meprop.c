/* meProp: examples by hand, exact counts, its limits, what it multiplies. labels: contract
 */
#include "tests/methods/site.h"

#include <math.h>

#include "base/rng.h"

static struct err e;

#define ALONE ", target_modules: intermediate.dense, train_rest: false}"

static const real w[] = {1, 0, 2, 0, 0, 1, 0, 1, 1, 1, 0, 0}, b[] = {0, 0, 0};
static const real x[] = {1, 2, 0, 1, 0, 1, 1, 0}, dy[] = {3, 1, 2, 1, -4, -2};

/* The bias always gets the column sums of dy as it came: (3 + 1, 1 - 4, 2 - 2). */
static void by_hand(const char *options, const real *gw, const real *want_dx)
{
    static struct site s;
    real dx[8];
    site_open(&s, "meprop", options, w, b);
    site_backward(&s, x, dy, dx);
    site_same("gW", 12, s.l->w->grad.v, gw);
    site_same("gb", 3, s.l->b->grad.v, (const real[]){4, -3, 0});
    site_same("dx", 8, dx, want_dx);
    site_close(&s);
}

/* k = 1 keeps 3 of (3 1 2) and -4 of (1 -4 -2): gW = 3 x_0 in row 0, -4 x_1 in row 1; dx = 3 W_0, -4 W_1. k = 2 keeps
 * (3 0 2) and (0 -4 -2) and adds 2 x_0 - 2 x_1 in row 2; dx = 3 W_0 + 2 W_2, -4 W_1 - 2 W_2. */
TEST(per_token_by_hand)
{
    by_hand("{k: 1" ALONE, (const real[]){3, 6, 0, 3, 0, -4, -4, 0, 0, 0, 0, 0},
            (const real[]){3, 0, 6, 0, 0, -4, 0, -4});
    by_hand("{k: 2" ALONE, (const real[]){3, 6, 0, 3, 0, -4, -4, 0, 2, 2, -2, 2},
            (const real[]){5, 2, 6, 0, -2, -6, 0, -4});
    by_hand("{density: 0.5" ALONE, (const real[]){3, 6, 0, 3, 0, -4, -4, 0, 2, 2, -2, 2}, /* 1.5, rounded to 2 */
            (const real[]){5, 2, 6, 0, -2, -6, 0, -4});
}

/* Column sums of |dy| are (4 5 4). k = 1 takes column 1: gW_1 = x_0 - 4 x_1, dx = W_1, -4 W_1; k = 2 takes column 0
 * too, the first of two equals: gW_0 = 3 x_0 + x_1, dx = 3 W_0 + W_1, W_0 - 4 W_1. */
TEST(unified_by_hand)
{
    by_hand("{k: 1, unified: true" ALONE, (const real[]){0, 0, 0, 0, 1, -2, -4, 1, 0, 0, 0, 0},
            (const real[]){0, 1, 0, 1, 0, -4, 0, -4});
    by_hand("{k: 2, unified: true" ALONE, (const real[]){3, 7, 1, 3, 1, -2, -4, 1, 0, 0, 0, 0},
            (const real[]){3, 1, 6, 1, 1, -4, 2, -4});
}

/* x_t = e_t lays token t's kept gradient into column t of gW: exactly k entries of dy, none smaller than one left
 * out. */
TEST(each_token_keeps_exactly_k)
{
    static const real unit[] = {1, 0, 0, 0, 0, 1, 0, 0};
    struct rng g = rng_stream(3, "dy");
    for (int k = 1; k < 3; k++) {
        static struct site s;
        char options[128];
        snprintf(options, sizeof options, "{k: %d" ALONE, k);
        site_open(&s, "meprop", options, w, b);
        for (int round = 0; round < 100; round++) {
            real d[6], dx[8];
            for (int i = 0; i < 6; i++)
                d[i] = round % 10 ? (real)rng_normal(&g) : 0; /* ties of nothing too */
            site_backward(&s, unit, d, dx);
            for (int t = 0; t < 2; t++) {
                int kept = 0;
                double least = INFINITY, left = 0;
                for (int j = 0; j < 3; j++) {
                    real v = s.l->w->grad.v[4 * j + t];
                    assert_true(v == 0 || v == d[3 * t + j]);
                    kept += v != 0;
                    if (v != 0)
                        least = fmin(least, fabs((double)v));
                    else
                        left = fmax(left, fabs((double)d[3 * t + j]));
                }
                assert_true(kept == (round % 10 ? k : 0) && (kept == 0 || least >= left));
            }
        }
        site_close(&s);
    }
}

/* A module whose weight is frozen still lets only k entries down. */
TEST(frozen_weights_pass_the_same_gradient_down)
{
    static struct site s;
    static const char *const options[] = {"{k: 1" ALONE, "{k: 1, unified: true" ALONE};
    for (int i = 0; i < 2; i++) {
        real with[8], without[8];
        site_open(&s, "meprop", options[i], w, b);
        site_backward(&s, x, dy, with);
        s.l->w->grad = (struct grad){0};
        site_backward(&s, x, dy, without);
        assert_memory_equal(with, without, sizeof with);
        site_close(&s);
    }
}

/* ------------------------------------------------------------------------------------------------------------------ */

TEST(keeping_everything_is_full_fine_tuning)
{
    assert_same_training("meprop", "{k: 1000}", "full", NULL);
    assert_same_training("meprop", "{density: 1}", "full", NULL);
    assert_same_training("meprop", "{k: 24, unified: true}", "full", NULL);
    assert_same_training("meprop", "{k: 16, target_modules: [query, output.dense], train_rest: false}",
                         "full", "{target_modules: [query, output.dense]}");
}

static void same_gradients(const struct run *r, const struct run *q, double tolerance)
{
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct grad *g = &r->model.params.item[i]->grad, *h = &q->model.params.item[i]->grad;
        assert_int_equal(g->size, h->size);
        for (size_t k = 0; k < g->size; k++)
            ASSERT_NEAR(g->v[k], h->v[k], tolerance);
    }
}

TEST(unified_over_one_token_is_per_token)
{
    static const int32_t ids[] = {7}, types[] = {0}, start[] = {0, 1}, row[] = {0}, label[] = {1};
    const struct batch one = {1, 1, ids, types, start, row, label, NULL};
    struct run r, u;
    open_usual(&r, "meprop", "{k: 4}");
    open_usual(&u, "meprop", "{k: 4, unified: true}");
    assert_true(u.env.unsplit && !r.env.unsplit);
    ASSERT_OK(run_gradients(&r, &one, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&u, &one, 1, NULL, &e), &e);
    same_gradients(&r, &u, 1e-6);
    run_close(&r);
    run_close(&u);
}

static int rows_with_gradient(const struct param *p)
{
    int n = 0;
    for (int i = 0; i < p->rows; i++) {
        bool any = false;
        for (int j = 0; j < p->cols; j++)
            any |= p->grad.v[(size_t)i * (size_t)p->cols + (size_t)j] != 0;
        n += any;
    }
    return n;
}

/* Nothing above the last output.dense is sparse: its dy is full fine-tuning's. */
TEST(unified_leaves_all_other_rows_at_zero)
{
    struct run r, full;
    open_usual(&r, "meprop", "{k: 3, unified: true}");
    open_usual(&full, "full", NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&full, r.spec.first, 1, NULL, &e), &e);
    for (int i = 0; i < r.model.n_sites; i++)
        if (!r.model.site[i]->w->head)
            assert_int_equal(rows_with_gradient(r.model.site[i]->w), 3);
    const struct linear *l = &r.model.block[1].output, *m = &full.model.block[1].output;
    assert_memory_equal(l->b->grad.v, m->b->grad.v, l->b->grad.size * sizeof(real));
    for (size_t k = 0; k < l->w->grad.size; k++)
        if (l->w->grad.v[k] != 0)
            ASSERT_NEAR(l->w->grad.v[k], m->w->grad.v[k], 1e-6);
    run_close(&r);
    run_close(&full);
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct taken {
    const struct run *r;
    real *v[64];
};

static bool see(void *self, const struct param *p, const real *g, struct err *err)
{
    struct taken *t = self;
    size_t i = 0;
    while (t->r->model.params.item[i] != p)
        i++;
    TRY(t->v[i] = ARENA_NEW(test_arena(), MEM_DATA, real, param_size(p), err));
    memcpy(t->v[i], g, param_size(p) * sizeof *g);
    return true;
}

static struct taken probe(struct run *r)
{
    struct taken t = {.r = r};
    struct tap tap = {.see = see, .self = &t};
    for (size_t i = 0; i < r->model.params.n; i++)
        r->model.params.item[i]->tapped = true;
    ASSERT_OK(r->probe.gradient(&r->probe, &(struct probe_batch){.dropout = true}, &tap, NULL, &e), &e);
    return t;
}

TEST(probes_see_the_exact_gradient)
{
    static const char *const options[] = {"{k: 2}", "{k: 2, unified: true}"};
    struct run full;
    open_usual(&full, "full", NULL);
    struct taken want = probe(&full);
    for (int i = 0; i < 2; i++) {
        struct run r;
        open_usual(&r, "meprop", options[i]);
        struct taken got = probe(&r);
        for (size_t p = 0; p < r.model.params.n; p++)
            assert_memory_equal(got.v[p], want.v[p], param_size(r.model.params.item[p]) * sizeof(real));
        run_close(&r);
    }
    run_close(&full);
}

static double flops_of(const char *method, const char *options, bool backward)
{
    struct run r;
    const int32_t lengths[] = {3, 5};
    open_usual(&r, method, options);
    double flops = model_flops(&r.model, lengths, 2, backward);
    run_close(&r);
    return flops;
}

/* 8 tokens, output.dense [16, 24] with k = 4: 12 of 16 columns are spared in gW and dx. Of layer 0's query dx is not
 * computed when nothing below is trained. */
TEST(unified_spares_multiplications)
{
    assert_true(flops_of("meprop", "{k: 4}", true) == flops_of("full", NULL, true));
    assert_true(flops_of("meprop", "{k: 4, unified: true}", false) == flops_of("full", NULL, false));
    assert_true(flops_of("full", NULL, true) -
                    flops_of("meprop", "{k: 4, unified: true, target_modules: [layer.1.output.dense]}", true) ==
                2 * 2. * 8 * 24 * 12);
    assert_true(flops_of("full", "{target_modules: layer.0.attention.self.query}", true) -
                    flops_of("meprop", "{k: 4, unified: true, train_rest: false, "
                                       "target_modules: layer.0.attention.self.query}", true) ==
                2. * 8 * 16 * 12);
}
