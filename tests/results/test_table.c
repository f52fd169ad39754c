/* The comparison table: exact text of small cases; what failed, collapsed or is missing is shown as such. */
#include "results/table.h"
#include "results/stats.h"
#include "tests/results/fixture.h"

static struct arena *arena;
static struct err e;

/* A record of four numbers, built in memory: the table needs no files. */
static struct run_record run(const char *task, const char *method, long long seed, const char *metric, double best,
                             double last)
{
    struct run_record r;
    ASSERT_OK(run_record_init(&r, arena, &e), &e);
    r.name = "x", r.task = task, r.model = "mini", r.method = method, r.variant = "default", r.hash = "", r.error = "";
    r.seed = seed;
    r.status = RUN_FINISHED;
    r.trainable = strcmp(method, "full") == 0 ? 1000 : 10;
    r.trainable_with_head = r.trainable + 5;
    r.total = 1005;
    ASSERT_OK(run_record_metric(&r, metric, &e), &e);
    ASSERT_OK(series_row(&r.eval, &e) && series_set(&r.eval, metric, best, &e), &e);
    ASSERT_OK(series_row(&r.eval, &e) && series_set(&r.eval, metric, last, &e), &e);
    r.best_row = 0;
    return r;
}

static struct run_record lost(const char *task, const char *method, long long seed, enum run_status status)
{
    struct run_record r = run(task, method, seed, "accuracy", .99, .99);
    r.status = status;
    return r;
}

static const char *table(struct run_record *r, size_t n, struct table_options o)
{
    struct text t = {.arena = arena};
    struct run_list l = {.run = r, .n = n};
    ASSERT_OK(table_write(&t, &l, &o, &e), &e);
    return t.s;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("`%s` is not in:\n%s", part, text);
}

TEST(summary_of_numbers)
{
    double v[] = {3, NAN, 1, 2, 6}, one[] = {.5}, same[] = {.1, .1, .1};
    struct summary s = summarize(v, 5);
    assert_int_equal(s.n, 4);
    ASSERT_NEAR(s.mean, 3, 0);
    ASSERT_NEAR(s.median, 2.5, 0);
    ASSERT_NEAR(s.std, sqrt(14. / 3), 1e-15);
    ASSERT_NEAR(s.min, 1, 0);
    ASSERT_NEAR(s.max, 6, 0);
    assert_true(isnan(summarize(one, 1).std));
    assert_true(isnan(summarize(one, 0).mean));
    ASSERT_NEAR(summarize(same, 3).std, 0, 1e-16);
}

TEST(csv_has_every_metric_and_nothing_that_was_not_measured)
{
    arena = arena_create(NULL);
    struct run_record r[] = {
        run("mrpc", "full", 1, "accuracy", .75, .5), run("mrpc", "full", 2, "accuracy", .5, .25),
        run("cola", "full", 1, "matthews_correlation", .25, .125), lost("mrpc", "head", 1, RUN_FAILED),
    };
    r[3].metrics = 0;
    r[2].model = "a,b";
    ASSERT_OK(run_record_metric(&r[0], "f1", &e) && run_record_metric(&r[1], "f1", &e), &e);
    for (int i = 0; i < 2; i++)
        r[i].eval.column[5].v[0] = .5;
    assert_string_equal(table(r, 4, (struct table_options){.format = TABLE_CSV, .columns = TABLE_TASK}),
                        "task,model,method,variant,metric,n,mean,std,median,trainable\n"
                        "mrpc,mini,full,default,accuracy,2,0.625,0.17677669529663689,0.625,1000\n"
                        "mrpc,mini,full,default,f1,2,0.5,0,0.5,1000\n"
                        "mrpc,mini,head,default,accuracy,0,,,,10\n"
                        "mrpc,mini,head,default,f1,0,,,,10\n"
                        "cola,a_b,full,default,matthews_correlation,1,0.25,,0.25,1000\n");
    has(table(r, 4, (struct table_options){.format = TABLE_CSV, .columns = TABLE_TASK, .select = TABLE_LAST}),
        "mrpc,mini,full,default,accuracy,2,0.375,");
    arena_destroy(arena);
}

TEST(markdown_ranks_averages_and_says_how)
{
    arena = arena_create(NULL);
    struct run_record r[] = {
        run("mrpc", "head", 1, "accuracy", .70, .5), run("mrpc", "full", 1, "accuracy", .80, .5),
        run("mrpc", "full", 2, "accuracy", .82, .5), run("mrpc", "head", 2, "accuracy", .72, .5),
        run("sst2", "full", 1, "accuracy", .90, .5), run("sst2", "full", 2, "accuracy", .90, .5),
    };
    const char *t = table(r, 6, (struct table_options){.columns = TABLE_TASK});
    has(t, "**mini**\n\n"
           "| method |      SST-2 |           MRPC |  Avg |     trainable | ms/step | tokens/s | peak MiB |\n"
           "|--------|-----------:|---------------:|-----:|--------------:|--------:|---------:|---------:|\n"
           "| full   | 90.0 ± 0.0 | **81.0** ± 1.4 | 85.5 | 1,000 (100 %) |       – |        – |        – |\n"
           "| head   |          – |     71.0 ± 1.4 |    – |      10 (1 %) |       – |        – |        – |\n");
    has(t, "mean ± standard deviation (ddof 1) over n = 2 seeds");
    has(t, "best evaluation of each run");
    has(t, "Metrics: SST-2 accuracy, MRPC accuracy.");
    t = table(r, 6, (struct table_options){.columns = TABLE_TASK, .select = TABLE_LAST, .aggregate = TABLE_MEDIAN});
    has(t, "| 50.0 [50.0, 50.0] |");
    has(t, "last evaluation of each run; median");
    arena_destroy(arena);
}

