/* DoRA: an example by hand, its start, the norms, dropout, and its limit LoRA. labels: contract
 */
#include "tests/methods/site.h"

#include <math.h>

#include "base/rng.h"
#include "models/kernels.h"

static struct err e;

static void open_run(struct run *r, const char *method, const char *options)
{
    struct run_spec s = run_spec(method, options, random_batch(6, 1));
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/* Added parameter of a module. */
static struct param *added(const struct run *r, const struct linear *l, const char *which)
{
    char name[320];
    snprintf(name, sizeof name, "%s.%s", l->name, which);
    return param_find(&r->model.params, name);
}

/* Row i of W + s B A; its norm. */
static double row_of(const struct run *r, const struct linear *l, double scale, int i, double *row)
{
    const struct param *a = added(r, l, "lora_A.weight"), *b = added(r, l, "lora_B.weight");
    double sum = 0;
    for (int j = 0; j < l->in; j++) {
        row[j] = (double)l->w->w[i * l->in + j];
        for (int k = 0; k < a->rows; k++)
            row[j] += scale * (double)b->w[i * a->rows + k] * (double)a->w[k * l->in + j];
        sum += row[j] * row[j];
    }
    return sqrt(sum);
}

static void randomise(struct run *r, const char *which, double centre, double spread)
{
    struct rng g = rng_stream(5, which);
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *p = r->model.params.item[i];
        for (size_t k = 0; p->added && strstr(p->name, which) && k < param_size(p); k++)
            p->w[k] = (real)(centre + spread * rng_normal(&g));
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * By hand: s = 2, V = W + s B A = [3 12 4 0; 0 1 2 2; 0 3 4 0], n = (13, 3, 5), c = m / n = (2, 1, 1/2). */

static const real W[] = {3, 0, 4, 0, 0, 1, 2, 2, 0, 1, 4, 0}, B[] = {1, -1, 2};
static const real X[] = {1, 0, 0, 1, 0, 1, 1, 0}, DY[] = {1, 0, 2, 0, 1, -2};

static void open_by_hand(struct site *s, const char *options)
{
    site_open(s, "dora", options, W, B);
    site_set(s, "lora_A.weight", (const real[]){0, 1, 0, 0});
    site_set(s, "lora_B.weight", (const real[]){6, 0, 1});
    site_set(s, "lora_magnitude_vector", (const real[]){26, 3, 2.5});
}

/*
 *   y  = c ⊙ x Vᵀ + b = c ⊙ [3 2 0; 16 3 7] + b
 *   gm = Σ dy ⊙ x Vᵀ / n                   = (1*3 / 13, 1*3 / 3, (2*0 - 2*7) / 5)
 *   d  = c ⊙ dy                            = [2 0 1; 0 1 -1]
 *   gB = s dᵀ u, u = x Aᵀ = (0, 1)         = 2 (0, 1, -1)
 *   du = s d B = 2 (12 + 1, -1)            = (26, -2),   gA = duᵀ x = 26 (1 0 0 1) - 2 (0 1 1 0)
 *   dx = d V                               = [6 24+3 8+4 0; 0 1-3 2-4 2]
 */
TEST(dora_by_hand)
{
    static struct site s;
    real y[6], dx[8];
    open_by_hand(&s, "{r: 1, lora_alpha: 2, target_modules: intermediate.dense}");
    site_forward(&s, X, y);
    site_same("y", 6, y, (const real[]){7, 1, 2, 33, 2, 5.5});
    site_backward(&s, X, DY, dx);
    site_same("gm", 3, site_param(&s, "lora_magnitude_vector")->grad.v,
              (const real[]){(real)(3. / 13), 1, (real)-2.8});
    site_same("gB", 3, site_param(&s, "lora_B.weight")->grad.v, (const real[]){0, 2, -2});
    site_same("gA", 4, site_param(&s, "lora_A.weight")->grad.v, (const real[]){26, -2, -2, 26});
    site_same("dx", 8, dx, (const real[]){6, 27, 12, 0, 0, -2, -2, 2});
    ASSERT_OK(s.r.method->fold(s.r.self, &s.r.env, &e), &e);
    site_same("W", 12, s.l->w->w, (const real[]){6, 24, 8, 0, 0, 1, 2, 2, 0, 1.5, 2, 0});
    site_close(&s);
}

/*
 * Through the norm, with k = m gm / n² = (6/169, 1/3, -0.28):
 *
 *   gB -= s k ⊙ (V Aᵀ), V Aᵀ = (12, 1, 3)
 *   gA -= s (k ⊙ B)ᵀ V = 2 (36/169 (3 12 4 0) - 0.28 (0 3 4 0))
 */
TEST(dora_by_hand_through_the_norm)
{
    static struct site s;
    real dx[8];
    open_by_hand(&s, "{r: 1, lora_alpha: 2, target_modules: intermediate.dense, detach_norm: false}");
    site_backward(&s, X, DY, dx);
    site_same("gm", 3, site_param(&s, "lora_magnitude_vector")->grad.v,
              (const real[]){(real)(3. / 13), 1, (real)-2.8});
    site_same("gB", 3, site_param(&s, "lora_B.weight")->grad.v,
              (const real[]){(real)(-144. / 169), (real)(2 - 2. / 3), (real)(-2 + 1.68)});
    site_same("gA", 4, site_param(&s, "lora_A.weight")->grad.v,
              (const real[]){(real)(26 - 216. / 169), (real)(-2 - 864. / 169 + 1.68),
                             (real)(-2 - 288. / 169 + 2.24), 26});
    site_same("dx", 8, dx, (const real[]){6, 27, 12, 0, 0, -2, -2, 2});
    site_close(&s);
}

/* -------------------------------------------------------------------------------------------------------------------
 * Start, norms, limits */

/* m starts at the norms of W; A has no gradient while B is 0, B and m have one. */
TEST(dora_starts_at_the_norms)
{
    struct run r;
    double row[16];
    open_run(&r, "dora", NULL);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        double squares = sum_of_squares(p->grad.v, p->grad.size);
        if (p->added)
            assert_true(strstr(p->name, "lora_A") ? squares == 0 : squares > 0);
    }
    const struct linear *l = &r.model.block[1].value;
    for (int i = 0; i < 16; i++)
        ASSERT_NEAR(added(&r, l, "lora_magnitude_vector")->w[i], row_of(&r, l, 1, i, row), 1e-6);
    assert_int_equal(param_trainable(&r.model.params, false), 4 * (8 * (16 + 16) + 16));
    run_close(&r);
}

/* Training moves A, B and m apart; what fold leaves has rows as long as m says. */
TEST(folded_rows_are_as_long_as_the_magnitudes)
{
    struct run r;
    real m[16];
    open_run(&r, "dora", "{r: 3, lora_alpha: 6}");
    randomise(&r, "lora_B", 0, 0.1);
    for (int i = 0; i < 5; i++)
        ASSERT_OK(run_step(&r, r.spec.first, 1, 10, NULL, &e), &e);
    const struct linear *l = &r.model.block[0].query;
    memcpy(m, added(&r, l, "lora_magnitude_vector")->w, sizeof m);
    ASSERT_OK(r.method->fold(r.self, &r.env, &e), &e);
    for (size_t i = 0; i < 16; i++)
        ASSERT_NEAR(sqrt(sum_of_squares(l->w->w + 16 * i, 16)), m[i], 1e-5);
    run_close(&r);
}

/* With every m at its row's norm the magnitudes change nothing: logits and gradients of A and B are LoRA's. */
TEST(dora_with_magnitudes_at_the_norms_is_lora)
{
    static const char options[] = "{r: 3, lora_alpha: 6, target_modules: [query, intermediate.dense]}";
    struct run dora, lora;
    double row[16];
    const struct batch *batch = random_batch(8, 3);
    open_run(&dora, "dora", options);
    open_run(&lora, "lora", options);
    randomise(&dora, "lora_B", 0, 0.3);
    randomise(&lora, "lora_B", 0, 0.3);
    for (int k = 0; k < dora.model.n_sites; k++) {
        const struct linear *l = dora.model.site[k];
        for (int i = 0; l->ops && i < l->out; i++)
            added(&dora, l, "lora_magnitude_vector")->w[i] = (real)row_of(&dora, l, 2, i, row);
    }
    const real *x = run_logits(&dora, batch, &e), *y = run_logits(&lora, batch, &e);
    for (int i = 0; i < 16; i++)
        ASSERT_NEAR(x[i], y[i], 1e-5);
    ASSERT_OK(run_gradients(&dora, batch, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&lora, batch, 1, NULL, &e), &e);
    for (size_t i = 0; i < lora.model.params.n; i++) {
        const struct param *p = lora.model.params.item[i], *q = param_find(&dora.model.params, p->name);
        for (size_t k = 0; p->added && k < param_size(p); k++)
            ASSERT_NEAR(q->grad.v[k], p->grad.v[k], 1e-5);
    }
    run_close(&dora);
    run_close(&lora);
}

/* y = x Wᵀ + b + (c - 1) ⊙ d Wᵀ + c ⊙ s d Aᵀ Bᵀ with d = drop(x): the first term sees all of x. */
TEST(dora_drops_the_correction_too)
{
    static struct site s;
    real d[8], y[6], want[6];
    static const double c[] = {2, 1, 0.5}, v[3][4] = {{3, 12, 4, 0}, {0, 1, 2, 2}, {0, 3, 4, 0}};
    open_by_hand(&s, "{r: 1, lora_alpha: 2, lora_dropout: 0.5, target_modules: intermediate.dense}");
    struct dropout mask = {.key = rng_key(1, "dropout"), .site = model_dropout_site(s.l), .p = 0.5};
    memcpy(d, X, sizeof d);
    dropout_packed(&mask, 1, s.start, s.row, 4, d);
    assert_memory_not_equal(d, X, sizeof d);
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 3; i++) {
            double sum = (double)B[i];
            for (int j = 0; j < 4; j++) {
                double all = (double)X[4 * t + j], kept = (double)d[4 * t + j];
                sum += (double)W[4 * i + j] * (all - kept) + c[i] * v[i][j] * kept;
            }
            want[3 * t + i] = (real)sum;
        }
    site_forward(&s, X, y);
    site_same("y", 6, y, want);
    site_backward(&s, X, DY, d); /* keeps to its scratch; the numbers are test_dora_f64.c's */
    s.pass.train = false;
    site_forward(&s, X, y);
    site_same("y without dropout", 6, y, (const real[]){7, 1, 2, 33, 2, 5.5});
    site_close(&s);
}

