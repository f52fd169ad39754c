/*
 * Trained scalars of published set-ups, from config.json alone: the counts that papers print, those of their code, or
 * sums of tensor sizes that can be followed by hand (d: hidden size, f: intermediate size, L: layers). All leave the
 * head out.
 */
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "harness/run.h"

static struct run_plan plan_of(const char *model, const char *task, const char *entry)
{
    struct err e = {0};
    struct run_plan plan = {0};
    char text[1024];
    assert_int_equal(chdir(test_dir()), 0);
    snprintf(text, sizeof text, "model: %s\ntasks: %s\nmethods:\n  - %s\n", model, task, entry);
    test_file("x.yaml", text);
    const struct spec *s = spec_read("x.yaml", NULL, 0, 0, test_arena(), &e);
    ASSERT_OK(s, &e);
    ASSERT_OK(run_plan(&s->run[0], &plan, &e), &e);
    return plan;
}

enum { BASE_HEAD = 592130, LARGE_HEAD = 1051650 }; /* d^2 + d + 2 (d + 1) */

/* Added scalars count in the total too, those of in-place methods stand in it already. */
static void expect_counts(const char *model, size_t head, const char *entry, size_t trainable, bool added)
{
    size_t all = plan_of(model, "mrpc", "head").total;
    struct run_plan p = plan_of(model, "mrpc", entry);
    assert_int_equal(p.trainable, trainable);
    assert_int_equal(p.trainable_with_head, trainable + head);
    assert_int_equal(p.total, all + (added ? trainable : 0));
}

static void base(const char *entry, size_t trainable, bool added)
{
    expect_counts("zoo:roberta-base", BASE_HEAD, entry, trainable, added);
}

