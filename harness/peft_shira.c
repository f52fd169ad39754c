/* SHiRA: see peft_shira.h. */
#include "harness/peft_shira.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char weight_ending[] = ".shira_weight", index_ending[] = ".shira_indices";

bool peft_shira_is(const char *name) { return text_ends(name, weight_ending) || text_ends(name, index_ending); }

/* ---------------------------------------------------------------------------------------------------------------------
 * Reading */

static const struct tensor *tensor_of(const struct peft_dir *d, const char *module, const char *ending)
{
    size_t n = strlen(module);
    for (size_t i = 0; i < d->file.n; i++) {
        size_t length = strlen(d->name[i]);
        if (!text_ends(d->name[i], ending) || length - strlen(ending) > n)
            continue;
        size_t have = length - strlen(ending); /* a name may lack the model's prefix */
        if (strncmp(d->name[i], module + (n - have), have) == 0 && (have == n || module[n - have - 1] == '.'))
            return &d->file.tensor[i];
    }
    return NULL;
}

/* Index number i of a row of indices, as PEFT on Linux (int32) or Windows (float32) writes it; -1: none. */
static long long index_at(const struct tensor *t, size_t i)
{
    const unsigned char *at = (const unsigned char *)t->data + i * tensor_type_size(t->type);
    int32_t k;
    float x;
    if (t->type == TENSOR_I32) {
        memcpy(&k, at, sizeof k);
        return k;
    }
    memcpy(&x, at, sizeof x);
    return x >= 0 && x < 2e9F && floorf(x) == x ? (long long)x : -1;
}

static bool malformed(const struct peft_dir *d, const struct tensor *t, const char *what, struct err *e)
{
    return err_at(e, ERR_INPUT, d->file.path, 0, 0, "tensor `%s`: %s", t->name, what);
}

static bool add_module(const struct peft_dir *d, const struct linear *l, const struct tensor *v,
                       const struct tensor *index, bool values, struct err *e)
{
    struct arena *a = arena_create(NULL);
    size_t n = tensor_count(v);
    real *delta = a ? ARENA_NEW(a, MEM_SCRATCH, real, n, e) : NULL;
    bool ok = delta != NULL || e->code || err_set(e, ERR_ENV, "out of memory");
    if (ok)
        tensor_to_real(v, delta);
    for (size_t i = 0; ok && i < n; i++) {
        long long row = index_at(index, i), col = index_at(index, n + i);
        ok = (row >= 0 && row < l->out && col >= 0 && col < l->in) ||
             malformed(d, index, "an index lies outside of the weight", e);
        if (ok && values)
            l->w->w[row * l->in + col] += delta[i];
    }
    arena_destroy(a);
    return ok;
}

bool peft_shira_add(const struct peft_dir *d, struct model *m, bool values, struct err *e)
{
    size_t found = 0, there = 0;
    for (size_t i = 0; i < d->file.n; i++)
        there += peft_shira_is(d->name[i]);
    for (int i = 0; i < m->n_sites; i++) {
        const struct linear *l = m->site[i];
        const struct tensor *v = l->w ? tensor_of(d, l->name, weight_ending) : NULL;
        const struct tensor *index = l->w ? tensor_of(d, l->name, index_ending) : NULL;
        if (!v && !index)
            continue;
        if (!v || !index)
            return malformed(d, v ? v : index, "its indices or its values are missing", e);
        if (!tensor_is_float(v->type) || v->ndim != 1)
            return malformed(d, v, "must be floating-point numbers [n]", e);
        if ((index->type != TENSOR_I32 && index->type != TENSOR_F32) || index->ndim != 2 || index->shape[0] != 2 ||
            index->shape[1] != v->shape[0])
            return malformed(d, index, "must be int32 [2, n], with as many columns as there are values", e);
        TRY(add_module(d, l, v, index, values, e));
        found += 2;
    }
    return found == there || err_at(e, ERR_INPUT, d->file.path, 0, 0, "%zu tensors belong to no linear module of the "
                                    "model", there - found);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Writing */

static const struct linear *site_of(const struct model *m, const struct param *p)
{
    for (int i = 0; i < m->n_sites; i++)
        if (m->site[i]->w == p)
            return m->site[i];
    return NULL;
}

static size_t changed(const struct param *p, const struct param *base)
{
    size_t n = 0;
    for (size_t i = 0; i < param_size(p); i++)
        n += p->w[i] != base->w[i];
    return n;
}

static bool no_form(const char *method, const char *name, const char *why, struct err *e)
{
    return err_set(e, ERR_INPUT, "%s trained `%s`, %s; --to delta keeps what was trained, --to hf writes the whole "
                   "model", method, name, why);
}

/* What a method added has no base. */
static const struct param *param_at(const struct model *m, size_t i)
{
    return i < m->params.n ? m->params.item[i] : NULL;
}

/* Can this parameter be part of it, if it changed? *l: its site, NULL where there is nothing of it to write. */
static bool fits(const struct model *m, const struct param *p, const struct param *base, const char *method,
                 const struct linear **l, struct err *e)
{
    *l = NULL;
    if (p->head || (!p->added && changed(p, base) == 0))
        return true;
    *l = site_of(m, p);
    return *l || no_form(method, p->name, "and PEFT's form for sparse changes (SHIRA) has only weights of linear "
                         "modules", e);
}

static long long least_rank(const struct linear *l, size_t cells)
{
    size_t step = (size_t)l->in + (size_t)l->out;
    return (long long)((cells + step - 1) / step);
}

static long long most_rank(const struct linear *l)
{
    return (long long)l->in * l->out / ((long long)l->in + l->out);
}

/* The smallest rank that has room for the changes of every module. */
static bool find_rank(const struct model *m, const struct model *base, const char *method, long long *r, struct err *e)
{
    const struct linear *l;
    *r = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        TRY(fits(m, m->params.item[i], param_at(base, i), method, &l, e));
        long long need = l ? least_rank(l, changed(l->w, base->params.item[i])) : 0;
        *r = need > *r ? need : *r;
    }
    if (*r == 0)
        return err_set(e, ERR_INPUT, "%s changed nothing but the head: PEFT has no adapter for it; --to hf writes the "
                       "whole model", method);
    for (size_t i = 0; i < m->params.n; i++) {
        char why[240];
        TRY(fits(m, m->params.item[i], param_at(base, i), method, &l, e));
        if (!l || *r <= most_rank(l))
            continue;
        snprintf(why, sizeof why, "and PEFT's form for sparse changes (SHIRA) has no room for so many entries: it "
                 "would need r = %lld, the most is %lld", *r, most_rank(l));
        return no_form(method, l->w->name, why, e);
    }
    return true;
}

