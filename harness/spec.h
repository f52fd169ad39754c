/*
 * Experiment specs: a YAML file becomes a list of fully resolved runs. Order of authority: defaults < include: < file <
 * per-method train: < key=value of the command line. Nothing here reads data or weights; that is prepare.h.
 */
#ifndef HARNESS_SPEC_H
#define HARNESS_SPEC_H

#include "base/opt.h"
#include "base/yaml.h"
#include "methods/method.h"
#include "methods/optim.h"
#include "methods/schedule.h"
#include "models/source.h"
#include "results/values.h"
#include "tasks/dataset.h"
#include "tasks/task.h"

/* Keys of `train:`, under Hugging Face's names; batch_size alone is ours (examples of one optimizer step). The table
 * train_options in spec_options.c gives defaults and ranges. */
struct train_options {
    double num_train_epochs;
    long long max_steps;                  /* -1: from num_train_epochs              */
    long long batch_size, gradient_accumulation_steps;
    long long max_seq_length;
    double learning_rate, head_learning_rate; /* head: NAN = learning_rate          */
    double weight_decay;
    int decay_to;                         /* enum optim_decay                       */
    int optim;                            /* index into OPTIM_WORDS                 */
    double adam_beta1, adam_beta2, adam_epsilon, momentum;
    double max_grad_norm;                 /* 0: no clipping                         */
    int lr_scheduler_type;                /* enum schedule_type                     */
    double lr_end, power;                 /* polynomial                             */
    double gamma;                         /* step                                   */
    long long step_size;
    int step_unit;                        /* enum step_unit                         */
    double warmup_ratio;
    long long warmup_steps;               /* > 0: overrides the ratio               */
    int eval_strategy;                    /* enum eval_strategy                     */
    long long eval_steps;
    int select_on;                        /* enum select_on                         */
    long long early_stopping_patience;    /* evaluations without progress; 0: off   */
    long long save_steps;                 /* checkpoints every so many steps; 0: only when interrupted */
    long long train_samples, per_class;   /* 0: all                                 */
    double train_holdout;                 /* share held out when select_on needs it  */
    int micro_batch;                      /* enum micro_batch                       */
    long long piece_tokens;
    int activation_checkpointing;         /* enum checkpointing                     */
    int frozen_dtype;                     /* enum frozen_dtype                      */
    double hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout; /* NAN: as config.json says */
    const struct optim_group *group;      /* param_groups: [n_groups]               */
    size_t n_groups;
};
enum eval_strategy { EVAL_EPOCH, EVAL_STEPS, EVAL_END };          /* words: epoch|steps|no (no: once, at the end) */
enum step_unit { STEP_UNIT_EPOCH, STEP_UNIT_STEP };
enum select_on { SELECT_TRAIN_HOLDOUT, SELECT_DEV_HALF, SELECT_DEV };
enum micro_batch { MICRO_BATCH_TUNED, MICRO_BATCH_NONE };         /* none: a micro-batch is one piece, as in papers */
enum checkpointing { CHECKPOINTING_NONE, CHECKPOINTING_LAYER };
enum frozen_dtype { FROZEN_FLOAT32, FROZEN_BFLOAT16 };
enum keep { KEEP_DELTA, KEEP_NONE, KEEP_FULL };

/* `measure:`; every measurement binds its own options (harness/measure/measure.h). */
struct measure_request {
    const struct measure *measure;
    void *options;
};

/* One run: everything it depends on but the bytes of data and weights. */
struct run_spec {
    const char *experiment;               /* spec's name                                   */
    const struct task *task;
    struct model_source model;
    int layers;                           /* so many of the model's alone; 0: all (bench)  */
    const struct method *method;
    void *method_options;                 /* bound state template [method->state_size]: copied into each instance */
    const struct yaml *method_at;         /* its node, for located errors                  */
    const char *init_from;                /* what training starts from, NULL: the model    */
    const struct yaml *init_from_at;
    long long order;                      /* place of method and variant in the spec       */
    const char *variant;                  /* `default` or the options that differ          */
    uint64_t seed;
    struct train_options train;
    const struct run_spec *frozen_as;     /* the run whose frozen weights are held in frozen_dtype, NULL: this one */
    struct opt_strings head;              /* `head:`: [pooler, classifier]                 */
    int pooling;                          /* enum pooling                                  */
    int keep;
    struct measure_request *measure;      /* [n_measures] */
    size_t n_measures;
    long long limit;                      /* --limit N: rows of every set, 0: all          */
    struct values config;                 /* every resolved option, dotted keys: /config   */
    const char *resolved; /* the run as YAML text with the origin of each value, for /meta and spec.yaml */
    char config_digest[IO_DIGEST];        /* of what results depend on (keep, save_steps, ... left out) */
    /* set by prepare: */
    char data_digest[IO_DIGEST], model_digest[IO_DIGEST], tokenizer_digest[IO_DIGEST];
    char init_digest[IO_DIGEST];          /* of init_from, "" without                      */
    char identity[IO_DIGEST];             /* SHA-256 of config, task, checkpoint, tokenizer and data */
    const char *name;                     /* <task>--<model>--<method>--<variant>--s<seed>--<hash8> */
};

struct spec {
    const char *path, *name;
    struct run_spec *run;                 /* [n_runs] tasks outermost, then methods and variants, seeds innermost */
    size_t n_runs;
    const char *resolved;                 /* text of <out>/spec.yaml                        */
};

/* Reads and resolves a spec with its `key=value` overrides (dotted keys: train.learning_rate=1e-4, sift.density=0.01,
 * tasks=[cola,mrpc], seeds=42; a located error names the argument as `command line`). Every name is looked up: model
 * sources, tasks, methods, measures, patterns that match nothing. NULL on error. */
struct spec *spec_read(const char *path, const char *const *overrides, size_t n_overrides, long long limit,
                       struct arena *a, struct err *e);

/* The same from text, such as the resolved spec that a result file keeps; `name` stands for the file in messages. */
struct spec *spec_parse(const char *name, const char *text, const char *const *overrides, size_t n_overrides,
                        long long limit, struct arena *a, struct err *e);

/* Model configuration of a run: config.json with the task's labels, pooling and the spec's dropout. */
bool run_model_config(const struct run_spec *r, struct model_config *c, struct arena *a, struct err *e);

/* Optimizer options and schedule of a run. */
struct optim_options run_optim_options(const struct run_spec *r);
struct schedule run_schedule(const struct run_spec *r, long total_steps, long steps_per_epoch);

/* Marks the head's parameters (p->head as `head:` says) and requests their gradients. A pattern of `head` that matches
 * nothing is a located error. */
bool run_request_head(const struct run_spec *r, struct model *m, struct err *e);

/* A run's model without memory, with the requests that head and method make of it: what can be counted from
 * config.json alone. */
struct run_bare {
    struct model model;
    struct method_env env; /* points to the model: not to be copied */
    void *self;            /* the method's state */
};
bool run_build_bare(const struct run_spec *r, const struct model_config *c, struct run_bare *b, struct arena *a,
                    struct err *e);

/* Says how the weights of m, which is built and not loaded, are to be held: what stays frozen in the run as `frozen`
 * where frozen_dtype is bfloat16. */
bool run_hold_weights(const struct run_spec *r, struct model *m, enum weight_hold frozen, struct err *e);

extern const struct opt train_options[];

#endif
