/* Checkpoints: every form that files have gives the same weights; what is wrong is said; nothing is in memory twice. */
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "models/checkpoint.h"
#include "models/init.h"
#include "models/safetensors.h"

static struct err e;

static const char bert_config[] =
    "{\"model_type\": \"bert\", \"vocab_size\": 11, \"hidden_size\": 8, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 2, \"intermediate_size\": 12, \"max_position_embeddings\": 6}";
static const char roberta_config[] =
    "{\"model_type\": \"roberta\", \"vocab_size\": 11, \"hidden_size\": 8, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 2, \"intermediate_size\": 12, \"max_position_embeddings\": 6, \"type_vocab_size\": 1}";

/* How a directory of weights is written. */
struct form {
    const char *config;       /* NULL: BERT's                                              */
    enum tensor_type type;    /* F64, F32, F16, BF16 or, wrong, I32                        */
    bool no_prefix, old_norm; /* names without `bert.`; gamma and beta                     */
    bool sharded, shifted;    /* two files and an index; data one byte off their alignment */
    const char *drop;         /* tensors whose name ends so are left out                   */
    const char *odd;          /* the tensor of this name gets one row or element more      */
    bool extra;               /* tensors that no classifier has                            */
    int labels;               /* 0: two                                                    */
};

/* Weight j of parameter i: seven significant bits, so that every type holds it exactly. */
static double weight(size_t i, size_t j) { return ((double)((i * 31 + j * 17) % 127) - 63) / 64; }

static void encode(enum tensor_type type, double value, unsigned char *out)
{
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint16_t brain = (uint16_t)(bits >> 16);
    uint16_t half =
        (uint16_t)(value == 0 ? 0 : (bits >> 31) << 15 | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023));
    switch (type) {
    case TENSOR_F64: memcpy(out, &value, 8); break;
    case TENSOR_F16: memcpy(out, &half, 2); break;
    case TENSOR_BF16: memcpy(out, &brain, 2); break;
    default: memcpy(out, &f, 4); break;
    }
}

static struct model build(const char *config, int labels)
{
    struct model m;
    struct model_config c;
    struct model_source s;
    test_file("config.json", config ? config : bert_config);
    ASSERT_OK(model_source_open(&s, test_dir(), NULL, test_arena(), &e), &e);
    ASSERT_OK(model_config_read(&c, &s, test_arena(), &e), &e);
    c.num_labels = labels ? labels : 2;
    ASSERT_OK(model_build(&m, &c, test_arena(), &e), &e);
    return m;
}

static const char *name_in_file(const struct form *f, const struct model *m, const struct param *p)
{
    const char *prefix = model_config_prefix(&m->config);
    const char *name = f->no_prefix && text_starts(p->name, prefix) ? p->name + strlen(prefix) : p->name;
    size_t n = strlen(name);
    if (!f->old_norm || p->kind != PARAM_NORM)
        return name;
    return text_ends(name, ".weight") ? arena_printf(test_arena(), &e, "%.*sgamma", (int)(n - 6), name)
                                      : arena_printf(test_arena(), &e, "%.*sbeta", (int)(n - 4), name);
}

static struct tensor tensor_of(const struct form *f, const struct model *m, size_t i)
{
    const struct param *p = m->params.item[i];
    size_t more = f->odd && strcmp(f->odd, p->name) == 0, size = tensor_type_size(f->type);
    size_t rows = (size_t)p->rows + (p->ndim == 2 ? more : 0), cols = (size_t)p->cols + (p->ndim == 1 ? more : 0);
    unsigned char *data = arena_alloc(test_arena(), MEM_DATA, rows * cols * size, &e);
    for (size_t j = 0; j < rows * cols; j++)
        encode(f->type, weight(i, j), data + j * size);
    const char *name = name_in_file(f, m, p);
    return p->ndim == 1 ? tensor_vector(name, f->type, cols, data) : tensor_matrix(name, f->type, rows, cols, data);
}