/* W - W0, rounded so that W0 plus it gives W again wherever one of the nearest numbers does. */
static real delta_of(real w, real base)
{
    real d = w - base;
    if (base + d == w)
        return d;
    real up = (real)nextafterf((float)d, INFINITY), down = (real)nextafterf((float)d, -INFINITY);
    return base + up == w ? up : base + down == w ? down : d;
}

/* Values and indices of one module: its changes, and from the first unchanged cells on zeros that fill it up. */
static void fill(const struct linear *l, const real *base, size_t cells, size_t pads, float *v, int32_t *index)
{
    const real *w = l->w->w;
    size_t n = 0;
    for (size_t i = 0; i < param_size(l->w) && n < cells; i++) {
        bool differs = w[i] != base[i];
        if (!differs && pads == 0)
            continue;
        pads -= !differs;
        index[n] = (int32_t)(i / (size_t)l->in);
        index[cells + n] = (int32_t)(i % (size_t)l->in);
        v[n++] = (float)delta_of(w[i], base[i]);
    }
}

static bool add_tensors(const struct linear *l, const struct param *base, long long r, struct tensor *to,
                        struct arena *a, struct err *e)
{
    size_t cells = (size_t)r * ((size_t)l->in + (size_t)l->out);
    float *v = ARENA_NEW(a, MEM_SCRATCH, float, cells, e);
    int32_t *index = ARENA_NEW(a, MEM_SCRATCH, int32_t, 2 * cells, e);
    const char *names[2] = {arena_printf(a, e, "base_model.model.%s%s", l->name, weight_ending),
                            arena_printf(a, e, "base_model.model.%s%s", l->name, index_ending)};
    TRY(v && index && names[0] && names[1]);
    fill(l, base->w, cells, cells - changed(l->w, base), v, index);
    to[0] = tensor_vector(names[0], TENSOR_F32, cells, v);
    to[1] = tensor_matrix(names[1], TENSOR_I32, 2, cells, index);
    return true;
}

bool peft_shira_tensors(const struct model *m, const struct model *base, const char *method, struct tensor *room,
                        size_t *n, long long *r, const char **modules, struct arena *a, struct err *e)
{
    struct text list = {.arena = a};
    const struct linear *l;
    TRY(find_rank(m, base, method, r, e));
    *n = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        TRY(fits(m, m->params.item[i], param_at(base, i), method, &l, e));
        if (!l)
            continue;
        TRY(text_add(&list, e, "%s\"%s\"", *n ? ", " : "[", l->name));
        TRY(add_tensors(l, base->params.item[i], *r, room + *n, a, e));
        *n += 2;
    }
    *modules = list.s;
    return text_add(&list, e, "]") && (*modules = list.s);
}
