/* labels: cli
 * The program from outside: exit codes, what goes to stdout and what to stderr. */
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

/* What one call left behind. */
struct result {
    int code;
    char out[65536], err[4096];
};

static void read_back(const char *name, char *to, size_t size)
{
    FILE *f = fopen(test_path(name), "rb");
    assert_non_null(f);
    to[fread(to, 1, size - 1, f)] = 0;
    fclose(f);
}

/* Runs `peftlab ARGUMENTS` with the shell, in the test's folder. */
static const struct result *run(const char *arguments)
{
    static struct result r;
    char command[4096];
    snprintf(command, sizeof command, "cd '%s' && '%s' %s >out.txt 2>err.txt", test_dir(), PEFTLAB_PROGRAM, arguments);
    int status = system(command);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back("out.txt", r.out, sizeof r.out);
    read_back("err.txt", r.err, sizeof r.err);
    return &r;
}

/* Fails with this one line on stderr and nothing on stdout. */
static void expect_error(const char *arguments, int code, const char *line)
{
    char expected[2048];
    const struct result *r = run(arguments);
    snprintf(expected, sizeof expected, "%s\n", line);
    assert_string_equal(r->err, expected);
    assert_string_equal(r->out, "");
    assert_int_equal(r->code, code);
}

static const char *expect_out(const char *arguments)
{
    const struct result *r = run(arguments);
    assert_string_equal(r->err, "");
    assert_int_equal(r->code, 0);
    return r->out;
}

static void expect_start(const char *arguments, const char *start)
{
    const char *out = expect_out(arguments);
    if (strncmp(out, start, strlen(start)) != 0)
        fail_msg("`%s` begins with:\n%.400s\nexpected:\n%s", arguments, out, start);
}

static void write_spec(void)
{
    test_file("s.yaml", "model: zoo:mini\ntasks: [cola]\nmethods: [head, lora]\nseeds: [1]\n");
}

TEST(wrong_command_lines)
{
    write_spec();
    expect_error("", 2, "no command is given; `peftlab --help` lists them");
    expect_error(
        "rnu", 2,
        "unknown command `rnu`; did you mean `run`? (commands: run, plan, check, list, describe, status, table, "
        "plot, eval, export, bench, tokenize)");
    expect_error("check", 2, "check needs SPEC: peftlab check SPEC [key=value ...]");
    expect_error("list methods tasks", 2, "unexpected argument `tasks`: peftlab list KIND");
    expect_error("run s.yaml --jbos 2", 2, "unknown option `--jbos` for run; did you mean `--jobs`?");
    expect_error("plan s.yaml --redo", 2, "unknown option `--redo` for plan");
    expect_error("run s.yaml --jobs", 2, "option `--jobs` needs a value: --jobs N");
    expect_error("run s.yaml --redo=yes", 2, "option `--redo` takes no value");
    expect_error("run s.yaml -j2", 2, "unknown option `-j2` for run; options are written --name");
    expect_error("run s.yaml --jobs two", 2, "--jobs is `two`; it must be an integer in plain decimal digits");
    expect_error("run s.yaml --jobs 0", 2, "range: --jobs is 0; it must lie in [1, 1024]");
    expect_error("plan s.yaml --format=cvs", 2, "--format is `cvs`; it must be one of md, csv; did you mean `csv`?");
    expect_error(
        "list metods", 2,
        "what to list is `metods`; it must be one of methods, models, tasks, metrics, measures, plots; did you "
        "mean `methods`?");
    expect_error("describe method sfit", 2, "unknown method `sfit`; did you mean `sift`?");
    expect_error("describe task col", 2, "unknown task `col`; did you mean `cola`?");
    expect_error("describe measure gradient", 2, "unknown measure `gradient`; did you mean `gradients`?");
    expect_error("run s.yaml --data nowhere", 2, "the data folder `nowhere` does not exist");
    expect_error("eval x.h5", 2, "eval needs --task TASK: peftlab eval MODEL_OR_RUN --task TASK");
    expect_error("export x.h5 dir --to gguf", 2, "--to is `gguf`; it must be one of hf, peft, delta");
    expect_error("table nowhere --rows sed", 2,
                 "--rows is `sed`; it must be one of method, task, model, variant, seed; did you mean `seed`?");
}

TEST(wrong_specs)
{
    write_spec();
    expect_error("check none.yaml", 2, "none.yaml: cannot be read: No such file or directory");
    expect_error("plan s.yaml train.lerning_rate=1", 2,
                 "command line: `train.lerning_rate=1`: unknown key `lerning_rate` for train; did you mean "
                 "`learning_rate`?");
    expect_error("run s.yaml t.yaml", 2, "command line: `t.yaml`: what follows a spec is written key=value");
    test_file("w.yaml", "model: zoo:mini\ntasks: [cola]\nmethods:\n  - sift: {density: 1.5}\n");
    expect_error("run w.yaml", 2, "w.yaml:4:21: range: density is 1.5; it must lie in (0, 1]");
    assert_int_not_equal(access(test_path("out"), F_OK), 0);
}

