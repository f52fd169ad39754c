/* What every method owes, tried on each row of the method table and on some options of each: a new method is tested
 * here without a line. labels: contract
 */
#include "tests/methods/fixture.h"

#include <math.h>

struct variant {
    const char *method, *options;
    bool per_micro_batch; /* its paper or port takes decisions on micro-batches */
    bool starts_apart;    /* its first values are not meant to leave the base model as it is */
};

/* Beside the defaults of every method in the table. */
static const struct variant more[] = {
    {"full", "{target_modules: [query, LayerNorm]}"},
    {"bitfit", "{target_modules: [query, intermediate.dense]}"},
    {"lntuning", "{target_modules: output.LayerNorm.weight}"},
    {"meprop", "{k: 4, train_rest: false, target_modules: [query, output.dense]}"},
    {"meprop", "{density: 0.3, unified: true}"},
    {"meprop", "{k: 1000}"},
    {"houlsby", "{variant: original, bottleneck: 3}"},
    {"houlsby", "{init: reference}", .starts_apart = true},
    {"pfeiffer", "{variant: original, bottleneck: 1}"},
    {"pfeiffer", "{variant: original, init: reference}", .starts_apart = true},
    {"lora", "{r: 4, lora_alpha: 16, lora_dropout: 0.3, target_modules: all-linear}"},
    {"lora", "{use_rslora: true}"},
    {"dora", "{r: 4, lora_alpha: 16, lora_dropout: 0.3, target_modules: all-linear}"},
    {"dora", "{r: 4, use_rslora: true, detach_norm: false}"},
    {"ia3", "{target_modules: all-linear, feedforward_modules: [query, intermediate.dense]}"},
    {"gmt", "{keep_ratio: 0.05, granularity: global, mask_head: true}"},
    {"gmt", "{mask: update, target_modules: all-linear}"},
    {"gmt", "{mask_point: microstep, ties: ge}", .per_micro_batch = true},
    {"gmt", "{select: random, mask_embeddings: false, clip_order: clip_first}"},
    {"gmt", "{select: random, granularity: global}"},
    {"gradtopk", "{density: 0.2, train_layernorm: false}"},
    {"gradtopk", "{k: 10, train_rest: false}"},
    {"gradtopk", "{k: 10, state: lazy}"},
    {"rowsft", "{importance: l2, unit: column, ratio: 0.2}"},
    {"rowsft", "{importance: qmtaylor, taylor_batches: 2, ranking: global, ratio: 0.2}"},
    {"rowsft", "{importance: l1, ranking: global, train_layernorm: true, ratio: 0.3}"},
    {"rowsft", "{importance: zotaylor, n_estimate: 2, data_split: 2, rank: 3, per_head: false}"},
    {"rowsft", "{importance: wanda, taylor_batches: 2, target_modules: [query, output.dense], bias: false}"},
    {"rowsft", "{importance: random, train_layernorm: true, train_embeddings: true}"},
    {"rowsft", "{taylor_batches: 1, init: kaiming}", .starts_apart = true},
    {"pactuning", "{target_modules: all, compat: reference, gamma_min: 0.5, gamma_max: 20, k_examples: 4}"},
    {"pactuning", "{stage1_steps: 0, target_modules: query, k_examples: 1}"},
    {"smt", "{warmup_steps: 2, density: 0.2, score: mean_abs, pools: mixture}"},
    {"smt", "{warmup_steps: 2, density: 0.3, ranking: matrix, block: 4}"},
    {"smt", "{warmup_steps: 2, blocks: 5, compat: reference}", .starts_apart = true},
    {"sift", "{density: 0.05, target_modules: all}"},
    {"sparsegrad", "{k: 20, basis: random, train_rest: false}"},
    {"sparsegrad", "{k: 20, basis: identity, train_layernorm: false}"},
    {"sparsegrad", "{density: 0.1, orientation: official, bias_grad: official, phase0_batches: 2}"},
    {"sparsegrad", "{density: 0.1, compat: reference}", .starts_apart = true},
    {"sift", "{density: 0.3, select: random}"},
    {"sift", "{density: 0.05, select: magnitude}"},
    {"sift", "{density: 0.05, select: fisher, select_examples: 4}"},
    {"sift", "{density: 0.05, select: snip, select_batches: 2, select_dropout: false}"},
    {"sift", "{density: 0.05, select: permuted, select_after: 2, bias: false}"},
    {"sift", "{density: 0.05, ranking: global, refresh_every: 2}"},
    {"sift", "{density: 0.05, ranking: global, select: random, target_modules: all}"},
    {"sift", "{density: 0.1, select: allocation, refresh_every: 3}"},
    {"sift", "{density: 0.05, select: outer, refresh_every: 1}"},
    {"sift", "{density: 1, compat: reference}"},
    {"sift", "{density: 0.05, compat: reference}"},
};

