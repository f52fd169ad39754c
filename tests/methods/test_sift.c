/* SIFT: what each option selects, against brute force over dense gradients; refresh, memory, messages. */
#include "tests/methods/fixture.h"

#include <math.h>

#include "methods/topk.h"

static struct err e;

enum { BATCHES = 3, SIZE = 6 };

/* Training batches 0, 1, 2 side by side; random ones follow. */
static struct batch *batches(void)
{
    static struct batch b[BATCHES];
    for (int i = 0; i < BATCHES; i++)
        b[i] = *random_batch(SIZE, 1 + (uint64_t)i);
    return b;
}

static struct run_spec spec_of(const char *method, const char *options)
{
    struct run_spec s = run_spec(method, options, batches());
    s.n_first = BATCHES;
    s.dropout = 0.1;
    return s;
}

static void open_run(struct run *r, const char *options)
{
    struct run_spec s = spec_of("sift", options);
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/* A model of the same weights whose every gradient is dense. */
static void open_full(struct run *r, double dropout)
{
    struct run_spec s = spec_of("full", NULL);
    s.dropout = dropout;
    ASSERT_OK(run_open(r, &s, &e), &e);
}

/* The true gradient of a key's bias is zero: what is selected there is rounding. */
static bool is_noise(const struct param *p) { return strstr(p->name, "key.bias") != NULL; }

static bool is_target(const struct param *p)
{
    return strstr(p->name, "attention.self.") || strstr(p->name, "attention.output.dense");
}

/* Does every target of r train the entries that are largest in the gradients of `dense`? */
static void expect_largest(const struct run *r, const struct run *dense)
{
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i], *q = dense->model.params.item[i];
        uint32_t want[1024];
        if (p->grad.form != GRAD_ENTRIES || is_noise(p))
            continue;
        topk(q->grad.v, param_size(q), p->grad.n, want);
        assert_memory_equal(p->grad.idx, want, p->grad.n * sizeof *want);
    }
}

