/* Benchmarks: cases from words, what one leaves behind, the paced protocol, memory against the plan. No time is
 * judged. */
#include "tests/test.h"

#include <math.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/text.h"
#include "harness/bench/bench.h"
#include "harness/session.h"

static struct err e;

/* Arguments of a request as on the command line. */
static struct bench_request request(const char *shapes, const char *methods, const char *lengths,
                                    const char *batches)
{
    return (struct bench_request){.shapes = shapes, .methods = methods, .lengths = lengths, .batches = batches,
                                  .repeats = 1, .threads = 1, .slice = .002};
}

static const char mini[] = "mini", tiny[] = "bert-tiny";

static struct bench_cases cases_of(const struct bench_request *r)
{
    struct bench_cases l;
    ASSERT_OK(bench_cases(&l, r, test_arena(), &e), &e);
    return l;
}

static void run_case(const struct bench_case *c, struct bench_record *r)
{
    const char *path = test_path("case.h5");
    ASSERT_OK(bench_run(c, path, &e), &e);
    ASSERT_OK(bench_record_read(r, path, test_arena(), &e), &e);
}

static void is_positive(double v, const char *what)
{
    if (!isfinite(v) || !(v > 0))
        fail_msg("%s is %g", what, v);
}

static double column_sum(const struct bench_record *r, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < r->samples.rows; i++)
        sum += series_get(&r->samples, name, i);
    return sum;
}

/* ---- lengths ---- */

static double mean_of(const char *word, size_t n)
{
    struct lengths l;
    int32_t length[4096];
    double sum = 0;
    assert_true(n <= sizeof length / sizeof *length);
    ASSERT_OK(lengths_parse(&l, word, &e), &e);
    lengths_fill(&l, length, n);
    for (size_t i = 0; i < n; i++)
        sum += length[i];
    return sum / (double)n;
}

/* Means of the tokenised training sets; 1 % is what a table of 32 may be off. */
TEST(mixes_have_the_mean_of_their_data)
{
    ASSERT_NEAR(mean_of("mrpc", 128), 53.24, .01 * 53.24);
    ASSERT_NEAR(mean_of("cola", 128), 11.33, .01 * 11.33);
    ASSERT_NEAR(mean_of("glue", 128), (53.24 + 11.33) / 2, .01 * 32);
    ASSERT_NEAR(mean_of("77", 5), 77, 0);
    ASSERT_NEAR(mean_of("mrpc", 1000), 53.24, .01 * 53.24);
}

TEST(a_batch_of_a_mix_is_not_sorted)
{
    struct lengths l;
    int32_t length[128];
    int ups = 0, downs = 0;
    ASSERT_OK(lengths_parse(&l, "mrpc", &e), &e);
    lengths_fill(&l, length, 128);
    for (int i = 1; i < 32; i++) {
        ups += length[i] > length[i - 1];
        downs += length[i] < length[i - 1];
    }
    assert_true(ups > 4 && downs > 4);
}

/* ---- cases ---- */

TEST(cases_are_all_combinations)
{
    struct bench_request r = request("mini,roberta-large-layer", "full,lora", "16,mrpc", "2,4");
    struct bench_cases l = cases_of(&r);
    assert_int_equal(l.n, 16);
    assert_string_equal(l.item[0].name, "mini--full--16--b2--t1");
    assert_string_equal(l.item[1].name, "mini--lora--16--b2--t1");
    assert_string_equal(l.item[15].name, "roberta-large-layer--lora--mrpc--b4--l1--t1");
    assert_int_equal(l.item[15].run->layers, 1);
    assert_true(l.item[0].operations && !l.item[1].operations && l.item[2].operations);
    assert_int_equal(l.item[0].data.rows, 2);
    assert_int_equal(l.item[15].data.rows, 128);
}

TEST(overrides_reach_their_method_alone)
{
    static const char *const overrides[] = {"sift.density=0.05", "train.piece_tokens=64"};
    struct bench_request r = request(mini, "full,sift", "16", "2");
    r.override = overrides;
    r.n_overrides = 2;
    struct bench_cases l = cases_of(&r);
    assert_string_equal(l.item[0].overrides, "train.piece_tokens=64");
    assert_string_equal(l.item[1].overrides, "sift.density=0.05\ntrain.piece_tokens=64");
    assert_int_equal(l.item[1].run->train.piece_tokens, 64);
    assert_string_not_equal(l.item[0].name, "mini--full--16--b2--t1");
}

