/* Wrong specs, each with the one line that says what is wrong and where. */
#include "tests/test.h"

#include <unistd.h>

#include "harness/spec.h"

struct wrong {
    const char *text, *override, *message;
};

/* What every spec needs, in front of the line that is wrong (line 4). */
#define HEAD "model: zoo:mini\ntasks: [cola]\nmethods: [full]\n"
#define METHODS "model: zoo:mini\ntasks: [cola]\nmethods:\n" /* an entry follows in line 4 */

static const struct wrong wrong[] = {
    /* What is missing, or has another shape */
    {"tasks: [cola]\nmethods: [full]\n", NULL, "x.yaml:1:1: `model` is missing"},
    {"# a comment\nmodel: zoo:mini\nmethods: [full]\n", NULL, "x.yaml:1:1: `tasks` is missing"},
    {"", NULL, "x.yaml:1:1: `model` is missing"},
    {"- model\n", NULL, "x.yaml:1:1: a spec is a map of keys; this is a list"},
    {HEAD "methods: [lora]\n", NULL, "x.yaml:4:1: key `methods` is given twice; first in line 3"},
    {"model: zoo:mini\ntasks: []\nmethods: [full]\n", NULL, "x.yaml:2:8: tasks is empty"},
    {"model: zoo:mini\ntasks: [cola]\nmethods: {full: {}}\n", NULL,
     "x.yaml:3:10: methods is a map; it must be a list of at least one method"},
    {METHODS "  - full: {}\n    train: {learning_rate: 1.0e-4}\n", NULL,
     "x.yaml:5:5: `train` beside method `full`: options stand inside the method, `- full: {...}`"},
    {METHODS "  - [full]\n", NULL, "x.yaml:4:5: an entry of methods must be a method's name, or `name: {options}`"},
    {METHODS "  - lora: 8\n", NULL, "x.yaml:4:11: the options of method lora are a scalar; they must be a map"},
    {HEAD "train: 3\n", NULL, "x.yaml:4:8: the options of train are a scalar; they must be a map"},
    {HEAD "name: ../up\n", NULL,
     "x.yaml:4:7: name must be a word of letters, digits and ._=+- that begins with none of .-"},

    /* Names */
    {HEAD "trian: {}\n", NULL, "x.yaml:4:1: unknown key `trian` for a spec; did you mean `train`?"},
    {HEAD "seed: 1\n", NULL, "x.yaml:4:1: unknown key `seed` for a spec; its name is `seeds`, beside `train`"},
    {HEAD "learning_rate: 1\n", NULL, "x.yaml:4:1: unknown key `learning_rate` for a spec; it belongs to `train`"},
    {HEAD "train: {lerning_rate: 1.0e-4}\n", NULL,
     "x.yaml:4:9: unknown key `lerning_rate` for train; did you mean `learning_rate`?"},
    {HEAD "train:\n  per_device_train_batch_size: 8\n", NULL,
     "x.yaml:5:3: unknown key `per_device_train_batch_size` for train; `batch_size` of `train` is the batch of a whole "
     "step"},
    {HEAD "train: {fp16: true}\n", NULL,
     "x.yaml:4:9: unknown key `fp16` for train; weights and gradients are in single precision"},
    {HEAD "train: {lora_alpha: 16}\n", NULL,
     "x.yaml:4:9: unknown key `lora_alpha` for train; it is an option of lora, dora"},
    {HEAD "train: {target_modules: [query]}\n", NULL,
     "x.yaml:4:9: unknown key `target_modules` for train; it is an option of several methods"},
    {METHODS "  - sift: {refresh_evry: 1}\n", NULL,
     "x.yaml:4:12: unknown key `refresh_evry` for method sift; did you mean `refresh_every`?"},
    {METHODS "  - sift: {densty: 0.1}\n", NULL,
     "x.yaml:4:12: unknown key `densty` for method sift; did you mean `density`?"},
    {METHODS "  - sift: {sparse_rate: 0.1}\n", NULL,
     "x.yaml:4:12: unknown key `sparse_rate` for method sift; its name is `density`"},
    {METHODS "  - lora: {learning_rate: 1.0e-4}\n", NULL,
     "x.yaml:4:12: unknown key `learning_rate` for method lora; it belongs to `train`"},
    {METHODS "  - sfit\n", NULL, "x.yaml:4:5: unknown method `sfit`; did you mean `sift`?"},
    {"model: zoo:mini\ntasks: [cola, mprc]\nmethods: [full]\n", NULL,
     "x.yaml:2:15: unknown task `mprc`; did you mean `mrpc`?"},
    {"model: zoo:minni\ntasks: [cola]\nmethods: [full]\n", NULL,
     "x.yaml:1:8: unknown model `zoo:minni`; did you mean `mini`?"},
    {"model: nowhere\ntasks: [cola]\nmethods: [full]\n", NULL,
     "x.yaml:1:8: model `nowhere`: there is no directory nowhere"},
    {"model: zoo:mini\ntasks: [no/such.yaml]\nmethods: [full]\n", NULL, NULL}, /* wording is the task reader's */
    {HEAD "measure: {gradient: {every: 5}}\n", NULL,
     "x.yaml:4:11: unknown measure `gradient`; did you mean `gradients`?"},
    {HEAD "measure: {gradients: {evry: 5}}\n", NULL,
     "x.yaml:4:23: unknown key `evry` for gradients; did you mean `every`?"},

    /* Values */
    {METHODS "  - sift: {density: 1.5}\n", NULL, "x.yaml:4:21: range: density is 1.5; it must lie in (0, 1]"},
    {HEAD "train: {batch_size: 1e3}\n", NULL,
     "x.yaml:4:21: batch_size is `1e3`; it must be an integer in plain decimal digits"},
    {HEAD "train: {batch_size: 0}\n", NULL, "x.yaml:4:21: range: batch_size is 0; it must lie in [1, 65536]"},
    {HEAD "train: {learning_rate: fast}\n", NULL, "x.yaml:4:24: learning_rate is `fast`; it must be a number"},
    {HEAD "train: {learning_rate: }\n", NULL, "x.yaml:4:24: learning_rate is ``; it must be a number"},
    {HEAD "train: {lr_scheduler_type: linaer}\n", NULL,
     "x.yaml:4:28: lr_scheduler_type is `linaer`; it must be one of linear | cosine | constant | "
     "constant_with_warmup | polynomial | step"},
    {HEAD "train: {optim: adamw}\n", NULL,
     "x.yaml:4:16: optim is `adamw`; it must be one of adamw_torch | sgd | adamw_hf | adamw_fairseq | adam_bert | "
     "lion"},
    {HEAD "seeds: [1, 2.5]\n", NULL,
     "x.yaml:4:12: a seed is `2.5`; it must be an integer >= 0 in plain decimal digits"},
    {HEAD "seeds: [1, 2, 1]\n", NULL, "x.yaml:4:15: seed `1` is given twice"},
    {HEAD "pooling: max\n", NULL, "x.yaml:4:10: pooling is `max`; it must be one of pooler | cls | mean"},

    /* What contradicts itself, or would do nothing */
    {HEAD "train: {batch_size: 4, gradient_accumulation_steps: 8}\n", NULL,
     "x.yaml:4:53: gradient_accumulation_steps is 8; a batch has only 4 examples (batch_size)"},
    {HEAD "train: {train_samples: 4, per_class: 8}\n", NULL,
     "x.yaml:4:38: per_class and train_samples exclude each other"},
    {HEAD "train: {eval_steps: 10}\n", NULL, "x.yaml:4:21: eval_steps needs eval_strategy: steps"},
    {HEAD "train: {power: 2}\n", NULL, "x.yaml:4:16: power needs lr_scheduler_type: polynomial"},
    {HEAD "train: {lr_scheduler_type: polynomial, step_size: 2}\n", NULL,
     "x.yaml:4:51: step_size needs lr_scheduler_type: step"},
    {HEAD "train: {lr_scheduler_type: polynomial, lr_end: 1.0e-4}\n", NULL,
     "x.yaml:4:48: lr_end is 0.0001; it must lie below learning_rate (5e-05)"},
    {HEAD "train: {lr_scheduler_type: polynomial, learning_rate: 0}\n", NULL,
     "x.yaml:4:55: lr_end is 1e-07; it must lie below learning_rate (0)"},
    {HEAD "train: {lr_scheduler_type: step, gamma: 1.5}\n", NULL,
     "x.yaml:4:41: range: gamma is 1.5; it must lie in (0, 1]"},
    {HEAD "train: {train_holdout: 0}\n", NULL,
     "x.yaml:4:24: train_holdout is 0, but select_on is train_holdout: nothing is left to select on"},
    {HEAD "train: {eval_strategy: no, early_stopping_patience: 2}\n", NULL,
     "x.yaml:4:53: early_stopping_patience needs evaluations; eval_strategy is no"},
    {"model: zoo:mini\ntasks: [stsb]\nmethods: [full]\ntrain: {per_class: 8}\n", NULL,
     "x.yaml:4:20: per_class needs classes; task stsb is a regression"},

    /* What the model shows */
    {METHODS "  - lora: {target_modules: [query, valeu]}\n", NULL,
     "x.yaml:4:36: `valeu` in target_modules matches no linear module of the encoder; did you mean `value`?"},
    {METHODS "  - lora:\n      r: 512\n", NULL,
     "x.yaml:5:10: r is 512; the rank of `bert.encoder.layer.0.attention.self.query` is at most 256"},
    {METHODS "  - lora: {zip: {r: [8, 512]}}\n", NULL,
     "x.yaml:4:25: r is 512; the rank of `bert.encoder.layer.0.attention.self.query` is at most 256"},
    {METHODS "  - sift: {target_modules: [classifier]}\n", NULL,
     "x.yaml:4:29: `classifier` in target_modules matches only the head, which every method trains"},
    {HEAD "head: [pooler, clasifier]\n", NULL,
     "x.yaml:4:16: `clasifier` in head names no part of the head of zoo:mini; did you mean `classifier`?"},
    {"model: zoo:roberta-base\ntasks: [cola]\nmethods: [full]\nhead: [pooler, classifier]\n", NULL,
     "x.yaml:4:8: `pooler` in head names no part of the head of zoo:roberta-base"},
    {HEAD "head: [pooler, classifier]\npooling: mean\n", NULL,
     "x.yaml:4:8: `pooler` in head names no part of the head of zoo:mini"},
    {HEAD "head: []\n", NULL, "x.yaml:4:7: head is empty; the classifier at least has to be trained"},
    {HEAD "train: {max_seq_length: 513}\n", NULL,
     "x.yaml:4:25: max_seq_length is 513; model zoo:mini takes at most 512 tokens"},
    {HEAD "train: {param_groups: [{pattern: qery, learning_rate: 1.0e-3}]}\n", NULL,
     "x.yaml:4:34: `qery` in a parameter group matches no module or parameter; did you mean `query`?"},
    {HEAD "train: {param_groups: [{learning_rate: 1.0e-3}]}\n", NULL,
     "x.yaml:4:24: an entry of param_groups needs a `pattern`"},

    /* grid and zip */
    {METHODS "  - sift: {zip: {density: [0.1, 0.2], train.learning_rate: [1.0e-4]}}\n", NULL,
     "x.yaml:4:60: zip: `train.learning_rate` has 1 values and `density` has 2; parallel lists must be equally long"},
    {METHODS "  - sift: {grid: {densty: [0.1]}}\n", NULL,
     "x.yaml:4:19: unknown key `densty` for grid of method sift; did you mean `density`?"},
    {METHODS "  - sift: {grid: {learning_rate: [1.0e-4]}}\n", NULL,
     "x.yaml:4:19: unknown key `learning_rate` for grid of method sift; did you mean `train.learning_rate`?"},
    {METHODS "  - sift: {grid: {density: 0.1}}\n", NULL,
     "x.yaml:4:28: `density` in grid is a scalar; it must be a list of values"},
    {METHODS "  - sift: {density: 0.1, grid: {density: [0.1, 0.2]}}\n", NULL,
     "x.yaml:4:33: `density` has a fixed value too; give either the value or the list"},
    {METHODS "  - sift: {grid: {density: [0.1]}, zip: {density: [0.2]}}\n", NULL,
     "x.yaml:4:42: `density` stands in grid too"},
    {HEAD "grid: {density: [0.1]}\n", NULL, "x.yaml:4:8: unknown key `density` for grid"},
    {METHODS "  - sift: {grid: {density: [0.1, 2]}}\n", NULL,
     "x.yaml:4:34: range: density is 2; it must lie in (0, 1]"},
    {METHODS "  - sift\n  - sift: {density: 0.008}\n", NULL,
     "x.yaml:5:5: method sift, variant default, makes the same runs as line 4"},

    /* The command line */
    {HEAD, "train.lerning_rate=1",
     "command line: `train.lerning_rate=1`: unknown key `lerning_rate` for train; did you mean `learning_rate`?"},
    {HEAD, "train.batch_size=eight",
     "command line: `train.batch_size=eight`: batch_size is `eight`; it must be an integer in plain decimal digits"},
    {HEAD, "tasks=[cola,sts]", "command line: `tasks=[cola,sts]`: unknown task `sts`; did you mean `stsb`?"},
    {HEAD, "sift.density=0.1", "command line: `sift.density=0.1`: method `sift` is not among the spec's methods"},
    {HEAD, "ful.target_modules=query",
     "command line: `ful.target_modules=query`: unknown key `ful` for a spec; did you mean `full`?"},
    {HEAD, "full=1",
     "command line: `full=1`: `full` is a method; an override names one of its options: full.OPTION=VALUE"},
    {HEAD, "other.yaml", "command line: `other.yaml`: what follows a spec is written key=value"},
    {HEAD, "include=a.yaml", "command line: `include=a.yaml`: include stands in a file"},
    {HEAD, "tasks=[cola", NULL},

    /* Includes */
    {"include: none.yaml\n" HEAD, NULL, "x.yaml:1:10: included file `none.yaml` does not exist"},
    {"include: [x.yaml]\n" HEAD, NULL, "x.yaml:1:11: `x.yaml` includes itself"},
    {"include: {a: b}\n" HEAD, NULL, "x.yaml:1:10: include must be a file name or a list of file names"},
};

