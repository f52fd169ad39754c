/* What must not change results: packing, order, cuts into pieces, threads, recomputation.
 * labels: unit */
#include "tests/models/tiny.h"

#include <math.h>

#include "models/blas.h"

static struct err e;
static struct tiny t;

static void make(enum workspace_mode mode)
{
    struct model_config c = tiny_config(3);
    c.hidden_dropout_prob = 0.1;
    c.attention_probs_dropout_prob = 0.1;
    tiny_make(&t, &c, 12, &e);
    t.pass.train = true;
    t.pass.step = 4;
    tiny_request_all(&t, &e);
    tiny_workspace(&t, mode, &e);
}

/* Piece with sequences [from, to) of the batch; storage is static: one at a time. */
static const struct batch *piece(int from, int to)
{
    static struct batch b;
    static int32_t start[TINY_SEQS + 1];
    for (int s = from; s <= to; s++)
        start[s - from] = t.start[s] - t.start[from];
    b = (struct batch){.n_seq = to - from, .n_tok = start[to - from], .ids = t.ids + t.start[from],
                       .types = t.types + t.start[from], .start = start, .row = t.row + from, .label = t.label + from};
    return &b;
}

static double gradient_norm(void)
{
    double sum = 0;
    for (size_t i = 0; i < t.model.params.n; i++)
        for (size_t j = 0; j < param_size(t.model.params.item[i]); j++)
            sum += (double)t.model.params.item[i]->grad.v[j] * (double)t.model.params.item[i]->grad.v[j];
    return sqrt(sum);
}

static double *copy_gradients(void)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < t.model.params.n; i++)
        n += param_size(t.model.params.item[i]);
    double *g = ARENA_NEW(t.arena, MEM_DATA, double, n, &e);
    for (size_t i = 0; i < t.model.params.n; i++)
        for (size_t j = 0; j < param_size(t.model.params.item[i]); j++)
            g[at++] = (double)t.model.params.item[i]->grad.v[j];
    return g;
}

static double distance(const double *g)
{
    double sum = 0;
    for (size_t i = 0, at = 0; i < t.model.params.n; i++)
        for (size_t j = 0; j < param_size(t.model.params.item[i]); j++, at++) {
            double d = g[at] - (double)t.model.params.item[i]->grad.v[j];
            sum += d * d;
        }
    return sqrt(sum);
}

TEST(packing_equals_one_sequence_at_a_time)
{
    make(WORKSPACE_STORE);
    real packed[12 * 3];
    memcpy(packed, model_forward(&t.model, t.ws, &t.pass), sizeof packed);
    for (int s = 0; s < 12; s++) {
        t.pass.batch = piece(s, s + 1);
        const real *z = model_forward(&t.model, t.ws, &t.pass);
        for (int c = 0; c < 3; c++)
            ASSERT_NEAR(z[c], packed[s * 3 + c], 1e-5);
    }
}

TEST(pieces_sum_to_the_whole_batch)
{
    make(WORKSPACE_STORE);
    double loss = tiny_step(&t, &e), sum = 0, *whole = copy_gradients();
    const int cut[] = {0, 1, 6, 8, 12};
    param_zero_grads(&t.model.params);
    for (int i = 0; i < 4; i++) {
        t.pass.batch = piece(cut[i], cut[i + 1]);
        model_forward(&t.model, t.ws, &t.pass);
        sum += model_loss(&t.model, t.ws, &t.pass);
        ASSERT_OK(model_backward(&t.model, t.ws, &t.pass, &e), &e);
    }
    ASSERT_NEAR(sum, loss, 1e-6);
    assert_true(distance(whole) <= 1e-6 * gradient_norm());
}

TEST(recomputed_layers_give_the_same_bits)
{
    make(WORKSPACE_STORE);
    tiny_step(&t, &e);
    double *stored = copy_gradients();
    tiny_workspace(&t, WORKSPACE_CHECKPOINT, &e);
    tiny_step(&t, &e);
    assert_true(distance(stored) == 0);
}

TEST(the_same_twice_gives_the_same_bits)
{
    make(WORKSPACE_STORE);
    tiny_step(&t, &e);
    double *first = copy_gradients();
    tiny_step(&t, &e);
    assert_true(distance(first) == 0);
}