static struct err e;

static void each_variant(void (*check)(const struct variant *v))
{
    for (const struct method *const *m = method_table; *m; m++)
        check(&(struct variant){(*m)->name, .options = NULL});
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        check(&more[i]);
}

static struct run_spec spec_of(const struct variant *v)
{
    struct run_spec s = run_spec(v->method, v->options, random_batch(6, 1));
    s.dropout = 0.1;
    s.max_grad_norm = 1;
    s.optim.weight_decay = 0.1;
    return s;
}

static void open_variant(struct run *r, const struct variant *v)
{
    struct run_spec s = spec_of(v);
    print_message("%s %s\n", v->method, v->options ? v->options : "");
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/* Steps `from` to `to` of the training that all these tests share. */
static void train(struct run *r, int from, int to)
{
    for (int i = from; i < to; i++)
        ASSERT_OK(run_step(r, random_batch(6, 1 + (uint64_t)i), 1, 1, NULL, &e), &e);
}

static void assert_same_weights(const struct run *r, const real *want, size_t n_want)
{
    size_t n;
    const real *now = copy_weights(r, &n);
    assert_int_equal(n, n_want);
    assert_memory_equal(now, want, n * sizeof *want);
}

static void mark_run(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    (void)p, (void)compact;
    memset((bool *)u + at, 1, length);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Marks what is trained now in trained [scalars of all parameters]; returns how many are marked. */
static size_t mark_trained(const struct run *r, bool *trained)
{
    size_t at = 0, marked = 0;
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i];
        if (!p->watched)
            param_each_run(p, mark_run, trained + at);
        at += param_size(p);
    }
    for (size_t k = 0; k < at; k++)
        marked += trained[k];
    return marked;
}

/* A method may move its requests from step to step: what was ever asked for may change, never more at a time than
 * planned. */
static void frozen(const struct variant *v)
{
    struct run r;
    size_t n, at = 0, changed = 0, marked = 0;
    bool *trained;
    open_variant(&r, v);
    const real *old = copy_weights(&r, &n);
    ASSERT_OK(trained = ARENA_NEW(test_arena(), MEM_DATA, bool, n, &e), &e);
    for (int i = 0; i < 5; i++) {
        train(&r, i, i + 1);
        marked = mark_trained(&r, trained);
        assert_true(param_trainable(&r.model.params, true) <= r.trainable && marked <= (size_t)(i + 1) * r.trainable);
    }
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        for (size_t k = 0; k < param_size(p); k++) {
            bool differs = memcmp(&p->w[k], &old[at + k], sizeof *old) != 0;
            if (differs && !trained[at + k])
                fail_msg("%s: frozen entry %zu changed", p->name, k);
            changed += differs;
        }
        at += param_size(p);
    }
    assert_true(changed > 0 && changed <= marked);
    run_close(&r);
}
TEST(frozen_scalars_stay_and_no_more_change_than_planned) { each_variant(frozen); }

static void rate_zero(const struct variant *v)
{
    struct run r;
    struct run_spec s = spec_of(v);
    size_t n;
    s.optim.learning_rate = 0;
    ASSERT_OK(run_open(&r, &s, &e), &e);
    const real *old = copy_weights(&r, &n);
    train(&r, 0, 3);
    assert_same_weights(&r, old, n);
    run_close(&r);
}
TEST(learning_rate_zero_changes_nothing) { each_variant(rate_zero); }

static void same_seed(const struct variant *v)
{
    struct run a, b;
    size_t n;
    open_variant(&a, v);
    train(&a, 0, 4);
    open_variant(&b, v);
    train(&b, 0, 4);
    const real *wa = copy_weights(&a, &n);
    assert_same_weights(&b, wa, n);
    run_close(&a);
    run_close(&b);
}
TEST(same_seed_gives_the_same_bits) { each_variant(same_seed); }

