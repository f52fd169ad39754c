/* Identities between methods, and of a method with itself under other settings. labels: contract
 */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"
#include "methods/topk.h"

static struct err e;

TEST(sift_of_everything_is_full)
{
    assert_same_training("sift", "{density: 1, target_modules: all}", "full", NULL);
    assert_same_training("sift", "{density: 1}",
                         "full", "{target_modules: [query, key, value, attention.output.dense]}");
    assert_same_training("sift", "{density: 1, ranking: global, refresh_every: 2, target_modules: all}", "full", NULL);
    assert_same_training("sift", "{density: 1, select: random}", "full",
                         "{target_modules: [query, key, value, attention.output.dense]}");
    assert_same_training("sift", "{density: 1, select: magnitude, target_modules: LayerNorm}", "full",
                         "{target_modules: LayerNorm}");
}

/* ------------------------------------------------------------------------------------------------------------------ */

static size_t sift_count(const struct run *r, const char *name)
{
    return param_find(&r->model.params, name)->grad.size;
}

TEST(sift_counts)
{
    struct run r;
    open_usual(&r, "sift", NULL); /* 0.008 of 256 = 2.048, of 16 = 0.128 */
    assert_int_equal(sift_count(&r, "bert.encoder.layer.0.attention.self.query.weight"), 3);
    assert_int_equal(sift_count(&r, "bert.encoder.layer.0.attention.self.query.bias"), 1);
    assert_int_equal(param_trainable(&r.model.params, false), 2 * 4 * (3 + 1));
    run_close(&r);
    open_usual(&r, "sift", "{density: 0.5}"); /* exact product: floor(128) + 1 */
    assert_int_equal(sift_count(&r, "bert.encoder.layer.1.attention.output.dense.weight"), 129);
    run_close(&r);
    open_usual(&r, "sift", "{density: 0.999}");
    assert_int_equal(sift_count(&r, "bert.encoder.layer.1.attention.output.dense.weight"), 256);
    run_close(&r);
    open_usual(&r, "sift", "{density: 0.5, compat: reference}"); /* the first target is not trained and not counted */
    assert_int_equal(param_trainable(&r.model.params, false), 7 * 129 + 8 * 9);
    run_close(&r);
}

struct seen {
    struct method_report report;
    double value;
};

static void keep_value(struct method_report *self, const char *name, double value, const char *description)
{
    assert_string_equal(name, "captured_norm");
    assert_true(*description);
    ((struct seen *)self)->value = value;
}

/* The kept entries are the largest of the gradient that full fine-tuning has in step 0, dropout masks included. */
TEST(sift_keeps_the_largest_of_the_first_gradient)
{
    struct run r, full;
    double all = 0, kept = 0;
    struct seen seen = {{keep_value}, 0};
    open_usual(&r, "sift", "{density: 0.1, target_modules: all}");
    open_usual(&full, "full", NULL);
    ASSERT_OK(run_gradients(&full, full.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i], *q = full.model.params.item[i];
        uint32_t want[1024];
        if (p->head)
            continue;
        topk(q->grad.v, param_size(q), p->grad.n, want);
        if (!strstr(p->name, "key.bias")) /* rounding noise: the true gradient is zero */
            assert_memory_equal(p->grad.idx, want, p->grad.n * sizeof *want);
        all += sum_of_squares(q->grad.v, param_size(q));
        for (size_t k = 0; k < p->grad.n; k++)
            kept += (double)q->grad.v[want[k]] * (double)q->grad.v[want[k]];
    }
    r.method->report(r.self, &r.env, &seen.report);
    ASSERT_NEAR(seen.value, sqrt(kept / all), 1e-6);
    run_close(&r);
    run_close(&full);
}

