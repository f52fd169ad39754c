/* See operations.h. The layer is one of its own, with every weight trained densely, whatever the case's method asks
 * for. */
#include "harness/bench/operations.h"

#include <string.h>

#include "base/clock.h"
#include "methods/optim.h"
#include "models/attention.h"
#include "models/init.h"
#include "models/kernels.h"
#include "models/linear.h"
#include "models/weight_grad.h"

enum { PIECE = 1024, OPERATIONS_MAX = 32, ROUNDS = 4, TRIAD = 8 << 20 /* numbers of an array: 32 MB */ };

/* One layer and everything its operations work on. T tokens, H hidden, I intermediate. */
struct bed {
    struct model model;
    struct param_list trained; /* of the layer */
    struct optim_options optim_options;
    struct optim *optim;
    struct pass pass;
    struct batch batch;
    struct attention attention;
    struct dropout dropout;
    int tokens, hidden, intermediate, threads;
    double round;              /* seconds that an operation is repeated for, ROUNDS times */
    double squares;            /* sum of squared lengths */
    real *narrow[6];           /* [T, H] */
    real *wide[2];             /* [T, I] */
    real *rstd, *panels;
    int32_t *start, *row;
    const struct linear *site; /* that the next product is of */
    struct bench_record *r;
};

/* ---- making the bed ---- */

/* Whole sequences of the case's lengths, as many as make a piece. */
static bool make_batch(struct bed *b, const struct bench_case *c, struct arena *a, struct err *e)
{
    int n = 0;
    while (b->tokens < PIECE)
        b->tokens += c->length[(size_t)n++ % c->data.rows];
    TRY(b->start = ARENA_NEW(a, MEM_SCRATCH, int32_t, (size_t)n + 1, e));
    TRY(b->row = ARENA_NEW(a, MEM_SCRATCH, int32_t, (size_t)n, e));
    for (int i = 0; i < n; i++) {
        int length = c->length[(size_t)i % c->data.rows];
        b->start[i + 1] = b->start[i] + length;
        b->row[i] = i;
        b->squares += (double)length * length;
    }
    b->batch = (struct batch){.n_seq = n, .n_tok = b->tokens, .start = b->start, .row = b->row};
    return true;
}

static bool take_weights(struct bed *b, struct arena *a, struct err *e)
{
    struct param_list *all = &b->model.params;
    TRY(b->trained.item = ARENA_NEW(a, MEM_SCRATCH, struct param *, all->n, e));
    for (size_t i = 0; i < all->n; i++) {
        struct param *p = all->item[i];
        if (p->layer != 0)
            continue;
        TRY(p->w = ARENA_NEW(a, MEM_SCRATCH, real, param_size(p), e));
        init_param(&b->model.config, p, 42);
        param_request(p, GRAD_DENSE, 0, 0);
        b->trained.item[b->trained.n++] = p;
    }
    b->optim_options = optim_defaults();
    return param_allocate(&b->trained, a, e) &&
           (b->optim = optim_create(&b->optim_options, &b->trained, a, e)) != NULL;
}

static bool fill(real **to, size_t n, struct arena *a, struct err *e)
{
    TRY(*to = ARENA_NEW(a, MEM_SCRATCH, real, n, e));
    for (size_t i = 0; i < n; i++)
        (*to)[i] = (real)((double)(i * 2654435761u % 1024) / 512 - 1);
    return true;
}

static size_t largest_panels(const struct bed *b)
{
    const struct block *k = &b->model.block[0];
    const struct linear *site[] = {&k->query, &k->intermediate, &k->output};
    size_t most = 0;
    for (size_t i = 0; i < sizeof site / sizeof *site; i++) {
        size_t n = weight_grad_scratch(site[i]->w, b->tokens);
        most = n > most ? n : most;
    }
    return most;
}

