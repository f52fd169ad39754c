/* Optimizers, clipping and schedules against PyTorch and transformers (tests/golden/optim), and over every form of
 * request. */
#include "tests/methods/fixture.h"

#include <math.h>

#include "base/rng.h"
#include "methods/schedule.h"
#include "models/blas.h"
#include "models/safetensors.h"

enum rule { ADAMW_TORCH, SGD, ADAMW_HF, ADAMW_FAIRSEQ, ADAM_BERT, LION, RULES }; /* as in OPTIM_WORDS */

static struct err e;
static struct safetensors golden;

static const float *floats(const char *name)
{
    if (!golden.n) {
        char path[512];
        snprintf(path, sizeof path, "%s/tests/golden/optim/optim.safetensors", PEFTLAB_SOURCE_DIR);
        ASSERT_OK(safetensors_open(&golden, path, test_arena(), &e), &e);
    }
    const struct tensor *t = safetensors_find(&golden, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t->data;
}

static double option(const char *name, const char *key, double missing)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", name, key);
    const char *text = safetensors_metadata(&golden, full);
    return text ? strtod(text, NULL) : missing;
}

/* A registry of tensors [rows, cols] with memory, all requested as `form`. */
static struct param *add(struct param_list *list, const char *name, int rows, int cols, enum grad_form form, size_t n)
{
    struct param like = {.name = name, .kind = PARAM_LINEAR, .ndim = 2, .rows = rows, .cols = cols};
    struct param *p;
    ASSERT_OK(p = param_add(list, &like, test_arena(), &e), &e);
    ASSERT_OK(p->w = ARENA_NEW(test_arena(), MEM_WEIGHTS, real, param_size(p), &e), &e);
    param_request(p, form, n, 2);
    return p;
}

static void golden_case(const char *name, int optim)
{
    struct param_list list = {0};
    struct param *p = add(&list, "x.weight", 1, 8, GRAD_DENSE, 0);
    const float *w0 = floats("w0"), *grads = floats("grads"), *want = floats(name);
    struct optim_options o = optim_defaults();
    o.optim = optim;
    o.learning_rate = option(name, "lr", NAN);
    o.weight_decay = option(name, "weight_decay", 0);
    o.adam_beta1 = option(name, "adam_beta1", 0.9);
    o.adam_beta2 = option(name, "adam_beta2", 0.999);
    o.adam_epsilon = option(name, "eps", 1e-8);
    o.momentum = option(name, "momentum", 0);
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    struct optim *optimizer = optim_create(&o, &list, test_arena(), &e);
    for (int i = 0; i < 8; i++)
        p->w[i] = w0[i];
    for (int t = 0; t < 5; t++) {
        for (int i = 0; i < 8; i++)
            p->grad.v[i] = grads[t * 8 + i];
        optim_step(optimizer, 1);
        for (int i = 0; i < 8; i++)
            if (!(fabs((double)(p->w[i] - want[t * 8 + i])) <= 1e-6))
                fail_msg("%s: step %d, entry %d: %.8g, PyTorch has %.8g", name, t, i, (double)p->w[i],
                         (double)want[t * 8 + i]);
    }
}

TEST(adamw) { golden_case("adamw", ADAMW_TORCH); }
TEST(adamw_with_decay) { golden_case("adamw_decay", ADAMW_TORCH); }
TEST(adamw_with_other_betas) { golden_case("adamw_betas", ADAMW_TORCH); }
TEST(adamw_hf) { golden_case("hf", ADAMW_HF); }
TEST(adamw_hf_with_decay_and_a_large_epsilon) { golden_case("hf_decay", ADAMW_HF); }
TEST(adamw_fairseq_without_decay_is_adamw_hf) { golden_case("hf", ADAMW_FAIRSEQ); }
TEST(adam_bert_without_decay_is_adamw_hf_uncorrected) { golden_case("bert", ADAM_BERT); }
TEST(sgd) { golden_case("sgd", SGD); }
TEST(sgd_with_decay) { golden_case("sgd_decay", SGD); }
TEST(sgd_with_momentum) { golden_case("sgd_momentum", SGD); }

