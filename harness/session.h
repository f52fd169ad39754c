/*
 * What is alive while one run is trained and evaluated: internal to the files that make up a run (load, probe, train,
 * evaluate, state, run). Nothing in them names a method, a task or a model.
 */
#ifndef HARNESS_SESSION_H
#define HARNESS_SESSION_H

#include "harness/measure/measure.h"
#include "harness/run.h"
#include "methods/schedule.h"
#include "models/checkpoint.h"
#include "tasks/batching.h"

/* Rows that are evaluated together. */
struct eval_set {
    struct dataset data;
    const bool *reported; /* [data.n] rows that metrics are taken on; NULL: all (dev_half reports the other half) */
};

/* Parts of an optimizer step, for those who ask where its time goes. */
enum step_phase {
    STEP_ZERO_GRADS, STEP_FORWARD, STEP_LOSS, STEP_BACKWARD,
    STEP_HOOKS,      /* the method's, probes within them included */
    STEP_CLIP, STEP_OPTIMIZER,
    STEP_PHASES
};
#define STEP_PHASE_NAMES "zero_grads", "forward", "loss", "backward", "hooks", "clip", "optimizer"
extern const char *const step_phase_names[STEP_PHASES];

struct session_probe;

struct session {
    const struct run_spec *spec;
    const struct run_env *env;
    struct mem_meter meter;
    struct arena *arena;   /* of the run, counted                                                    */
    struct arena *apart;   /* records, measurements: not the run's memory, not counted               */
    struct checkpoint *checkpoint;
    struct checkpoint_report loaded;
    struct model model;

    struct dataset train;
    struct eval_set dev[TASK_DEV_MAX];
    struct eval_set select; /* what chooses the best evaluation; n == 0: dev[0] as it is reported    */
    struct order order;
    struct packer packer;
    struct workspace *ws;
    int piece_tokens;       /* 0: rows taken together are one piece                                  */
    size_t rows_together;   /* of a micro-batch, and of evaluation: what is cut into pieces together */

    const struct method *method;
    void *state;            /* the method's */
    bool given;             /* init_from gave the indices that the method would select */
    struct method_env menv;
    struct session_probe *probe; /* the method's */
    struct optim_options optim_options;
    struct optim *optim;
    struct schedule schedule;

    long total_steps, step; /* step: the next one to take                                            */
    double phase_seconds[STEP_PHASES]; /* of all steps so far                                        */
    double best;            /* selecting metric at its best, NAN: none yet                           */
    long without_progress;  /* evaluations since                                                     */
    bool stopped_early;
    struct run_record record;
};

/* load.c: data, model, method, up to the first step (select not done). A model alone needs no data; evaluation needs no
 * training set. */
enum session_use { SESSION_MODEL, SESSION_EVALUATE, SESSION_TRAIN };
bool session_open(struct session *s, const struct run_spec *spec, const struct run_env *env, enum session_use use,
                  struct err *e);
/* The same with data of somebody else's: fill(s, data, e) makes s->train, and no evaluation set is read. */
bool session_open_with(struct session *s, const struct run_spec *spec, const struct run_env *env, enum session_use use,
                       bool (*fill)(struct session *s, const void *data, struct err *e), const void *data,
                       struct err *e);
void session_close(struct session *s);

/* Runs select, and takes optimizer and workspace. `resumed`: indices are there already. */
bool session_start(struct session *s, bool resumed, struct err *e);

/* probe.c: gradients of training batches at the present weights; memory from `arena` while it runs. */
struct session_probe {
    struct probe probe;
    struct session *session;
    struct arena *arena;
};
struct session_probe session_probe(struct session *s, struct arena *arena);

/* evaluate.c */
struct evaluation {
    double loss;      /* mean over the rows, NAN without labels */
    float *logits;    /* [rows, labels] */
};
/* Logits and mean loss of every row of a dataset, without dropout; logits may be NULL or has room for them. */
bool evaluate_dataset(struct session *s, const struct dataset *d, float *logits, double *loss, struct err *e);
/* One evaluation: a row of /eval, predictions of the last one, best bookkeeping; *improved says whether the selecting
 * metric is the best so far. */
bool evaluate(struct session *s, bool *improved, struct err *e);

/* train.c: steps until the end, an interrupt (ERR_INTERRUPTED after saving) or divergence (ERR_RUN). */
bool train(struct session *s, struct err *e);

/* One of its steps: zero_grads, hooks, forward, loss and backward piece by piece, clip, optimizer; its sums. */
struct step_sums {
    double loss, tokens;
};
bool train_step(struct session *s, struct step_sums *sums, struct err *e);

/* state.c: a checkpoint beside the result, from which the run goes on bit by bit. */
bool state_save(struct session *s, struct err *e);
/* False with ERR_NONE in *e when there is no usable checkpoint: the run starts anew. */
bool state_load(struct session *s, struct err *e);

/* Seconds since `*since`, which becomes now; added to a phase of the record. */
bool session_time(struct session *s, const char *phase, double *since, struct err *e);

#endif
