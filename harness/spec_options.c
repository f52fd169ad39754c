/*
 * The keys of `train:` and those that stand beside it in a spec. Names and defaults of `train:` are those of Hugging
 * Face's TrainingArguments; batch_size (examples of one optimizer step, whatever the hardware) and what follows
 * select_on are ours.
 */
#include <math.h>

#include "harness/spec_impl.h"
#include "methods/schedule.h"

#define AT(member) offsetof(struct train_options, member)
#define RUN_AT(member) offsetof(struct run_spec, member)

const struct opt train_options[] = {
    {.name = "num_train_epochs", .type = OPT_REAL, .offset = AT(num_train_epochs), .dflt = 3, .min = 0, .max = INFINITY,
     .open_min = true, .help = "passes over the training set; fractions are allowed"},
    {.name = "max_steps", .type = OPT_INT, .offset = AT(max_steps), .dflt = -1, .min = -1, .max = INFINITY,
     .help = "optimizer steps in all, in place of num_train_epochs; -1: not used"},
    {.name = "batch_size", .type = OPT_INT, .offset = AT(batch_size), .dflt = 32, .min = 1, .max = 65536,
     .help = "examples of one optimizer step"},
    {.name = "gradient_accumulation_steps", .type = OPT_INT, .offset = AT(gradient_accumulation_steps), .dflt = 1,
     .min = 1, .max = 65536, .help = "micro-batches that the batch_size examples of a step are cut into"},
    {.name = "max_seq_length", .type = OPT_INT, .offset = AT(max_seq_length), .dflt = 128, .min = 4, .max = 1048576,
     .help = "longer inputs are cut to so many tokens, special ones included"},
    {.name = "learning_rate", .type = OPT_REAL, .offset = AT(learning_rate), .dflt = 5e-5, .min = 0, .max = INFINITY,
     .help = "peak learning rate"},
    {.name = "head_learning_rate", .type = OPT_REAL, .offset = AT(head_learning_rate), .dflt = NAN, .min = 0,
     .max = INFINITY, .help = "peak learning rate of the head; none: learning_rate"},
    {.name = "weight_decay", .type = OPT_REAL, .offset = AT(weight_decay), .dflt = 0, .min = 0, .max = INFINITY,
     .help = "decoupled decay; none on biases and LayerNorm weights"},
    {.name = "decay_to", .type = OPT_ENUM, .offset = AT(decay_to), .dflt = DECAY_TO_ZERO, .words = OPTIM_DECAY_WORDS,
     .help = "what decay pulls to: zero, or the value before training"},
    {.name = "optim", .type = OPT_ENUM, .offset = AT(optim), .words = OPTIM_WORDS, .help = "optimizer"},
    {.name = "adam_beta1", .type = OPT_REAL, .offset = AT(adam_beta1), .dflt = .9, .min = 0, .max = 1, .open_max = true,
     .help = "AdamW: decay of the mean gradient"},
    {.name = "adam_beta2", .type = OPT_REAL, .offset = AT(adam_beta2), .dflt = .999, .min = 0, .max = 1,
     .open_max = true, .help = "AdamW: decay of the mean squared gradient"},
    {.name = "adam_epsilon", .type = OPT_REAL, .offset = AT(adam_epsilon), .dflt = 1e-8, .min = 0, .max = INFINITY,
     .help = "AdamW: added to the root of the mean squared gradient"},
    {.name = "momentum", .type = OPT_REAL, .offset = AT(momentum), .dflt = 0, .min = 0, .max = 1, .open_max = true,
     .help = "momentum of sgd"},
    {.name = "max_grad_norm", .type = OPT_REAL, .offset = AT(max_grad_norm), .dflt = 1, .min = 0, .max = INFINITY,
     .help = "gradients are clipped to this global norm; 0: never"},
    {.name = "lr_scheduler_type", .type = OPT_ENUM, .offset = AT(lr_scheduler_type), .dflt = SCHEDULE_LINEAR,
     .words = SCHEDULE_WORDS, .help = "course of the learning rate"},
    {.name = "warmup_ratio", .type = OPT_REAL, .offset = AT(warmup_ratio), .dflt = 0, .min = 0, .max = 1,
     .help = "share of the steps in which the learning rate rises"},
    {.name = "warmup_steps", .type = OPT_INT, .offset = AT(warmup_steps), .dflt = 0, .min = 0, .max = INFINITY,
     .help = "the same in steps; above 0 it overrides warmup_ratio"},
    {.name = "eval_strategy", .type = OPT_ENUM, .offset = AT(eval_strategy), .dflt = EVAL_EPOCH,
     .words = "epoch|steps|no", .help = "when to evaluate; no: once, at the end"},
    {.name = "eval_steps", .type = OPT_INT, .offset = AT(eval_steps), .dflt = 500, .min = 1, .max = INFINITY,
     .help = "steps between evaluations with eval_strategy: steps"},
    {.name = "select_on", .type = OPT_ENUM, .offset = AT(select_on), .dflt = SELECT_TRAIN_HOLDOUT,
     .words = "train_holdout|dev_half|dev", .help = "rows on which the best evaluation is chosen"},
    {.name = "early_stopping_patience", .type = OPT_INT, .offset = AT(early_stopping_patience), .dflt = 0, .min = 0,
     .max = INFINITY, .help = "evaluations without progress before a run stops; 0: never"},
    {.name = "save_steps", .type = OPT_INT, .offset = AT(save_steps), .dflt = 0, .min = 0, .max = INFINITY,
     .help = "steps between checkpoints to resume from; 0: only when interrupted"},
    {.name = "train_samples", .type = OPT_INT, .offset = AT(train_samples), .dflt = 0, .min = 0, .max = 1e9,
     .help = "rows of the training set, drawn at random; 0: all. A synthetic task makes as many as are asked for"},
    {.name = "per_class", .type = OPT_INT, .offset = AT(per_class), .dflt = 0, .min = 0, .max = 1e9,
     .help = "rows of each class of the training set, drawn at random; 0: all"},
    {.name = "train_holdout", .type = OPT_REAL, .offset = AT(train_holdout), .dflt = .1, .min = 0, .max = 1,
     .open_max = true, .help = "share of the training set held out for select_on: train_holdout"},
    {.name = "micro_batch", .type = OPT_ENUM, .offset = AT(micro_batch), .dflt = MICRO_BATCH_TUNED,
     .words = "tuned|none",
     .help = "tuned: pieces of piece_tokens; none: a micro-batch is one piece, as papers count memory"},
    {.name = "piece_tokens", .type = OPT_INT, .offset = AT(piece_tokens), .dflt = 1024, .min = 1, .max = 16777216,
     .help = "tokens that go through the model together"},
    {.name = "hidden_dropout_prob", .type = OPT_REAL, .offset = AT(hidden_dropout_prob), .dflt = NAN, .min = 0,
     .max = 1, .open_max = true, .help = "dropout of hidden states; none: as config.json says"},
    {.name = "attention_probs_dropout_prob", .type = OPT_REAL, .offset = AT(attention_probs_dropout_prob), .dflt = NAN,
     .min = 0, .max = 1, .open_max = true, .help = "dropout of attention probabilities; none: as config.json says"},
    {.name = "classifier_dropout", .type = OPT_REAL, .offset = AT(classifier_dropout), .dflt = NAN, .min = 0, .max = 1,
     .open_max = true, .help = "dropout before the classifier; none: as config.json says"},
    {0},
};

const struct opt run_options[] = {
    {.name = "head", .type = OPT_STRINGS, .offset = RUN_AT(head), .words = "pooler,classifier",
     .help = "modules of the head, trained by every method"},
    {.name = "pooling", .type = OPT_ENUM, .offset = RUN_AT(pooling), .dflt = POOLING_POOLER, .words = "pooler|cls|mean",
     .help = "what the classifier sees: the model's own pooler, the first token, or the mean of all tokens"},
    {.name = "keep", .type = OPT_ENUM, .offset = RUN_AT(keep), .dflt = KEEP_DELTA, .words = "delta|none|full",
     .help = "what is left of the trained weights beside the result"},
    {0},
};
