/* Task files: the embedded ones against GLUE's published facts, files of one's own, exact diagnostics. */
#include "tests/test.h"

#include "base/text.h"
#include "tasks/task.h"

static struct err e;

static const struct task *opened(const char *name)
{
    const struct task *t = task_open(name, NULL, NULL, test_arena(), &e);
    ASSERT_OK(t, &e);
    return t;
}

/* GLUE's own table: columns 0-based, rows as on the dataset card. */
static const struct fact {
    const char *name, *folder;
    bool header;
    int text_a, text_b, label, n_labels;
    const char *first_label, *headline;
    long long train, dev;
} facts[] = {
    {"cola", "CoLA", false, 3, 0, 1, 2, "unacceptable", "matthews_correlation", 8551, 1043},
    {"sst2", "SST-2", true, 0, 0, 1, 2, "negative", "accuracy", 67349, 872},
    {"mrpc", "MRPC", true, 3, 4, 0, 2, "not_equivalent", "accuracy", 3668, 408},
    {"stsb", "STS-B", true, 7, 8, -1, 1, NULL, "pearson", 5749, 1500},
    {"qqp", "QQP", true, 3, 4, 5, 2, "not_duplicate", "accuracy", 363846, 40430},
    {"mnli", "MNLI", true, 8, 9, -1, 3, "entailment", "accuracy", 392702, 9815},
    {"qnli", "QNLI", true, 1, 2, -1, 2, "entailment", "accuracy", 104743, 5463},
    {"rte", "RTE", true, 1, 2, -1, 2, "entailment", "accuracy", 2490, 277},
    {"wnli", "WNLI", true, 1, 2, -1, 2, "not_entailment", "accuracy", 635, 71},
};

TEST(glue_facts)
{
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct fact *f = &facts[i];
        const struct task *t = opened(f->name);
        assert_string_equal(t->name, f->name);
        assert_string_equal(t->folder, f->folder);
        assert_int_equal(t->header, f->header);
        assert_int_equal(t->columns.text_a, f->text_a);
        assert_int_equal(t->pair, f->text_b > 0);
        assert_int_equal(t->columns.text_b, f->text_b);
        assert_int_equal(t->columns.label, f->label);
        assert_int_equal(t->n_labels, f->n_labels);
        assert_int_equal(t->kind, f->first_label ? TASK_CLASSIFICATION : TASK_REGRESSION);
        if (f->first_label)
            assert_string_equal(t->label[0], f->first_label);
        assert_string_equal(t->metric[t->headline].name, f->headline);
        assert_int_equal(task_train_rows(t), f->train);
        assert_int_equal(t->dev[0].rows, f->dev);
        assert_int_equal(t->skip_malformed, strcmp(f->name, "qqp") == 0);
        assert_int_equal(t->n_dev, strcmp(f->name, "mnli") == 0 ? 2 : 1);
    }
}

TEST(mnli_has_two_numbers)
{
    const struct task *t = opened("mnli");
    assert_int_equal(t->n_metrics, 2);
    assert_string_equal(t->metric[1].name, "accuracy_mm");
    assert_ptr_equal(t->metric[1].metric, metric_find("accuracy"));
    assert_int_equal(t->metric[1].dev, 1);
    assert_string_equal(t->dev[1].suffix, "_mm");
    assert_string_equal(t->dev[1].file[0], "dev_mismatched.tsv");
    assert_int_equal(t->dev[1].rows, 9832);
}

TEST(ax_trains_on_mnli)
{
    const struct task *t = opened("ax"), *mnli = opened("mnli");
    assert_non_null(t->train_from);
    assert_string_equal(t->train_from->name, "mnli");
    assert_string_equal(t->folder, "diagnostic");
    assert_int_equal(t->n_labels, 3);
    assert_int_equal(task_train_rows(t), 392702);
    assert_string_not_equal(t->digest, mnli->digest);
}