/* -------------------------------------------------------------------------------------------------------------------
 * Three steps of one weight, worked out by hand: p = 1, gradients 1, -1, 2. With betas (1/2, 3/4) and eps 1/2
 *
 *     m:  .5, -.25, .875        v:  .25, .4375, 1.328125        1 - b1^t: .5, .75, .875      1 - b2^t: .25, .4375, ...
 *
 * so that in step 1 of Adam's kinds m / (sqrt(v) + eps) = .5 / (.5 + .5) = .5, corrected sqrt(.25) / .5 * .5 too. */

static const double GRADS[] = {1, -1, 2}, NEARLY_BALANCED[] = {1, -0.3125, 2};

static void three_steps(enum rule rule, double wd, const char *name, const double g[3], double got[3])
{
    struct param_list list = {0};
    struct param *p = add(&list, name, 1, 1, GRAD_DENSE, 0);
    struct optim_options o = {.optim = (int)rule, .learning_rate = 0.25, .head_learning_rate = NAN,
                              .weight_decay = wd, .adam_beta1 = 0.5, .adam_beta2 = 0.75, .adam_epsilon = 0.5};
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    struct optim *optimizer = optim_create(&o, &list, test_arena(), &e);
    ASSERT_OK(optimizer, &e);
    p->w[0] = 1;
    for (int t = 0; t < 3; t++) {
        p->grad.v[0] = (real)g[t];
        optim_step(optimizer, 1);
        got[t] = p->w[0];
    }
}

static void assert_steps(enum rule rule, const double g[3], const double want[3])
{
    double got[3];
    three_steps(rule, 0.5, "x.weight", g, got);
    for (int t = 0; t < 3; t++)
        ASSERT_NEAR(got[t], want[t], 2e-7);
}

/* 1 - .25 * .5 = .875, and decay takes 1/8 of it (lr wd = .25 * .5): .765625. Step 2: sqrt(.4375) / .75 * -.25 /
 * (.66143783 + .5) = -.18983304, so .81308326 and 7/8 of it. Step 3: sqrt(1 - .75^3) = .76034531, / .875 * .875 /
 * (1.15244306 + .5) = .46013405: .71144785 - .11503351 = .59641434 and 7/8 of it. */
TEST(adamw_hf_by_hand) { assert_steps(ADAMW_HF, GRADS, (const double[]){0.765625, 0.71144785, 0.52186255}); }

/* Decay first: .875 - .125 = .75; .65625 + .04745826 = .70370826; .61574473 - .11503351 = .50071122. */
TEST(adamw_fairseq_by_hand) { assert_steps(ADAMW_FAIRSEQ, GRADS, (const double[]){0.75, 0.70370826, 0.50071122}); }

/* 1 - .25 (.5 + .5 * 1) = .75. Step 2: -.25 / 1.16143783 = -.21525044, + .375: .75 - .03993739 = .71006261. Step 3:
 * .875 / 1.65244306 = .52951900, + .35503131: .71006261 - .22113758 = .48892503. */
TEST(adam_bert_by_hand) { assert_steps(ADAM_BERT, GRADS, (const double[]){0.75, 0.71006261, 0.48892503}); }

/* c = .5 m + .5 g with the m of before, which keeps 3/4: c = .5, m = .25; c = .125 - .15625 < 0 (not so with 3/4 m),
 * m = .109375; c > 0. p: 1 - .25 (1 + .5) = .625; .625 - .25 (-1 + .3125) = .796875; .796875 - .25 (1 + .3984375). */
TEST(lion_by_hand) { assert_steps(LION, NEARLY_BALANCED, (const double[]){0.625, 0.796875, 0.447265625}); }

TEST(lion_moves_by_the_learning_rate_whatever_the_gradient)
{
    struct param_list list = {0};
    struct param *p = add(&list, "x.weight", 1, 4, GRAD_DENSE, 0);
    struct optim_options o = optim_defaults();
    o.optim = LION;
    o.learning_rate = 0x1p-10;
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    struct optim *optimizer = optim_create(&o, &list, test_arena(), &e);
    memcpy(p->grad.v, (const real[]){(real)1e-20, -3, 0, (real)1e20}, 4 * sizeof(real));
    optim_step(optimizer, 1);
    static const double want[] = {-0x1p-10, 0x1p-10, 0, -0x1p-10}; /* sign(0) = 0 */
    for (int i = 0; i < 4; i++)
        ASSERT_NEAR(p->w[i], want[i], 0);
}

