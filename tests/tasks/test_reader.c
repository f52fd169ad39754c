/* GLUE's TSV layouts: what is read, what is refused with which words, and the real files where they are at hand. */
#include "tests/test.h"

#include <sys/stat.h>

#include "base/rng.h"
#include "tasks/dataset.h"

static struct err e;

/* A data folder with glue/<folder>/<file> of the given bytes; returns the path of the file. */
static const char *put(const char *folder, const char *file, const char *bytes, size_t size)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/glue", test_dir());
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/glue/%s", test_dir(), folder);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/glue/%s/%s", test_dir(), folder, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const struct task *task(const char *name)
{
    const struct task *t = task_open(name, NULL, NULL, test_arena(), &e);
    ASSERT_OK(t, &e);
    return t;
}

static bool train(struct examples *x, const char *name)
{
    return examples_train(x, task(name), test_dir(), 0, test_arena(), &e);
}

static void expect_text(const char *text, uint32_t size, const char *wanted)
{
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(text, wanted, size);
}

#define MRPC_HEAD "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
#define STSB_HEAD "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
#define STSB_ROW "0\tg\tf\t2012\t1\tn\tn\tA man.\tA boy.\t"

TEST(bom_crlf_quotes_and_no_last_newline)
{
    static const char text[] = "\xef\xbb\xbf"
                               "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
                               "1\t11\t12\t\"He said\t''so\" \r\n"
                               "0\t21\t22\tGr\xc3\xbc\xc3\x9f" "e.\tx";
    put("MRPC", "train.tsv", text, sizeof text - 1);
    struct examples x;
    ASSERT_OK(train(&x, "mrpc"), &e);
    assert_int_equal(x.n, 2);
    expect_text(x.item[0].text_a, x.item[0].a_size, "\"He said");
    expect_text(x.item[0].text_b, x.item[0].b_size, "''so\" ");
    assert_int_equal(x.item[0].label, 1);
    expect_text(x.item[1].text_a, x.item[1].a_size, "Gr\xc3\xbc\xc3\x9f" "e.");
    expect_text(x.item[1].text_b, x.item[1].b_size, "x");
    assert_int_equal(x.item[1].row, 1);
    assert_int_equal(x.skipped, 0);
}

TEST(words_digits_and_wnli_reversed)
{
    static const char rte[] = "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tc\td\t0\n";
    static const char wnli[] = "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n1\tc\td\tentailment\n";
    put("RTE", "train.tsv", rte, sizeof rte - 1);
    put("WNLI", "train.tsv", wnli, sizeof wnli - 1);
    struct examples x;
    ASSERT_OK(train(&x, "rte"), &e);
    assert_int_equal(x.item[0].label, 1);
    assert_int_equal(x.item[1].label, 0);
    ASSERT_OK(train(&x, "wnli"), &e);
    assert_int_equal(x.item[0].label, 1);
    assert_int_equal(x.item[1].label, 1);
}

/* MNLI's files have different numbers of columns; AX trains on MNLI and is tested on the diagnostic set. */
TEST(mnli_and_ax)
{
    static const char head12[] = "index\tp\tg\tb1\tb2\tq1\tq2\tq3\tsentence1\tsentence2\tlabel1\tgold_label\n"
                                 "0\t1\tx\t2\t3\t4\t5\t6\tIt rains.\tIt is wet.\tneutral\tneutral\n";
    static const char head13[] = "index\tp\tg\tb1\tb2\tq1\tq2\tq3\tsentence1\tsentence2\tlabel1\tlabel2\tgold_label\n"
                                 "0\t1\tx\t2\t3\t4\t5\t6\tIt snows.\tIt is hot.\tneutral\tneutral\tcontradiction\n";
    static const char full[] = "Lexical Semantics\tPredicate-Argument Structure\tLogic\tKnowledge\tDomain\tPremise\t"
                               "Hypothesis\tLabel\n\t\tNegation\t\tNews\tIt rained.\tIt did not rain.\tcontradiction\n";
    put("MNLI", "train.tsv", head12, sizeof head12 - 1);
    put("MNLI", "dev_matched.tsv", head13, sizeof head13 - 1);
    put("MNLI", "dev_mismatched.tsv", head13, sizeof head13 - 1);
    put("diagnostic", "diagnostic-full.tsv", full, sizeof full - 1);
    struct examples x;
    ASSERT_OK(task_check(task("mnli"), test_dir(), &e), &e);
    ASSERT_OK(examples_dev(&x, task("mnli"), 1, test_dir(), 0, test_arena(), &e), &e);
    assert_int_equal(x.item[0].label, 2);
    const struct task *ax = task("ax");
    ASSERT_OK(task_check(ax, test_dir(), &e), &e);
    ASSERT_OK(train(&x, "ax"), &e);
    assert_string_equal(x.task->name, "ax"); /* though the rows are MNLI's */
    expect_text(x.item[0].text_b, x.item[0].b_size, "It is wet.");
    ASSERT_OK(examples_dev(&x, ax, 0, test_dir(), 0, test_arena(), &e), &e);
    expect_text(x.item[0].text_a, x.item[0].a_size, "It rained.");
    assert_int_equal(x.item[0].label, 2);
    const char **paths = task_files(ax, test_dir(), test_arena(), &e);
    ASSERT_OK(paths, &e);
    assert_non_null(strstr(paths[0], "/glue/MNLI/train.tsv"));
    assert_non_null(strstr(paths[1], "/glue/diagnostic/diagnostic-full.tsv"));
    assert_null(paths[2]);
}

