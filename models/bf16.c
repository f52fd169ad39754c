/* bfloat16: see bf16.h. */
#include "models/bf16.h"

#include <string.h>

#include "models/kernels.h"

/* Half of the last place that stays is added, or a little less where that place is even: ties go to even. A NaN stays
 * one, though its payload may lie in what is cut off. */
uint16_t bf16_of(real x)
{
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static real real_of(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (real)f;
}

void bf16_narrow(size_t n, const real *x, uint16_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_of(x[i]);
}

void param_store(struct param *p, size_t at, size_t n, const real *x)
{
    if (p->half)
        bf16_narrow(n, x, p->half + at);
    else
        for (size_t i = 0; i < n; i++)
            p->w[at + i] = p->hold == HOLD_ROUNDED ? real_of(bf16_of(x[i])) : x[i];
}

/* Nothing trains, moves or adds it. */
static bool is_frozen(const struct param *p)
{
    bool matrix = p->kind == PARAM_LINEAR || p->kind == PARAM_EMBEDDING;
    return matrix && !p->added && !p->moved && p->grad.form == GRAD_NONE && p->pooled == GRAD_NONE;
}

void bf16_hold(struct param_list *list, const struct param_list *planned, int layers, enum weight_hold frozen)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct param *p = planned->item[i];
        bool whole = p->grad.form == GRAD_DENSE && p->pooled == GRAD_NONE;
        list->item[i]->hold = whole ? HOLD_OWN : p->layer < layers && is_frozen(p) ? frozen : HOLD_REAL;
    }
}

size_t bf16_room(const struct param_list *list)
{
    size_t most = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct param *p = list->item[i];
        if (p->hold == HOLD_BF16 && p->kind == PARAM_LINEAR && param_size(p) > most)
            most = param_size(p);
    }
    return most;
}

bool bf16_take_room(struct param_list *list, struct arena *a, struct err *e)
{
    size_t n = bf16_room(list);
    if (n == 0)
        return true;
    struct wide_room *room = ARENA_NEW(a, MEM_DATA, struct wide_room, 1, e);
    TRY(room && (room->w = ARENA_NEW(a, MEM_SCRATCH, real, n, e)));
    for (size_t i = 0; i < list->n; i++)
        list->item[i]->room = list->item[i]->hold == HOLD_BF16 ? room : NULL;
    return true;
}

const real *param_wide(const struct param *p)
{
    if (!p->half)
        return p->w;
    if (p->room->holds != p)
        widen_bf16(param_size(p), p->half, p->room->w);
    p->room->holds = p;
    return p->room->w;
}

void param_row(const struct param *p, size_t row, bool add, real *y)
{
    size_t n = (size_t)p->cols, at = row * n;
    if (p->half)
        for (size_t c = 0; c < n; c++)
            y[c] = add ? y[c] + real_of(p->half[at + c]) : real_of(p->half[at + c]);
    else if (add)
        for (size_t c = 0; c < n; c++)
            y[c] += p->w[at + c];
    else
        memcpy(y, p->w + at, n * sizeof *y);
}