static size_t state_bytes(int optim)
{
    struct param_list list = {0};
    struct optim_options o = optim_defaults();
    size_t bytes[MEM_TAGS] = {0};
    add(&list, "x.weight", 40, 50, GRAD_ENTRIES, 1000);
    o.optim = optim;
    optim_bytes(&o, &list, bytes);
    return bytes[MEM_OPTIMIZER];
}

TEST(lion_keeps_one_number_a_weight_where_adam_keeps_two)
{
    for (int rule = 0; rule < RULES; rule++)
        if (rule != LION && rule != SGD)
            assert_int_equal(state_bytes(rule) - state_bytes(LION), mem_round(1000 * sizeof(real)));
    assert_int_equal(state_bytes(LION) - state_bytes(SGD), mem_round(1000 * sizeof(real)));
}

TEST(only_fairseq_lets_biases_and_layer_norms_decay)
{
    static const char *const spared[] = {"x.bias", "x.LayerNorm.weight"};
    for (int rule = 0; rule < RULES; rule++)
        for (int i = 0; i < 2; i++) {
            double with[3], without[3];
            three_steps((enum rule)rule, 0.5, spared[i], GRADS, with);
            three_steps((enum rule)rule, 0, spared[i], GRADS, without);
            assert_int_equal(with[0] != without[0], rule == ADAMW_FAIRSEQ);
        }
}

static void clip_case(const char *name)
{
    char key[64];
    struct param_list list = {0};
    struct param *p[] = {add(&list, "a.weight", 1, 5, GRAD_DENSE, 0), add(&list, "b.weight", 1, 3, GRAD_DENSE, 0)};
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "clip.%s.%c", name, 'a' + i);
        for (size_t k = 0; k < p[i]->grad.size; k++)
            p[i]->grad.v[k] = floats(key)[k];
    }
    snprintf(key, sizeof key, "clip.%s.norm", name);
    ASSERT_NEAR(clip_grad_norm(&list, 0), *floats(key), 1e-6);
    ASSERT_NEAR(clip_grad_norm(&list, 1), *floats(key), 1e-6);
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "clip.%s.%c_clipped", name, 'a' + i);
        for (size_t k = 0; k < p[i]->grad.size; k++)
            ASSERT_NEAR(p[i]->grad.v[k], floats(key)[k], 1e-7);
    }
}

TEST(clipping_above_the_norm) { clip_case("over"); }
TEST(clipping_below_the_norm) { clip_case("under"); }

/* Where the norm is of the order of 1e-6, what PyTorch adds to it shows. */
TEST(clipping_of_tiny_norms)
{
    struct param_list list = {0};
    struct param *p = add(&list, "a.weight", 1, 1, GRAD_DENSE, 0);
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    p->grad.v[0] = (real)4e-6;
    clip_grad_norm(&list, 1e-6);
    ASSERT_NEAR(p->grad.v[0], 0.8e-6, 1e-12);
}

TEST(a_norm_that_is_not_finite_scales_nothing)
{
    struct param_list list = {0};
    struct param *p = add(&list, "a.weight", 1, 2, GRAD_DENSE, 0);
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    p->grad.v[0] = 5;
    p->grad.v[1] = (real)INFINITY;
    assert_false(isfinite(clip_grad_norm(&list, 1)));
    ASSERT_NEAR(p->grad.v[0], 5, 0);
}

static void schedule_case(const char *name, struct schedule s)
{
    const float *want = floats(name);
    for (long t = 0; t < 20; t++)
        ASSERT_NEAR(1e-3 * schedule_factor(&s, t), want[t], 1e-10);
}

TEST(schedules)
{
    schedule_case("schedule.linear", (struct schedule){SCHEDULE_LINEAR, 4, 20});
    schedule_case("schedule.cosine", (struct schedule){SCHEDULE_COSINE, 4, 20});
    schedule_case("schedule.constant_with_warmup", (struct schedule){SCHEDULE_CONSTANT_WITH_WARMUP, 4, 20});
    schedule_case("schedule.constant", (struct schedule){SCHEDULE_CONSTANT, 4, 20});
    schedule_case("schedule.linear_no_warmup", (struct schedule){SCHEDULE_LINEAR, 0, 20});
    schedule_case("schedule.polynomial", (struct schedule){SCHEDULE_POLYNOMIAL, 4, 20, .end = 1e-4, .power = 1});
    schedule_case("schedule.polynomial_square", (struct schedule){SCHEDULE_POLYNOMIAL, 4, 15, .end = 0.1, .power = 2});
    schedule_case("schedule.step", (struct schedule){SCHEDULE_STEP, 0, 20, .gamma = 0.85, .step_size = 6});
}

