/* Central differences in double precision for every parameter of a two-layer model, with dropout on, and for every
 * gradient form.
 * labels: unit */
#include "tests/models/tiny.h"

#include <math.h>

static struct err e;
static struct tiny t;

/* (L(w + h) - L(w - h)) / 2h against the accumulated gradient. */
static void check_entry(struct param *p, size_t at, double got)
{
    const double h = 1e-5;
    double w = p->w[at];
    p->w[at] = w + h;
    double up = tiny_loss(&t);
    p->w[at] = w - h;
    double down = tiny_loss(&t);
    p->w[at] = w;
    double want = (up - down) / (2 * h);
    if (fabs(want - got) > 1e-6 * fmax(1, fabs(want)))
        fail_msg("%s[%zu]: difference quotient %.9g, gradient %.9g", p->name, at, want, got);
}

static void check_all(struct model_config c)
{
    tiny_make(&t, &c, 5, &e);
    t.pass.train = true;
    t.pass.seed = 3;
    t.pass.step = 11;
    tiny_request_all(&t, &e);
    tiny_workspace(&t, WORKSPACE_STORE, &e);
    tiny_step(&t, &e);
    for (size_t i = 0; i < t.model.params.n; i++) {
        struct param *p = t.model.params.item[i];
        size_t stride = param_size(p) > 64 ? param_size(p) / 61 : 1;
        /* The padding row of the word embeddings has no gradient by definition. */
        size_t first = p == t.model.word ? (size_t)(c.pad_token_id + 1) * (size_t)p->cols : 0;
        for (size_t at = first; at < param_size(p); at += stride)
            check_entry(p, at, p->grad.v[at]);
    }
}

static struct model_config with_dropout(int labels)
{
    struct model_config c = tiny_config(labels);
    c.hidden_dropout_prob = 0.2;
    c.attention_probs_dropout_prob = 0.3;
    return c;
}

TEST(bert_classification) { check_all(with_dropout(3)); }
TEST(bert_regression) { check_all(with_dropout(1)); }

TEST(bert_mean_pooling)
{
    struct model_config c = with_dropout(2);
    c.pooling = POOLING_MEAN;
    check_all(c);
}

TEST(roberta)
{
    struct model_config c = with_dropout(2);
    c.family = FAMILY_ROBERTA;
    c.type_vocab_size = 1;
    c.pad_token_id = 1;
    check_all(c);
}

/* Compact values of a partial request against the dense gradient of the same pass. */
static void gather_wanted(void *u, const struct param *p, size_t at, size_t compact, size_t length)
{
    const double *dense = u;
    for (size_t i = 0; i < length; i++)
        ASSERT_NEAR(p->grad.v[compact + i], dense[at + i], 1e-12);
}

static void check_form(struct param *p, enum grad_form form, size_t n, int block, uint32_t step)
{
    static double dense[4096];
    static uint32_t idx[4096];
    assert_true(param_size(p) <= 4096);
    param_request(p, GRAD_DENSE, 0, 0);
    ASSERT_OK(param_allocate(&t.model.params, t.arena, &e), &e);
    tiny_workspace(&t, WORKSPACE_STORE, &e);
    tiny_step(&t, &e);
    memcpy(dense, p->grad.v, param_size(p) * sizeof *dense);
    param_request(p, form, n, block);
    ASSERT_OK(param_allocate(&t.model.params, t.arena, &e), &e);
    for (size_t i = 0; i < n; i++)
        idx[i] = (uint32_t)i * step;
    param_set_index(p, idx);
    tiny_workspace(&t, WORKSPACE_STORE, &e);
    tiny_step(&t, &e);
    assert_int_equal(p->grad.form, form);
    param_each_run(p, gather_wanted, dense);
    param_request(p, GRAD_NONE, 0, 0);
}

TEST(every_form_of_request)
{
    struct model_config c = with_dropout(2);
    tiny_make(&t, &c, 12, &e);
    t.pass.train = true;
    struct param *w = t.model.block[0].intermediate.w; /* 24 x 16 */
    check_form(w, GRAD_ROWS, 5, 0, 4);
    check_form(w, GRAD_COLS, 5, 0, 3);
    check_form(w, GRAD_BLOCKS, 3, 8, 2);
    check_form(w, GRAD_ENTRIES, 11, 0, 33);  /* dot products */
    check_form(w, GRAD_ENTRIES, 120, 0, 3);  /* bands of rows */
    check_form(t.model.block[1].query.b, GRAD_ENTRIES, 4, 0, 3);
    check_form(t.model.embedding_norm.w, GRAD_COLS, 4, 0, 3);
    check_form(t.model.word, GRAD_ROWS, 9, 0, 4);
    check_form(t.model.word, GRAD_COLS, 5, 0, 3);
    check_form(t.model.word, GRAD_BLOCKS, 4, 8, 2);
    check_form(t.model.word, GRAD_ENTRIES, 70, 0, 9);
    check_form(t.model.head_out.w, GRAD_ENTRIES, 6, 0, 5);
}
