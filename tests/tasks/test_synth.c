/* The synthetic suite: reproducible, balanced, train and dev apart, labels that hold by construction. */
#include "tests/test.h"

#include "tasks/synth.h"

static struct err e;

static struct synth_example *make(const char *kind, uint64_t seed, bool dev, size_t n)
{
    struct synth_example *x = ARENA_NEW(test_arena(), MEM_DATA, struct synth_example, n, &e);
    ASSERT_OK(synth_make(synth_find(kind), seed, dev, n, x, test_arena(), &e), &e);
    return x;
}

static bool same(const struct synth_example *a, const struct synth_example *b)
{
    return a->label == b->label && a->score == b->score && strcmp(a->text_a, b->text_a) == 0 &&
           (!a->text_b || strcmp(a->text_b, b->text_b) == 0);
}

TEST(deterministic_and_a_prefix_of_longer_sets)
{
    for (const char *const *k = synth_names(); *k; k++) {
        struct synth_example *x = make(*k, 42, false, 300), *y = make(*k, 42, false, 120),
                             *z = make(*k, 43, false, 120);
        int differ = 0;
        for (int i = 0; i < 120; i++) {
            assert_true(same(&x[i], &y[i]));
            differ += !same(&x[i], &z[i]);
        }
        assert_true(differ > 100);
    }
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static size_t texts(const char **out, const struct synth_example *x, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        out[m++] = x[i].text_a;
        if (x[i].text_b)
            out[m++] = x[i].text_b;
    }
    qsort(out, m, sizeof *out, by_text);
    return m;
}

/* Also across seeds and sizes: the side hangs on the text. */
TEST(train_and_dev_share_no_text)
{
    enum { N = 3000, M = 1000 };
    static const char *train[2 * N], *dev[2 * M];
    for (const char *const *k = synth_names(); *k; k++) {
        size_t n = texts(train, make(*k, 42, false, N), N), m = texts(dev, make(*k, 7, true, M), M);
        for (size_t i = 0, j = 0; i < n && j < m;) {
            int c = strcmp(train[i], dev[j]);
            if (c == 0)
                fail_msg("%s: `%s` is in both sets", *k, dev[j]);
            i += c < 0;
            j += c > 0;
        }
    }
}

TEST(balanced)
{
    for (const char *const *k = synth_names(); *k; k++) {
        int classes = strcmp(*k, "similarity") == 0 ? 6 : synth_outputs(synth_find(*k)), count[6] = {0};
        struct synth_example *x = make(*k, 5, true, 100);
        for (int i = 0; i < 100; i++)
            count[classes == 6 ? (int)x[i].score : x[i].label]++;
        for (int c = 0; c < classes; c++)
            assert_in_range(count[c], 100 / classes, 100 / classes + 1);
    }
}

/* Sentences look like sentences: a capital first, a full stop last, single spaces, no odd bytes. */
TEST(well_formed_texts)
{
    for (const char *const *k = synth_names(); *k; k++) {
        struct synth_example *x = make(*k, 9, false, 500);
        for (int i = 0; i < 500; i++)
            for (const char *t = x[i].text_a; t; t = t == x[i].text_a ? x[i].text_b : NULL) {
                assert_in_range(t[0], 'A', 'Z');
                assert_int_equal(t[strlen(t) - 1], '.');
                assert_null(strstr(t, "  "));
                assert_null(strstr(t, " ,"));
                assert_in_range(strlen(t), 8, 200);
            }
    }
}

static int words(const char *s, char out[64][24])
{
    int n = 0;
    for (const char *p = s; *p && n < 64; n++) {
        size_t len = strcspn(p, " .,");
        snprintf(out[n], 24, "%.*s", (int)(len < 23 ? len : 23), p);
        p += len;
        p += strspn(p, " .,");
    }
    return n;
}

/* A wrong word for word cue: forms that exist in no dictionary mark unacceptable sentences only. */
TEST(wrong_forms_are_unacceptable)
{
    static const char *const wrong[] = {"childs", "mans", "womans", "buyed", "breaked", "feeded", "catched", "sleeped"};
    struct synth_example *x = make("acceptability", 1, false, 4000);
    int found = 0;
    for (int i = 0; i < 4000; i++) {
        char w[64][24];
        int n = words(x[i].text_a, w);
        for (int j = 0; j < n; j++) {
            for (size_t k = 0; k < 8; k++)
                if (strcmp(w[j], wrong[k]) == 0) {
                    assert_int_equal(x[i].label, 0);
                    found++;
                }
            if (j && strcmp(w[j], w[j - 1]) == 0 && strcmp(w[j], "that") != 0)
                assert_int_equal(x[i].label, 0); /* a doubled word */
        }
    }
    assert_true(found > 50);
}

/* Counting words of praise and blame alone must be better than chance, and far from perfect. */
TEST(sentiment_needs_more_than_words)
{
    static const char *const good[] = {"wonderful", "great", "good", "loved", "enjoyed", "perfect", "superb", "funny"};
    static const char *const bad[] = {"terrible", "awful", "bad", "hated", "boring", "dull", "poor", "weak"};
    struct synth_example *x = make("sentiment", 1, false, 6000);
    int right = 0, voted = 0;
    for (int i = 0; i < 6000; i++) {
        int vote = 0;
        for (size_t k = 0; k < 8; k++)
            vote += (strstr(x[i].text_a, good[k]) != NULL) - (strstr(x[i].text_a, bad[k]) != NULL);
        voted += vote != 0;
        right += vote != 0 && (vote > 0) == (x[i].label == 1);
    }
    assert_true(voted > 1000);
    assert_in_range(100 * right / voted, 55, 80);
}

/* Negation on one side only never is a paraphrase, nor entailed. */
TEST(denial_is_not_the_same)
{
    static const char *const kinds[] = {"paraphrase", "entailment"};
    for (int k = 0; k < 2; k++) {
        struct synth_example *x = make(kinds[k], 3, false, 2000);
        int found = 0, equivalent = k == 0 ? 1 : 0;
        for (int i = 0; i < 2000; i++)
            if ((strstr(x[i].text_a, " not ") != NULL) != (strstr(x[i].text_b, " not ") != NULL)) {
                assert_int_not_equal(x[i].label, equivalent);
                found++;
            }
        assert_true(found > 100);
    }
}