TEST(wrong_specs_say_what_and_where)
{
    assert_int_equal(chdir(test_dir()), 0);
    size_t failed = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        char text[2048];
        test_file("x.yaml", wrong[i].text);
        const struct spec *s = spec_read("x.yaml", &wrong[i].override, wrong[i].override != NULL, 0, test_arena(), &e);
        err_format(&e, text, sizeof text);
        bool right = !s && e.code == ERR_INPUT && !strchr(text, '\n') &&
                     (!wrong[i].message || strcmp(text, wrong[i].message) == 0);
        if (!right)
            fprintf(stderr, "%s%s\n  expected: %s\n  got:      %s\n", wrong[i].text,
                    wrong[i].override ? wrong[i].override : "", wrong[i].message ? wrong[i].message : "(an error)",
                    s ? "(no error)" : text);
        failed += !right;
    }
    assert_int_equal(failed, 0);
}

/* An error in an included file stands there. */
TEST(an_error_in_an_include_names_its_file)
{
    struct err e = {0};
    assert_int_equal(chdir(test_dir()), 0);
    test_file("base.yaml", "train:\n  batch_size: many\n");
    test_file("x.yaml", "include: base.yaml\n" HEAD);
    ASSERT_ERR(spec_read("x.yaml", NULL, 0, 0, test_arena(), &e), &e,
               "base.yaml:2:15: batch_size is `many`; it must be an integer in plain decimal digits");
}

TEST(a_file_that_is_not_there)
{
    struct err e = {0};
    ASSERT_ERR(spec_read("none.yaml", NULL, 0, 0, test_arena(), &e), &e,
               "none.yaml: cannot be read: No such file or directory");
}

/* Memory that runs out anywhere ends in an error, never in a crash. */
TEST(allocation_failures_are_errors)
{
    assert_int_equal(chdir(test_dir()), 0);
    test_file("x.yaml", METHODS "  - sift: {grid: {density: [0.1, 0.2]}}\n");
    for (long n = 0; n < 4000; n += n < 200 ? 1 : 37) {
        struct err e = {0};
        struct arena *a = arena_create(NULL);
        arena_fail_at(n);
        const struct spec *s = a ? spec_read("x.yaml", NULL, 0, 0, a, &e) : NULL;
        arena_fail_at(-1);
        arena_destroy(a);
        if (s)
            return;
        assert_int_equal(e.code, ERR_ENV);
    }
    fail_msg("the spec was never read");
}