static bool take_buffers(struct bed *b, int longest, struct arena *a, struct err *e)
{
    const struct model_config *c = &b->model.config;
    size_t t = (size_t)b->tokens;
    for (size_t i = 0; i < sizeof b->narrow / sizeof *b->narrow; i++)
        TRY(fill(&b->narrow[i], t * (size_t)b->hidden, a, e));
    for (size_t i = 0; i < sizeof b->wide / sizeof *b->wide; i++)
        TRY(fill(&b->wide[i], t * (size_t)b->intermediate, a, e));
    TRY(fill(&b->rstd, t, a, e));
    TRY(b->panels = ARENA_NEW(a, MEM_SCRATCH, real, largest_panels(b), e));
    b->dropout = (struct dropout){.key = rng_key(42, "bench/dropout"), .p = c->hidden_dropout_prob};
    b->attention = (struct attention){.heads = c->num_attention_heads, .hidden = b->hidden, .max_len = longest,
                                      .dropout = {.key = b->dropout.key, .p = c->attention_probs_dropout_prob}};
    size_t scratch = attention_scratch(b->hidden, c->num_attention_heads, longest, b->threads);
    return (b->attention.scratch = ARENA_NEW(a, MEM_SCRATCH, real, scratch, e)) != NULL;
}

static bool make_bed(struct bed *b, const struct stepper *x, struct arena *a, struct err *e)
{
    struct model_config c = x->s.model.config;
    c.num_hidden_layers = 1;
    b->hidden = c.hidden_size;
    b->intermediate = c.intermediate_size;
    b->threads = x->c->threads;
    b->round = x->c->slice / 8;
    b->pass = (struct pass){.batch = &b->batch, .train = true, .seed = 42, .loss_examples = 1};
    return model_build(&b->model, &c, a, e) && make_batch(b, x->c, a, e) && take_weights(b, a, e) &&
           take_buffers(b, x->c->data.longest, a, e);
}

/* ---- the operations ---- */

static real *input_of(struct bed *b) { return b->site->in == b->hidden ? b->narrow[0] : b->wide[0]; }
static real *output_of(struct bed *b) { return b->site->out == b->hidden ? b->narrow[1] : b->wide[1]; }

static void product(struct bed *b) { linear_plain_forward(b->site, b->tokens, input_of(b), output_of(b)); }

static void product_dx(struct bed *b)
{
    struct err ignored;
    enum grad_form w = b->site->w->grad.form, bias = b->site->b->grad.form;
    b->site->w->grad.form = b->site->b->grad.form = GRAD_NONE;
    linear_plain_backward(b->site, &b->pass, b->tokens, NULL, output_of(b), input_of(b), 0, b->panels, &ignored);
    b->site->w->grad.form = w;
    b->site->b->grad.form = bias;
}

static void product_dw(struct bed *b)
{
    struct err ignored;
    linear_plain_backward(b->site, &b->pass, b->tokens, input_of(b), output_of(b), NULL, 0, b->panels, &ignored);
}

static void attend(struct bed *b)
{
    attention_forward(&b->attention, &b->batch, b->narrow[0], b->narrow[1], b->narrow[2], b->narrow[3]);
}

/* Overwrites q, k, v by gradients: what they hold does not change the time. */
static void attend_back(struct bed *b)
{
    attention_backward(&b->attention, &b->batch, b->narrow[3], b->narrow[0], b->narrow[1], b->narrow[2]);
}

static size_t all(const struct bed *b, int columns) { return (size_t)b->tokens * (size_t)columns; }

static void gelu(struct bed *b) { gelu_forward(all(b, b->intermediate), b->wide[0], b->wide[1]); }

/* What backward does where the next weight is trained: GELU again with its slope, then its product with dy. Slopes of
 * slopes stay near 1. */
static void gelu_back(struct bed *b)
{
    gelu_and_slope(all(b, b->intermediate), b->wide[0], b->wide[1]);
    multiply(all(b, b->intermediate), b->wide[0], b->wide[1]);
}

static void norm(struct bed *b)
{
    const struct norm *n = &b->model.block[0].output_norm;
    layernorm_forward(b->tokens, b->hidden, (real)b->model.config.layer_norm_eps, b->narrow[4], n->w->w, n->b->w,
                      b->narrow[0], b->rstd, b->narrow[1]);
}

static void norm_back(struct bed *b)
{
    const struct norm *n = &b->model.block[0].output_norm;
    layernorm_backward(b->tokens, b->hidden, b->narrow[0], b->rstd, n->w->w, b->narrow[4], b->narrow[1]);
}

static void drop(struct bed *b)
{
    dropout_packed(&b->dropout, b->batch.n_seq, b->batch.start, b->batch.row, b->hidden, b->narrow[5]);
}

static void update(struct bed *b) { optim_step(b->optim, 1e-3); }

/* ---- timing ---- */

