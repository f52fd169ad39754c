/* What a spec becomes: which runs, with which values, under which names and digests. */
#include "tests/test.h"

#include <math.h>
#include <unistd.h>

#include "harness/spec.h"
#include "models/model.h"

static const struct spec *runs_with(const char *text, const char *const *overrides, size_t n)
{
    struct err e = {0};
    assert_int_equal(chdir(test_dir()), 0);
    test_file("x.yaml", text);
    const struct spec *s = spec_read("x.yaml", overrides, n, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    return s;
}

static const struct spec *runs_of(const char *text) { return runs_with(text, NULL, 0); }

#define RUNS_WITH(text, ...)                                          \
    runs_with((text), (const char *const[]){__VA_ARGS__},             \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

#define BASE "model: zoo:mini\ntasks: [cola, mrpc]\n"

static const char SMALL[] = BASE "methods: [full, {sift: {density: 0.01}}]\nseeds: [1, 2]\n";

TEST(runs_in_order)
{
    const struct spec *s = runs_of(SMALL);
    static const char *const expected[] = {"cola full 1", "cola full 2", "cola sift 1", "cola sift 2",
                                           "mrpc full 1", "mrpc full 2", "mrpc sift 1", "mrpc sift 2"};
    assert_string_equal(s->name, "x");
    assert_int_equal(s->n_runs, 8);
    for (size_t i = 0; i < 8; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s %s %d", s->run[i].task->name, s->run[i].method->name, (int)s->run[i].seed);
        assert_string_equal(text, expected[i]);
    }
}

TEST(defaults_are_hugging_face_s)
{
    const struct run_spec *r = &runs_of(BASE "methods: full\n")->run[0];
    const struct train_options *t = &r->train;
    assert_true(t->num_train_epochs == 3 && t->learning_rate == 5e-5 && t->weight_decay == 0);
    assert_true(t->adam_beta1 == .9 && t->adam_beta2 == .999 && t->adam_epsilon == 1e-8 && t->max_grad_norm == 1);
    assert_true(t->warmup_ratio == 0 && t->warmup_steps == 0 && t->max_steps == -1);
    assert_true(t->batch_size == 32 && t->max_seq_length == 128 && t->gradient_accumulation_steps == 1);
    assert_true(isnan(t->head_learning_rate) && isnan(t->hidden_dropout_prob));
    assert_int_equal(r->seed, 42);
    assert_int_equal(r->head.n, 2);
    assert_int_equal(r->keep, KEEP_DELTA);
    assert_string_equal(r->variant, "default");
}

TEST(schedules_of_a_run)
{
    const struct run_spec *r = runs_of(BASE "methods: full\ntrain: {learning_rate: 1.0e-3, warmup_steps: 2,\n"
                                            "  lr_scheduler_type: polynomial, lr_end: 1.0e-4, power: 2}\n")->run;
    struct schedule s = run_schedule(r, 12, 5);
    assert_true(schedule_factor(&s, 1) == .5 && schedule_factor(&s, 2) == 1);
    ASSERT_NEAR(schedule_factor(&s, 7), .9 * .25 + .1, 1e-15);
    ASSERT_NEAR(schedule_factor(&s, 12), .1, 1e-15);
    r = runs_of(BASE "methods: full\ntrain: {lr_scheduler_type: step, gamma: 0.85}\n")->run;
    s = run_schedule(r, 12, 5); /* every epoch of five steps */
    assert_true(schedule_factor(&s, 4) == 1 && schedule_factor(&s, 5) == .85);
    ASSERT_NEAR(schedule_factor(&s, 10), .85 * .85, 1e-15);
    r = runs_of(BASE "methods: full\ntrain: {lr_scheduler_type: step, step_size: 3, step_unit: step}\n")->run;
    s = run_schedule(r, 12, 5);
    assert_true(schedule_factor(&s, 2) == 1 && schedule_factor(&s, 3) == .1 && schedule_factor(&s, 5) == .1);
}

/* defaults < include < file < a method's own train < command line */
TEST(authority)
{
    assert_int_equal(chdir(test_dir()), 0);
    test_file("far.yaml", "train: {learning_rate: 1.0e-3, weight_decay: 0.1, warmup_ratio: 0.1, batch_size: 8}\n");
    test_file("near.yaml", "include: far.yaml\ntrain: {weight_decay: 0.2}\n");
    const char *text = "include: [near.yaml]\n" BASE
                       "train: {warmup_ratio: 0.3}\nmethods:\n  - full: {train: {warmup_ratio: 0.4, batch_size: 16}}\n";
    const struct train_options *t = &runs_of(text)->run[0].train;
    assert_true(t->learning_rate == 1e-3 && t->weight_decay == .2 && t->warmup_ratio == .4 && t->batch_size == 16);
    t = &RUNS_WITH(text, "train.warmup_ratio=0.5", "train.learning_rate=1e-5")->run[0].train;
    assert_true(t->learning_rate == 1e-5 && t->warmup_ratio == .5 && t->batch_size == 16);
    t = &RUNS_WITH(text, "full.train.warmup_ratio=0.6", "train.warmup_ratio=0.5")->run[0].train;
    assert_true(t->warmup_ratio == .6);
    t = &RUNS_WITH(text, "train={warmup_ratio: 0.7}")->run[0].train;
    assert_true(t->warmup_ratio == .7 && t->learning_rate == 1e-3);
}

TEST(overrides_replace_lists_and_reach_methods)
{
    const struct spec *s = RUNS_WITH(SMALL, "tasks=stsb", "seeds=[7]", "name=other", "sift.density=0.5",
                                     "head=[classifier]", "measure.gradients.every=3", "pooling=cls");
    assert_string_equal(s->name, "other");
    assert_int_equal(s->n_runs, 2);
    assert_string_equal(s->run[1].task->name, "stsb");
    assert_int_equal(s->run[1].seed, 7);
    assert_string_equal(s->run[1].variant, "density=0.5");
    assert_int_equal(s->run[0].pooling, POOLING_CLS);
    assert_int_equal(s->run[0].n_measures, 1);
    s = RUNS_WITH(SMALL, "methods=[head]", "model=[zoo:mini,zoo:bert-tiny]");
    assert_int_equal(s->n_runs, 2 * 2 * 2);
    assert_string_equal(s->run[0].method->name, "head");
    assert_string_equal(s->run[2].model.label, "bert-tiny");
}

static void expect_variants(const struct spec *s, const char *const *expected, size_t n)
{
    assert_int_equal(s->n_runs, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(s->run[i].variant, expected[i]);
}

#define ONE "model: zoo:mini\ntasks: cola\n"
#define EXPECT_VARIANTS(s, ...)                                                        \
    expect_variants((s), (const char *const[]){__VA_ARGS__},                           \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

TEST(zip_goes_in_parallel)
{
    EXPECT_VARIANTS(
        runs_of(ONE "methods:\n  - sift: {zip: {density: [0.001, 0.008], train.learning_rate: [1.0e-3, 2.0e-4]}}\n"),
        "density=0.001+learning_rate=0.001", "learning_rate=0.0002");
}

TEST(grid_takes_every_combination)
{
    EXPECT_VARIANTS(runs_of(ONE "methods:\n  - lora: {grid: {r: [4, 8], lora_alpha: [8, 16, 32]}}\n"), "r=4",
                    "r=4+lora_alpha=16", "r=4+lora_alpha=32", "default", "lora_alpha=16", "lora_alpha=32");
}

TEST(axes_at_the_top_hold_for_every_method)
{
    const char *text =
        ONE "grid: {train.learning_rate: [1.0e-4, 2.0e-4]}\n"
            "methods: [full, {lora: {train: {learning_rate: 1.0e-3}}}, {sift: {grid: {density: [0.1, 0.2]}}}]\n";
    EXPECT_VARIANTS(runs_of(text), "learning_rate=0.0001", "learning_rate=0.0002", "learning_rate=0.001",
                    "density=0.1+learning_rate=0.0001", "density=0.2+learning_rate=0.0001",
                    "density=0.1+learning_rate=0.0002", "density=0.2+learning_rate=0.0002");
    EXPECT_VARIANTS(RUNS_WITH(text, "train.learning_rate=3e-4"), "default", "default", "density=0.1", "density=0.2");
    EXPECT_VARIANTS(RUNS_WITH(text, "methods=[full]", "grid.train.learning_rate=[5e-5]"), "default");
}

TEST(an_override_ends_an_axis)
{
    const char *text = ONE "methods:\n  - sift: {zip: {density: [0.1, 0.2], train.learning_rate: [1.0e-3, 2.0e-3]}}\n";
    EXPECT_VARIANTS(RUNS_WITH(text, "sift.density=0.3"), "density=0.3+learning_rate=0.001",
                    "density=0.3+learning_rate=0.002");
    EXPECT_VARIANTS(RUNS_WITH(text, "train.learning_rate=1", "sift.zip.density=[0.5,0.6]"), "density=0.5",
                    "density=0.6");
}

/* Names are parts of file names: lists are joined, what is foreign or long gets a digest, and no two are alike. */
TEST(variant_names)
{
    const struct spec *s = runs_of(ONE "methods:\n"
                                    "  - lora: {target_modules: [query, key]}\n"
                                    "  - sift: {target_modules: ['*.query']}\n"
                                    "  - sift: {target_modules: ['*f.query']}\n"
                                    "  - full: {train: {learning_rate: 1.0e-4, weight_decay: 0.01, warmup_ratio: 0.06, "
                                    "adam_beta1: 0.85, adam_beta2: 0.98}}\n");
    assert_string_equal(s->run[0].variant, "target_modules=query-key");
    assert_string_not_equal(s->run[1].variant, s->run[2].variant);
    for (size_t i = 0; i < s->n_runs; i++) {
        assert_true(strlen(s->run[i].variant) <= 80);
        assert_int_equal(
            strspn(s->run[i].variant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-"),
            strlen(s->run[i].variant));
    }
}

static const char *digest(const struct spec *s) { return s->run[0].config_digest; }

TEST(digests_know_what_matters)
{
    const char *text = ONE "methods: [sift]\ntrain: {batch_size: 16, weight_decay: 0.1}\n";
    const char *plain = digest(runs_of(text));
    static const char *const same[] = {"keep=none", "train.save_steps=10", "name=other", "train.batch_size=16",
                                       "sift.density=0.0080", "train.head_learning_rate=5e-5",
                                       "train.hidden_dropout_prob=0.1"};
    static const char *const other[] = {"tasks=sst2",
                                        "model=zoo:bert-tiny",
                                        "seeds=1",
                                        "sift.density=0.01",
                                        "sift.select=random",
                                        "head=[classifier]",
                                        "pooling=cls",
                                        "train.learning_rate=1e-3",
                                        "train.piece_tokens=512",
                                        "train.head_learning_rate=1e-4",
                                        "train.hidden_dropout_prob=0",
                                        "measure.gradients.every=5",
                                        "train.param_groups=[{pattern: query, weight_decay: 0}]",
                                        "sift.target_modules=[query]",
                                        "train.max_steps=3",
                                        "train.select_on=dev"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_string_equal(digest(runs_with(text, &same[i], 1)), plain);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_string_not_equal(digest(runs_with(text, &other[i], 1)), plain);
    assert_string_equal(digest(runs_of("# the same in another order\ntrain:\n  weight_decay: 0.1  # decay\n"
                                    "  batch_size: 16\nmethods:\n  - sift: {}\ntasks: [cola]\nmodel: zoo:mini\n")),
                        plain);
}

/* Every train option is in the digest, but for the one that changes nothing. */
TEST(every_option_of_train_is_written_down)
{
    const struct run_spec *r = &runs_of(ONE "methods: [full]\n")->run[0];
    for (const struct opt *row = train_options; row->name; row++) {
        char key[96];
        snprintf(key, sizeof key, "train.%s", row->name);
        assert_non_null(values_find(&r->config, key));
    }
    assert_string_equal(values_get_string(&r->config, "method", ""), "full");
    assert_true(values_find(&r->config, "train.hidden_dropout_prob")->d == .1);
    assert_true(values_find(&r->config, "train.head_learning_rate")->d == 5e-5);
}

static void expect_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    if (!at || (at > text && at[-1] != '\n') || at[strlen(line)] != '\n')
        fail_msg("no line `%s` in:\n%s", line, text);
}

TEST(the_resolved_spec_says_where_values_come_from)
{
    assert_int_equal(chdir(test_dir()), 0);
    test_file("base.yaml", "# base\ntrain: {weight_decay: 0.5}\n");
    const char *text = "include: base.yaml\n" ONE "methods:\n  - sift:\n      density: 0.1\n"
                       "      train: {learning_rate: 1.0e-3}\n";
    const struct spec *s = RUNS_WITH(text, "train.batch_size=8");
    expect_line(s->resolved, "model: [zoo:mini]  # x.yaml:2");
    expect_line(s->resolved, "  weight_decay: 0.5  # include base.yaml:2");
    expect_line(s->resolved, "  batch_size: 8  # command line");
    expect_line(s->resolved, "  adam_beta1: 0.9  # default");
    expect_line(s->resolved, "      density: 0.1  # x.yaml:6");
    expect_line(s->resolved, "        learning_rate: 0.001  # x.yaml:7");
    expect_line(s->resolved, "seeds: [42]  # default");
}

/* The resolved text is a spec that makes the same runs; so is that of one run. */
TEST(the_resolved_spec_makes_the_same_runs)
{
    struct err e = {0};
    const struct spec *s = RUNS_WITH(
        "model: [zoo:mini, zoo:roberta-base]\ntasks: [cola, stsb]\nseeds: [3, 4]\n"
        "measure: {gradients: {every: 9}}\n"
        "train: {param_groups: [{pattern: 'layer.*.query', learning_rate: 1.0e-5}], hidden_dropout_prob: 0.2}\n"
        "methods:\n  - lora: {grid: {r: [2, 4], train.weight_decay: [0, 0.1]}}\n"
        "  - sift: {select: random, target_modules: ['*.query', value]}\n  - head\n",
        "train.learning_rate=1e-3", "lora.train.param_groups=[]");
    test_file("again.yaml", s->resolved);
    const struct spec *again = spec_read("again.yaml", NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(again, &e);
    assert_int_equal(again->n_runs, s->n_runs);
    for (size_t i = 0; i < s->n_runs; i++) {
        assert_string_equal(again->run[i].config_digest, s->run[i].config_digest);
        assert_string_equal(again->run[i].variant, s->run[i].variant);
        const struct spec *one = spec_parse("one", s->run[i].resolved, NULL, 0, 0, test_arena(), &e);
        ASSERT_OK(one, &e);
        assert_int_equal(one->n_runs, 1);
        assert_string_equal(one->run[0].config_digest, s->run[i].config_digest);
    }
}

TEST(a_task_file_is_found_beside_the_spec)
{
    struct err e = {0};
    char path[600];
    assert_int_equal(chdir("/"), 0);
    test_file("mine.yaml", "version: 1\ntitle: Mine\nsource: here\nsynthetic: sentiment\nkind: classification\n"
                           "labels: [negative, positive]\nmetrics: [accuracy]\nheadline: accuracy\n"
                           "rows: {train: 50, dev: 10}\n");
    test_file("x.yaml", "model: zoo:mini\ntasks: [./mine.yaml]\nmethods: [full]\n");
    snprintf(path, sizeof path, "%s/x.yaml", test_dir());
    const struct spec *s = spec_read(path, NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    assert_string_equal(s->run[0].task->name, "mine");
    const struct spec *moved = spec_parse("moved", s->resolved, NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(moved, &e);
    assert_string_equal(moved->run[0].task->name, "mine");
}

static size_t head_scalars(const char *text, const char *override)
{
    struct err e = {0};
    const struct run_spec *r = &runs_with(text, &override, override != NULL)->run[0];
    struct model_config c;
    struct model m;
    ASSERT_OK(run_model_config(r, &c, test_arena(), &e) && model_build(&m, &c, test_arena(), &e), &e);
    ASSERT_OK(run_request_head(r, &m, &e), &e);
    return param_trainable(&m.params, true);
}

TEST(heads)
{
    enum { H = 256, POOLER = H * H + H, CLASSIFIER = 2 * H + 2 };
    const char *text = ONE "methods: [head]\n";
    assert_int_equal(head_scalars(text, NULL), POOLER + CLASSIFIER);
    assert_int_equal(head_scalars(text, "head=classifier"), CLASSIFIER);
    assert_int_equal(head_scalars(text, "pooling=mean"), CLASSIFIER);
    assert_int_equal(head_scalars(text, "model=zoo:roberta-base"), 592130);
    assert_int_equal(head_scalars(text, "tasks=stsb"), POOLER + H + 1);
}