/* One more space in the header moves all data by one byte. */
static void shift(const char *path)
{
    size_t size;
    char *old = io_read(test_arena(), path, 0, &size, &e);
    ASSERT_OK(old, &e);
    uint64_t length;
    memcpy(&length, old, 8);
    struct io_piece pieces[4] = {{NULL, 8}, {old + 8, length}, {" ", 1}, {old + 8 + length, size - 8 - length}};
    uint64_t longer = length + 1;
    pieces[0].data = &longer;
    ASSERT_OK(io_write_pieces(path, pieces, 4, &e), &e);
}

static void write_shards(const struct tensor *t, size_t n)
{
    struct text index = {.arena = test_arena()};
    const char *const files[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
    ASSERT_OK(safetensors_write(test_path(files[0]), t, n / 2, NULL, test_arena(), &e), &e);
    ASSERT_OK(safetensors_write(test_path(files[1]), t + n / 2, n - n / 2, NULL, test_arena(), &e), &e);
    text_add(&index, &e, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
    for (size_t i = 0; i < n; i++)
        text_add(&index, &e, "%s\"%s\": \"%s\"", i ? ", " : "", t[i].name, files[i >= n / 2]);
    text_add(&index, &e, "}}");
    test_file("model.safetensors.index.json", index.s);
}

/* Writes the weights of a form into the test's directory. */
static void write_form(const struct form *f)
{
    static const int64_t ids[] = {0, 1, 2, 3, 4, 5};
    static const float logits[8];
    struct model m = build(f->config, f->labels);
    struct tensor t[64];
    size_t n = 0;
    for (size_t i = 0; i < m.params.n; i++)
        if (!f->drop || !text_ends(m.params.item[i]->name, f->drop))
            t[n++] = tensor_of(f, &m, i);
    if (f->extra) {
        t[n++] = tensor_vector("bert.embeddings.position_ids", TENSOR_I64, 6, ids);
        t[n++] = tensor_vector("cls.predictions.bias", TENSOR_F32, 8, logits);
    }
    unlink(test_path("model.safetensors"));
    unlink(test_path("model.safetensors.index.json"));
    if (f->sharded) {
        write_shards(t, n);
        return;
    }
    ASSERT_OK(safetensors_write(test_path("model.safetensors"), t, n, NULL, test_arena(), &e), &e);
    if (f->shifted)
        shift(test_path("model.safetensors"));
}

static struct checkpoint *open_dir(void)
{
    struct model_source s;
    ASSERT_OK(model_source_open(&s, test_dir(), NULL, test_arena(), &e), &e);
    return checkpoint_open(&s, test_arena(), &e);
}

/* Loads what lies in the directory into a model of two labels. */
static struct checkpoint *load(struct model *m, struct arena *a, struct checkpoint_report *report)
{
    struct checkpoint *c = open_dir();
    ASSERT_OK(c, &e);
    ASSERT_OK(checkpoint_check(c, m, false, &e), &e);
    ASSERT_OK(checkpoint_load(c, m, 1, false, a, report, &e), &e);
    return c;
}

static void assert_weights(const struct model *m)
{
    for (size_t i = 0; i < m->params.n; i++)
        for (size_t j = 0; j < param_size(m->params.item[i]); j++)
            assert_true((double)m->params.item[i]->w[j] == weight(i, j));
}

TEST(every_form_gives_the_same_weights)
{
    static const struct form forms[] = {
        {.type = TENSOR_F32},
        {.type = TENSOR_F16},
        {.type = TENSOR_BF16},
        {.type = TENSOR_F64},
        {.type = TENSOR_F32, .shifted = true},
        {.type = TENSOR_BF16, .shifted = true},
        {.type = TENSOR_F32, .no_prefix = true},
        {.type = TENSOR_F32, .old_norm = true},
        {.type = TENSOR_F16, .no_prefix = true, .old_norm = true},
        {.type = TENSOR_F32, .sharded = true},
        {.type = TENSOR_BF16, .sharded = true, .no_prefix = true},
        {.type = TENSOR_F32, .extra = true},
        {.type = TENSOR_F32, .config = roberta_config},
        {.type = TENSOR_F32, .config = roberta_config, .no_prefix = true, .old_norm = true},
    };
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        struct checkpoint_report report;
        write_form(&forms[k]);
        struct model m = build(forms[k].config, 2);
        struct checkpoint *c = load(&m, test_arena(), &report);
        assert_weights(&m);
        bool mapped = forms[k].type == TENSOR_REAL && !forms[k].shifted;
        assert_int_equal(report.n_mapped, mapped ? m.params.n : 0);
        assert_int_equal(report.n_converted, mapped ? 0 : m.params.n);
        assert_int_equal(report.n_ignored, forms[k].extra ? 2 : 0);
        assert_int_equal(report.n_initialised, 0);
        assert_false(report.random);
        checkpoint_close(c);
    }
}

static size_t total(const struct model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->params.n; i++)
        n += param_size(m->params.item[i]);
    return n;
}

