/*
 * A run of a method on a small random encoder, driven through the hooks in the order that methods/method.h states: what
 * the harness does with data, files and options left away. Everything reports errors, so that failing allocations can
 * be tried.
 */
#ifndef TESTS_METHODS_FIXTURE_H
#define TESTS_METHODS_FIXTURE_H

#include "tests/test.h"

#include "methods/clip.h"
#include "methods/method.h"
#include "methods/optim.h"

struct run;

/* What distinguishes one run from another. */
struct run_spec {
    const char *method;
    const char *options;          /* a YAML map such as "{r: 4}"; NULL: defaults                */
    uint64_t seed;
    double dropout;               /* of the encoder                                             */
    double max_grad_norm;         /* 0: no clipping                                             */
    struct optim_options optim;
    const char *golden;           /* folder in tests/golden/encoder; NULL: random weights       */
    const struct model_config *config; /* of the encoder with random weights; NULL: the small one */
    const struct batch *first;    /* training batch 0, for probes                               */
    int n_first;                  /* so many training batches stand at `first`; 0: that one     */
    const struct run *from;       /* NULL, or the run whose indices and trained scalars are taken over in place of
                                   * select, as a resumed run takes those of its checkpoint     */
};

enum { MAX_TOKENS = 1024, MAX_SEQS = 64, MAX_LEN = 24 }; /* of a batch */

struct run {
    struct run_spec spec;
    struct mem_meter meter;
    struct arena *arena;
    struct model model;
    const struct method *method;
    void *self;
    struct method_env env;
    struct workspace *ws;
    struct probe probe;           /* over spec.first, and random ones where that ends             */
    int32_t example[MAX_SEQS];
    size_t planned[MEM_TAGS];     /* of requests, method and optimizer, as plan declared them   */
    size_t before[MEM_TAGS];      /* alive when the plan was made                               */
    size_t reserved[MEM_TAGS];    /* what was then taken                                        */
    size_t trainable;             /* head included                                              */
    double norm;                  /* of the gradients before clipping, last step                */
};

/* Learning rate 1e-3, no decay, no dropout, no clipping, seed 1. */
struct run_spec run_spec(const char *method, const char *options, const struct batch *first);

/* The two halves of a start: what needs no weights, and the rest. Errors in options stand at `test.yaml`. */
bool run_plan(struct run *r, const struct run_spec *s, struct err *e);
bool run_start(struct run *r, struct err *e);
bool run_open(struct run *r, const struct run_spec *s, struct err *e);
void run_close(struct run *r);

/* One optimizer step over the batch, cut into this many micro-batches. loss may be NULL. */
bool run_step(struct run *r, const struct batch *b, int micro_batches, double schedule, double *loss, struct err *e);

/* What most tests start from: six sequences, dropout 0.1, clipping to 1; then `steps` steps on batches of their own. */
void open_usual(struct run *r, const char *method, const char *options);
void train_usual(struct run *r, int steps);

/* Four such steps of either method leave the same bits in all weights. */
void assert_same_training(const char *method_a, const char *options_a, const char *method_b, const char *options_b);

/* All weights of both are the same bits. */
void assert_same_run(const struct run *a, const struct run *b);

/* Scalars that a method with these options trains outside the head, as planned. */
size_t planned_scalars(const char *method, const char *options);

/* Planning with these options is refused at `test.yaml`, column `column` (0: any), in words that hold `message`. */
void expect_refused(const char *method, const char *options, int column, const char *message);

/* What the method tells PEFT. */
void expect_peft(const char *method, const char *options, const char *type, const char *members);

/* Gradients of the batch as step number env.step would have them, without a step. */
bool run_gradients(struct run *r, const struct batch *b, int micro_batches, double *loss, struct err *e);

/* Loss with that step's dropout; logits without dropout, [n_seq, labels] in the run's arena. */
double run_loss(struct run *r, const struct batch *b);
const real *run_logits(struct run *r, const struct batch *b, struct err *e);

/* n random sequences with classes 0 and 1, in the test's arena. */
struct batch *random_batch(int n, uint64_t seed);

/* Sequences [from, to) of a batch; `start` has room for to - from + 1. */
struct batch batch_slice(const struct batch *b, int from, int to, int32_t *start);

/* All weights of the run one after the other, added ones included, in the test's arena. */
real *copy_weights(const struct run *r, size_t *n);

/* Values of the golden file of a folder, opened in the test's arena. */
struct safetensors *open_golden(const char *folder, const char *file);

#endif
