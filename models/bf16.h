/*
 * Frozen matrices as bfloat16: the upper half of a binary32, rounded to the nearest, ties to even. Two bytes a weight
 * in place of four; all arithmetic stays in `real`. A matrix is widened into a room that all of them share just before
 * a product reads it, rows of an embedding table when they are looked up. What is computed is, bit for bit, what fp32
 * weights of the rounded values give.
 */
#ifndef MODELS_BF16_H
#define MODELS_BF16_H

#include "models/param.h"

uint16_t bf16_of(real x);
void bf16_narrow(size_t n, const real *x, uint16_t *y);

/* Where matrices are widened. `holds` is the one that lies there now. */
struct wide_room {
    real *w;
    const struct param *holds;
};

/* Says how weights are to be loaded. `planned` is the same list with a method's declarations, more may follow there:
 * what is trained as a whole gets memory of its own, matrices of embeddings and encoder that stay what they are get
 * `frozen`. */
void bf16_hold(struct param_list *list, const struct param_list *planned, int layers, enum weight_hold frozen);

/* Reals of the room for the matrices of linear sites that are HOLD_BF16; 0: none is. */
size_t bf16_room(const struct param_list *list);

/* Takes the room. To be called once weights are loaded. */
bool bf16_take_room(struct param_list *list, struct arena *a, struct err *e);

/* The weights of a linear site's matrix [rows, cols]: p->w, or widened, until the next call for another matrix. */
const real *param_wide(const struct param *p);

/* Weights [at, at + n) become x, as p is held. */
void param_store(struct param *p, size_t at, size_t n, const real *x);

/* y [cols] += a row of a table, or = it where `add` is false. */
void param_row(const struct param *p, size_t row, bool add, real *y);

#endif