/* PyTorch's StepLR knows no warm-up: ours rises over the first steps, then has the rate that it would have without. */
TEST(a_step_schedule_counts_from_the_beginning)
{
    struct schedule s = {SCHEDULE_STEP, 4, 20, .gamma = 0.5, .step_size = 3};
    static const double want[] = {0, .25, .5, .75, .5, .5, .25, .25, .25, .125};
    for (long t = 0; t < 10; t++)
        ASSERT_NEAR(schedule_factor(&s, t), want[t], 0);
}

TEST(warmup_steps_round_up)
{
    assert_int_equal(schedule_warmup_steps(0.06, 100), 6);
    assert_int_equal(schedule_warmup_steps(0.06, 101), 7);
    assert_int_equal(schedule_warmup_steps(0, 101), 0);
    assert_int_equal(schedule_warmup_steps(1, 10), 10);
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct spread {
    const struct param *dense;
    struct param *p;
};

static void spread_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    const struct spread *s = u;
    memcpy(p->grad.v + compact, s->dense->grad.v + at, length * sizeof(real));
}

struct compare {
    const struct param *dense;
    size_t n;
};

static void compare_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    struct compare *c = u;
    (void)compact;
    assert_memory_equal(p->w + at, c->dense->w + at, length * sizeof(real));
    c->n += length;
}

/* A part of a tensor moves exactly as it does when all of it is trained. */
static void form_case(enum grad_form form, size_t n, int optim, int decay_to)
{
    struct param_list list = {0};
    struct rng r = rng_stream(3, "optim");
    struct param *dense = add(&list, "dense.weight", 64, 48, GRAD_DENSE, 0);
    struct param *part = add(&list, "part.weight", 64, 48, form, n);
    static uint32_t idx[64 * 48];
    struct optim_options o = optim_defaults();
    o.optim = optim;
    o.momentum = 0.9;
    o.learning_rate = 1e-2;
    o.weight_decay = 0.1;
    o.decay_to = decay_to;
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    for (size_t i = 0; i < part->grad.n; i++)
        idx[i] = (uint32_t)(2 * i + 1);
    param_set_index(part, idx);
    for (size_t i = 0; i < param_size(dense); i++)
        part->w[i] = dense->w[i] = (real)rng_normal(&r);
    struct optim *optimizer = optim_create(&o, &list, test_arena(), &e);
    for (int t = 0; t < 3; t++) {
        for (size_t i = 0; i < param_size(dense); i++)
            dense->grad.v[i] = (real)rng_normal(&r);
        param_each_run(part, spread_run, &(struct spread){dense, part});
        optim_step(optimizer, 1);
    }
    struct compare c = {dense, 0};
    param_each_run(part, compare_run, &c);
    assert_int_equal(c.n, part->grad.size);
}

TEST(every_form_moves_as_the_dense_tensor)
{
    for (int optim = 0; optim < RULES; optim++)
        for (int decay_to = 0; decay_to < 2; decay_to++) {
            form_case(GRAD_ROWS, 7, optim, decay_to);
            form_case(GRAD_COLS, 5, optim, decay_to);
            form_case(GRAD_BLOCKS, 11, optim, decay_to);
            form_case(GRAD_ENTRIES, 700, optim, decay_to);
        }
}

/* No gradient: what is left is p - lr wd (p - p0), lr wd = 1/4, whatever the optimizer. */
static void decay_to_init(enum rule rule)
{
    struct param_list list = {0};
    struct param *p = add(&list, "x.weight", 1, 4, GRAD_ENTRIES, 2);
    struct optim_options o = optim_defaults();
    o.optim = (int)rule;
    o.learning_rate = 0.5;
    o.weight_decay = 0.5;
    o.decay_to = DECAY_TO_INIT;
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    param_set_index(p, (const uint32_t[]){1, 3});
    p->w[1] = 8;
    p->w[3] = -8;
    struct optim *optimizer = optim_create(&o, &list, test_arena(), &e);
    p->w[1] = 12;
    optim_step(optimizer, 1);
    ASSERT_NEAR(p->w[1], 11, 0);
    ASSERT_NEAR(p->w[3], -8, 0);
}

