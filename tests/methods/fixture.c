/* A method's life on a small encoder: see fixture.h. */
#include "tests/methods/fixture.h"

#include "base/rng.h"
#include "models/blas.h"
#include "models/safetensors.h"

struct run_spec run_spec(const char *method, const char *options, const struct batch *first)
{
    struct run_spec s = {.method = method, .options = options, .seed = 1, .optim = optim_defaults(), .first = first};
    s.optim.learning_rate = 1e-3;
    return s;
}

static struct model_config small_config(double dropout)
{
    return (struct model_config){.vocab_size = 40, .hidden_size = 16, .num_hidden_layers = 2, .num_attention_heads = 4,
                                 .intermediate_size = 24, .max_position_embeddings = MAX_LEN, .type_vocab_size = 2,
                                 .hidden_dropout_prob = dropout, .attention_probs_dropout_prob = dropout,
                                 .classifier_dropout = -1, .initializer_range = 0.02, .layer_norm_eps = 1e-12,
                                 .num_labels = 2};
}

static bool read_config(struct model_config *c, const struct run_spec *s, struct arena *a, struct err *e)
{
    *c = s->config ? *s->config : small_config(s->dropout);
    if (!s->golden)
        return true;
    struct model_source source;
    char *path = arena_printf(a, e, "%s/tests/golden/encoder/%s", PEFTLAB_SOURCE_DIR, s->golden);
    TRY(path && model_source_open(&source, path, NULL, a, e));
    TRY(model_config_read(c, &source, a, e));
    c->num_labels = strcmp(s->golden, "reg") == 0 ? 1 : 2;
    return true;
}

static bool bind_options(struct run *r, struct err *e)
{
    const char *text = r->spec.options ? r->spec.options : "{}";
    TRY(r->env.at = yaml_parse(r->arena, "test.yaml", text, strlen(text), e));
    TRY(r->self = arena_alloc(r->arena, MEM_METHOD, r->method->state_size, e));
    TRY(opt_defaults(r->method->options, r->self, r->arena, e));
    return opt_bind(r->method->options, r->self, r->env.at, r->method->name, NULL, r->arena, e);
}

bool run_plan(struct run *r, const struct run_spec *s, struct err *e)
{
    struct model_config config;
    *r = (struct run){.spec = *s, .method = method_find(s->method)};
    blas_set_threads(1); /* on matrices this small a second thread only waits */
    assert_non_null(r->method);
    if (!(r->arena = arena_create(&r->meter)))
        return err_set(e, ERR_ENV, "out of memory");
    TRY(read_config(&config, s, r->arena, e));
    TRY(model_build(&r->model, &config, r->arena, e));
    r->env = (struct method_env){.model = &r->model, .arena = r->arena, .seed = s->seed};
    TRY(bind_options(r, e));
    for (size_t i = 0; i < r->model.params.n; i++)
        if (r->model.params.item[i]->head)
            param_request(r->model.params.item[i], GRAD_DENSE, 0, 0);
    TRY(r->method->plan(r->self, &r->env, e));
    param_bytes(&r->model.params, r->planned);
    if (r->method->bytes)
        r->method->bytes(r->self, &r->env, r->planned);
    optim_bytes(&s->optim, &r->model.params, r->planned);
    r->trainable = param_trainable(&r->model.params, true);
    return true;
}

/* Weights that depend on the parameter's name alone. */
static void random_weights(struct param *p)
{
    struct rng g = rng_stream(99, p->name);
    double centre = p->kind == PARAM_NORM && strstr(p->name, "weight") ? 1 : 0;
    for (size_t i = 0; i < param_size(p); i++)
        p->w[i] = (real)(centre + 0.2 * rng_normal(&g));
}

static bool load_weights(struct run *r, struct err *e)
{
    struct safetensors *file = r->spec.golden ? open_golden(r->spec.golden, "model.safetensors") : NULL;
    for (size_t i = 0; i < r->model.params.n; i++) {
        struct param *p = r->model.params.item[i];
        if (p->added)
            continue;
        TRY(p->w = ARENA_NEW(r->arena, MEM_WEIGHTS, real, param_size(p), e));
        if (file)
            tensor_to_real(safetensors_find(file, p->name), p->w);
        else
            random_weights(p);
    }
    return true;
}

static bool make_workspace(struct run *r, struct workspace **ws, enum workspace_mode mode, struct err *e)
{
    struct workspace_shape shape = {.mode = mode, .max_tokens = MAX_TOKENS, .max_seqs = MAX_SEQS, .max_len = MAX_LEN};
    return (*ws = workspace_create(&r->model, &shape, r->arena, e)) != NULL;
}

static struct pass make_pass(const struct run *r, const struct batch *b, bool train, int examples)
{
    return (struct pass){.batch = b, .train = train, .seed = r->spec.seed, .step = (uint32_t)r->env.step,
                         .loss_examples = examples};
}