static void refused(struct bench_request r, const char *line)
{
    struct bench_cases l;
    ASSERT_ERR(bench_cases(&l, &r, test_arena(), &e), &e, line);
    assert_int_equal(e.code, ERR_INPUT);
}

TEST(wrong_words)
{
    refused(request("minni", "full", "16", "2"), "unknown shape `minni`; did you mean `mini`? (mini, minilm, "
                                                 "bert-base, roberta-large-layer, or a model of the zoo)");
    refused(request("mini,mini", "full", "16", "2"), "--shape names `mini` twice");
    refused(request(mini, "lorra", "16", "2"), "unknown method `lorra`; did you mean `lora`?");
    refused(request(mini, "full,", "16", "2"), "--method has an empty word; it is a list such as a,b,c");
    refused(request(mini, "full", "mprc", "2"),
            "unknown lengths `mprc`; did you mean `mrpc`? (a number of tokens, mrpc, cola or glue)");
    refused(request(mini, "full", "0", "2"), "range: --seq is 0; a sequence has at least 2 tokens");
    refused(request(mini, "full", "-4", "2"), "range: --seq is -4; a sequence has at least 2 tokens");
    refused(request(mini, "full", "513", "2"),
            "--seq 513: 513 tokens are more than the 512 of mini (max_position_embeddings)");
    refused(request(mini, "full", "16", "0"), "range: --batch is `0`; it must lie in [1, 1048576]");
    refused(request(mini, "full", "16", "-1"), "range: --batch is `-1`; it must lie in [1, 1048576]");
}

static void override_refused(const char *methods, const char *override, const char *line)
{
    struct bench_request r = request(mini, methods, "16", "2");
    r.override = &override;
    r.n_overrides = 1;
    refused(r, line);
}

TEST(wrong_overrides)
{
    override_refused("full", "sift.density=0.1", "`sift.density=0.1`: method sift is not among --method");
    override_refused("full", "model=zoo:mini", "`model=zoo:mini`: model belongs to the benchmark");
    override_refused("sift", "sift.densty=0.1",
                     "command line: `sift.densty=0.1`: unknown key `densty` for method sift; did you mean `density`?");
    override_refused("full", "train.batch_size=3",
                     "train.batch_size and train.max_seq_length are --batch and --lengths here");
}

TEST(one_case_is_paced)
{
    struct bench_request r = request(mini, "full,lora", "16", "2");
    r.paced = true;
    refused(r, "--paced drives one case; this makes 2");
}

/* ---- measuring ---- */

TEST(a_case_leaves_finite_numbers)
{
    struct bench_request q = request(mini, "full", "16", "2");
    struct bench_cases l = cases_of(&q);
    struct bench_record r;
    run_case(&l.item[0], &r);
    struct bench_summary s = bench_summarize(&r, test_arena(), &e);
    is_positive(s.tokens_per_second, "tokens/s");
    is_positive(s.slowest, "slowest");
    is_positive(s.gflops, "GFLOP/s");
    is_positive(s.sgemm_gflops, "SGEMM");
    is_positive(s.share, "share");
    is_positive(s.step_seconds, "step");
    is_positive(r.bytes, "bytes");
    is_positive(r.bandwidth, "bandwidth");
    assert_string_equal(r.name, l.item[0].name);
    assert_string_equal(r.method, "full");
    assert_string_equal(values_get_string(&r.meta, "overrides", "?"), "");
    assert_int_equal(r.layers, 4);
    assert_int_equal(r.batch, 2);
    assert_true(r.tokens == 32);
    assert_true(r.trained == r.total);
    assert_int_equal(r.operations, 17);
    for (size_t i = 0; i < r.operations; i++) {
        is_positive(r.operation[i].seconds, r.operation[i].name);
        is_positive(r.operation[i].flops / r.operation[i].bytes, r.operation[i].name);
    }
    assert_true(column_sum(&r, "tokens") == 32 * column_sum(&r, "steps"));
}

/* Every part of a step is timed, and no time is counted twice. */
TEST(phases_are_parts_of_the_step)
{
    struct bench_request q = request(tiny, "full", "16", "2");
    struct bench_cases l = cases_of(&q);
    struct bench_record r;
    double sum = 0;
    run_case(&l.item[0], &r);
    for (int i = 0; i < STEP_PHASES; i++) {
        is_positive(column_sum(&r, step_phase_names[i]), step_phase_names[i]);
        sum += column_sum(&r, step_phase_names[i]);
    }
    assert_true(sum <= column_sum(&r, "seconds"));
}