static double seconds_of(struct bed *b, void (*call)(struct bed *))
{
    double best = 1e30;
    call(b);
    for (int round = 0; round < ROUNDS; round++) {
        double begun = clock_seconds(), now;
        long n = 0;
        do {
            call(b);
            n++;
        } while ((now = clock_seconds()) - begun < b->round);
        best = (now - begun) / (double)n < best ? (now - begun) / (double)n : best;
    }
    return best;
}

/* `scalars`: numbers that are read and written. */
static void add(struct bed *b, const char *name, void (*call)(struct bed *), double flops, double scalars)
{
    b->r->operation[b->r->operations++] =
        (struct bench_operation){name, seconds_of(b, call), flops, scalars * (double)sizeof(real)};
}

static void add_products(struct bed *b, const struct linear *site, const char *const names[3])
{
    double t = b->tokens, in = site->in, out = site->out, flops = 2 * t * in * out;
    b->site = site;
    add(b, names[0], product, flops, t * in + in * out + t * out);
    add(b, names[1], product_dx, flops, t * in + in * out + t * out);
    add(b, names[2], product_dw, flops, t * in + 2 * in * out + t * out);
}

/* Sums of a GELU: x / sqrt 2, erf, + 1, half, times x: 5; its derivative adds the density: 11. LayerNorm: mean,
 * centre, square and add, scale, affine: 7; backward 8. AdamW: both moments 7, its step 7. */
static void time_all(struct bed *b)
{
    static const char *const names[3][3] = {{"query y", "query dx", "query dW"},
                                            {"intermediate y", "intermediate dx", "intermediate dW"},
                                            {"output y", "output dx", "output dW"}};
    const struct block *k = &b->model.block[0];
    double th = (double)b->tokens * b->hidden, ti = (double)b->tokens * b->intermediate, n = 0;
    for (size_t i = 0; i < b->trained.n; i++)
        n += (double)param_size(b->trained.item[i]);
    add_products(b, &k->query, names[0]);
    add_products(b, &k->intermediate, names[1]);
    add_products(b, &k->output, names[2]);
    add(b, "attention", attend, 4 * b->squares * b->hidden, 4 * th);
    add(b, "attention backward", attend_back, 10 * b->squares * b->hidden, 7 * th);
    add(b, "GELU", gelu, 5 * ti, 2 * ti);
    add(b, "GELU backward", gelu_back, 11 * ti, 3 * ti);
    add(b, "LayerNorm", norm, 7 * th, 3 * th);
    add(b, "LayerNorm backward", norm_back, 8 * th, 3 * th);
    add(b, "dropout", drop, th, 2 * th);
    add(b, "AdamW", update, 14 * n, 7 * n);
}

/* ---- bandwidth ---- */

static void triad(float *x, const float *y, const float *z)
{
#pragma omp parallel for schedule(static)
    for (int i = 0; i < TRIAD; i++)
        x[i] = y[i] + .5f * z[i];
}

/* McCalpin's STREAM: three arrays, far larger than caches; bytes read and written by the program. */
static bool measure_bandwidth(double *bandwidth, struct arena *a, struct err *e)
{
    float *x[3];
    *bandwidth = 0;
    for (int i = 0; i < 3; i++) {
        TRY(x[i] = ARENA_NEW(a, MEM_SCRATCH, float, TRIAD, e));
        memset(x[i], 1, TRIAD * sizeof(float));
    }
    for (int round = 0; round < ROUNDS + 1; round++) {
        double begun = clock_seconds();
        triad(x[0], x[1], x[2]);
        double rate = 3. * TRIAD * sizeof(float) / (clock_seconds() - begun);
        *bandwidth = round && rate > *bandwidth ? rate : *bandwidth;
    }
    return true;
}

static bool measure_in(const struct stepper *x, struct bench_record *r, struct arena *scratch, struct err *e)
{
    struct bed b = {.r = r};
    TRY(make_bed(&b, x, scratch, e));
    time_all(&b);
    return measure_bandwidth(&r->bandwidth, scratch, e);
}

bool measure_operations(const struct stepper *x, struct bench_record *r, struct arena *a, struct err *e)
{
    TRY(r->operation = ARENA_NEW(a, MEM_DATA, struct bench_operation, OPERATIONS_MAX, e));
    struct arena *scratch = arena_create(NULL);
    if (!scratch)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = measure_in(x, r, scratch, e);
    arena_destroy(scratch);
    return ok;
}