TEST(qqp_skips_and_counts)
{
    static const char text[] = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                               "1\t1\t2\tWhy?\tWhat for?\t1\n"
                               "2\t3\tbroken\n"
                               "3\t1\t2\tHow?\t\t0\n"
                               "4\t1\t2\tWho?\tWhom?\tmaybe\n";
    put("QQP", "train.tsv", text, sizeof text - 1);
    struct examples x;
    ASSERT_OK(train(&x, "qqp"), &e);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.skipped, 2);
    assert_int_equal(x.skipped_line, 3);
    assert_int_equal(x.item[1].row, 1);
    assert_int_equal(x.item[1].b_size, 0);
}

TEST(malformed_files)
{
#define CASE(task, folder, text, message) {task, folder, text, sizeof text - 1, message}
    static const struct {
        const char *task, *folder, *text;
        size_t size;
        const char *message; /* after the path */
    } cases[] = {
        CASE("mrpc", "MRPC", MRPC_HEAD "1\t1\t2\ta\tb\n0\t1\t2\tc\td\n1\t1\t2\tno pair\n",
             ":4:1: 4 columns; 5 are expected, separated by tabs"),
        CASE("mrpc", "MRPC", MRPC_HEAD "1\t1\t2\ta\tb\n\n0\t1\t2\tc\td\n",
             ":3:1: 1 column; 5 are expected, separated by tabs"),
        CASE("mrpc", "MRPC", MRPC_HEAD "2\t1\t2\ta\tb\n",
             ":2:1: unknown label `2`; it must be 0 (not_equivalent) or 1 (equivalent)"),
        CASE("mrpc", "MRPC", "1\t1\t2\ta\tb\n0\t1\t2\tc\td\n",
             ":1:1: a header line is expected; this line has the label `1`"),
        CASE("mrpc", "MRPC", "Quality\t#1 String\t#2 String\n", ":1:1: the header has 3 columns; 5 are expected"),
        CASE("mrpc", "MRPC", MRPC_HEAD, ": the file has no rows"),
        CASE("mrpc", "MRPC", "", ": the file is empty"),
        CASE("mrpc", "MRPC", "\xef\xbb\xbf", ": the file is empty"),
        CASE("mrpc", "MRPC", "\n\r\n\n", ": the file has no rows"),
        CASE("cola", "CoLA", "gj04\t1\t\tFine.\ngj04\t3\t\tBad.\n",
             ":2:6: unknown label `3`; it must be 0 (unacceptable) or 1 (acceptable)"),
        CASE("cola", "CoLA", "source\tlabel\tmark\tsentence\n",
             ":1:8: unknown label `label`; it must be 0 (unacceptable) or 1 (acceptable)"),
        CASE("cola", "CoLA", "gj04\t1\tFine.\n", ":1:1: 3 columns; 4 are expected, separated by tabs"),
        CASE("cola", "CoLA", "gj04\t1\t\tFi\0ne.\n", ":1:11: a NUL byte; the file is not text"),
        CASE("cola", "CoLA", "gj04\t-1\t\tFine.\n",
             ":1:6: unknown label `-1`; it must be 0 (unacceptable) or 1 (acceptable)"),
        CASE("cola", "CoLA", "gj04\t01\t\tFine.\n",
             ":1:6: unknown label `01`; it must be 0 (unacceptable) or 1 (acceptable)"),
        CASE("sst2", "SST-2", "sentence\tlabel\nsch\xc3\xb6n \tgood\n",
             ":2:8: unknown label `good`; it must be 0 (negative) or 1 (positive)"),
        CASE("rte", "RTE", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t2\n",
             ":2:7: unknown label `2`; it must be 0 (entailment) or 1 (not_entailment)"),
        CASE("stsb", "STS-B", STSB_HEAD STSB_ROW "5.001\n", ":2:32: score is 5.001; it must lie in [0, 5]"),
        CASE("stsb", "STS-B", STSB_HEAD STSB_ROW "nan\n", ":2:32: score is `nan`; it must be a number in [0, 5]"),
        CASE("stsb", "STS-B", STSB_HEAD STSB_ROW "\n", ":2:32: score is ``; it must be a number in [0, 5]"),
        CASE("mnli", "MNLI", "index\tsentence1\tsentence2\tlabel\n",
             ":1:1: 4 columns; text_a should stand in column 9 (counted from the first)"),
        CASE("qqp", "QQP", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\n2\n", ": the file has no rows"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[1024];
        struct examples x;
        const char *path = put(cases[i].folder, "train.tsv", cases[i].text, cases[i].size);
        snprintf(wanted, sizeof wanted, "%s%s", path, cases[i].message);
        ASSERT_ERR(train(&x, cases[i].task), &e, wanted);
        assert_int_equal(e.code, ERR_INPUT);
    }
}

TEST(too_long_lines_and_too_many_columns)
{
    size_t n = 3 << 20;
    char *text = malloc(n), wanted[1024];
    memset(text, 'x', n);
    struct examples x;
    snprintf(wanted, sizeof wanted, "%s:1:1: the line is %zu bytes long; the limit is 1048576",
             put("CoLA", "train.tsv", text, n), n);
    ASSERT_ERR(train(&x, "cola"), &e, wanted);
    memset(text, '\t', n);
    text[500000] = '\n';
    snprintf(wanted, sizeof wanted, "%s:1:1: 500001 columns; 4 are expected, separated by tabs",
             put("CoLA", "train.tsv", text, n));
    ASSERT_ERR(train(&x, "cola"), &e, wanted);
    free(text);
}

TEST(where_data_are_looked_for)
{
    char wanted[1024];
    struct examples x;
    ASSERT_ERR(examples_train(&x, task("mrpc"), NULL, 0, test_arena(), &e), &e,
               "task mrpc needs data: `glue/MRPC/train.tsv` below the folder given with --data DIR or in PEFTLAB_DATA");
    snprintf(
        wanted, sizeof wanted,
        "%s/glue/MRPC/train.tsv: not found; task mrpc needs its data there: give --data DIR or set PEFTLAB_DATA to "
        "the folder that holds `glue/MRPC`",
        test_dir());
    ASSERT_ERR(task_check(task("mrpc"), test_dir(), &e), &e, wanted);
    put("MRPC", "train.tsv", MRPC_HEAD "1\t1\t2\ta\tb\n", sizeof MRPC_HEAD + 9);
    char glue[600];
    snprintf(glue, sizeof glue, "%s/glue", test_dir());
    snprintf(wanted, sizeof wanted,
             "%s/glue/MRPC/train.tsv: not found; give --data or PEFTLAB_DATA the folder that holds `glue/MRPC`", glue);
    ASSERT_ERR(task_check(task("mrpc"), glue, &e), &e, wanted);
    ASSERT_OK(train(&x, "mrpc"), &e);
    snprintf(wanted, sizeof wanted,
             "%s/glue/MRPC/dev.tsv: not found; task mrpc needs its data there: give --data DIR or "
             "set PEFTLAB_DATA to the folder that holds `glue/MRPC`",
             test_dir());
    ASSERT_ERR(task_check(task("mrpc"), test_dir(), &e), &e, wanted);
    assert_int_equal(e.code, ERR_INPUT);
}

TEST(data_beside_a_task_file)
{
    char path[700];
    snprintf(path, sizeof path, "%s/data", test_dir());
    mkdir(path, 0777);
    test_file("data/t.tsv", "text\tclass\nhello\tyes\nbye\tno\n");
    test_file("mine.yaml", "version: 1\ntitle: Mine\nfolder: ./data\nfiles: {train: t.tsv, dev: t.tsv}\n"
                           "columns: {text_a: 0, label: 1}\nlabels: [no, yes]\nmetrics: [accuracy]\n");
    const struct task *t = task_open("mine.yaml", test_dir(), NULL, test_arena(), &e);
    ASSERT_OK(t, &e);
    ASSERT_OK(task_check(t, NULL, &e), &e);
    struct examples x;
    ASSERT_OK(examples_dev(&x, t, 0, NULL, 0, test_arena(), &e), &e);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.item[0].label, 1);
}

