/* What an override keeps of its forward against what backward computes again: the same gradients.
 * labels: unit */
#include "tests/methods/fixture.h"

#include <math.h>

static struct err e;

/* Away from the start, where LoRA's branch is nothing and every scale 1. */
static void disturb(struct run *r)
{
    for (size_t i = 0; i < r->model.params.n; i++)
        for (size_t k = 0; r->model.params.item[i]->added && k < param_size(r->model.params.item[i]); k++)
            r->model.params.item[i]->w[k] += (real)(0.2 * sin((double)(i + 3 * k)));
}

static void same_gradients(const char *method, const char *options, double tolerance)
{
    struct run_spec spec = run_spec(method, options, random_batch(6, 1));
    struct run kept, again;
    struct workspace_shape shape = {WORKSPACE_CHECKPOINT, MAX_TOKENS, MAX_SEQS, MAX_LEN};
    ASSERT_OK(run_open(&kept, &spec, &e) && run_open(&again, &spec, &e), &e);
    disturb(&kept);
    disturb(&again);
    ASSERT_OK(again.ws = workspace_create(&again.model, &shape, again.arena, &e), &e);
    ASSERT_OK(run_gradients(&kept, spec.first, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&again, spec.first, 1, NULL, &e), &e);
    double largest = 0;
    for (size_t i = 0; i < kept.model.params.n; i++) {
        const struct grad *x = &kept.model.params.item[i]->grad, *y = &again.model.params.item[i]->grad;
        for (size_t k = 0; k < x->size; k++) {
            ASSERT_NEAR(x->v[k], y->v[k], tolerance * (1 + fabs((double)y->v[k])));
            largest = fmax(largest, kept.model.params.item[i]->added ? fabs((double)x->v[k]) : 0);
        }
    }
    assert_true(largest > 1e-4);
    run_close(&kept);
    run_close(&again);
}

TEST(ia3_keeps_outputs) { same_gradients("ia3", "{}", 0); }
TEST(dora_keeps_directions) { same_gradients("dora", "{r: 4}", 0); }
TEST(dora_keeps_directions_of_dropped_inputs) { same_gradients("dora", "{r: 4, lora_dropout: 0.3}", 1e-6); }
