/* What SparseGrad keeps of a gradient are derivatives of the loss along its bases: central differences in double.
 * labels: unit
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "methods/rotation.h"

static struct err e;

static void pick(void *u, const char *name, void *data, size_t bytes)
{
    struct rotation *r = u;
    (void)bytes;
    if (strcmp(name, "basis/output/out") == 0)
        r->p = data;
    if (strcmp(name, "basis/output/in") == 0)
        r->q = data;
}

/* The loss with the weight moved by h P E Qᵀ, E one entry. */
static double loss_at(struct run *run, const struct rotation *r, struct param *w, uint32_t entry, double h)
{
    static real old[384], room[384];
    real by = (real)h;
    memcpy(old, w->w, sizeof old);
    rotate_back(r, &entry, 1, &by, w->w, room);
    double loss = run_loss(run, run->spec.first);
    memcpy(w->w, old, sizeof old);
    return loss;
}

static void differences(const char *options)
{
    struct run run;
    const double h = 1e-5;
    struct rotation r = {.out = 16, .in = 24};
    struct run_spec s = run_spec("sparsegrad", options, random_batch(6, 1));
    s.dropout = 0.1;
    ASSERT_OK(run_open(&run, &s, &e), &e);
    run.method->state(run.self, &run.env, pick, &r);
    ASSERT_OK(run_gradients(&run, run.spec.first, 2, NULL, &e), &e);
    struct param *w = run.model.block[0].output.w;
    double largest = 0;
    for (int i = 0; i < 384; i++)
        largest = fmax(largest, fabs((double)w->grad.v[i]));
    assert_true(largest > 1e-4);
    for (uint32_t i = 0; i < 384; i += i < 60 ? 1 : 17) {
        double slope = (loss_at(&run, &r, w, i, h) - loss_at(&run, &r, w, i, -h)) / (2 * h);
        ASSERT_NEAR(w->grad.v[i], slope, 1e-6 * largest);
    }
    run_close(&run);
}

TEST(kept_entries_are_derivatives_along_the_bases)
{
    differences("{density: 1}");
    differences("{density: 1, orientation: official}");
    differences("{density: 1, basis: random}");
}
