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

/* The examples as one piece, in a workspace of their own. */
struct probe_pass {
    struct packer packer;
    struct batch piece;
    struct workspace *ws;
    struct pass pass;
};

static bool open_pass(struct probe_pass *x, struct session_probe *self, const struct probe_batch *b,
                      enum workspace_mode mode, struct err *e)
{
    struct session *s = self->session;
    size_t n = b->n, at = 0;
    const int32_t *rows = b->rows ? b->rows : order_batch(&s->order, b->number, &n);
    struct dataset d = s->train;
    d.longest = longest_of(&d, rows, n);
    TRY(packer_init(&x->packer, &d, 0, n, self->arena, e));
    packer_next(&x->packer, &d, rows, n, 0, &at, &x->piece);
    struct workspace_shape shape = {.mode = mode, .max_tokens = (int)packer_tokens(&s->train, rows, n),
                                    .max_seqs = (int)n, .max_len = d.longest};
    TRY(x->ws = workspace_create(&s->model, &shape, self->arena, e));
    x->pass = (struct pass){.batch = &x->piece, .train = b->dropout, .seed = s->spec->seed,
                            .step = (uint32_t)b->number, .loss_examples = (int)n, .losses = b->losses,
                            .probe = true};
    return true;
}

static double forward(struct probe_pass *x, const struct model *m)
{
    model_forward(m, x->ws, &x->pass);
    return model_loss(m, x->ws, &x->pass);
}

static bool gradient_in(struct session_probe *self, const struct probe_batch *b, struct tap *tap, double *loss,
                        struct err *e)
{
    struct probe_pass x;
    const struct model *m = &self->session->model;
    TRY(tap->dense = ARENA_NEW(self->arena, MEM_SCRATCH, real, largest_tapped(m), e));
    TRY(open_pass(&x, self, b, WORKSPACE_CHECKPOINT, e));
    x.pass.tap = tap;
    double l = forward(&x, m);
    if (loss)
        *loss = l;
    return model_backward(m, x.ws, &x.pass, e);
}

static bool gradient(struct probe *self, const struct probe_batch *b, struct tap *tap, double *loss, struct err *e)
{
    struct session_probe *p = (struct session_probe *)self;
    struct arena_mark mark = arena_mark(p->arena);
    bool ok = gradient_in(p, b, tap, loss, e);
    arena_release(p->arena, mark);
    return ok;
}

static bool loss_alone(struct probe *self, const struct probe_batch *b, double *loss, struct err *e)
{
    struct session_probe *p = (struct session_probe *)self;
    struct arena_mark mark = arena_mark(p->arena);
    struct probe_pass x;
    bool ok = open_pass(&x, p, b, WORKSPACE_EVAL, e);
    double mean = ok ? forward(&x, &p->session->model) : 0;
    if (loss)
        *loss = mean;
    arena_release(p->arena, mark);
    return ok;
}

static const int32_t *examples(struct probe *self, long number, size_t *n)
{
    return order_batch(&((struct session_probe *)self)->session->order, number, n);
}

static double label(struct probe *self, int32_t example)
{
    const struct dataset *d = &((struct session_probe *)self)->session->train;
    return d->label ? (double)d->label[example] : (double)d->score[example];
}

struct session_probe session_probe(struct session *s, struct arena *arena)
{
    return (struct session_probe){
        .probe = {gradient, loss_alone, examples, label}, .session = s, .arena = arena};
}
