/*
 * Probes: the gradient of one training batch at the present weights, as one piece with per-layer recomputation, shown
 * tensor by tensor to a tap. Nothing of it stays, and no requested gradient is touched.
 */
#include "harness/session.h"

#include "models/workspace.h"

static size_t largest_tapped(const struct model *m)
{
    size_t most = 0;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        if (p->tapped && param_size(p) > most)
            most = param_size(p);
    }
    return most;
}

static int longest_of(const struct dataset *d, const int32_t *rows, size_t n)
{
    size_t longest = 1;
    for (size_t i = 0; i < n; i++) {
        size_t length = d->start[rows[i] + 1] - d->start[rows[i]];
        longest = length > longest ? length : longest;
    }
    return (int)longest;
}

static bool probe_rows(struct session *s, struct arena *a, long number, const int32_t *rows, size_t n, bool dropout,
                       struct tap *tap, double *loss, struct err *e)
{
    int tokens = (int)packer_tokens(&s->train, rows, n);
    struct dataset d = s->train;
    d.longest = longest_of(&d, rows, n);
    struct packer packer;
    struct batch piece;
    TRY(packer_init(&packer, &d, 0, n, a, e));
    size_t at = 0;
    packer_next(&packer, &d, rows, n, 0, &at, &piece);
    TRY(tap->dense = ARENA_NEW(a, MEM_SCRATCH, real, largest_tapped(&s->model), e));
    struct workspace_shape shape = {.mode = WORKSPACE_CHECKPOINT, .max_tokens = tokens, .max_seqs = (int)n,
                                    .max_len = d.longest};
    struct workspace *ws = workspace_create(&s->model, &shape, a, e);
    TRY(ws);
    struct pass pass = {.batch = &piece, .train = dropout, .seed = s->spec->seed, .step = (uint32_t)number,
                        .loss_examples = (int)n, .tap = tap, .probe = true};
    model_forward(&s->model, ws, &pass);
    double l = model_loss(&s->model, ws, &pass);
    if (loss)
        *loss = l;
    return model_backward(&s->model, ws, &pass, e);
}

static bool gradient(struct probe *self, long number, bool dropout, struct tap *tap, double *loss, struct err *e)
{
    struct session_probe *p = (struct session_probe *)self;
    size_t n;
    const int32_t *rows = order_batch(&p->session->order, number, &n);
    struct arena_mark mark = arena_mark(p->arena);
    bool ok = probe_rows(p->session, p->arena, number, rows, n, dropout, tap, loss, e);
    arena_release(p->arena, mark);
    return ok;
}

struct session_probe session_probe(struct session *s, struct arena *arena)
{
    return (struct session_probe){.probe = {gradient}, .session = s, .arena = arena};
}