TEST(what_failed_or_collapsed_is_marked)
{
    arena = arena_create(NULL);
    struct run_record r[] = {
        run("mrpc", "full", 1, "accuracy", .80, .5), run("mrpc", "full", 2, "accuracy", .82, .5),
        lost("mrpc", "full", 3, RUN_DIVERGED),       run("mrpc", "head", 1, "accuracy", .60, .5),
        run("mrpc", "head", 2, "accuracy", .70, .5), run("mrpc", "head", 3, "accuracy", .80, .5),
        lost("mrpc", "lora", 1, RUN_FAILED),         lost("mrpc", "sift", 1, RUN_INTERRUPTED),
    };
    r[4].status = RUN_COLLAPSED;
    const char *t = table(r, 8, (struct table_options){.columns = TABLE_TASK});
    has(t, "| **81.0** ± 1.4 (n=2)‡ |");
    has(t, " 70.0 ± 10.0† |");
    has(t, " failed‡ |");
    has(t, " interrupted‡ |");
    has(t, "‡ full, MRPC: 1 of 3 runs diverged; without a value.");
    has(t, "† head, MRPC: 1 of 3 runs collapsed");
    arena_destroy(arena);
}

TEST(mnli_has_two_numbers)
{
    arena = arena_create(NULL);
    struct run_record r = run("mnli", "full", 1, "accuracy", .84, .5);
    ASSERT_OK(run_record_metric(&r, "accuracy_mm", &e), &e);
    r.eval.column[5].v[0] = .85;
    const char *t = table(&r, 1, (struct table_options){.columns = TABLE_TASK});
    has(t, "| 84.0/85.0 |");
    has(t, "MNLI: matched/mismatched");
    arena_destroy(arena);
}

TEST(latex_is_escaped_and_ranked)
{
    arena = arena_create(NULL);
    struct run_record r[] = {
        run("mrpc", "full", 1, "accuracy", .80, .5), run("mrpc", "head", 1, "accuracy", .79, .5),
        run("mrpc", "full", 2, "accuracy", .81, .5), run("mrpc", "head", 2, "accuracy", .79, .5),
        run("mrpc", "lora", 1, "accuracy", .10, .5),
    };
    r[1].variant = r[3].variant = "a_b=50%";
    const char *t = table(r, 5, (struct table_options){.format = TABLE_LATEX, .columns = TABLE_TASK});
    has(t, "full & \\textbf{80.5}\\textsubscript{$\\pm$.7} & 1000 (100\\%) & -- & -- & -- \\\\\n");
    has(t, "head a\\_b=50\\% & \\underline{79.0}\\textsubscript{$\\pm$.0} &");
    has(t, "lora & 10.0 ($n$=1) &");
    has(t, "\\toprule\n");
    has(t, "\\caption{mini. Headline metric $\\times$100");
    arena_destroy(arena);
}

TEST(rows_and_columns_are_free)
{
    arena = arena_create(NULL);
    struct run_record r[] = {
        run("mrpc", "full", 1, "accuracy", .80, .5), run("mrpc", "head", 1, "accuracy", .79, .5),
        run("mrpc", "full", 2, "accuracy", .82, .5), run("mrpc", "full", 1, "accuracy", .60, .5),
    };
    r[3].model = "tiny";
    has(table(r, 4, (struct table_options){.rows = TABLE_TASK, .columns = TABLE_METHOD}),
        "**tiny**\n\n| task | full | head |\n|------|-----:|-----:|\n| MRPC | 60.0 |    – |\n");
    has(table(r, 4, (struct table_options){.rows = TABLE_SEED, .columns = TABLE_TASK}), "| seed 2 | 82.0 |");
    has(table(r, 4, (struct table_options){.rows = TABLE_MODEL, .columns = TABLE_METHOD}), "**MRPC**\n\n| model |");
    struct text t = {.arena = arena};
    ASSERT_ERR(table_write(&t, &(struct run_list){.run = r, .n = 4}, &(struct table_options){0}, &e), &e,
               "rows and columns of the table are both `method`");
    arena_destroy(arena);
}

TEST(spec_order_and_notes_of_runs)
{
    arena = arena_create(NULL);
    struct run_record r[] = {
        run("mrpc", "full", 1, "accuracy", .80, .5), run("mrpc", "head", 1, "accuracy", .79, .5)};
    ASSERT_OK(values_int(&r[0].meta, "order", 1, &e) && values_int(&r[1].meta, "order", 0, &e), &e);
    ASSERT_OK(values_string(&r[0].meta, "note", "The model starts from random weights.", &e), &e);
    const char *t = table(r, 2, (struct table_options){.columns = TABLE_TASK});
    assert_true(strstr(t, "| head ") < strstr(t, "| full "));
    has(t, "\n* The model starts from random weights.\n");
    arena_destroy(arena);
}