TEST(evaluation_is_forward_alone)
{
    struct bench_request q = request(tiny, "full", "mrpc", "64");
    struct bench_record train, eval;
    struct bench_cases l = cases_of(&q);
    run_case(&l.item[0], &train);
    q.eval = true;
    l = cases_of(&q);
    assert_string_equal(l.item[0].name, "bert-tiny--full--mrpc--b64--t1--eval");
    run_case(&l.item[0], &eval);
    assert_true(eval.eval && eval.tokens == train.tokens);
    assert_true(eval.flops < .4 * train.flops && eval.flops > .25 * train.flops);
    assert_true(column_sum(&eval, "backward") == 0 && column_sum(&eval, "forward") > 0);
}

/* Twice the layers: twice their operations, and no others. */
TEST(layers_are_counted)
{
    struct bench_request q = request(tiny, "lora", "16", "2");
    double flops[3];
    for (int i = 0; i < 3; i++) {
        struct bench_record r;
        q.layers = i + 1;
        struct bench_cases l = cases_of(&q);
        l.item[0].operations = false;
        run_case(&l.item[0], &r);
        assert_int_equal(r.layers, i + 1);
        flops[i] = r.flops;
    }
    ASSERT_NEAR(flops[2] - flops[1], flops[1] - flops[0], 1e-3 * flops[0]);
}

/* One of them for every method that there is: also its memory, which must be what was planned within 2 %. SMT's blocks
 * fall where the gradients are large, SparseGrad's state grows with what was ever trained: plans bound these. */
TEST(every_method_can_be_measured)
{
    struct bench_request q = request(tiny, "all", "8", "2");
    struct bench_cases l = cases_of(&q);
    for (size_t i = 0; i < l.n; i++) {
        struct bench_record r;
        const char *method = l.item[i].method->name;
        if (!l.item[i].run)
            fail_msg("%s: %s", method, l.item[i].why.msg);
        l.item[i].operations = false;
        run_case(&l.item[i], &r);
        struct bench_summary s = bench_summarize(&r, test_arena(), &e);
        is_positive(s.tokens_per_second, method);
        is_positive(s.gflops, method);
        double ratio = (double)r.peak_live / (double)r.planned_total;
        bool bound = strcmp(method, "smt") == 0 || strcmp(method, "sparsegrad") == 0;
        if (ratio > 1.02 || (!bound && ratio < .98))
            fail_msg("%s took %zu bytes, %zu were planned", method, r.peak_live, r.planned_total);
    }
}

/* ---- the paced protocol ---- */

static json_t *line_of(FILE *f)
{
    char line[65536];
    assert_non_null(fgets(line, sizeof line, f));
    json_t *j = json_parse("line", line, strlen(line), &e);
    ASSERT_OK(j, &e);
    return j;
}

static double number_of(const json_t *j, const char *key) { return json_number_value(json_object_get(j, key)); }

TEST(paced_answers_line_by_line)
{
    struct bench_request q = request(tiny, "lora", "cola", "64");
    q.paced = true;
    struct bench_cases l = cases_of(&q);
    FILE *in = fopen(test_file("in", "step\nsgemm\nstep\nstep\nmemory\n"), "r"), *out = fopen(test_path("out"), "w+");
    assert_true(in && out);
    ASSERT_OK(bench_paced(&l.item[0], in, out, &e), &e);
    rewind(out);
    json_t *first = line_of(out), *batches = json_object_get(first, "batches");
    assert_string_equal(json_string_value(json_object_get(first, "method")), "lora");
    assert_int_equal((int)number_of(json_object_get(first, "config"), "hidden_size"), 128);
    assert_int_equal(json_array_size(batches), 2);
    double flops = 0;
    for (int i = 0; i < 4; i++) {
        json_t *j = line_of(out);
        if (i == 1) {
            is_positive(number_of(j, "gflops"), "sgemm");
            json_decref(j);
            continue;
        }
        const json_t *batch = json_array_get(batches, (i ? i - 1u : 0u) % 2u);
        double tokens = 0;
        assert_int_equal(json_array_size(batch), 64);
        for (size_t k = 0; k < 64; k++)
            tokens += json_number_value(json_array_get(batch, k));
        is_positive(number_of(j, "seconds"), "seconds");
        assert_true(number_of(j, "tokens") == tokens);
        is_positive(number_of(json_object_get(j, "phases"), "backward"), "backward");
        flops += i < 3 ? number_of(j, "flops") / 2 : 0;
        json_decref(j);
    }
    ASSERT_NEAR(number_of(first, "flops"), flops, 1e-9 * flops);
    json_t *memory = line_of(out);
    is_positive(number_of(memory, "planned"), "planned");
    is_positive(number_of(json_object_get(memory, "bytes"), "weights"), "weights");
    json_decref(memory);
    json_decref(first);
    fclose(in);
    fclose(out);
}

