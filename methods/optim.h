/*
 * Optimizers. State lies beside each requested gradient in the same compact form, so that a sparse request pays for its
 * own entries alone; one expression per optimizer serves every form. Learning rate and decay belong to the parameter
 * and come from groups.
 *
 * All keep m = b1 m + (1-b1) g, and all of Adam's kind v = b2 v + (1-b2) g²; t counts from 1:
 *
 *     adamw_torch    p -= lr wd p;  p -= lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)
 *     adamw_hf       p -= lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + eps);  p -= lr wd p
 *     adamw_fairseq  p -= lr wd p;  p -= lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + eps);  biases and LayerNorms decay too
 *     adam_bert      p -= lr (m / (sqrt(v) + eps) + wd p)
 *     lion           p -= lr (sign(b1 m + (1-b1) g) + wd p), with the old m;  m = b2 m + (1-b2) g;  no v
 *     sgd            g += wd p;  m = momentum m + g;  p -= lr m
 *
 * Sources: PyTorch's AdamW and SGD (Loshchilov & Hutter 2019, arXiv:1711.05101); transformers' own AdamW, the Trainer's
 * default before adamw_torch; fairseq's Adam, which RoBERTa was made with; AdamWeightDecayOptimizer of BERT's and the
 * adapters' code; Lion, Chen et al. 2023, arXiv:2302.06675, algorithm 2.
 *
 * The options' defaults are the Trainer's for all of them. What was used with each: adamw_hf as a class eps 1e-6;
 * adamw_fairseq (RoBERTa) betas .9 .98, eps 1e-6, decay .1, no clipping; adam_bert eps 1e-6, decay .01; lion betas .9
 * .99, a learning rate 3 to 10 times below Adam's and a decay larger by as much.
 *
 * Decay is decay_to: zero as written above, or init, which pulls towards the value an entry had before training
 * (p - p0 in place of p).
 */
#ifndef METHODS_OPTIM_H
#define METHODS_OPTIM_H

#include "base/opt.h"
#include "models/model.h"

/* Words of OPT_ENUM rows: `optim`, in the order of the table, and `decay_to`. */
#define OPTIM_WORDS "adamw_torch|sgd|adamw_hf|adamw_fairseq|adam_bert|lion"
#define OPTIM_DECAY_WORDS "zero|init"
enum optim_decay { DECAY_TO_ZERO, DECAY_TO_INIT };

/* Parameters of their own learning rate or decay. */
struct optim_group {
    const char *pattern;       /* as in target.h; the head can be named too                                  */
    double learning_rate;      /* NAN: as without the group                                                  */
    double weight_decay;       /* NAN: as without; a number holds for all it names, biases too               */
    const struct yaml *at;     /* for the message about a pattern that matches nothing; may be NULL          */
};

struct optim_options {
    int optim;                 /* index into OPTIM_WORDS                                                     */
    double learning_rate;      /* peak                                                                       */
    double head_learning_rate; /* NAN: learning_rate                                                         */
    double weight_decay;       /* but 0 for names that hold `bias` or `LayerNorm.weight`, as in HF Trainer, unless
                                * adamw_fairseq                                                            */
    int decay_to;              /* enum optim_decay                                                           */
    double adam_beta1, adam_beta2, adam_epsilon;
    double momentum;           /* sgd                                                                        */
    const struct optim_group *group; /* [n_groups] later ones win                                            */
    size_t n_groups;
};

/* The defaults of PyTorch and HF Trainer: adamw_torch, lr 5e-5, betas .9 .999, eps 1e-8, no decay. */
struct optim_options optim_defaults(void);

/* Error for a group whose pattern matches no parameter. Needs no memory for weights. */
bool optim_check(const struct optim_options *o, const struct model *m, struct arena *a, struct err *e);

/* Learning rate (peak) and decay of one parameter under the groups. */
double optim_learning_rate(const struct optim_options *o, const struct param *p);
double optim_weight_decay(const struct optim_options *o, const struct param *p);

/* Adds the bytes that optim_create takes for the requests as they are now. */
void optim_bytes(const struct optim_options *o, const struct param_list *params, size_t bytes[MEM_TAGS]);

struct optim; /* opaque */

/* State (zero) for every requested parameter that is not only watched. Made after `select`: decay_to init copies the
 * trained entries, whose indices must be known. NULL when memory is out. */
struct optim *optim_create(const struct optim_options *o, struct param_list *params, struct arena *a, struct err *e);

/* One optimizer step of every parameter from its accumulated gradient; `schedule` is the factor of the learning rates.
 * */
void optim_step(struct optim *o, double schedule);

/* The same with all gradients multiplied by `scale` as they are read: clipping without a pass of its own. */
void optim_step_scaled(struct optim *o, double schedule, double scale);

/* The same for one parameter, for methods with a step of their own. Nothing for a parameter without state. Each
 * parameter counts its own steps, as in PyTorch. */
void optim_step_param(struct optim *o, const struct param *p, double schedule);

/* The same, but what moves is compact [grad.size] in place of the parameter's trained entries; decay pulls it to zero.
 * */
void optim_step_compact(struct optim *o, const struct param *p, real *compact, double schedule);

/* The options it was made with. */
const struct optim_options *optim_options(const struct optim *o);

/* Moves the state of a parameter whose index list has changed from old [grad.n] to the present one: entries in both
 * lists keep their state, new ones start from zero; `copy` is scratch for grad.size reals. */
void optim_move(struct optim *o, const struct param *p, const uint32_t *old, real *copy);

/* Shows every tensor of the state under a unique name (valid during the call), to be saved or restored in place. */
void optim_state(struct optim *o, void (*tensor)(void *u, const char *name, void *data, size_t bytes), void *u);

#endif
