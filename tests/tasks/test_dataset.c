/* Tokenised examples: ids as the tokenizer gives them, exact memory, nothing left in the scratch arena. */
#include "tests/test.h"

#include <sys/stat.h>

#include "models/source.h"
#include "tasks/dataset.h"

static struct err e;

/* A WordPiece model directory with a vocabulary of letters and a few words. */
static struct tokenizer *tokenizer(void)
{
    static char vocab[4096];
    size_t at = 0;
    const char *const words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".",
                                 ",",     "the",   "was",   "film",  "good",   "bad"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        at += (size_t)snprintf(vocab + at, sizeof vocab - at, "%s\n", words[i]);
    for (char c = 'a'; c <= 'z'; c++)
        at += (size_t)snprintf(vocab + at, sizeof vocab - at, "%c\n##%c\n", c, c);
    test_file("vocab.txt", vocab);
    test_file("config.json", "{\"model_type\": \"bert\"}");
    struct model_source source;
    ASSERT_OK(model_source_open(&source, test_dir(), NULL, test_arena(), &e), &e);
    struct tokenizer *t = tokenizer_open(&source, test_arena(), &e);
    ASSERT_OK(t, &e);
    return t;
}

static struct examples examples(const char *name, long long n)
{
    struct examples x;
    const struct task *t = task_open(name, NULL, NULL, test_arena(), &e);
    ASSERT_OK(t, &e);
    ASSERT_OK(examples_train(&x, t, NULL, n, test_arena(), &e), &e);
    return x;
}

static void compare_rows(const struct dataset *d, const struct examples *x, const struct tokenizer *t, int max_length)
{
    for (size_t i = 0; i < d->n; i++) {
        struct encoding want;
        const struct example *one = &x->item[i];
        ASSERT_OK(tokenizer_encode(t, one->text_a, one->a_size, one->text_b, one->b_size, max_length, &want,
                                   test_arena(), &e), &e);
        assert_int_equal(d->start[i + 1] - d->start[i], want.n);
        assert_memory_equal(d->ids + d->start[i], want.ids, (size_t)want.n * sizeof(int32_t));
        assert_memory_equal(d->types + d->start[i], want.types, (size_t)want.n * sizeof(int32_t));
        assert_int_equal(d->row[i], one->row);
        assert_in_range(want.n, d->shortest, d->longest);
    }
}

TEST(packed_as_encoded)
{
    static const char *const names[] = {"synth_sentiment", "synth_entailment", "synth_similarity"};
    struct tokenizer *t = tokenizer();
    for (int k = 0; k < 3; k++) {
        struct examples x = examples(names[k], 300);
        struct dataset d;
        struct mem_meter meter = {0}, scratch_meter = {0};
        struct arena *a = arena_create(&meter), *scratch = arena_create(&scratch_meter);
        ASSERT_OK(dataset_build(&d, &x, t, 256, a, scratch, &e), &e);
        compare_rows(&d, &x, t, 256);
        assert_int_equal(meter.live_sum, dataset_bytes(d.n, d.start[d.n]));
        assert_int_equal(meter.live[MEM_DATA], meter.live_sum);
        assert_int_equal(scratch_meter.live_sum, 0);
        assert_int_equal(d.full, 0);
        for (size_t i = 0; i < d.n; i++)
            assert_true(k == 2 ? d.score[i] == x.item[i].score : d.label[i] == x.item[i].label);
        arena_destroy(a);
        arena_destroy(scratch);
    }
}

/* More tokens than are collected at once. */
TEST(large_sets)
{
    struct tokenizer *t = tokenizer();
    struct examples x = examples("synth_paraphrase", 2000);
    struct dataset d;
    struct arena *scratch = arena_create(NULL);
    ASSERT_OK(dataset_build(&d, &x, t, 256, test_arena(), scratch, &e), &e);
    assert_true(d.start[d.n] > 150000);
    compare_rows(&d, &x, t, 256);
    arena_destroy(scratch);
}

TEST(cut_to_max_length)
{
    struct tokenizer *t = tokenizer();
    struct examples x = examples("synth_paraphrase", 50);
    struct dataset d;
    struct arena *scratch = arena_create(NULL);
    ASSERT_OK(dataset_build(&d, &x, t, 16, test_arena(), scratch, &e), &e);
    assert_int_equal(d.longest, 16);
    assert_int_equal(d.full, 50);
    compare_rows(&d, &x, t, 16);
    arena_destroy(scratch);
}

TEST(memory_failure_is_an_error)
{
    struct tokenizer *t = tokenizer();
    struct examples x = examples("synth_sentiment", 4);
    for (long n = 0;; n++) {
        struct arena *a = arena_create(NULL), *scratch = arena_create(NULL);
        struct dataset d;
        arena_fail_at(n);
        bool ok = dataset_build(&d, &x, t, 32, a, scratch, &e);
        arena_fail_at(-1);
        arena_destroy(a);
        arena_destroy(scratch);
        if (ok)
            break;
        assert_int_equal(e.code, ERR_ENV);
        assert_true(n < 1000);
    }
}