TEST(every_embedded_task_opens_and_describes_itself)
{
    const char **names = task_names(test_arena(), &e);
    ASSERT_OK(names, &e);
    size_t n = 0;
    for (; names[n]; n++) {
        const struct task *t = opened(names[n]);
        const char *text = task_describe(t, test_arena(), &e);
        ASSERT_OK(text, &e);
        assert_true(text_starts(text, names[n]));
        assert_non_null(strstr(text, "(headline)"));
        assert_int_equal(strlen(t->digest), 64);
        assert_true(n == 0 || strcmp(names[n - 1], names[n]) < 0);
    }
    assert_int_equal(n, 15);
}

TEST(describe_mnli)
{
    assert_string_equal(task_describe(opened("mnli"), test_arena(), &e),
                        "mnli: Multi-Genre Natural Language Inference (version 1, tasks/mnli.yaml)\n"
                        "source:   GLUE; matched and mismatched evaluation sets\n"
                        "paper:    Williams, Nangia and Bowman 2018, arXiv:1704.05426\n"
                        "texts:    pairs\n"
                        "labels:   0 entailment, 1 neutral, 2 contradiction\n"
                        "metrics:  accuracy (headline), accuracy_mm\n"
                        "train     glue/MNLI/train.tsv, 392702 rows\n"
                        "dev       glue/MNLI/dev_matched.tsv, 9815 rows\n"
                        "dev_mm    glue/MNLI/dev_mismatched.tsv, 9832 rows\n");
}

TEST(unknown_names)
{
    struct yaml *spec = yaml_parse(test_arena(), "s.yaml", "tasks: [cola, mprc]\n", 20, &e);
    const struct yaml *at = yaml_get(spec, "tasks")->child->next;
    ASSERT_ERR(task_open("mprc", NULL, at, test_arena(), &e), &e,
               "s.yaml:1:15: unknown task `mprc`; did you mean `mrpc`?");
    ASSERT_ERR(task_open("translation", NULL, NULL, test_arena(), &e), &e, "unknown task `translation`");
    ASSERT_ERR(task_open("own/none.yaml", "specs", at, test_arena(), &e), &e,
               "s.yaml:1:15: task file `specs/own/none.yaml` cannot be read: No such file or directory");
    assert_int_equal(e.code, ERR_INPUT);
}

#define HEAD "version: 1\ntitle: Mine\n"
#define FILES "folder: ./data\nfiles: {train: train.tsv, dev: dev.tsv}\n"
#define COLUMNS "columns: {text_a: 0, label: 1}\n"
#define REST "labels: [no, yes]\nmetrics: [accuracy]\n"

TEST(a_file_of_ones_own)
{
    const char *path = test_file("mine.yaml", HEAD FILES COLUMNS REST);
    const struct task *t = task_open("mine.yaml", test_dir(), NULL, test_arena(), &e);
    ASSERT_OK(t, &e);
    assert_string_equal(t->name, "mine");
    assert_string_equal(t->origin, path);
    assert_string_equal(t->metric[t->headline].name, "accuracy");
    assert_true(t->placed);
    const struct task *again = task_open(path, "elsewhere", NULL, test_arena(), &e);
    ASSERT_OK(again, &e);
    assert_string_equal(again->digest, t->digest);
    test_file("mine.yaml", HEAD FILES COLUMNS "labels: [yes, no]\nmetrics: [accuracy]\n");
    again = task_open(path, NULL, NULL, test_arena(), &e);
    assert_string_not_equal(again->digest, t->digest);
}