static void instances(const struct variant *v)
{
    struct run alone, a, b;
    struct run_spec other = spec_of(v);
    size_t n;
    open_variant(&alone, v);
    train(&alone, 0, 4);
    const real *want = copy_weights(&alone, &n);
    open_variant(&a, v);
    other.seed = 2;
    ASSERT_OK(run_open(&b, &other, &e), &e);
    for (int i = 0; i < 4; i++) {
        train(&b, i + 1, i + 2);
        train(&a, i, i + 1);
    }
    assert_same_weights(&a, want, n);
    run_close(&alone);
    run_close(&a);
    run_close(&b);
}
TEST(two_instances_do_not_interact) { each_variant(instances); }

static void assert_same_logits(const struct run *a, const real *x, const struct run *b, const real *y, double tolerance)
{
    (void)b;
    size_t n = 8 * (size_t)a->model.config.num_labels;
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    for (size_t i = 0; i < n; i++)
        ASSERT_NEAR(x[i], y[i], tolerance * largest);
}

static void first_logits(const struct variant *v)
{
    struct run r, base;
    struct run_spec plain = run_spec("head", NULL, NULL);
    const struct batch *b = random_batch(8, 50);
    if (v->starts_apart)
        return;
    open_variant(&r, v);
    ASSERT_OK(run_open(&base, &plain, &e), &e);
    assert_same_logits(&r, run_logits(&r, b, &e), &base, run_logits(&base, b, &e), 0);
    run_close(&r);
    run_close(&base);
}
TEST(training_starts_from_the_base_model) { each_variant(first_logits); }

/* Difference and size of all gradients after backward. */
static void compare_gradients(const struct run *a, const struct run *b, double *difference, double *norm)
{
    *difference = *norm = 0;
    for (size_t i = 0; i < a->model.params.n; i++) {
        const struct grad *g = &a->model.params.item[i]->grad, *h = &b->model.params.item[i]->grad;
        assert_int_equal(g->size, h->size);
        for (size_t k = 0; k < g->size; k++) {
            *difference += pow((double)g->v[k] - (double)h->v[k], 2);
            *norm += pow((double)g->v[k], 2);
        }
    }
    *difference = sqrt(*difference);
    *norm = sqrt(*norm);
}

/* Decisions are the logical batch's: cutting it changes rounding alone. */
static void accumulation(const struct variant *v)
{
    struct run whole, cut;
    double difference, norm;
    const struct batch *b = random_batch(8, 50);
    open_variant(&whole, v);
    open_variant(&cut, v);
    ASSERT_OK(run_gradients(&whole, b, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&cut, b, v->per_micro_batch ? 1 : 4, NULL, &e), &e);
    compare_gradients(&whole, &cut, &difference, &norm);
    if (!(difference <= 1e-5 * norm))
        fail_msg("%s: gradients of norm %g differ by %g", v->method, norm, difference);
    run_close(&whole);
    run_close(&cut);
}
TEST(four_micro_batches_equal_one) { each_variant(accumulation); }

static void reload(const struct variant *v)
{
    struct run a, b;
    struct run_spec other = spec_of(v);
    const struct batch *batch = random_batch(8, 50);
    open_variant(&a, v);
    train(&a, 0, 4);
    other.seed = 2;
    other.from = &a;
    ASSERT_OK(run_open(&b, &other, &e), &e);
    assert_same_logits(&a, run_logits(&a, batch, &e), &b, run_logits(&b, batch, &e), 0);
    run_close(&a);
    run_close(&b);
}
TEST(trained_scalars_in_a_fresh_model_give_equal_logits) { each_variant(reload); }

static bool same_logits(const struct run *a, const real *x, const real *y)
{
    return memcmp(x, y, 8 * (size_t)a->model.config.num_labels * sizeof *x) == 0;
}

/* Folded weights are those of a plain model: 1e-5 where fold computes, the same bits where it has nothing to do. What
 * says that it cannot be merged has no fold, and plain weights alone compute something else. */