static bool same_masks(const struct run *a, const struct run *b)
{
    for (size_t i = 0; i < a->model.params.n; i++) {
        const struct grad *g = &a->model.params.item[i]->grad, *h = &b->model.params.item[i]->grad;
        if (g->n != h->n || (g->n && memcmp(g->idx, h->idx, g->n * sizeof *g->idx) != 0))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static double squares_in_mask(const struct run *r, const struct run *dense)
{
    double sum = 0;
    for (size_t i = 0; i < r->model.params.n; i++) {
        const struct param *p = r->model.params.item[i];
        const real *g = dense->model.params.item[i]->grad.v;
        for (size_t k = 0; k < p->grad.n; k++)
            sum += (double)g[p->grad.idx[k]] * (double)g[p->grad.idx[k]];
    }
    return sum;
}

static double captured_by(const char *options, uint64_t seed, const struct run *dense)
{
    struct run r;
    struct run_spec s = spec_of("sift", options);
    s.seed = seed;
    s.dropout = 0; /* whose masks depend on the seed */
    ASSERT_OK(run_open(&r, &s, &e), &e);
    double sum = squares_in_mask(&r, dense);
    run_close(&r);
    return sum;
}

TEST(nothing_captures_more_than_the_gradient)
{
    static const char *const others[] = {"fisher, select_examples: 6", "snip", "magnitude", "outer", "permuted"};
    char options[128];
    struct run dense;
    open_full(&dense, 0);
    ASSERT_OK(run_gradients(&dense, dense.spec.first, 1, NULL, &e), &e);
    double best = captured_by("{density: 0.1}", 1, &dense);
    double worst = captured_by("{density: 0.1, select: bottom}", 1, &dense);
    double global = captured_by("{density: 0.1, ranking: global}", 1, &dense);
    assert_true(global >= best && best > worst);
    assert_true(global >= captured_by("{density: 0.1, select: allocation}", 1, &dense));
    for (uint64_t seed = 0; seed < 100; seed++) {
        double random = captured_by("{density: 0.1, select: random}", seed, &dense);
        assert_true(best >= random && random >= worst);
        assert_true(global >= captured_by("{density: 0.1, select: random, ranking: global}", seed, &dense));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(options, sizeof options, "{density: 0.1, select: %s}", others[i]);
        double other = captured_by(options, 1, &dense);
        assert_true(best >= other && other >= worst);
    }
    run_close(&dense);
}

/* In place of each gradient what `select` ranks, the plain way. */
static void score_gradients(const struct run *dense, const char *select)
{
    for (size_t i = 0; i < dense->model.params.n; i++) {
        const struct param *p = dense->model.params.item[i];
        size_t cols = (size_t)p->cols, n = param_size(p);
        double row[64] = {0}, column[64] = {0};
        for (size_t k = 0; k < n; k++) {
            row[k / cols] += pow((double)p->grad.v[k], 2);
            column[k % cols] += pow((double)p->grad.v[k], 2);
        }
        for (size_t k = 0; k < n; k++) {
            real *g = &p->grad.v[k];
            if (strcmp(select, "snip") == 0)
                *g *= p->w[k];
            if (strcmp(select, "bottom") == 0)
                *g = 1 / *g;
            if (strcmp(select, "outer") == 0)
                *g = (real)(sqrt(row[k / cols]) * sqrt(column[k % cols]));
        }
    }
}

TEST(snip_bottom_and_outer_rank_by_their_scores)
{
    static const char *const select[] = {"snip", "bottom", "outer"};
    for (size_t i = 0; i < 3; i++) {
        struct run r, dense;
        char options[64];
        snprintf(options, sizeof options, "{density: 0.1, select: %s}", select[i]);
        open_run(&r, options);
        open_full(&dense, 0.1);
        ASSERT_OK(run_gradients(&dense, dense.spec.first, 1, NULL, &e), &e);
        score_gradients(&dense, select[i]);
        expect_largest(&r, &dense);
        run_close(&r);
        run_close(&dense);
    }
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct value {
    struct method_report report;
    const char *name;
    double value;
};

static void keep_value(struct method_report *self, const char *name, double value, const char *description)
{
    struct value *v = (struct value *)self;
    assert_true(*description);
    if (strcmp(name, v->name) == 0)
        v->value = value;
}

static double reported(struct run *r, const char *name)
{
    struct value v = {{keep_value}, name, NAN};
    r->method->report(r->self, &r->env, &v.report);
    return v.value;
}

/* Gradients of the targets joined, [*n], with where each parameter begins. */
static real *join_targets(const struct run *dense, size_t from[64], size_t *n)
{
    real *all;
    *n = 0;
    ASSERT_OK(all = ARENA_NEW(test_arena(), MEM_DATA, real, 16384, &e), &e);
    for (size_t i = 0; i < dense->model.params.n; i++) {
        const struct param *p = dense->model.params.item[i];
        from[i] = *n;
        if (!is_target(p))
            continue;
        memcpy(all + *n, p->grad.v, param_size(p) * sizeof *all);
        *n += param_size(p);
    }
    return all;
}

TEST(global_is_a_top_k_of_all_targets_joined)
{
    struct run r, dense, each;
    size_t from[64], n, at = 0, uneven = 0, k;
    double kept = 0;
    uint32_t want[4096];
    open_run(&r, "{density: 0.1, ranking: global}");
    open_run(&each, "{density: 0.1}");
    open_full(&dense, 0.1);
    ASSERT_OK(run_gradients(&dense, dense.spec.first, 1, NULL, &e), &e);
    const real *all = join_targets(&dense, from, &n);
    k = param_trainable(&r.model.params, false);
    assert_int_equal(k, param_trainable(&each.model.params, false));
    assert_int_equal(k, 8 * (26 + 2)); /* floor(25.6) + 1 of 256, floor(1.6) + 1 of 16 */
    topk(all, n, k, want);
    for (size_t i = 0; i < k; i++)
        kept += (double)all[want[i]] * (double)all[want[i]];
    ASSERT_NEAR(reported(&r, "captured_norm"), sqrt(kept / sum_of_squares(all, n)), 1e-6);
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        for (size_t j = 0; !p->head && j < p->grad.size; j++)
            assert_int_equal(from[i] + (p->grad.form == GRAD_DENSE ? j : p->grad.idx[j]), want[at++]);
        uneven += p->grad.size != each.model.params.item[i]->grad.size;
    }
    assert_int_equal(at, k);
    assert_true(uneven > 0);
    run_close(&r);
    run_close(&each);
    run_close(&dense);
}

TEST(allocation_has_the_counts_of_global_at_random_places)
{
    struct run a, b;
    size_t same = 0, trained = 0;
    open_run(&a, "{density: 0.1, select: allocation}");
    open_run(&b, "{density: 0.1, ranking: global}");
    for (size_t i = 0; i < a.model.params.n; i++) {
        const struct grad *g = &a.model.params.item[i]->grad, *h = &b.model.params.item[i]->grad;
        assert_int_equal(g->size, h->size);
        trained += g->n;
        for (size_t k = 0; k < g->n; k++)
            for (size_t j = 0; j < h->n; j++)
                same += g->idx[k] == h->idx[j];
    }
    assert_true(same < trained / 2); /* about a tenth by chance */
    run_close(&a);
    run_close(&b);
}

/* A tensor's draw is its own: it does not matter what else is selected. */
TEST(random_masks_do_not_depend_on_other_tensors)
{
    static const char *const kinds[] = {"{density: 0.1, select: random, target_modules: %s}",
                                        "{density: 0.1, select: permuted, target_modules: %s}"};
    for (int i = 0; i < 2; i++) {
        struct run a, b;
        char some[128], more[128];
        snprintf(some, sizeof some, kinds[i], "value");
        snprintf(more, sizeof more, kinds[i], "all");
        open_run(&a, some);
        open_run(&b, more);
        const struct param *p = a.model.block[1].value.w, *q = b.model.block[1].value.w;
        assert_memory_equal(p->grad.idx, q->grad.idx, p->grad.n * sizeof *p->grad.idx);
        run_close(&a);
        run_close(&b);
    }
}

static void count_marginals(const struct param *p, int *row, int *column)
{
    for (size_t k = 0; k < p->grad.n; k++) {
        row[p->grad.idx[k] / (uint32_t)p->cols]++;
        column[p->grad.idx[k] % (uint32_t)p->cols]++;
    }
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void permuted_has_the_marginals_of(const char *permuted, const char *plain)
{
    struct run a, b;
    open_run(&a, permuted);
    open_run(&b, plain);
    assert_false(same_masks(&a, &b));
    for (size_t i = 0; i < a.model.params.n; i++) {
        const struct param *p[2] = {a.model.params.item[i], b.model.params.item[i]};
        int row[2][64] = {{0}}, column[2][64] = {{0}};
        for (int k = 0; k < 2; k++) {
            count_marginals(p[k], row[k], column[k]);
            qsort(row[k], 64, sizeof(int), compare);
            qsort(column[k], 64, sizeof(int), compare);
        }
        assert_memory_equal(row[0], row[1], sizeof row[0]);
        assert_memory_equal(column[0], column[1], sizeof column[0]);
    }
    run_close(&a);
    run_close(&b);
}
TEST(permuted_keeps_rows_and_columns_as_full_as_they_were)
{
    permuted_has_the_marginals_of("{density: 0.1, select: permuted}", "{density: 0.1}");
    permuted_has_the_marginals_of("{density: 0.1, select: permuted, ranking: global}",
                                  "{density: 0.1, ranking: global}");
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Adds the gradient of what was just run, or its squares, to sums [parameters]. */
static void add_gradients(const struct run *dense, real **sum, bool squares)
{
    for (size_t i = 0; i < dense->model.params.n; i++) {
        const struct param *p = dense->model.params.item[i];
        if (!sum[i])
            ASSERT_OK(sum[i] = ARENA_NEW(test_arena(), MEM_DATA, real, param_size(p), &e), &e);
        for (size_t k = 0; k < param_size(p); k++)
            sum[i][k] += squares ? p->grad.v[k] * p->grad.v[k] : p->grad.v[k];
    }
}

static void set_gradients(struct run *dense, real **sum)
{
    for (size_t i = 0; i < dense->model.params.n; i++)
        memcpy(dense->model.params.item[i]->grad.v, sum[i], param_size(dense->model.params.item[i]) * sizeof(real));
}

/* Nine examples are asked for, the training set has six: each of them alone. */
TEST(fisher_sums_the_squares_of_single_examples)
{
    struct run r, dense, plain;
    struct run_spec s = spec_of("sift", "{density: 0.1, select: fisher, select_examples: 9}");
    real *sum[64] = {0};
    s.dropout = 0;
    open_full(&dense, 0);
    ASSERT_OK(run_open(&r, &s, &e), &e);
    assert_int_equal(r.env.train_examples, SIZE);
    for (int i = 0; i < SIZE; i++) {
        int32_t start[2];
        struct batch one = batch_slice(dense.spec.first, i, i + 1, start);
        ASSERT_OK(run_gradients(&dense, &one, 1, NULL, &e), &e);
        add_gradients(&dense, sum, true);
    }
    set_gradients(&dense, sum);
    expect_largest(&r, &dense);
    s.options = "{density: 0.1}";
    ASSERT_OK(run_open(&plain, &s, &e), &e);
    assert_false(same_masks(&r, &plain));
    run_close(&r);
    run_close(&plain);
    run_close(&dense);
}

/* The gradient of two batches together, with the dropout masks of their steps. */
TEST(several_batches_select_by_their_sum)
{
    struct run r, dense, one;
    real *sum[64] = {0};
    open_run(&r, "{density: 0.1, select_batches: 2}");
    open_run(&one, "{density: 0.1}");
    open_full(&dense, 0.1);
    for (int i = 0; i < 2; i++, dense.env.step++) {
        ASSERT_OK(run_gradients(&dense, &dense.spec.first[i], 1, NULL, &e), &e);
        add_gradients(&dense, sum, false);
    }
    set_gradients(&dense, sum);
    expect_largest(&r, &dense);
    assert_false(same_masks(&r, &one));
    run_close(&r);
    run_close(&one);
    run_close(&dense);
}

TEST(selection_without_dropout)
{
    struct run r, dense, with;
    open_run(&r, "{density: 0.1, select_dropout: false}");
    open_run(&with, "{density: 0.1}");
    open_full(&dense, 0);
    ASSERT_OK(run_gradients(&dense, dense.spec.first, 1, NULL, &e), &e);
    expect_largest(&r, &dense);
    assert_false(same_masks(&r, &with));
    run_close(&r);
    run_close(&with);
    run_close(&dense);
}

/* The mask is that of a head which has been trained on batches 1 and 2; the head itself is as it was. */
TEST(a_head_start_moves_the_mask_alone)
{
    struct run r, plain, head, dense;
    struct run_spec s = spec_of("head", NULL);
    size_t n, m;
    s.optim.learning_rate = 0.05;
    ASSERT_OK(run_open(&head, &s, &e), &e);
    for (head.env.step = 1; head.env.step < 3;)
        ASSERT_OK(run_step(&head, &s.first[head.env.step], 1, 1, NULL, &e), &e);
    open_full(&dense, 0.1);
    for (size_t i = 0; i < dense.model.params.n; i++)
        memcpy(dense.model.params.item[i]->w, head.model.params.item[i]->w,
               param_size(dense.model.params.item[i]) * sizeof(real));
    ASSERT_OK(run_gradients(&dense, dense.spec.first, 1, NULL, &e), &e);
    s.method = "sift";
    s.options = "{density: 0.1, select_after: 2}";
    ASSERT_OK(run_open(&r, &s, &e), &e);
    expect_largest(&r, &dense);
    open_run(&plain, "{density: 0.1}");
    const real *after = copy_weights(&r, &n), *before = copy_weights(&plain, &m);
    assert_int_equal(n, m);
    assert_memory_equal(after, before, n * sizeof *after);
    assert_false(same_masks(&r, &plain));
    run_close(&r);
    run_close(&plain);
    run_close(&head);
    run_close(&dense);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* First moments spread over the tensor, 0 where nothing is trained. */
struct moments {
    const char *name;
    const uint32_t *idx;
    size_t n;
    real dense[256];
};

static void spread(void *u, const char *name, void *data, size_t bytes)
{
    struct moments *m = u;
    if (strcmp(name, m->name) == 0)
        for (size_t i = 0; i < m->n && bytes == m->n * sizeof(real); i++)
            m->dense[m->idx[i]] = ((const real *)data)[i];
}

static struct moments moments_of(const struct run *r, const struct param *p, bool trained[256])
{
    char name[256];
    struct moments m = {name, p->grad.idx, p->grad.n, {0}};
    snprintf(name, sizeof name, "%s/exp_avg", p->name);
    optim_state(r->env.optim, spread, &m);
    memset(trained, 0, 256 * sizeof *trained);
    for (size_t i = 0; i < p->grad.n; i++)
        trained[p->grad.idx[i]] = true;
    return m;
}

/* Entries in both masks keep their moments, new ones have none, and no weight moves. */
TEST(a_refresh_moves_the_mask_and_what_belongs_to_it)
{
    struct run r;
    bool was[256], is[256];
    int both = 0, came = 0;
    size_t n;
    open_run(&r, "{density: 0.2, target_modules: [query.weight], refresh_every: 2}");
    const struct param *p = r.model.block[0].query.w;
    assert_true(isnan(reported(&r, "mask_overlap")));
    for (int i = 0; i < 2; i++)
        ASSERT_OK(run_step(&r, &r.spec.first[i], 1, 1, NULL, &e), &e);
    struct moments before = moments_of(&r, p, was);
    const real *old = copy_weights(&r, &n);
    ASSERT_OK(run_gradients(&r, &r.spec.first[2], 1, NULL, &e), &e);
    struct moments after = moments_of(&r, p, is);
    for (int i = 0; i < 256; i++) {
        assert_true(after.dense[i] == (is[i] && was[i] ? before.dense[i] : 0));
        both += is[i] && was[i] && before.dense[i] != 0;
        came += is[i] && !was[i];
    }
    assert_true(both > 0 && came > 0 && both + came == (int)p->grad.n);
    assert_memory_equal(copy_weights(&r, &n), old, n * sizeof *old);
    run_close(&r);
}

/* The entries are then the largest of that step's gradient at the weights as they are by then. */
TEST(a_refresh_selects_on_its_own_step)
{
    struct run r, dense;
    open_run(&r, "{density: 0.1, refresh_every: 2}");
    open_full(&dense, 0.1);
    for (int i = 0; i < 2; i++)
        ASSERT_OK(run_step(&r, &r.spec.first[i], 1, 1, NULL, &e), &e);
    for (size_t i = 0; i < dense.model.params.n; i++)
        memcpy(dense.model.params.item[i]->w, r.model.params.item[i]->w,
               param_size(dense.model.params.item[i]) * sizeof(real));
    dense.env.step = 2;
    ASSERT_OK(run_gradients(&dense, &dense.spec.first[2], 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&r, &r.spec.first[2], 1, NULL, &e), &e);
    expect_largest(&r, &dense);
    run_close(&r);
    run_close(&dense);
}

/* Every batch is the same and weights hardly move: the same entries are chosen again, and nothing is disturbed. */
TEST(a_refresh_that_chooses_the_same_changes_nothing)
{
    struct run a, b;
    struct batch same[BATCHES];
    struct run_spec s = spec_of("sift", "{density: 0.1, bias: false, refresh_every: 1}");
    size_t n, m;
    for (int i = 0; i < BATCHES; i++)
        same[i] = s.first[0];
    s.first = same;
    s.dropout = 0;
    s.optim.learning_rate = 1e-6;
    ASSERT_OK(run_open(&a, &s, &e), &e);
    s.options = "{density: 0.1, bias: false}";
    ASSERT_OK(run_open(&b, &s, &e), &e);
    for (int i = 0; i < BATCHES; i++) {
        ASSERT_OK(run_step(&a, same, 1, 1, NULL, &e), &e);
        ASSERT_OK(run_step(&b, same, 1, 1, NULL, &e), &e);
    }
    assert_true(reported(&a, "mask_overlap") == 1);
    const real *x = copy_weights(&a, &n), *y = copy_weights(&b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n * sizeof *x);
    run_close(&a);
    run_close(&b);
}

/* Two random masks of a fifth share a fifth: of 8 * 52 entries 83, 4 sigma of the hypergeometric law. */
TEST(random_masks_are_drawn_anew)
{
    struct run r;
    open_run(&r, "{density: 0.2, select: random, bias: false, refresh_every: 1}");
    ASSERT_OK(run_step(&r, r.spec.first, 1, 1, NULL, &e), &e);
    ASSERT_OK(run_gradients(&r, &r.spec.first[1], 1, NULL, &e), &e);
    ASSERT_NEAR(reported(&r, "mask_overlap"), 0.2, 4 * sqrt(0.2 * 0.8 * 0.8 / (8 * 52)));
    run_close(&r);
}

/* Shares of a common ranking stay as they were dealt. */
TEST(a_refresh_keeps_the_counts)
{
    struct run r;
    size_t count[64];
    open_run(&r, "{density: 0.1, ranking: global, refresh_every: 1}");
    for (size_t i = 0; i < r.model.params.n; i++)
        count[i] = r.model.params.item[i]->grad.size;
    for (int i = 0; i < BATCHES; i++)
        ASSERT_OK(run_step(&r, &r.spec.first[i], 1, 1, NULL, &e), &e);
    assert_true(reported(&r, "mask_overlap") < 1);
    for (size_t i = 0; i < r.model.params.n; i++)
        assert_int_equal(r.model.params.item[i]->grad.size, count[i]);
    run_close(&r);
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* Place of a word among OPTIM_WORDS. */
static int optimizer(const char *name)
{
    const struct opt row = {.words = OPTIM_WORDS};
    char word[64];
    int i = 0;
    while (strcmp(opt_word(&row, i, word, sizeof word), name) != 0)
        i++;
    return i;
}

/* SGD, rate .1, decay .5: trained weights go to w - .1 (g + .5 w), biases to w - .1 g, all else stays. */
TEST(decay_acts_on_the_trained_entries)
{
    struct run r;
    struct run_spec s = spec_of("sift", "{density: 0.2}");
    s.optim.optim = optimizer("sgd");
    s.optim.learning_rate = 0.1;
    s.optim.weight_decay = 0.5;
    ASSERT_OK(run_open(&r, &s, &e), &e);
    const struct param *p = r.model.block[0].value.w;
    real want[256];
    memcpy(want, p->w, sizeof want);
    ASSERT_OK(run_gradients(&r, r.spec.first, 1, NULL, &e), &e);
    for (size_t i = 0; i < p->grad.n; i++)
        want[p->grad.idx[i]] -= (real)0.1 * (p->grad.v[i] + (real)0.5 * want[p->grad.idx[i]]);
    optim_step(r.env.optim, 1);
    for (int i = 0; i < 256; i++)
        ASSERT_NEAR(p->w[i], want[i], 1e-7);
    run_close(&r);
}

TEST(without_biases)
{
    struct run r;
    open_run(&r, "{density: 0.1, bias: false, target_modules: [query, LayerNorm]}");
    for (size_t i = 0; i < r.model.params.n; i++) {
        const struct param *p = r.model.params.item[i];
        bool wanted = strstr(p->name, "query.weight") || strstr(p->name, "LayerNorm.weight");
        assert_true(p->head || (p->grad.form != GRAD_NONE) == wanted);
    }
    run_close(&r);
}

static void expect_refusal(const char *options, const char *message)
{
    struct run r;
    struct run_spec s = spec_of("sift", options);
    e = (struct err){0};
    ASSERT_ERR(run_plan(&r, &s, &e), &e, message);
    run_close(&r);
}

TEST(what_cannot_be_is_refused_at_its_place)
{
    expect_refusal("{bias: false, target_modules: [query.bias]}",
                   "test.yaml:1:8: bias is false, and target_modules names nothing but biases");
    expect_refusal("{compat: reference, ranking: global}",
                   "test.yaml:1:30: compat: reference ranks each tensor by itself; write `ranking: tensor`");
    expect_refusal("{compat: reference, select: allocation}",
                   "test.yaml:1:29: compat: reference has no ranking over all tensors, which allocation needs");
    expect_refusal("{compat: reference, refresh_every: 5}",
                   "test.yaml:1:36: compat: reference selects once; write `refresh_every: 0`");
}

/* ------------------------------------------------------------------------------------------------------------------ */

static bool look_away(void *self, const struct param *p, const real *g, struct err *error)
{
    (void)self, (void)p, (void)g, (void)error;
    return true;
}

/* Most scratch that a selection takes beside what the probe itself needs. */
static size_t selection_scratch(struct run *r)
{
    struct tap tap = {.see = look_away};
    for (size_t i = 0; i < r->model.params.n; i++)
        r->model.params.item[i]->tapped = is_target(r->model.params.item[i]);
    mem_restart_peaks(&r->meter);
    ASSERT_OK(r->probe.gradient(&r->probe, &(struct probe_batch){.dropout = true}, &tap, NULL, &e), &e);
    size_t probe = r->meter.peak[MEM_SCRATCH];
    for (size_t i = 0; i < r->model.params.n; i++)
        r->model.params.item[i]->tapped = false;
    mem_restart_peaks(&r->meter);
    ASSERT_OK(r->method->select(r->self, &r->env, &e), &e);
    return r->meter.peak[MEM_SCRATCH] - probe;
}

/* By default a list of the 16 targets; a common ranking holds 224 candidates; two batches hold every target. */
TEST(a_selection_holds_no_dense_gradient)
{
    struct run r;
    open_run(&r, "{density: 0.1}");
    assert_int_equal(selection_scratch(&r), 16 * sizeof(struct param *));
    run_close(&r);
    open_run(&r, "{density: 0.1, ranking: global}");
    size_t global = selection_scratch(&r);
    assert_true(global >= 224 * (sizeof(real) + 4) && global < 224 * (sizeof(real) + 4) + 16 * 128);
    run_close(&r);
    open_run(&r, "{density: 0.1, select_batches: 2}");
    assert_true(selection_scratch(&r) >= 8 * (256 + 16) * sizeof(real));
    run_close(&r);
}