/* Whatever bytes a file holds, reading ends in examples or in an error with its place. */
TEST(mutations_end_cleanly)
{
    static const char base[] = STSB_HEAD STSB_ROW "2.5\n" STSB_ROW "0\n" STSB_ROW "5.000\n";
    static const char bytes[] = "\t\t\t\n\n\r\0\"0159.-eE\xc3\xff ";
    struct rng r = rng_stream(1, "mutations");
    int good = 0, bad = 0;
    for (int round = 0; round < 400; round++) {
        char text[sizeof base];
        size_t n = round % 3 ? sizeof base - 1 : rng_below(&r, sizeof base - 1);
        memcpy(text, base, sizeof base);
        for (int k = 0; k < round % 5; k++)
            text[rng_below(&r, sizeof base - 1)] = bytes[rng_below(&r, sizeof bytes - 1)];
        put("STS-B", "train.tsv", text, n);
        struct examples x;
        memset(&e, 0, sizeof e);
        if (train(&x, "stsb"))
            good++;
        else {
            assert_int_equal(e.code, ERR_INPUT);
            assert_true(e.file[0] && e.msg[0] && !strchr(e.msg, '\n'));
            bad++;
        }
    }
    assert_true(good > 50 && bad > 50);
}

/* ---- GLUE itself ---- */