static void fold(const struct variant *v)
{
    struct run r, plain;
    struct run_spec head = run_spec("head", NULL, NULL);
    const struct batch *b = random_batch(8, 50);
    open_variant(&r, v);
    train(&r, 0, 4);
    const real *before = run_logits(&r, b, &e);
    if (r.method->fold)
        ASSERT_OK(r.method->fold(r.self, &r.env, &e), &e);
    const real *folded = run_logits(&r, b, &e);
    assert_same_logits(&r, before, &r, folded, r.method->fold ? 1e-5 : 0);
    ASSERT_OK(run_open(&plain, &head, &e), &e);
    for (size_t i = 0; i < plain.model.params.n; i++) {
        struct param *p = plain.model.params.item[i];
        memcpy(p->w, param_find(&r.model.params, p->name)->w, param_size(p) * sizeof(real));
    }
    const real *without = run_logits(&plain, b, &e);
    if (r.method->unmergeable)
        assert_true(!r.method->fold && *r.method->unmergeable && !same_logits(&r, folded, without));
    else
        assert_same_logits(&r, folded, &plain, without, 0);
    run_close(&r);
    run_close(&plain);
}
TEST(folding_keeps_the_logits_and_leaves_plain_weights) { each_variant(fold); }

/* How a probe shares out a room decides how its tensors' states round up to whole lines, and which have none. */
static size_t rounding(const struct run *r)
{
    size_t pooled = 0;
    for (size_t i = 0; i < r->model.params.n; i++)
        pooled += r->model.params.item[i]->pooled != GRAD_NONE;
    return pooled * 4 * 64;
}

static const enum mem_tag planned_tags[] = {MEM_WEIGHTS, MEM_GRADIENTS, MEM_OPTIMIZER, MEM_METHOD};

/* Is what was taken under this tag what the plan says; of a method that grows: no more than that? */
static bool as_planned(const struct run *r, enum mem_tag tag, size_t taken)
{
    size_t difference = taken > r->planned[tag] ? taken - r->planned[tag] : r->planned[tag] - taken;
    return difference <= rounding(r) || (r->method->grows && taken < r->planned[tag]);
}

static void bytes(const struct variant *v)
{
    struct run r;
    struct run_spec s = spec_of(v);
    for (int decay_to = 0; decay_to < 2; decay_to++) {
        s.optim.decay_to = decay_to;
        ASSERT_OK(run_open(&r, &s, &e), &e);
        for (size_t i = 0; i < sizeof planned_tags / sizeof *planned_tags; i++) {
            enum mem_tag tag = planned_tags[i];
            if (!as_planned(&r, tag, r.reserved[tag]))
                fail_msg("%s: planned %zu bytes of %s, took %zu", v->method, r.planned[tag], mem_tag_name(tag),
                         r.reserved[tag]);
        }
        run_close(&r);
    }
}
TEST(bytes_are_as_planned) { each_variant(bytes); }

static void growth(const struct variant *v)
{
    struct run r;
    open_variant(&r, v);
    train(&r, 0, 2);
    size_t live = r.meter.live_sum;
    train(&r, 2, 6);
    if (!r.method->grows)
        assert_int_equal(r.meter.live_sum, live);
    for (size_t i = 0; i < sizeof planned_tags / sizeof *planned_tags; i++)
        assert_true(as_planned(&r, planned_tags[i], r.meter.live[planned_tags[i]] - r.before[planned_tags[i]]));
    run_close(&r);
}
TEST(memory_does_not_grow_while_training) { each_variant(growth); }

/* ------------------------------------------------------------------------------------------------------------------ */

static void refuse(const struct method *m, const char *options)
{
    struct run r;
    struct run_spec s = run_spec(m->name, options, random_batch(6, 1));
    e = (struct err){0};
    if (run_plan(&r, &s, &e))
        fail_msg("%s accepts %s", m->name, options);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.file, "test.yaml");
    assert_true(e.line == 1 && e.col > 1 && *e.msg);
    run_close(&r);
}

static void refuse_wrong_values(const struct method *m, const struct opt *o)
{
    char text[256];
    bool number = o->type == OPT_INT || o->type == OPT_REAL;
    if (number && isfinite(o->min)) {
        snprintf(text, sizeof text, o->type == OPT_INT ? "{%s: %.0f}" : "{%s: %.17g}", o->name,
                 o->open_min ? o->min : o->min - 1);
        refuse(m, text);
    }
    if (number && isfinite(o->max)) {
        snprintf(text, sizeof text, o->type == OPT_INT ? "{%s: %.0f}" : "{%s: %.17g}", o->name,
                 o->open_max ? o->max : o->max + 1);
        refuse(m, text);
    }
    snprintf(text, sizeof text, "{%s: {a: 1}}", o->name);
    refuse(m, text);
    snprintf(text, sizeof text, "{%s: no such word}", o->name);
    if (o->type != OPT_STRING)
        refuse(m, text);
}