TEST(check_is_silent)
{
    write_spec();
    assert_string_equal(expect_out("check s.yaml"), "");
    assert_string_equal(expect_out("check s.yaml lora.r=4 tasks=[mrpc,stsb]"), "");
}

/* Columns are a contract; options may stand anywhere and be written either way. */
TEST(plan_columns)
{
    write_spec();
    const char *header =
        "run,task,model,method,variant,seed,trainable,trainable_with_head,total,steps,bytes_weights,"
        "bytes_gradients,bytes_optimizer,bytes_method,bytes_activations,bytes_scratch,bytes_data,bytes_total\n"
        "cola--mini--head--default--s1,cola,mini,head,default,1,0,66306,5454594,723,";
    expect_start("plan s.yaml --format csv", header);
    expect_start("plan --format=csv s.yaml", header);
    expect_start("plan s.yaml", "| task | model | method | variant | seed | trainable | with head |");
}

TEST(lists)
{
    expect_start("list methods --format csv", "name,title\n");
    assert_non_null(strstr(expect_out("list methods --format csv"), "\nfull,Full\n"));
    expect_start("list metrics --format csv", "name,title\naccuracy,");
    expect_start("list measures --format csv", "name,title\ngradients,");
    assert_non_null(strstr(expect_out("list models --format csv"), "\nzoo:roberta-base,"));
    assert_non_null(strstr(expect_out("list tasks"), "| synth_sentiment "));
    assert_non_null(strstr(expect_out("list plots"), "curves"));
    for (const char *s = expect_out("list tasks --format csv"); *s; s = strchr(s, '\n') + 1) {
        const char *comma = strchr(s, ','), *end = strchr(s, '\n');
        assert_true(comma && comma < end && !memchr(comma + 1, ',', (size_t)(end - comma - 1)));
    }
}

TEST(descriptions)
{
    expect_start("describe method sift", "## sift: SIFT\n\nTrains the entries");
    assert_non_null(strstr(expect_out("describe method sift"), "(0, 1]"));
    assert_non_null(strstr(expect_out("describe model zoo:roberta-base"), "124647170"));
    expect_start("describe task cola", "cola: Corpus of Linguistic Acceptability");
    assert_non_null(strstr(expect_out("describe measure gradients"), "every"));
}

TEST(help_and_version)
{
    expect_start("--version", "peftlab ");
    expect_start("--help", "peftlab compares");
    expect_start("run --help", "peftlab run SPEC [key=value ...]");
    assert_non_null(strstr(expect_out("run --help"), "learning_rate"));
    assert_null(strstr(expect_out("run --help"), "worker"));
}

/* Lines end at \n alone, an empty line is a line, and the last one needs no end. */
TEST(tokenize_lines)
{
    test_file("lines.txt", "the cat\n\nthe\rcat");
    const char *out = expect_out("tokenize zoo:mini lines.txt");
    size_t lines = 0;
    for (const char *s = out; *s; s++) {
        lines += *s == '\n';
        assert_true((*s >= '0' && *s <= '9') || *s == ' ' || *s == '\n');
    }
    assert_int_equal(lines, 3);
    char first[256];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(out, "\n"), out);
    assert_non_null(strstr(out + strlen(first), first)); /* \r is white space to the tokenizer, no end of a line */
    static char piped[sizeof((struct result *)0)->out];
    memcpy(piped, out, sizeof piped);
    assert_string_equal(expect_out("tokenize zoo:mini <lines.txt"), piped);
    assert_string_equal(expect_out("tokenize zoo:mini - <lines.txt"), piped);
    assert_string_equal(expect_out("tokenize zoo:mini </dev/null"), "");
    expect_error("tokenize zoo:mini none.txt", 2, "none.txt: cannot be opened: No such file or directory");
}

/* Whoever stops reading is no reason to complain; a full disk is. */
TEST(output_that_nobody_takes)
{
    const struct result *r = run("list tasks | true");
    assert_string_equal(r->err, "");
    if (access("/dev/full", W_OK) != 0)
        skip();
    char command[1024];
    snprintf(command, sizeof command, "'%s' list tasks >/dev/full 2>'%s'", PEFTLAB_PROGRAM, test_path("err.txt"));
    int status = system(command);
    assert_int_equal(WEXITSTATUS(status), 3);
}