static const struct real {
    const char *name;
    size_t train, dev, ones; /* rows; rows of class 1 in dev */
    const char *first, *last; /* text_a of dev's first and last row */
} reals[] = {
    {"cola", 8551, 1043, 721, "The sailors rode the breeze clear of the rocks.", "John talked to Bill about himself."},
    {"sst2", 67349, 872, 444, "it 's a charming and often affecting journey . ", NULL},
    {"mrpc", 3668, 408, 279,
     "He said the foodservice pie business doesn't fit the company's long-term growth strategy.", NULL},
    {"stsb", 5749, 1500, 0, "A man with a hard hat is dancing.",
     "New video shows US police officers beating mentally-ill man"},
};

TEST(real_files)
{
    const char *data = test_data();
    for (size_t i = 0; i < 4; i++) {
        const struct real *r = &reals[i];
        const struct task *t = task(r->name);
        struct examples x;
        ASSERT_OK(task_check(t, data, &e), &e);
        ASSERT_OK(examples_train(&x, t, data, 0, test_arena(), &e), &e);
        assert_int_equal(x.n, r->train);
        assert_int_equal(x.n, task_train_rows(t));
        ASSERT_OK(examples_dev(&x, t, 0, data, 0, test_arena(), &e), &e);
        assert_int_equal(x.n, r->dev);
        expect_text(x.item[0].text_a, x.item[0].a_size, r->first);
        if (r->last)
            expect_text(x.item[x.n - 1].text_a, x.item[x.n - 1].a_size, r->last);
        size_t ones = 0;
        for (size_t k = 0; k < x.n; k++) {
            ones += x.item[k].label == 1;
            assert_int_equal(x.item[k].row, k);
        }
        assert_int_equal(ones, r->ones);
    }
}

TEST(real_scores)
{
    struct examples x;
    ASSERT_OK(examples_train(&x, task("stsb"), test_data(), 0, test_arena(), &e), &e);
    ASSERT_NEAR(x.item[0].score, 5, 0);
    ASSERT_NEAR(x.item[1].score, 3.8, 1e-6);
    double sum = 0;
    for (size_t i = 0; i < x.n; i++)
        sum += (double)x.item[i].score;
    ASSERT_NEAR(sum / (double)x.n, 2.701, 1e-3);
    ASSERT_NEAR(examples_majority(&x), 0, 0);
}