TEST(weights_in_place_take_no_memory_and_never_reach_the_file)
{
    struct mem_meter meter = {0};
    struct arena *a = arena_create(&meter);
    struct checkpoint_report report;
    char before[IO_DIGEST], after[IO_DIGEST];
    write_form(&(struct form){.type = TENSOR_REAL});
    ASSERT_OK(io_sha256_file(test_path("model.safetensors"), before, &e), &e);
    struct model m = build(NULL, 2);
    struct checkpoint *c = load(&m, a, &report);
    assert_int_equal(meter.live[MEM_WEIGHTS], 0);
    assert_int_equal(meter.live[MEM_MAPPED], total(&m) * sizeof(real));
    assert_int_equal(report.bytes_mapped, total(&m) * sizeof(real));
    for (size_t i = 0; i < m.params.n; i++)
        for (size_t j = 0; j < param_size(m.params.item[i]); j++)
            m.params.item[i]->w[j] += 1;
    checkpoint_close(c);
    ASSERT_OK(io_sha256_file(test_path("model.safetensors"), after, &e), &e);
    assert_string_equal(before, after);
    arena_destroy(a);
    assert_int_equal(meter.live[MEM_MAPPED], 0);

    a = arena_create(&meter);
    write_form(&(struct form){.type = TENSOR_F16});
    m = build(NULL, 2);
    c = load(&m, a, &report);
    assert_int_equal(meter.live[MEM_MAPPED], 0);
    assert_true(meter.live[MEM_WEIGHTS] >= total(&m) * sizeof(real));
    assert_int_equal(report.bytes_converted, total(&m) * sizeof(real));
    checkpoint_close(c);
    arena_destroy(a);
}

/* ---- what is not there ---- */

/* Loads with a seed and copies the weights of one parameter. */
static real *weights_after(const char *name, uint64_t seed, bool reinit_head, struct checkpoint_report *report)
{
    struct model m = build(NULL, 2);
    struct checkpoint *c = open_dir();
    ASSERT_OK(c, &e);
    ASSERT_OK(checkpoint_check(c, &m, reinit_head, &e), &e);
    ASSERT_OK(checkpoint_load(c, &m, seed, reinit_head, test_arena(), report, &e), &e);
    const struct param *p = param_find(&m.params, name);
    real *w = arena_alloc(test_arena(), MEM_DATA, param_size(p) * sizeof *w, &e);
    memcpy(w, p->w, param_size(p) * sizeof *w);
    checkpoint_close(c);
    return w;
}