static size_t batch_words(int n) { return 2 * (size_t)n * 12 + 3 * (size_t)n + 1; }

/* A batch in `room` [batch_words(n)], all zero. */
static struct batch make_batch(int n, uint64_t seed, int32_t *room)
{
    struct rng g = rng_stream(seed, "batch");
    int32_t *ids = room, *types = ids + n * 12, *start = types + n * 12, *row = start + n + 1, *label = row + n;
    for (int s = 0; s < n; s++) {
        int length = 2 + (int)rng_below(&g, 10);
        row[s] = s;
        label[s] = (int32_t)rng_below(&g, 2);
        for (int i = 0; i < length; i++) {
            ids[start[s] + i] = 1 + (int32_t)rng_below(&g, 39);
            types[start[s] + i] = i > length / 2;
        }
        start[s + 1] = start[s] + length;
    }
    return (struct batch){n, start[n], ids, types, start, row, label, NULL};
}

static struct run *run_of(struct probe *p) { return (struct run *)((char *)p - offsetof(struct run, probe)); }

/* The first training batches are the spec's, the others are made from their numbers. Not in an arena: tests let those
 * fail. */
static struct batch training_batch(const struct run *r, long number)
{
    static int32_t room[1 << 13];
    int n = r->spec.first->n_seq;
    assert_true(batch_words(n) <= sizeof room / sizeof *room);
    memset(room, 0, sizeof room);
    bool given = number < (r->spec.n_first ? r->spec.n_first : 1);
    return given ? r->spec.first[number] : make_batch(n, 1000 + (uint64_t)number, room);
}

/* The examples `rows` of training batch `number`: in the fixture an example's number is its place there. */
static struct batch chosen(const struct batch *b, const struct probe_batch *want)
{
    static int32_t ids[MAX_TOKENS], types[MAX_TOKENS], start[MAX_SEQS + 1], row[MAX_SEQS], label[MAX_SEQS];
    int32_t at = 0;
    assert_true(want->n <= MAX_SEQS);
    for (size_t i = 0; i < want->n; i++) {
        int s = want->rows[i], length = b->start[s + 1] - b->start[s];
        memcpy(ids + at, b->ids + b->start[s], (size_t)length * sizeof *ids);
        memcpy(types + at, b->types + b->start[s], (size_t)length * sizeof *types);
        start[i] = at;
        row[i] = b->row[s];
        label[i] = b->label ? b->label[s] : 0;
        at += length;
        start[i + 1] = at;
    }
    return (struct batch){(int)want->n, at, ids, types, start, row, b->label ? label : NULL, b->score};
}

static bool probe_pass(struct run *r, const struct probe_batch *want, struct tap *tap, double *loss, struct err *e)
{
    struct batch whole = training_batch(r, want->number), b = want->rows ? chosen(&whole, want) : whole;
    struct pass p = make_pass(r, &b, want->dropout, b.n_seq);
    struct workspace *ws;
    p.step = (uint32_t)want->number;
    p.probe = true;
    p.losses = want->losses;
    p.tap = tap;
    TRY(make_workspace(r, &ws, tap ? WORKSPACE_CHECKPOINT : WORKSPACE_EVAL, e));
    model_forward(&r->model, ws, &p);
    double l = model_loss(&r->model, ws, &p);
    if (loss)
        *loss = l;
    if (!tap)
        return true;
    TRY(tap->dense = ARENA_NEW(r->arena, MEM_SCRATCH, real, 4096, e));
    return model_backward(&r->model, ws, &p, e);
}

static bool probe_gradient(struct probe *self, const struct probe_batch *b, struct tap *tap, double *loss,
                           struct err *e)
{
    struct run *r = run_of(self);
    struct arena_mark mark = arena_mark(r->arena);
    bool ok = probe_pass(r, b, tap, loss, e);
    arena_release(r->arena, mark);
    return ok;
}

static bool probe_loss(struct probe *self, const struct probe_batch *b, double *loss, struct err *e)
{
    assert_non_null(loss);
    return probe_gradient(self, b, NULL, loss, e);
}

static const int32_t *probe_examples(struct probe *self, long number, size_t *n)
{
    (void)number;
    *n = (size_t)run_of(self)->spec.first->n_seq;
    return run_of(self)->example;
}

static double probe_label(struct probe *self, int32_t example)
{
    const struct batch *b = run_of(self)->spec.first;
    return b->label ? b->label[example] : (double)b->score[example];
}

