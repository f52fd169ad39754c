/*
 * Gradient sparsity: for every parameter of the model, trained or not, the histogram of log10|g| of one logical batch,
 * the share of its norm that the largest entries hold, and the share that the trained entries capture. Quasi-sparsity
 * of gradients is the observation that SIFT rests on (Song et al. 2024, arXiv:2312.11875); bins and shares are ours
 * (results/gradient_log.h).
 *
 * The gradient is that of the batch about to be trained on, with the dropout masks of its step, before clipping.
 */
#include <math.h>
#include <stdlib.h>

#include "harness/measure/measure.h"

struct gradients {
    long long every;
};

static const struct opt options[] = {
    {.name = "every", .type = OPT_INT, .offset = offsetof(struct gradients, every), .dflt = 50, .min = 1,
     .max = INFINITY, .help = "optimizer steps between measurements; the first is before step 0"},
    {0},
};

/* Parameters of the checkpoint: what methods add has no place in the comparison. */
static size_t count_params(const struct model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->params.n; i++)
        n += !m->params.item[i]->added;
    return n;
}

static bool open_log(struct gradient_log *log, const struct gradients *o, const struct measure_env *env, struct err *e)
{
    const struct param_list *params = &env->model->params;
    size_t n = count_params(env->model), steps = (size_t)(env->total_steps / o->every + 1);
    const char **names = ARENA_NEW(env->arena, MEM_DATA, const char *, n, e);
    uint64_t *sizes = ARENA_NEW(env->arena, MEM_DATA, uint64_t, n, e);
    TRY(names && sizes);
    for (size_t i = 0, k = 0; i < params->n; i++)
        if (!params->item[i]->added) {
            names[k] = params->item[i]->name;
            sizes[k++] = param_size(params->item[i]);
        }
    return gradient_log_open(log, n, names, sizes, steps, e);
}

struct watch {
    const struct model *model;
    struct gradient_cell *cell;
    struct arena *arena;
};

struct offsets {
    uint32_t *at;
    size_t n;
};

static void add_offsets(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    struct offsets *o = u;
    (void)p, (void)compact;
    for (size_t i = 0; i < length; i++)
        o->at[o->n++] = (uint32_t)(at + i);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t index_of(const struct model *m, const struct param *p)
{
    size_t k = 0;
    for (size_t i = 0; m->params.item[i] != p; i++)
        k += !m->params.item[i]->added;
    return k;
}

static bool see(void *self, const struct param *p, const real *g, struct err *e)
{
    struct watch *w = self;
    size_t n = param_size(p), trained = p->watched ? 0 : p->grad.size;
    struct arena_mark mark = arena_mark(w->arena);
    uint32_t *scratch = ARENA_NEW(w->arena, MEM_SCRATCH, uint32_t, n, e);
    struct offsets o = {ARENA_NEW(w->arena, MEM_SCRATCH, uint32_t, trained < n ? trained : 0, e), 0};
    TRY(scratch && o.at);
    bool partial = trained > 0 && trained < n;
    if (partial) {
        param_each_run(p, add_offsets, &o);
        qsort(o.at, o.n, sizeof *o.at, by_value);
    }
    gradient_measure(&w->cell[index_of(w->model, p)], g, n, partial ? o.at : NULL, trained, scratch);
    arena_release(w->arena, mark);
    return true;
}

static void tap_all(struct model *m, bool on)
{
    for (size_t i = 0; i < m->params.n; i++)
        m->params.item[i]->tapped = on && !m->params.item[i]->added;
}

static bool before_step(const void *options_, struct measure_env *env, struct err *e)
{
    const struct gradients *o = options_;
    struct gradient_log *log = &env->record->gradients;
    if (env->step % o->every != 0 || env->step == env->total_steps)
        return true;
    if (log->params == 0)
        TRY(open_log(log, o, env, e));
    struct watch w = {.model = env->model, .arena = env->arena, .cell = gradient_log_step(log, env->step, e)};
    TRY(w.cell);
    struct tap tap = {.see = see, .self = &w};
    struct probe_batch batch = {.number = env->step, .dropout = true};
    tap_all(env->model, true);
    bool ok = env->probe->gradient(env->probe, &batch, &tap, NULL, e);
    tap_all(env->model, false);
    return ok;
}

const struct measure measure_gradients = {
    .name = "gradients",
    .title = "Gradient sparsity",
    .help = "histograms of log10|g| per parameter, share of the norm held by the largest and by the trained entries",
    .options = options,
    .options_size = sizeof(struct gradients),
    .before_step = before_step,
};