TEST(options_out_of_range_are_refused_at_their_place)
{
    for (const struct method *const *m = method_table; *m; m++) {
        refuse(*m, "{no_such_option: 1}");
        for (const struct opt *o = (*m)->options; o->name; o++)
            refuse_wrong_values(*m, o);
    }
}

static void allocation(const struct variant *v)
{
    struct run r;
    struct run_spec s = spec_of(v);
    bool done = false;
    for (long n = 0; !done; n += 1 + n / 100) { /* many allocations are many probes: then not every one */
        e = (struct err){0};
        arena_fail_at(n);
        done = run_open(&r, &s, &e) && run_step(&r, s.first, 1, 1, NULL, &e);
        arena_fail_at(-1);
        if (!done && (e.code != ERR_ENV || !*e.msg))
            fail_msg("%s: allocation %ld fails with code %d `%s`", v->method, n, e.code, e.msg);
        assert_true(n < 20000);
        run_close(&r);
    }
}
TEST(a_failing_allocation_is_a_clean_error) { each_variant(allocation); }

static void overfit(const struct variant *v)
{
    struct run r;
    struct run_spec s = spec_of(v);
    const struct batch *b = random_batch(64, 9);
    double first = 0, last = 0;
    s.first = b;
    s.dropout = 0;
    s.optim.learning_rate = 5e-3;
    ASSERT_OK(run_open(&r, &s, &e), &e);
    for (int i = 0; i < 60; i++)
        ASSERT_OK(run_step(&r, b, 1, 1, i ? &last : &first, &e), &e);
    print_message("%s %s: %.4f -> %.4f\n", v->method, v->options ? v->options : "", first, last);
    assert_true(last < 0.9 * first);
    run_close(&r);
}
TEST(sixty_four_examples_are_learnt) { each_variant(overfit); }

/* ------------------------------------------------------------------------------------------------------------------ */

/* What a resumed run needs beside weights and indices: tensors of the method and the optimizer by name. */
struct saved {
    bool restore;
    size_t n;
    struct {
        char name[160];
        void *data;
        size_t bytes;
    } tensor[512];
};

static void save_or_restore(void *u, const char *name, void *data, size_t size)
{
    struct saved *s = u;
    size_t i = 0;
    while (i < s->n && strcmp(s->tensor[i].name, name) != 0)
        i++;
    if (s->restore) {
        assert_true(i < s->n && s->tensor[i].bytes == size);
        memcpy(data, s->tensor[i].data, size);
        return;
    }
    assert_true(i == s->n && i < 512 && strlen(name) < sizeof s->tensor[0].name);
    strcpy(s->tensor[i].name, name);
    s->tensor[i].bytes = size;
    ASSERT_OK(s->tensor[i].data = arena_alloc(test_arena(), MEM_DATA, size, &e), &e);
    memcpy(s->tensor[i].data, data, size);
    s->n++;
}

static void show_state(struct run *r, struct saved *s)
{
    optim_state(r->env.optim, save_or_restore, s);
    if (r->method->state)
        r->method->state(r->self, &r->env, save_or_restore, s);
}

static void resume(const struct variant *v)
{
    static struct saved saved;
    struct run a, b;
    struct run_spec s = spec_of(v);
    size_t n;
    memset(&saved, 0, sizeof saved);
    open_variant(&a, v);
    train(&a, 0, 3);
    show_state(&a, &saved);
    s.from = &a;
    ASSERT_OK(run_open(&b, &s, &e), &e);
    saved.restore = true;
    show_state(&b, &saved);
    b.env.step = 3;
    train(&a, 3, 6);
    train(&b, 3, 6);
    const real *want = copy_weights(&a, &n);
    assert_same_weights(&b, want, n);
    run_close(&a);
    run_close(&b);
}
TEST(a_resumed_run_equals_an_uninterrupted_one) { each_variant(resume); }