/* A row of zeros has no direction and m = 0: no division, an output of zero, and training goes on. */
TEST(a_row_of_zeros_does_no_harm)
{
    static struct site s;
    static const real w[] = {3, 0, 4, 0, 0, 0, 0, 0, 0, 1, 4, 0};
    real y[6], dx[8];
    site_open(&s, "dora", "{r: 1, lora_alpha: 2, target_modules: intermediate.dense, detach_norm: false}", w, B);
    site_set(&s, "lora_A.weight", (const real[]){0, 1, 0, 0});
    site_backward(&s, X, DY, dx);
    site_forward(&s, X, y);
    site_same("y", 6, y, (const real[]){4, -1, 2, 5, -1, 7});
    for (size_t i = 0; i < s.r.model.params.n; i++)
        assert_true(isfinite(sum_of_squares(s.r.model.params.item[i]->grad.v, s.r.model.params.item[i]->grad.size)));
    site_close(&s);
}

TEST(dora_tells_peft)
{
    struct run r;
    struct peft_config c;
    open_run(&r, "dora", "{r: 2, lora_alpha: 3, target_modules: [query, dense]}"); /* dense reaches the pooler too */
    ASSERT_OK(r.method->peft(r.self, &r.env, &c, &e), &e);
    assert_string_equal(c.type, "LORA");
    assert_non_null(strstr(c.members, "\"r\": 2, \"lora_alpha\": 3, \"lora_dropout\": 0, "));
    assert_non_null(strstr(c.members, "\"use_dora\": true, \"target_modules\": "
                                      "[\"bert.encoder.layer.0.attention.self.query\", "
                                      "\"bert.encoder.layer.0.attention.output.dense\", "));
    assert_null(strstr(c.members, "pooler"));
    run_close(&r);
}
