/*
 * Parameters and gradient requests. A `param` is one named tensor, under the checkpoint's own (Hugging Face) name. A
 * method writes on each parameter which part of its gradient it wants; backward computes exactly that part and
 * accumulates it, and the optimizer keeps its state in the same compact form.
 */
#ifndef MODELS_PARAM_H
#define MODELS_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "models/real.h"

enum grad_form {
    GRAD_NONE,   /* frozen: no buffer, no arithmetic                              */
    GRAD_DENSE,  /* v [rows, cols]                                                */
    GRAD_ROWS,   /* idx: n row numbers, ascending;             v [n, cols]        */
    GRAD_COLS,   /* idx: n column numbers, ascending;          v [rows, n]        */
    GRAD_BLOCKS, /* idx: n block numbers, ascending;           v [n, block, block] */
    GRAD_ENTRIES /* idx: n offsets row * cols + col, ascending; v [n]             */
};

/* Blocks are numbered row by row: block i covers rows (i / (cols/block)) * block ..., cols/block blocks per band. */

enum param_kind {
    PARAM_LINEAR,    /* [out, in] of y = x Wᵀ + b */
    PARAM_BIAS,      /* [1, n]                    */
    PARAM_NORM,      /* [1, n] weight or bias of a LayerNorm */
    PARAM_EMBEDDING  /* [tokens, n]               */
};

enum weight_hold {
    HOLD_REAL,    /* as `real`, where they lie in a mapped file if they can be used there */
    HOLD_OWN,     /* as `real` in memory of their own: all of them are going to be written */
    HOLD_ROUNDED, /* the same, of the values that bfloat16 has      */
    HOLD_BF16     /* as bfloat16 (models/bf16.h): nothing writes it */
};

struct grad {
    enum grad_form form;
    int block;          /* BLOCKS: side of a block               */
    size_t n;           /* rows, columns, blocks or entries asked */
    uint32_t *idx;      /* [n], NULL for NONE and DENSE          */
    real *v;            /* [size] accumulated gradient           */
    size_t size;        /* scalars asked for                     */
    bool unwritten;     /* v counts as zero, whatever stands there: param_zero_grads */
};

struct param {
    const char *name;   /* such as bert.encoder.layer.0.attention.self.query.weight */
    enum param_kind kind;
    int ndim;           /* as stored in a checkpoint: 1 or 2       */
    int rows, cols;     /* [1, n] for 1-D tensors                  */
    int layer;          /* -1 embeddings, 0.. encoder layers, n_layers: head */
    bool head;          /* belongs to pooler or classifier         */
    bool added;         /* brought by a method, not in the checkpoint */
    bool tapped;        /* its dense gradient is wanted by the tap of a pass */
    bool watched;       /* its gradient counts for clipping, but it is never trained: no state, not in counts */
    bool self_stepped;  /* its method takes its steps: trained and counted, but without optimizer state       */
    bool moved;         /* selection changes all of it, trained or not: a delta holds it whole                */
    enum grad_form pooled; /* form it takes from the room it shares, GRAD_NONE: a room of its own             */
    int pooled_block;   /* BLOCKS                                  */
    enum weight_hold hold; /* how its weights are to be loaded     */
    real *w;            /* [rows, cols], NULL while only planned and where it is held as bfloat16 */
    uint16_t *half;     /* [rows, cols] HOLD_BF16: never written once it is loaded */
    struct wide_room *room; /* HOLD_BF16, linear sites: where it is widened */
    uint8_t *touched;   /* NULL, or a bit for each scalar (its method's): what was ever trained, where requests move */
    struct grad grad;
};

/* One room for the requests of several parameters, when a probe decides how much of it each of them gets. */
struct grad_pool {
    real *v;
    uint32_t *idx;
    size_t size, n;      /* scalars and indices there is room for */
};

/* All parameters of a model in checkpoint order, added ones at the end. */
struct param_list {
    struct param **item; /* [n] */
    size_t n, cap;
    struct grad_pool pool;
};

/* Scalars in the tensor. */
size_t param_size(const struct param *p);

/* Appends a new parameter (without memory for its weights). NULL when memory is out. */
struct param *param_add(struct param_list *list, const struct param *like, struct arena *a, struct err *e);

/* Parameter of a name, or NULL. */
struct param *param_find(const struct param_list *list, const char *name);

/* Its place in the list (assert: it is there). */
size_t param_number(const struct param_list *list, const struct param *p);

/* Asks for a part of the gradient, without taking memory: all that planning needs. n is the number of rows, columns,
 * blocks or entries (ignored for NONE and DENSE), block the side of a block (ignored elsewhere). A request that covers
 * the whole tensor becomes DENSE. Replaces an earlier request; block must divide both sides (assert). */
void param_request(struct param *p, enum grad_form form, size_t n, int block);

/* The same from the room that all pooled requests share: n is this one's part as long as nobody knows better. */
void param_request_pooled(struct param *p, enum grad_form form, size_t n, int block);

/* Adds the bytes that param_allocate takes: gradients and index lists, and the weights of added parameters. */
void param_bytes(const struct param_list *list, size_t bytes[MEM_TAGS]);

/* Memory for all requests and for the weights of added parameters (zeroed). Index lists are filled afterwards with
 * param_set_index, by whoever knows them: attach for what is fixed, select for what a probe decides. */
bool param_allocate(struct param_list *list, struct arena *a, struct err *e);

/* Deals the pooled room out anew: n[i] rows, columns, blocks or entries for item[i] (read for pooled ones alone; 0: the
 * parameter is frozen, all: it becomes DENSE). The sum must fit into the room (assert). Gradients and indices there are
 * lost; param_set_index follows. */
void param_deal(struct param_list *list, const size_t *n);

/* Rows, columns, blocks or entries of p that a request of this form can name. */
size_t param_units(const struct param *p, enum grad_form form, int block);

/* Fills the index list [grad.n]: ascending, without repeats, in range (assert). Nothing to do for a DENSE request. */
void param_set_index(struct param *p, const uint32_t *idx);

/* Where requests move (p->touched): bytes of the bits, marking what is requested now, and the offsets of all marked
 * scalars, ascending (out may be NULL: they are only counted). */
size_t param_touched_bytes(const struct param *p);
void param_touch(struct param *p);
size_t param_touched(const struct param *p, uint32_t *out);

/* Number of trained scalars, with or without those of the head. */
size_t param_trainable(const struct param_list *list, bool with_head);

/* Sets all accumulated gradients to zero. Dense ones of linear sites (that are not pooled) are only marked: the first
 * product of a step then writes what it would have added to, and model_backward leaves none unwritten. */
void param_zero_grads(struct param_list *list);

/* What a sum into grad.v starts from: 0 where it is unwritten (no more, then), else 1. */
real param_grad_beta(struct param *p);

/* Before anything else reads or writes grad.v: zeros, where it is unwritten. */
void param_settle_grad(struct param *p);

/* Visits the requested scalars as runs of neighbours in the tensor: run(u, p, offset in the tensor, offset in grad.v,
 * length). The shared walk of optimizer, clipping, export and tests; runs come in ascending order of the compact
 * offset. */
typedef void param_run_fn(void *u, const struct param *p, size_t at, size_t compact, size_t length);
void param_each_run(const struct param *p, param_run_fn *run, void *u);

/* Copies the trained scalars out of, or into, the weights in compact order ([grad.size]). */
void param_gather(const struct param *p, const real *dense, real *compact);
void param_scatter(struct param *p, const real *compact);

#endif
