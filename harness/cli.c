/* The table of commands and the way through the program: see cli.h. */
#include "harness/cli.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "build_info.h"
#include "harness/cli_impl.h"
#include "models/blas.h"

static const struct cli_option run_options[] = {
    {"out", "DIR", "where results go; without it out/<name of the spec>"},
    {"data", "DIR", "folder with glue/<TASK>/train.tsv ...; without it $PEFTLAB_DATA"},
    {"jobs", "N", "runs at the same time (1); they share the threads"},
    {"threads", "N", "threads of all runs together; without it $OMP_NUM_THREADS, else every processor"},
    {"limit", "N", "the first N rows of every set alone, for a trial"},
    {"dry-run", NULL, "check everything, say what would be done, do nothing"},
    {"redo", NULL, "repeat runs that are finished"},
    {"fail-fast", NULL, "stop at the first run that fails"},
    {"strict", NULL, "exit 1 also when a run collapsed (predicts one class)"},
    {"worker", "NAME", NULL},
    {NULL, NULL, NULL},
};
static const struct cli_option format_options[] = {{"format", "md|csv", "Markdown, or csv in full precision"},
                                                   {NULL, NULL, NULL}};
static const struct cli_option table_options[] = {
    {"format", "md|csv|latex", "Markdown, csv in full precision, or LaTeX"},
    {"rows", "KEY", "what rows are: method, task, model, variant or seed (method)"},
    {"columns", "KEY", "what columns are (task)"},
    {"select", "best|last", "the evaluation that counts: chosen by `select_on`, or the last"},
    {"aggregate", "mean|median", "over seeds"},
    {NULL, NULL, NULL},
};
static const struct cli_option plot_options[] = {{"format", "png|svg|pdf", "kind of file (png)"}, {NULL, NULL, NULL}};
static const struct cli_option eval_options[] = {
    {"task", "TASK", "the task whose dev sets are predicted"},
    {"data", "DIR", "folder with glue/<TASK>/...; without it $PEFTLAB_DATA, else the run's own"},
    {"threads", "N", "without it $OMP_NUM_THREADS, else every processor"},
    {"select", "best|last", "a run's weights at its best evaluation, or at its last (last)"},
    {"predictions", "FILE", "writes what was predicted: index, label, prediction, scores of each row, tab-separated"},
    {NULL, NULL, NULL},
};
static const struct cli_option export_options[] = {
    {"to", "hf|peft|delta",
     "hf: a merged model for AutoModelForSequenceClassification; peft: an adapter for PeftModel; delta: trained values "
     "and their indices"},
    {"select", "best|last", "the weights at the best evaluation, or at the last (last)"},
    {NULL, NULL, NULL},
};
static const struct cli_option bench_options[] = {
    {"shape", "LIST", "mini, minilm, bert-base, roberta-large-layer (one layer), or models of the zoo (bert-base)"},
    {"method", "LIST", "methods, comma-separated or one after the other, or `all` (full)"},
    {"seq", "LIST", "tokens of a sequence: numbers, or mixes of real lengths: mrpc, cola, glue (128)"},
    {"batch", "LIST", "examples of a step (32)"},
    {"layers", "N", "so many layers of the shape alone"},
    {"steps", "N", "samples: steps of at least 100 ms, each followed by a slice of SGEMM (5)"},
    {"eval", NULL, "inference instead of training steps"},
    {"threads", "N", "without it $OMP_NUM_THREADS, else every processor"},
    {"out", "DIR", "what is measured goes to DIR/bench (out/bench); `peftlab plot DIR roofline` draws it"},
    {"format", "md|csv", "Markdown, or csv in full precision"},
    {"paced", NULL, "one case, driven by lines `step`, `sgemm`, `memory`; answers are lines of JSON"},
    {"worker", "NAME", NULL},
    {NULL, NULL, NULL},
};
static const struct cli_option no_options[] = {{NULL, NULL, NULL}};

static const char *const spec_name[] = {"SPEC"};
static const char *const dir_name[] = {"DIR"};
static const char *const list_name[] = {"methods|models|tasks|metrics|measures|plots"};
static const char *const describe_names[] = {"method|model|task|measure", "NAME"};
static const char *const eval_name[] = {"MODEL_OR_RUN"};
static const char *const export_names[] = {"RUN.h5", "DIR"};
static const char *const model_name[] = {"MODEL"};