TEST(a_missing_head_is_initialised_from_its_own_stream)
{
    struct checkpoint_report report;
    write_form(&(struct form){.type = TENSOR_F32, .drop = "classifier.weight"});
    real *a = weights_after("classifier.weight", 7, false, &report);
    assert_int_equal(report.n_initialised, 1);
    assert_string_equal(report.initialised[0], "classifier.weight");
    real *b = weights_after("classifier.weight", 8, false, &report);
    assert_memory_not_equal(a, b, 16 * sizeof *a);
    write_form(&(struct form){.type = TENSOR_F16, .drop = ".pooler.dense.weight"});
    real *pooler = weights_after("bert.pooler.dense.weight", 7, false, &report);
    assert_int_equal(report.n_initialised, 1);
    assert_memory_not_equal(a, pooler, 16 * sizeof *a);

    /* the same draw when more is missing and the rest lies otherwise */
    struct model m = build(NULL, 2);
    struct tensor t[64];
    size_t n = 0;
    for (size_t i = 0; i < m.params.n; i++)
        if (!m.params.item[i]->head)
            t[n++] = tensor_of(&(struct form){.type = TENSOR_BF16}, &m, i);
    ASSERT_OK(safetensors_write(test_path("model.safetensors"), t, n, NULL, test_arena(), &e), &e);
    b = weights_after("classifier.weight", 7, false, &report);
    assert_memory_equal(a, b, 16 * sizeof *a);
    assert_memory_equal(pooler, weights_after("bert.pooler.dense.weight", 7, false, &report), 64 * sizeof *a);
    assert_int_equal(report.n_initialised, 4);
    double squares = 0;
    for (int i = 0; i < 64; i++)
        squares += (double)(pooler[i] * pooler[i]);
    assert_true(squares > 64 * .01 * .01 && squares < 64 * .03 * .03);
    struct rng stream = rng_stream(7, "head/classifier.weight");
    for (int i = 0; i < 16; i++)
        assert_true(a[i] == (real)(.02 * rng_normal(&stream)));
    real *bias = weights_after("classifier.bias", 7, false, &report);
    assert_true(bias[0] == 0 && bias[1] == 0);
}

TEST(another_head_is_an_error_unless_it_is_to_be_new)
{
    struct checkpoint_report report;
    char expected[1024];
    write_form(&(struct form){.type = TENSOR_F32, .labels = 3});
    struct model m = build(NULL, 2);
    struct checkpoint *c = open_dir();
    snprintf(expected, sizeof expected,
             "%s: tensor `classifier.weight` has shape [3, 8]; the model needs [2, 8] (another number of labels)",
             test_path("model.safetensors"));
    ASSERT_ERR(checkpoint_check(c, &m, false, &e), &e, expected);
    ASSERT_ERR(checkpoint_load(c, &m, 1, false, test_arena(), &report, &e), &e, expected);
    checkpoint_close(c);
    weights_after("classifier.weight", 7, true, &report);
    assert_int_equal(report.n_initialised, 2);
    assert_string_equal(report.initialised[0], "classifier.weight");
    assert_string_equal(report.initialised[1], "classifier.bias");
}

TEST(a_model_of_the_zoo_without_weights_is_random)
{
    struct model_source s;
    struct model_config c;
    struct model m;
    struct checkpoint_report report;
    char hex[IO_DIGEST];
    ASSERT_OK(model_source_open(&s, "zoo:bert-tiny", NULL, test_arena(), &e), &e);
    ASSERT_OK(model_config_read(&c, &s, test_arena(), &e), &e);
    ASSERT_OK(model_build(&m, &c, test_arena(), &e), &e);
    struct checkpoint *k = checkpoint_open(&s, test_arena(), &e);
    ASSERT_OK(k, &e);
    assert_true(checkpoint_is_random(k));
    ASSERT_OK(checkpoint_check(k, &m, false, &e), &e);
    ASSERT_OK(checkpoint_load(k, &m, 5, false, test_arena(), &report, &e), &e);
    assert_true(report.random);
    assert_int_equal(report.n_initialised, 0);
    ASSERT_OK(checkpoint_digest(k, hex, &e), &e);
    assert_string_equal(hex, "random");
    double squares = 0;
    for (int j = 0; j < 128; j++) {
        assert_true(m.word->w[j] == 0); /* [PAD] */
        squares += (double)(m.word->w[128 + j] * m.word->w[128 + j]);
        assert_true(m.embedding_norm.w->w[j] == 1);
        assert_true(m.embedding_norm.b->w[j] == 0);
        assert_true(m.block[1].query.b->w[j] == 0);
    }
    ASSERT_NEAR(squares / 128, .02 * .02, .5 * .02 * .02);
    assert_memory_not_equal(m.block[0].query.w->w, m.block[1].query.w->w, 128 * sizeof(real));
    checkpoint_close(k);
}