TEST(decay_to_init_pulls_back)
{
    for (int rule = 0; rule < RULES; rule++)
        decay_to_init((enum rule)rule);
}

static void large_step(int threads, bool scaled_in_step, struct param **p)
{
    struct param_list list = {0};
    struct rng r = rng_stream(4, "optim");
    struct optim_options o = optim_defaults();
    *p = add(&list, "x.weight", 500, 300, GRAD_DENSE, 0);
    struct param *sparse = add(&list, "y.weight", 500, 300, GRAD_ENTRIES, 20000);
    static uint32_t idx[20000];
    ASSERT_OK(param_allocate(&list, test_arena(), &e), &e);
    for (uint32_t i = 0; i < 20000; i++)
        idx[i] = 7 * i;
    param_set_index(sparse, idx);
    struct optim *optimizer = optim_create(&o, &list, test_arena(), &e);
    blas_set_threads(threads);
    for (size_t i = 0; i < (*p)->grad.size; i++)
        (*p)->grad.v[i] = (real)rng_normal(&r);
    for (size_t i = 0; i < sparse->grad.size; i++)
        sparse->grad.v[i] = (real)rng_normal(&r);
    if (scaled_in_step) {
        optim_step_scaled(optimizer, 1, clip_factor(grad_norm(&list), 1));
    } else {
        clip_grad_norm(&list, 1);
        optim_step(optimizer, 1);
    }
    memcpy((*p)->w, sparse->w, 1000 * sizeof(real)); /* both forms in one place to compare */
}

TEST(threads_change_no_bit)
{
    struct param *one, *three;
    large_step(1, false, &one);
    large_step(3, false, &three);
    assert_memory_equal(one->w, three->w, param_size(one) * sizeof(real));
    assert_memory_equal(one->grad.v, three->grad.v, param_size(one) * sizeof(real));
}

/* The trainer's way: the norm is over 300, so everything is scaled. */
TEST(clipping_in_the_step_gives_the_same_bits)
{
    struct param *apart, *in_step;
    large_step(2, false, &apart);
    large_step(2, true, &in_step);
    assert_memory_equal(apart->w, in_step->w, param_size(apart) * sizeof(real));
}

TEST(groups_decide_rate_and_decay)
{
    struct run r;
    struct run_spec s = run_spec("lora", NULL, random_batch(4, 1));
    const struct optim_group groups[] = {{"layer.1.*", 3e-4, NAN, NULL}, {"lora_B", 7e-4, 0.5, NULL},
                                         {"LayerNorm", NAN, 0.2, NULL}};
    s.optim = (struct optim_options){.learning_rate = 1e-4, .head_learning_rate = 9e-4, .weight_decay = 0.1,
                                     .group = groups, .n_groups = 3};
    ASSERT_OK(run_plan(&r, &s, &e), &e);
    ASSERT_OK(optim_check(&s.optim, &r.model, r.arena, &e), &e);
    const struct {
        const char *name;
        double rate, decay;
    } want[] = {
        {"bert.encoder.layer.0.attention.self.query.weight", 1e-4, 0.1},
        {"bert.encoder.layer.0.attention.self.query.bias", 1e-4, 0},
        {"bert.encoder.layer.1.attention.self.query.weight", 3e-4, 0.1},
        {"bert.encoder.layer.1.attention.self.query.lora_A.weight", 3e-4, 0.1},
        {"bert.encoder.layer.1.attention.self.query.lora_B.weight", 7e-4, 0.5},
        {"bert.encoder.layer.0.output.LayerNorm.weight", 1e-4, 0.2},
        {"bert.embeddings.LayerNorm.bias", 1e-4, 0.2},
        {"bert.pooler.dense.weight", 9e-4, 0.1},
        {"classifier.bias", 9e-4, 0},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct param *p = param_find(&r.model.params, want[i].name);
        assert_non_null(p);
        ASSERT_NEAR(optim_learning_rate(&s.optim, p), want[i].rate, 0);
        ASSERT_NEAR(optim_weight_decay(&s.optim, p), want[i].decay, 0);
    }
    const struct optim_group wrong = {"lra_B", 1e-4, NAN, NULL};
    s.optim.group = &wrong;
    s.optim.n_groups = 1;
    ASSERT_ERR(optim_check(&s.optim, &r.model, r.arena, &e), &e,
               "`lra_B` in a parameter group matches no module or parameter; did you mean `lora_B`?");
    run_close(&r);
}