static void large(const char *entry, size_t trainable, bool added)
{
    expect_counts("zoo:roberta-large", LARGE_HEAD, entry, trainable, added);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Models */

static size_t total(const char *model, const char *task) { return plan_of(model, task, "full").trainable_with_head; }

/* A regression, two classes, three classes. */
TEST(scalars_of_models)
{
    static const struct {
        const char *model;
        size_t total[3];
    } models[] = {
        {"zoo:roberta-base", {124646401, 124647170, 124647939}},
        {"zoo:roberta-large", {355360769, 355361794, 355362819}},
        {"zoo:bert-base", {109483009, 109483778, 109484547}},
    };
    static const char *const tasks[] = {"stsb", "mrpc", "mnli"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (int k = 0; k < 3; k++)
            assert_int_equal(total(models[i].model, tasks[k]), models[i].total[k]);
    assert_int_equal(total("zoo:bert-large", "mrpc"), 335143938);
}

TEST(a_config_alone_is_enough)
{
    assert_int_equal(chdir(test_dir()), 0);
    assert_int_equal(mkdir("cased", 0777), 0);
    test_file("cased/config.json", "{\"model_type\": \"bert\", \"vocab_size\": 28996}");
    assert_int_equal(total("cased", "mrpc"), 108311810);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Methods */

#define MLP "[intermediate.dense, layer.?.output.dense, layer.??.output.dense]"

/* r (in + out) for each module: 2 L * 8 * 2 d. MLPs at rank 7: 24 * 7 (768 + 3072); at rank 10: 48 * 10 (1024 + 4096).
 * `layer.?` and `layer.??` spare attention.output.dense. */
TEST(lora)
{
    base("lora: {r: 8, target_modules: [query, value]}", 294912, true);
    large("lora: {r: 8, target_modules: [query, value]}", 786432, true);
    base("lora: {r: 7, target_modules: " MLP "}", 645120, true);
    large("lora: {r: 10, target_modules: " MLP "}", 2457600, true);
}

/* floor(.008 d^2) + 1 and floor(.008 d) + 1 for each of 4 L modules: 4,718 + 1 + 6 + 1, and 8,388 + 1 + 8 + 1. */
TEST(sift)
{
    base("sift: {density: 0.008, target_modules: [query, key, value, attention.output.dense]}", 226848, false);
    large("sift: {density: 0.008, target_modules: [query, key, value, attention.output.dense]}", 806208, false);
}

/* Nothing but the head, and everything. */
TEST(head_and_full)
{
    base("head", 0, false);
    base("full", 124647170 - BASE_HEAD, false);
    large("full", 355361794 - LARGE_HEAD, false);
}

/* Biases: 4 d + f + d of the linear modules and 2 d of the LayerNorms of a layer, d of the embeddings' LayerNorm. */
TEST(bitfit)
{
    base("bitfit", 102144, false);
    large("bitfit", 271360, false);
}

/* LoRA's, and a magnitude for each of the d outputs: 2 L d more. */
TEST(dora)
{
    base("dora: {r: 8, target_modules: [query, value]}", 313344, true);
    large("dora: {r: 8, target_modules: [query, value]}", 835584, true);
}

/* 2 d m + d + m an adapter: two a layer for Houlsby, one for Pfeiffer. */
TEST(adapters)
{
    base("houlsby: {bottleneck: 8}", 313536, true);
    large("houlsby: {bottleneck: 8}", 835968, true);
    large("houlsby: {bottleneck: 64}", 6343680, true);
    base("pfeiffer: {bottleneck: 16}", 304320, true);
    base("pfeiffer: {bottleneck: 64}", 1189632, true);
    large("pfeiffer: {bottleneck: 16}", 811392, true);
    large("pfeiffer: {bottleneck: 64}", 3171840, true);
}

/* With output.dense naming both output layers: d + d of key and value, d + f of the inputs of the others. */
TEST(ia3)
{
    base("ia3", 64512, true);
    large("ia3", 172032, true);
}

/* 2 d of 2 L + 1 LayerNorms. */
TEST(lntuning)
{
    base("lntuning", 38400, false);
    large("lntuning", 100352, false);
}

/* Blocks of 256 x 256. */
TEST(smt)
{
    base("smt: {blocks: 13}", 851968, false);
    large("smt: {blocks: 13}", 851968, false);
}

/* Rows of six matrices a layer, rounded to multiples of 2: 5 % of 768 rows are 38, of 3072 are 152. By heads 4 of 64
 * rows in each of 12 heads: 48 for query, key and value. */
TEST(rowsft)
{
    base("rowsft: {ratio: 0.05, bias: false, per_head: false}", 4202496, false);
    base("rowsft: {ratio: 0.01, bias: false, per_head: false}", 718848, false);
    base("rowsft: {ratio: 0.05, bias: false, per_head: true}", 4478976, false);
    large("rowsft: {ratio: 0.05, bias: false, per_head: false}", 14843904, false);
    large("rowsft: {ratio: 0.01, bias: false, per_head: false}", 2949120, false);
}

/* By columns every module is for itself: of the output layers' 3072 columns 152, of 768 everywhere else 38. */
TEST(rowsft_by_columns)
{
    base("rowsft: {ratio: 0.05, bias: false, unit: column}", 12 * (4 * 38 * 768 + 38 * 3072 + 152 * 768), false);
    base("rowsft: {rank: 8, bias: true, per_head: false}", 12 * 8 * (5 * 768 + 3072 + 6), false);
}

/* A set that changes can reach every entry of the 24 feed-forward matrices of 2,359,296; 28,000 of each move in a step.
 * The dense rest is what LoRA on those matrices leaves dense: 68,669,186 - 645,120, head included. */
TEST(sparsegrad)
{
    enum { MATRICES = 24 * 2359296, REST = 68669186 - 645120, BIASES = 12 * (3072 + 768) };
    base("sparsegrad", MATRICES + REST - BASE_HEAD, false);
    base("sparsegrad: {train_rest: false}", MATRICES + BIASES, false);
    base("gradtopk", MATRICES + REST - BASE_HEAD, false);
    base("gmt", MATRICES + REST - BASE_HEAD, false);
}