TEST(roberta_padding_rows_are_zero)
{
    struct model m = build(roberta_config, 2);
    struct param *tables[] = {m.word, m.position};
    for (int i = 0; i < 2; i++) {
        tables[i]->w = ARENA_NEW(test_arena(), MEM_WEIGHTS, real, param_size(tables[i]), &e);
        init_param(&m.config, tables[i], 3);
        assert_true(tables[i]->w[0] != 0);
        for (int j = 8; j < 16; j++)
            assert_true(tables[i]->w[j] == 0); /* id 1 */
    }
}

/* ---- what is wrong ---- */

/* Opens, checks against a model of two labels, and expects this message about this file. */
static void refused(const char *file, const char *message)
{
    char expected[1024];
    struct model m = build(NULL, 2);
    struct checkpoint *c = open_dir();
    snprintf(expected, sizeof expected, "%s%s%s: %s", test_dir(), *file ? "/" : "", file, message);
    ASSERT_ERR(c && checkpoint_check(c, &m, false, &e), &e, expected);
    assert_int_equal(e.code, ERR_INPUT);
    checkpoint_close(c);
}

TEST(wrong_weights_are_refused)
{
    static const struct {
        struct form form;
        const char *message;
    } cases[] = {
        {{.type = TENSOR_F32, .drop = "layer.1.output.dense.bias"},
         "tensor `bert.encoder.layer.1.output.dense.bias` is missing"},
        {{.type = TENSOR_F32, .drop = "embeddings.LayerNorm.weight", .old_norm = true, .no_prefix = true},
         "tensor `bert.embeddings.LayerNorm.weight` is missing"},
        {{.type = TENSOR_F32, .odd = "bert.embeddings.word_embeddings.weight"},
         "tensor `bert.embeddings.word_embeddings.weight` has shape [12, 8]; the model needs [11, 8]"},
        {{.type = TENSOR_F32, .odd = "bert.encoder.layer.0.attention.self.key.bias"},
         "tensor `bert.encoder.layer.0.attention.self.key.bias` has shape [9]; the model needs [8]"},
        {{.type = TENSOR_F32, .odd = "bert.embeddings.LayerNorm.bias", .old_norm = true, .no_prefix = true},
         "tensor `embeddings.LayerNorm.beta` has shape [9]; the model needs [8]"},
        {{.type = TENSOR_F32, .odd = "bert.pooler.dense.weight"},
         "tensor `bert.pooler.dense.weight` has shape [9, 8]; the model needs [8, 8]"},
        {{.type = TENSOR_F32, .labels = 1},
         "tensor `classifier.weight` has shape [1, 8]; the model needs [2, 8] (another number of labels)"},
        {{.type = TENSOR_I32},
         "tensor `bert.embeddings.word_embeddings.weight`: dtype is I32; weights are F32, F16, BF16 or F64"},
        {{.type = TENSOR_F32, .config = roberta_config}, "tensor `bert.embeddings.word_embeddings.weight` is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_form(&cases[i].form);
        refused("model.safetensors", cases[i].message);
    }
}

TEST(wrong_directories_are_refused)
{
    build(NULL, 2);
    refused("", "has no `model.safetensors`");
    test_file("pytorch_model.bin", "PK");
    refused("", "has `pytorch_model.bin` but no `model.safetensors`: convert it with save_pretrained(..., "
                "safe_serialization=True)");
    test_file("model.safetensors", "\x10");
    refused("model.safetensors", "is 1 bytes long: too short for a safetensors file");
}

TEST(wrong_indices_are_refused)
{
    static const char index[] = "model.safetensors.index.json";
    write_form(&(struct form){.type = TENSOR_F32, .sharded = true});
    test_file(index, "[]");
    refused(index, "`weight_map` is missing or not an object");
    test_file(index, "{\"weight_map\": {\"a\": 1}}");
    refused(index, "tensor `a`: its file is not a string");
    test_file(index, "{\"weight_map\": {\"a\": \"../model.safetensors\"}}");
    refused(index, "`weight_map` names `../model.safetensors`, which is no safetensors file beside it");
    test_file(index, "{\"weight_map\": {\"a\": \"model-00001-of-00002.safetensors\"}}");
    refused(index, "tensor `a` is not in model-00001-of-00002.safetensors, as `weight_map` says");
    test_file(index, "{\"weight_map\": {\"a\": \"model-00003-of-00002.safetensors\"}}");
    refused("model-00003-of-00002.safetensors", "cannot be read: No such file or directory");
    test_file(index, "{\"weight_map\": {}}");
    refused(index, "tensor `bert.embeddings.word_embeddings.weight` is missing");
    test_file(index, "{\"weight_map\": ");
    char where[600];
    snprintf(where, sizeof where, "%s:1:15", index);
    refused(where, "unexpected token near end of file");
}

TEST(allocation_failures_end_cleanly)
{
    bool ok = false;
    write_form(&(struct form){.type = TENSOR_BF16, .sharded = true, .drop = "classifier.bias"});
    for (long n = 0; !ok; n++) {
        struct model m = build(NULL, 2);
        struct checkpoint_report report;
        struct model_source s;
        ASSERT_OK(model_source_open(&s, test_dir(), NULL, test_arena(), &e), &e);
        arena_fail_at(n);
        struct checkpoint *c = checkpoint_open(&s, test_arena(), &e);
        ok = c && checkpoint_load(c, &m, 1, false, test_arena(), &report, &e);
        arena_fail_at(-1);
        assert_true(ok || e.code == ERR_ENV);
        checkpoint_close(c);
    }
}

/* ---- digests ---- */

TEST(digests_name_the_weights)
{
    char one[IO_DIGEST], plain[IO_DIGEST], shards[IO_DIGEST], expected[IO_DIGEST];
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    write_form(&(struct form){.type = TENSOR_F32});
    struct checkpoint *c = open_dir();
    ASSERT_OK(checkpoint_digest(c, one, &e), &e);
    ASSERT_OK(io_sha256_file(test_path("model.safetensors"), plain, &e), &e);
    assert_string_equal(one, plain);
    checkpoint_close(c);

    write_form(&(struct form){.type = TENSOR_F32, .sharded = true});
    c = open_dir();
    ASSERT_OK(checkpoint_digest(c, shards, &e), &e);
    checkpoint_close(c);
    char lines[400], a[IO_DIGEST], b[IO_DIGEST];
    ASSERT_OK(io_sha256_file(test_path("model-00001-of-00002.safetensors"), a, &e), &e);
    ASSERT_OK(io_sha256_file(test_path("model-00002-of-00002.safetensors"), b, &e), &e);
    snprintf(lines, sizeof lines, "%s  model-00001-of-00002.safetensors\n%s  model-00002-of-00002.safetensors\n", a, b);
    ASSERT_OK(io_sha256(lines, strlen(lines), expected, &e), &e);
    assert_string_equal(shards, expected);
}