static void lend_probe(struct run *r)
{
    for (int i = 0; i < MAX_SEQS; i++)
        r->example[i] = i;
    r->probe = (struct probe){probe_gradient, probe_loss, probe_examples, probe_label};
    r->env.probe = &r->probe;
    r->env.optim_options = &r->spec.optim;
    r->env.total_steps = 10;
    r->env.train_examples = r->spec.first ? (size_t)r->spec.first->n_seq : 1;
}

/* Where requests move: what was trained before and is not now. */
static void take_over_touched(struct param *to, const struct param *from)
{
    for (size_t i = 0; from->touched && i < param_size(from); i++)
        if (from->touched[i / 8] >> i % 8 & 1)
            to->w[i] = from->w[i];
    if (from->touched)
        memcpy(to->touched, from->touched, param_touched_bytes(from));
}

/* Shares of the pooled room, indices and trained scalars of another run of the same plan. */
static bool take_over(struct run *r, const struct run *from, struct err *e)
{
    struct param_list *to = &r->model.params;
    size_t *units = ARENA_NEW(test_arena(), MEM_DATA, size_t, to->n, e);
    TRY(units);
    assert_int_equal(from->model.params.n, to->n);
    for (size_t i = 0; i < to->n; i++) {
        const struct param *p = from->model.params.item[i];
        bool whole = p->pooled != GRAD_NONE && p->grad.form == GRAD_DENSE;
        units[i] = whole ? param_units(p, p->pooled, p->pooled_block) : p->grad.n;
    }
    if (to->pool.size)
        param_deal(to, units);
    for (size_t i = 0; i < to->n; i++) {
        const struct param *p = from->model.params.item[i];
        real *values = ARENA_NEW(test_arena(), MEM_DATA, real, p->grad.size, e);
        TRY(values);
        assert_int_equal(to->item[i]->grad.size, p->grad.size);
        param_gather(p, p->w, values);
        if (p->moved)
            memcpy(to->item[i]->w, p->w, param_size(p) * sizeof *values);
        param_set_index(to->item[i], p->grad.idx);
        param_scatter(to->item[i], values);
        take_over_touched(to->item[i], p);
    }
    return true;
}

bool run_start(struct run *r, struct err *e)
{
    TRY(load_weights(r, e));
    memcpy(r->before, r->meter.live, sizeof r->before);
    TRY(param_allocate(&r->model.params, r->arena, e));
    if (r->method->attach)
        TRY(r->method->attach(r->self, &r->env, e));
    lend_probe(r);
    if (r->spec.from)
        TRY(take_over(r, r->spec.from, e));
    else if (r->method->select)
        TRY(r->method->select(r->self, &r->env, e));
    TRY(make_workspace(r, &r->ws, r->env.unsplit ? WORKSPACE_CHECKPOINT : WORKSPACE_STORE, e));
    TRY(r->env.optim = optim_create(&r->spec.optim, &r->model.params, r->arena, e));
    for (int t = 0; t < MEM_TAGS; t++)
        r->reserved[t] = r->meter.live[t] - r->before[t];
    return true;
}

bool run_open(struct run *r, const struct run_spec *s, struct err *e) { return run_plan(r, s, e) && run_start(r, e); }

void run_close(struct run *r) { arena_destroy(r->arena); }

struct batch batch_slice(const struct batch *b, int from, int to, int32_t *start)
{
    int32_t first = b->start[from];
    for (int s = from; s <= to; s++)
        start[s - from] = b->start[s] - first;
    return (struct batch){.n_seq = to - from, .n_tok = b->start[to] - first, .ids = b->ids + first,
                          .types = b->types + first, .start = start, .row = b->row + from,
                          .label = b->label ? b->label + from : NULL, .score = b->score ? b->score + from : NULL};
}

static bool micro_batch(struct run *r, const struct batch *b, int examples, double *loss, struct err *e)
{
    struct pass p = make_pass(r, b, true, examples);
    model_forward(&r->model, r->ws, &p);
    *loss += model_loss(&r->model, r->ws, &p);
    TRY(model_backward(&r->model, r->ws, &p, e));
    return !r->method->after_micro_batch || r->method->after_micro_batch(r->self, &r->env, e);
}

bool run_gradients(struct run *r, const struct batch *b, int micro_batches, double *loss, struct err *e)
{
    double sum = 0;
    micro_batches = r->env.unsplit ? 1 : micro_batches;
    param_zero_grads(&r->model.params);
    r->env.step_tokens = (size_t)b->n_tok;
    if (r->method->before_backward)
        TRY(r->method->before_backward(r->self, &r->env, e));
    for (int i = 0; i < micro_batches; i++) {
        int32_t start[MAX_SEQS + 1];
        struct batch part = batch_slice(b, b->n_seq * i / micro_batches, b->n_seq * (i + 1) / micro_batches, start);
        r->env.micro_batch = i;
        TRY(micro_batch(r, &part, b->n_seq, &sum, e));
    }
    if (loss)
        *loss = sum;
    return !r->method->after_backward || r->method->after_backward(r->self, &r->env, e);
}