TEST(sift_by_magnitude_keeps_the_largest_weights)
{
    struct run r;
    uint32_t want[256];
    open_usual(&r, "sift", "{density: 0.1, select: magnitude}");
    const struct param *p = param_find(&r.model.params, "bert.encoder.layer.1.attention.self.value.weight");
    topk(p->w, param_size(p), p->grad.n, want);
    assert_memory_equal(p->grad.idx, want, p->grad.n * sizeof *want);
    run_close(&r);
}

/* Every entry is as likely as the next: 4 sigma over 400 seeds. */
TEST(sift_at_random_is_uniform)
{
    int hits[16] = {0};
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct run r;
        struct run_spec s = run_spec("sift", "{density: 0.2, select: random}", random_batch(2, 1));
        s.seed = seed;
        ASSERT_OK(run_open(&r, &s, &e), &e);
        const struct param *p = param_find(&r.model.params, "bert.encoder.layer.0.attention.self.key.bias");
        assert_int_equal(p->grad.n, 4);
        for (size_t k = 0; k < p->grad.n; k++)
            hits[p->grad.idx[k]]++;
        run_close(&r);
    }
    for (int i = 0; i < 16; i++)
        ASSERT_NEAR(hits[i], 100, 4 * sqrt(400 * 0.25 * 0.75));
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* ‖Δg‖ <= 1e-6 ‖g‖ over all requests: accumulation only changes the order of sums. */
static void accumulate(const char *method, const char *options)
{
    struct run a, b;
    const struct batch *batch = random_batch(32, 4);
    double difference = 0, norm = 0, loss_a, loss_b;
    open_usual(&a, method, options);
    open_usual(&b, method, options);
    a.env.step = b.env.step = 1;
    ASSERT_OK(run_gradients(&a, batch, 1, &loss_a, &e), &e);
    ASSERT_OK(run_gradients(&b, batch, 4, &loss_b, &e), &e);
    for (size_t i = 0; i < a.model.params.n; i++) {
        const struct grad *x = &a.model.params.item[i]->grad, *y = &b.model.params.item[i]->grad;
        for (size_t k = 0; k < x->size; k++) {
            difference += pow((double)x->v[k] - (double)y->v[k], 2);
            norm += pow((double)x->v[k], 2);
        }
    }
    ASSERT_NEAR(loss_a, loss_b, 1e-6);
    assert_true(norm > 0);
    ASSERT_NEAR(sqrt(difference / norm), 0, 1e-6);
    run_close(&a);
    run_close(&b);
}

TEST(micro_batches_add_up_to_the_batch)
{
    accumulate("full", NULL);
    accumulate("lora", "{lora_dropout: 0.2}");
    accumulate("dora", "{lora_dropout: 0.2}");
    accumulate("dora", "{detach_norm: false}");
    accumulate("ia3", NULL);
    accumulate("sift", "{density: 0.05}");
    accumulate("sift", "{density: 0.5}");
    accumulate("sift", "{density: 0.05, compat: reference}");
}

/* compat: reference: the update of step t is in force only after the backward of step t + 1, step 0 has none, and the
 * first target never moves. */
TEST(the_reference_code_runs_one_update_behind)
{
    struct run r;
    size_t n;
    open_usual(&r, "sift", "{density: 0.05, compat: reference}");
    const struct param *starved = r.model.block[0].query.w, *p = r.model.block[0].key.w;
    real start[256], now[256];
    const real *old = copy_weights(&r, &n);
    assert_true(starved->watched && n > 0);
    memcpy(start, p->w, sizeof start);
    train_usual(&r, 2); /* steps 0 and 1 make no and one update; none is in W yet */
    assert_memory_equal(p->w, start, sizeof start);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    memcpy(now, p->w, sizeof now);
    assert_memory_not_equal(now, start, sizeof start);
    size_t at = 0;
    for (size_t i = 0; r.model.params.item[i] != starved; i++)
        at += param_size(r.model.params.item[i]);
    assert_memory_equal(starved->w, old + at, 256 * sizeof(real));
    assert_true(sum_of_squares(starved->grad.v, starved->grad.size) > 0);
    run_close(&r);
}
