/*
 * The one optimizer interface: every fine-tuning method is a constant row of hooks and options. What must be equal for
 * all methods (batches, order, head, schedule, clipping, evaluation) is not reachable from here.
 *
 * Life of a run: options are bound into the method's state -> `plan` declares gradient requests, added parameters and
 * overrides on a model that may have no memory yet -> the harness allocates -> `attach` gives added parameters their
 * first values and fixed requests their indices -> `select` drives probes and fills the remaining indices -> training
 * steps -> `fold`.
 *
 * Order of events in one optimizer step: before_backward, for each micro-batch (forward, loss, backward,
 * after_micro_batch), after_backward, clip, step (default: the optimizer over all requests).
 *
 * Decisions on gradients that are not linear (top-k, |g|, g²) are taken on the gradient of the logical batch, the whole
 * optimizer step's, never of a piece or micro-batch of it, unless a paper defines it so.
 */
#ifndef METHODS_METHOD_H
#define METHODS_METHOD_H

#include "base/opt.h"
#include "models/model.h"

struct optim;
struct optim_options;
struct probe;

/* What hooks may see and touch. */
struct method_env {
    struct model *model;
    struct arena *arena;       /* of the run: memory that lives as long as the method             */
    uint64_t seed;             /* for streams named "method" or "method/..." and no others        */
    const struct yaml *at;     /* the method's node in the spec, for located errors; may be NULL  */
    struct optim *optim;       /* NULL before training                                            */
    long step;                 /* optimizer step, from 0                                          */
    size_t step_tokens;        /* of its whole batch, from before_backward on                     */
    int micro_batch;           /* within the step, from 0                                         */
    bool unsplit;              /* set by plan: a step's batch must run as one piece, with activation checkpointing */
    bool perturbs;             /* set by plan: select moves weights that are not trained, and puts them back */
    bool probes;               /* set by plan: before_backward probes, whose buffers then stand beside training's */
    /* From select on: */
    struct probe *probe;       /* usable between steps and in before_backward                     */
    const struct optim_options *optim_options; /* of the training                                 */
    long total_steps;
    size_t train_examples;
};

/* What a probe is run over. */
struct probe_batch {
    long number;               /* training batch (0 is the first that will be trained on): its examples unless `rows`
                                * says otherwise, and the dropout masks of that step */
    const int32_t *rows;       /* [n] examples of the training set, NULL: those of the batch      */
    size_t n;
    bool dropout;
    double *losses;            /* NULL, or room for the loss of each example by itself, in their order */
};

/* Gradients and losses at the present weights, apart from the steps of training. A probe runs its examples as one piece
 * with activation checkpointing and leaves all requested gradients alone. */
struct probe {
    /* Gradient of the mean loss, shown parameter by parameter to the tap (only those with p->tapped; the tap's `dense`
     * is the probe's to fill). Loss into *loss where not NULL. */
    bool (*gradient)(struct probe *self, const struct probe_batch *b, struct tap *tap, double *loss, struct err *e);
    /* The mean loss alone, into *loss where not NULL: forward only. */
    bool (*loss)(struct probe *self, const struct probe_batch *b, double *loss, struct err *e);
    /* Examples of training batch `number`, [*n], valid until the next call; label of an example: its class, or for a
     * regression its score. */
    const int32_t *(*examples)(struct probe *self, long number, size_t *n);
    double (*label)(struct probe *self, int32_t example);
};

/* Extra numbers of a method, taken at each evaluation: name in [a-z0-9_]. */
struct method_report {
    void (*add)(struct method_report *self, const char *name, double value, const char *description);
};

/* adapter_config.json of Hugging Face's PEFT, what depends on the method: a type such as LORA, and the members as JSON
 * text without braces ("\"r\": 8, ..."), in the arena. */
struct peft_config {
    const char *type, *members;
};

/* What `select` takes at its most beside weights, requests and what the method keeps anyway. Tensors that a tap sees
 * are marked with `tapped`. */
struct select_plan {
    bool probes;            /* a training batch goes through forward and backward, ...              */
    bool forward;           /* ... or through forward alone                                         */
    size_t later;           /* bytes that take the place of the probes when these are over          */
    size_t warm;            /* scalars that take ordinary steps meanwhile: gradients and optimizer  */
    size_t bytes[MEM_TAGS]; /* of the method's own                                                  */
};

struct method {
    const char *name;    /* word in specs: `sift`                          */
    const char *title;   /* for people: `SIFT`                             */
    const char *paper;   /* arXiv number or reference                      */
    const char *help;    /* one sentence: what it trains                   */
    const char *about;   /* for describe and docs/methods.md, in Markdown: equations, what the options choose, where the
                          * reference code differs, what is a decision of ours; paragraphs end in \n\n */
    const char *knob;    /* option that sets how much is trained, for `budget:`; NULL: there is none */
    const struct opt *options;
    size_t state_size;   /* bytes of the struct the options bind to, zeroed at start */

    /* REQUIRED: pure but for declarations on env->model (param_request, param_add, linear->ops) and small notes in
     * env->arena. */
    bool (*plan)(void *self, struct method_env *env, struct err *e);

    /* OPTIONAL (NULL: nothing happens, or the default that is named). A method that probes sets p->tapped for what it
     * wants to see around its probes. */
    void (*bytes)(const void *self, const struct method_env *env, size_t bytes[MEM_TAGS]); /* beyond requests     */
    void (*select_bytes)(const void *self, const struct method_env *env, struct select_plan *plan); /* of a method with
                          * select, to a few per cent; NULL: less than training */
    bool grows;          /* memory grows with what training touches: bytes() says to how much at most             */
    double (*step_flops)(const void *self, const struct method_env *env); /* matrix products of an optimizer step that
                          * are not forward's or backward's                                                        */
    bool (*attach)(void *self, struct method_env *env, struct err *e);
    bool (*select)(void *self, struct method_env *env, struct err *e); /* with env->probe */
    bool (*before_backward)(void *self, struct method_env *env, struct err *e);
    bool (*after_micro_batch)(void *self, struct method_env *env, struct err *e);
    bool (*after_backward)(void *self, struct method_env *env, struct err *e);
    bool (*step)(void *self, struct method_env *env, double schedule, struct err *e); /* default: optim_step          */
    /* Back to plain weights, overrides gone; added parameters stay in the list, without effect. Default: they are
     * plain. */
    bool (*fold)(void *self, struct method_env *env, struct err *e);
    const char *unmergeable; /* why no plain weights compute what was trained (after "cannot be merged: "); NULL: they
                              * do. Then there is no fold, and only the model with its additions can be exported */
    /* What PEFT calls it; NULL: PEFT does not know it. Its added parameters are named as PEFT names them. */
    bool (*peft)(const void *self, const struct method_env *env, struct peft_config *c, struct err *e);
    void (*report)(void *self, struct method_env *env, struct method_report *report);
    /* State beside indices, weights and optimizer that a resumed run needs: shown tensor by tensor, to be saved or
     * restored in place. */
    void (*state)(void *self, struct method_env *env,
                  void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u);
};

/* All methods, NULL-terminated, in the order of METHODS in CMakeLists.txt. */
extern const struct method *const method_table[];

/* Row of a name, or NULL. */
const struct method *method_find(const char *name);

/* Names of all methods, NULL-terminated, in the arena: for "did you mean". */
const char **method_names(struct arena *a, struct err *e);

/* Error at the place of `option` in the method's node; at the node where it is not given. False. */
bool method_wrong(const struct method_env *env, const char *option, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
