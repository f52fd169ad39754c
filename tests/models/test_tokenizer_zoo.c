/* The tokenizer of zoo:mini: its size, what it covers, and what random bytes do to it. */
#include "tests/models/tokenizer_helper.h"

#include "base/rng.h"

static struct tokenizer *mini(void)
{
    struct model_source s;
    arena = arena_create(NULL);
    ASSERT_OK(model_source_open(&s, "zoo:mini", NULL, arena, &e), &e);
    struct tokenizer *t = tokenizer_open(&s, arena, &e);
    ASSERT_OK(t, &e);
    return t;
}

enum { UNK = 1, CLS = 2, SEP = 3 };

static void assert_known(const struct tokenizer *t, const char *text)
{
    struct encoding out = encode_bytes(t, text, strlen(text), NULL, 0, 512);
    assert_int_equal(out.ids[0], CLS);
    assert_int_equal(out.ids[out.n - 1], SEP);
    for (int i = 0; i < out.n; i++)
        if (out.ids[i] == UNK)
            fail_msg("`%s` has an unknown word", text);
}

TEST(size)
{
    struct tokenizer *t = mini();
    assert_int_equal(tokenizer_size(t), 8192);
    assert_string_equal(tokenizer_files(t)[0], "vocab.txt");
}

TEST(every_printable_ascii_string_is_known)
{
    struct tokenizer *t = mini();
    for (char c = ' '; c <= '~'; c++)
        for (char d = ' '; d <= '~'; d++) {
            char text[] = {c, d, c, 'Q', d, 0};
            assert_known(t, text);
        }
}

TEST(ordinary_text_is_known)
{
    struct tokenizer *t = mini();
    assert_known(t, "Naïve cafés in Łódź cost €5 — “not bad”… 20 °C, ½ × 3² ≤ 5");
    assert_known(t, "Σωκράτης, Лев Толстой, Straße, Ægir, œuvre, İstanbul ıssız");
    struct encoding out = encode_bytes(t, "the of and with who", 19, NULL, 0, 64);
    assert_int_equal(out.n, 7); /* function words are whole */
}

TEST(random_bytes)
{
    struct tokenizer *t = mini();
    struct rng r = rng_stream(7, "tokenizer-fuzz");
    for (int round = 0; round < 3000; round++) {
        char text[2][64];
        size_t n[2];
        for (int k = 0; k < 2; k++) {
            n[k] = rng_below(&r, sizeof text[k] + 1);
            for (size_t i = 0; i < n[k]; i++)
                text[k][i] = (char)(rng_below(&r, 2) ? 0x80 + rng_below(&r, 128) : rng_below(&r, 256));
        }
        int max = 3 + (int)rng_below(&r, 80);
        struct arena_mark m = arena_mark(arena);
        struct encoding out = encode_bytes(t, text[0], n[0], round % 2 ? text[1] : NULL, n[1], max);
        assert_in_range(out.n, 2, max);
        for (int i = 0; i < out.n; i++) {
            assert_in_range(out.ids[i], 0, 8191);
            assert_in_range(out.types[i], 0, 1);
        }
        arena_release(arena, m);
    }
}