const struct cli_command cli_commands[] = {
    {.name = "run", .arguments = "SPEC [key=value ...]", .summary = "carries out the runs of a spec",
     .details = "Finished runs are skipped, failed ones are tried again, interrupted ones go on. key=value "
                "overrides the\nspec: train.learning_rate=1e-4, sift.density=0.01, tasks=[cola,mrpc], seeds=42, "
                "model=DIR.",
     .options = run_options, .min_args = 1, .max_args = SIZE_MAX, .arg_names = spec_name, .run = cli_run,
     .more_help = cli_run_help},
    {.name = "plan", .arguments = "SPEC [key=value ...]", .summary = "parameters, steps and memory of every run",
     .details = "Needs neither data nor weights: sequences are counted as max_seq_length long.",
     .options = format_options, .min_args = 1, .max_args = SIZE_MAX, .arg_names = spec_name, .run = cli_plan},
    {.name = "check", .arguments = "SPEC [key=value ...]",
     .summary = "validates a spec; prints nothing when it is right",
     .options = no_options, .min_args = 1, .max_args = SIZE_MAX, .arg_names = spec_name, .run = cli_check},
    {.name = "list", .arguments = "KIND", .summary = "methods|models|tasks|metrics|measures|plots",
     .options = format_options, .min_args = 1, .max_args = 1, .arg_names = list_name, .run = cli_list},
    {.name = "describe", .arguments = "KIND NAME", .summary = "method|model|task|measure with its options",
     .options = no_options, .min_args = 2, .max_args = 2, .arg_names = describe_names, .run = cli_describe},
    {.name = "status", .arguments = "DIR", .summary = "finished, running, failed, left; time remaining",
     .options = format_options, .min_args = 1, .max_args = 1, .arg_names = dir_name, .run = cli_status},
    {.name = "table", .arguments = "DIR", .summary = "the comparison table of a folder of results",
     .options = table_options, .min_args = 1, .max_args = 1, .arg_names = dir_name, .run = cli_results_table},
    {.name = "plot", .arguments = "DIR [KIND ...]", .summary = "pictures of a folder of results; prints their paths",
     .options = plot_options, .min_args = 1, .max_args = SIZE_MAX, .arg_names = dir_name, .run = cli_plot},
    {.name = "eval", .arguments = "MODEL_OR_RUN --task TASK",
     .summary = "metrics of a run's weights, or of a classifier",
     .details = "A directory is a Hugging Face classifier, a PEFT adapter (its base model is found by the name it "
                "gives) or\nan exported delta.",
     .options = eval_options, .min_args = 1, .max_args = 1, .arg_names = eval_name, .run = cli_eval},
    {.name = "export", .arguments = "RUN.h5 --to hf|peft|delta DIR",
     .summary = "what a run has trained, for other programs",
     .options = export_options, .min_args = 2, .max_args = 2, .arg_names = export_names, .run = cli_export},
    {.name = "bench", .arguments = "[key=value ...]",
     .summary = "speed and memory of methods on a shape, against the machine's own limit",
     .details = "Vocabulary, weights and tokens are random. key=value is as for `run`: train.piece_tokens=512, "
                "sift.density=0.01.",
     .options = bench_options, .min_args = 0, .max_args = SIZE_MAX, .arg_names = NULL, .run = cli_bench},
    {.name = "tokenize", .arguments = "MODEL [FILE]", .summary = "ids of each line of FILE or of standard input",
     .options = no_options, .min_args = 1, .max_args = 2, .arg_names = model_name, .run = cli_tokenize},
    {0},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * The way through */

static bool unknown_command(const char *word, struct err *e)
{
    const char *names[32] = {NULL};
    char all[256] = "", hint[64];
    size_t n = 0, k = 0;
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        names[k++] = c->name;
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", c->name);
    }
    return err_set(e, ERR_INPUT, "unknown command `%s`%s (commands: %s)", word,
                   text_did_you_mean(word, names, hint, sizeof hint), all);
}

static const struct cli_command *find_command(const char *word)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, word) == 0)
            return c;
    return NULL;
}

static bool print_help(struct cli_call *c, struct err *e)
{
    struct text out = {.arena = c->arena};
    TRY(c->command ? cli_command_help(c->command, &out, e) : cli_program_help(&out, e));
    return cli_print(c, out.s, e);
}

static bool dispatch(struct cli_call *c, int argc, char **argv, struct err *e)
{
    if (argc < 2)
        return err_set(e, ERR_INPUT, "no command is given; `peftlab --help` lists them");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_help(c, e);
    if (strcmp(argv[1], "--version") == 0)
        return cli_print(c, "peftlab " BUILD_VERSION "\n", e);
    if (!(c->command = find_command(argv[1])))
        return unknown_command(argv[1], e);
    TRY(cli_parse(c, argc, argv, e));
    return c->help ? print_help(c, e) : c->command->run(c, e);
}

/* Whoever reads may stop reading (`| head`): that is no error. */
static bool flush(FILE *out, struct err *e)
{
    if (fflush(out) == 0 && !ferror(out))
        return true;
    return errno == EPIPE || err_errno(e, ERR_ENV, "standard output", "cannot be written");
}

int cli_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct err e = {0};
    char text[2048];
    struct cli_call c = {.arena = arena_create(NULL), .out = out, .argv = (const char *const *)argv};
    signal(SIGPIPE, SIG_IGN);
    if (!blas_is_openmp())
        log_warn("the loaded OpenBLAS (%s) is not its OpenMP build: training may take twice as long", blas_config());
    bool ok = c.arena ? dispatch(&c, argc, argv, &e) : err_set(&e, ERR_ENV, "out of memory");
    if (!ok && ferror(out) && errno == EPIPE)
        ok = true;
    ok = ok && flush(out, &e);
    arena_destroy(c.arena);
    if (ok)
        return 0;
    err_format(&e, text, sizeof text);
    if (*text)
        fprintf(err, "%s\n", text);
    return err_exit_code(e.code);
}