bool run_step(struct run *r, const struct batch *b, int micro_batches, double schedule, double *loss, struct err *e)
{
    TRY(run_gradients(r, b, micro_batches, loss, e));
    const double most = r->spec.max_grad_norm;
    r->norm = r->method->step ? clip_grad_norm(&r->model.params, most) : grad_norm(&r->model.params);
    if (r->method->step)
        TRY(r->method->step(r->self, &r->env, schedule, e));
    else
        optim_step_scaled(r->env.optim, schedule, clip_factor(r->norm, most));
    r->env.step++;
    return true;
}

double run_loss(struct run *r, const struct batch *b)
{
    struct pass p = make_pass(r, b, true, b->n_seq);
    model_forward(&r->model, r->ws, &p);
    return model_loss(&r->model, r->ws, &p);
}

const real *run_logits(struct run *r, const struct batch *b, struct err *e)
{
    struct pass p = make_pass(r, b, false, b->n_seq);
    size_t n = (size_t)b->n_seq * (size_t)r->model.config.num_labels;
    real *out = ARENA_NEW(r->arena, MEM_DATA, real, n, e);
    TRY(out);
    memcpy(out, model_forward(&r->model, r->ws, &p), n * sizeof *out);
    return out;
}

static void *take(size_t n, size_t size)
{
    struct err e;
    void *p = arena_array(test_arena(), MEM_DATA, n, size, &e);
    assert_non_null(p);
    return p;
}

struct batch *random_batch(int n, uint64_t seed)
{
    struct batch *b = take(1, sizeof *b);
    *b = make_batch(n, seed, take(batch_words(n), sizeof(int32_t)));
    return b;
}

real *copy_weights(const struct run *r, size_t *n)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < r->model.params.n; i++)
        total += param_size(r->model.params.item[i]);
    real *out = take(total, sizeof *out);
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i];
        memcpy(out + at, p->w, param_size(p) * sizeof *out);
        at += param_size(p);
    }
    *n = total;
    return out;
}

struct safetensors *open_golden(const char *folder, const char *file)
{
    struct err e;
    char path[1024];
    struct safetensors *s = take(1, sizeof *s);
    snprintf(path, sizeof path, "%s/tests/golden/encoder/%s/%s", PEFTLAB_SOURCE_DIR, folder, file);
    ASSERT_OK(safetensors_open(s, path, test_arena(), &e), &e);
    return s;
}

void open_usual(struct run *r, const char *method, const char *options)
{
    struct err e;
    struct run_spec s = run_spec(method, options, random_batch(6, 1));
    s.dropout = 0.1;
    s.max_grad_norm = 1;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

void train_usual(struct run *r, int steps)
{
    struct err e;
    for (int i = 0; i < steps; i++)
        ASSERT_OK(run_step(r, random_batch(6, 1 + (uint64_t)i), 1, 1, NULL, &e), &e);
}

void assert_same_run(const struct run *a, const struct run *b)
{
    size_t n, m;
    const real *wa = copy_weights(a, &n), *wb = copy_weights(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(wa, wb, n * sizeof *wa);
}

void assert_same_training(const char *method_a, const char *options_a, const char *method_b, const char *options_b)
{
    struct run a, b;
    open_usual(&a, method_a, options_a);
    open_usual(&b, method_b, options_b);
    train_usual(&a, 4);
    train_usual(&b, 4);
    assert_same_run(&a, &b);
    run_close(&a);
    run_close(&b);
}

size_t planned_scalars(const char *method, const char *options)
{
    struct err e;
    struct run r;
    struct run_spec s = run_spec(method, options, NULL);
    ASSERT_OK(run_plan(&r, &s, &e), &e);
    size_t n = param_trainable(&r.model.params, false);
    run_close(&r);
    return n;
}

void expect_peft(const char *method, const char *options, const char *type, const char *members)
{
    struct err e;
    struct run r;
    struct peft_config c;
    struct run_spec s = run_spec(method, options, NULL);
    ASSERT_OK(run_plan(&r, &s, &e), &e);
    ASSERT_OK(r.method->peft(r.self, &r.env, &c, &e), &e);
    assert_string_equal(c.type, type);
    assert_string_equal(c.members, members);
    run_close(&r);
}

void expect_refused(const char *method, const char *options, int column, const char *message)
{
    struct run r;
    struct err e = {0};
    struct run_spec s = run_spec(method, options, NULL);
    assert_false(run_plan(&r, &s, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.file, "test.yaml");
    if (column)
        assert_int_equal(e.col, column);
    if (!strstr(e.msg, message))
        fail_msg("`%s` does not say `%s`", e.msg, message);
    run_close(&r);
}