/* Gradients that count as zero are not always written, so what stands there must not matter. */
TEST(what_a_gradient_was_is_forgotten)
{
    make(WORKSPACE_STORE);
    tiny_step(&t, &e);
    double *first = copy_gradients();
    for (size_t i = 0; i < t.model.params.n; i++)
        for (size_t j = 0; j < param_size(t.model.params.item[i]); j++)
            t.model.params.item[i]->grad.v[j] = (real)NAN;
    tiny_step(&t, &e);
    assert_true(distance(first) == 0);
    param_zero_grads(&t.model.params);
    for (size_t i = 0; i < t.model.params.n; i++)
        param_settle_grad(t.model.params.item[i]);
    assert_true(gradient_norm() == 0);
}

TEST(a_gradient_that_nothing_reaches_is_zero)
{
    make(WORKSPACE_STORE);
    const struct param like = {.name = "unused.weight", .kind = PARAM_LINEAR, .ndim = 2, .rows = 2, .cols = 3,
                               .added = true};
    real old[] = {NAN, NAN, NAN, NAN, NAN, NAN};
    struct param *p = param_add(&t.model.params, &like, t.arena, &e);
    ASSERT_OK(p, &e);
    param_request(p, GRAD_DENSE, 0, 0);
    p->grad.v = old;
    tiny_step(&t, &e);
    for (int i = 0; i < 6; i++)
        assert_true(old[i] == 0);
}

TEST(one_and_two_threads_agree)
{
    blas_set_threads(2);
    make(WORKSPACE_STORE);
    double two = tiny_step(&t, &e), *g = copy_gradients();
    blas_set_threads(1);
    double one = tiny_step(&t, &e);
    ASSERT_NEAR(one, two, 1e-5);
    assert_true(distance(g) <= 1e-5 * gradient_norm());
}

static bool see_equal(void *self, const struct param *p, const real *g, struct err *err)
{
    int *seen = self;
    (void)err;
    for (size_t i = 0; i < param_size(p); i++)
        if (g[i] != p->grad.v[i])
            fail_msg("%s[%zu]: tap %.9g, request %.9g", p->name, i, (double)g[i], (double)p->grad.v[i]);
    (*seen)++;
    return true;
}

TEST(a_tap_sees_the_gradient_and_changes_nothing)
{
    make(WORKSPACE_STORE);
    tiny_step(&t, &e);
    double *before = copy_gradients();
    int seen = 0;
    struct tap tap = {see_equal, &seen, ARENA_NEW(t.arena, MEM_SCRATCH, real, 4096, &e)};
    for (size_t i = 0; i < t.model.params.n; i++)
        t.model.params.item[i]->tapped = true;
    tiny_workspace(&t, WORKSPACE_CHECKPOINT, &e);
    t.pass.tap = &tap;
    t.pass.probe = true;
    model_forward(&t.model, t.ws, &t.pass);
    model_loss(&t.model, t.ws, &t.pass);
    ASSERT_OK(model_backward(&t.model, t.ws, &t.pass, &e), &e);
    assert_int_equal(seen, (int)t.model.params.n);
    assert_true(distance(before) == 0);
}

TEST(what_is_planned_is_what_is_taken)
{
    struct model_config c = tiny_config(2);
    tiny_make(&t, &c, 4, &e);
    for (int mode = WORKSPACE_EVAL; mode <= WORKSPACE_CHECKPOINT; mode++) {
        struct workspace_shape shape = {(enum workspace_mode)mode, 100, 9, 24};
        size_t planned[MEM_TAGS] = {0};
        struct mem_meter meter = {0};
        struct arena *a = arena_create(&meter);
        param_request(t.model.block[1].query.w, GRAD_ENTRIES, 5, 0);
        workspace_bytes(&t.model, &shape, planned);
        ASSERT_OK(workspace_create(&t.model, &shape, a, &e), &e);
        assert_int_equal(meter.live[MEM_ACTIVATIONS], planned[MEM_ACTIVATIONS]);
        assert_int_equal(meter.live[MEM_SCRATCH], planned[MEM_SCRATCH]);
        arena_destroy(a);
    }
}