TEST(paced_refuses_other_words)
{
    struct bench_request q = request(tiny, "bitfit", "8", "1");
    struct bench_cases l = cases_of(&q);
    FILE *in = fopen(test_file("in", "stepp\n"), "r"), *out = fopen(test_path("out"), "w+");
    ASSERT_ERR(bench_paced(&l.item[0], in, out, &e), &e,
               "--paced: unknown word `stepp`; did you mean `step`? (step, sgemm or memory)");
}

/* ---- the command ---- */

static int run_program(const char *arguments)
{
    char command[4096];
    snprintf(command, sizeof command, "cd '%s' && '%s' %s >out.txt 2>err.txt", test_dir(), PEFTLAB_PROGRAM, arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *text_of(const char *name)
{
    const char *text = io_read(test_arena(), test_path(name), 0, NULL, &e);
    ASSERT_OK(text, &e);
    return text;
}

TEST(the_command_prints_and_stores)
{
    assert_int_equal(run_program("bench --shape bert-tiny --batch 2 --seq 8 --method full,sift --steps 1 --format csv "
                                 "--out o"), 0);
    const char *out = text_of("out.txt");
    assert_true(text_starts(out, "shape,method,threads,batch,seq,tokens_per_s,gflops,sgemm_gflops,share,step_ms,"
                                 "peak_rss_bytes,"));
    assert_non_null(strstr(out, "\nbert-tiny,full,1,2,8,"));
    assert_non_null(strstr(out, "\nbert-tiny,sift,1,2,8,"));
    struct bench_list l;
    ASSERT_OK(bench_scan(&l, test_path("o"), test_arena(), &e), &e);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.record[1].method, "sift");
    assert_true(l.record[1].select_seconds > 0 && l.record[0].select_seconds == 0);
    assert_true(l.record[0].operations > 0 && l.record[1].operations == 0);
}

/* One case fails, for its result has no place; the other is measured. */
TEST(a_case_that_fails_leaves_the_others)
{
    ASSERT_OK(io_mkdirs(test_path("o/bench/bert-tiny--head--8--b2--t1.h5"), &e), &e);
    assert_int_equal(run_program("bench --shape bert-tiny --batch 2 --seq 8 --method head bitfit --steps 1 "
                                 "--format csv --out o"), 3);
    assert_non_null(strstr(text_of("out.txt"), "\nbert-tiny,bitfit,1,2,8,"));
    assert_null(strstr(text_of("out.txt"), ",head,"));
    assert_non_null(strstr(text_of("err.txt"), "warning: bert-tiny--head--8--b2--t1: "));
    assert_non_null(strstr(text_of("err.txt"), "1 of 2 cases could not be measured\n"));
}

TEST(an_error_is_one_line)
{
    assert_int_equal(run_program("bench --shape minni --method full lora --seq mix --steps 2"), 2);
    assert_non_null(strstr(text_of("err.txt"), "unknown shape `minni`; did you mean `mini`?"));
    assert_int_equal(run_program("bench mini"), 2);
    assert_string_equal(text_of("err.txt"), "`mini` is no key=value; shapes follow --shape, methods --method\n");
    assert_int_equal(run_program("bench --shape mini --steps 0"), 2);
    assert_string_equal(text_of("err.txt"), "range: --steps is 0; it must lie in [1, 100000]\n");
    assert_int_equal(run_program("bench --shape bert-tiny --seq 8 --batch 1 --paced </dev/null"), 0);
    assert_string_equal(text_of("err.txt"), "");
    assert_int_equal(run_program("bench --shape bert-tiny --seq 8 --batch 1 --paced <err.txt"), 0);
}