TEST(wrong_task_files)
{
    static const struct {
        const char *text, *message; /* after `<path>:` */
    } cases[] = {
        {"", "1:1: task t: the key `version` is missing"},
        {"version: 1\n", "1:1: task t: the key `title` is missing"},
        {"- a\n", "1:1: a task file is a map of keys, not a list"},
        {HEAD "colums: 1\n", "3:1: unknown key `colums` for task t; did you mean `columns`?"},
        {HEAD FILES COLUMNS REST "range: [0, 1]\n", "8:1: `range` means nothing to a classification"},
        {"version: 1.0\ntitle: x\n", "1:10: version is `1.0`; it must be an integer in plain decimal digits"},
        {HEAD COLUMNS REST, "1:1: task t: the key `folder` is missing"},
        {HEAD "folder: X\n" COLUMNS REST, "1:1: task t: the key `files` is missing"},
        {HEAD "folder: X\nfiles: {train: a, test: b}\n",
         "4:19: unknown key `test`; the sets are train, dev and dev_<suffix>"},
        {HEAD "folder: X\nfiles: {dev: b}\n", "4:8: files: `train` is missing, and there is no `train_from`"},
        {HEAD "folder: X\nfiles: {train: b}\n", "4:8: files: `dev` must be there, before other dev sets"},
        {HEAD FILES "columns: {text_a: 0}\n", "5:10: columns: `label` is missing"},
        {HEAD FILES "columns: {text_a: x, label: 1}\n",
         "5:19: text_a is `x`; it must be an integer in plain decimal digits"},
        {HEAD FILES "columns: {texta: 0}\n", "5:11: unknown key `texta` for columns; did you mean `text_a`?"},
        {HEAD FILES "columns: {count: 2, text_a: 0, label: 2}\n",
         "5:39: columns: label is 2, of 2 columns (the first is 0)"},
        {HEAD FILES "header: false\n" COLUMNS,
         "6:10: columns: `count` is missing; files without a header line need it"},
        {HEAD FILES COLUMNS "metrics: [accuracy]\n", "1:1: task t: the key `labels` is missing"},
        {HEAD FILES COLUMNS "labels: [a]\nmetrics: [accuracy]\n", "6:9: labels: 1 classes; there must be 2 to 1000"},
        {HEAD FILES COLUMNS "labels: [a, a]\n", "6:9: labels: `a` is given twice"},
        {HEAD FILES COLUMNS "labels: [a, b]\nmetrics: [acuracy]\n",
         "7:11: unknown metric `acuracy`; did you mean `accuracy`?"},
        {HEAD FILES COLUMNS "labels: [a, b]\nmetrics: [pearson]\n", "7:11: metric pearson is not for a classification"},
        {HEAD FILES COLUMNS "labels: [a, b, c]\nmetrics: [accuracy, f1]\n",
         "7:21: metric f1 is for two classes; there are 3"},
        {HEAD FILES COLUMNS "labels: [a, b]\nmetrics: [accuracy_mm]\n",
         "7:11: unknown metric `accuracy_mm`; did you mean `accuracy`?"},
        {HEAD FILES COLUMNS REST "headline: f1\n", "8:11: headline is not among the metrics of the task"},
        {HEAD FILES COLUMNS REST "rows: {train: 3, dev_b: 1}\n",
         "8:18: rows: `dev_b` is not among the sets of the task"},
        {HEAD FILES COLUMNS "kind: regression\nmetrics: [pearson]\n", "1:1: task t: the key `range` is missing"},
        {HEAD FILES COLUMNS "kind: regression\nrange: [5, 0]\nmetrics: [pearson]\n",
         "7:8: range must be two numbers, [least, largest]"},
        {HEAD FILES COLUMNS "kind: ranking\n", "6:7: kind is `ranking`; it must be one of classification | regression"},
        {HEAD "synthetic: sentimnt\nrows: {train: 1, dev: 1}\n" REST,
         "3:12: unknown generator `sentimnt`; did you mean `sentiment`?"},
        {HEAD "synthetic: sentiment\n" REST, "1:1: task t: the key `rows` is missing"},
        {HEAD "synthetic: entailment\nrows: {train: 1, dev: 1}\n" REST,
         "3:12: the generator makes another number of labels than the task names"},
        {HEAD "synthetic: sentiment\nfolder: x\n" REST, "4:1: `folder` means nothing to a synthetic task"},
        {HEAD "train_from: mnli\nfolder: ./x\nfiles: {dev: d.tsv}\n" COLUMNS REST,
         "3:13: train_from: task mnli has other labels or texts than t"},
        {HEAD "train_from: t.yaml\nfolder: ./x\nfiles: {dev: d.tsv}\n" COLUMNS REST,
         "3:13: train_from leads to a task that has a `train_from` itself"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = test_file("t.yaml", cases[i].text);
        char wanted[1024];
        snprintf(wanted, sizeof wanted, "%s:%s", path, cases[i].message);
        ASSERT_ERR(task_open(path, NULL, NULL, test_arena(), &e), &e, wanted);
        assert_int_equal(e.code, ERR_INPUT);
    }
}
