/* Tokenizers without real data: WordPiece on small vocabularies, special and added tokens, layouts, truncation. */
#include "tests/models/tokenizer_helper.h"

/*                           0      1      2      3      4       5   6      7       8     9      10   11 */
static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\nplay\n##ing\n##s\nab\n"
                            "##c\n!\n#\ne\n"; /* ids 12..15 */

static struct tokenizer *small(void)
{
    test_file("vocab.txt", vocab);
    return open_ok(test_dir());
}

TEST(longest_pieces_first)
{
    struct tokenizer *t = small();
    assert_int_equal(tokenizer_size(t), 16);
    ASSERT_IDS(t, "unaffable", "2 5 6 7 3");
    ASSERT_IDS(t, "Playing  PLAYS\tplay!ab", "2 8 9 8 10 8 13 11 3");
    ASSERT_IDS(t, "abc", "2 11 12 3");
    ASSERT_IDS(t, "playz abz zz play", "2 1 1 1 8 3"); /* a word that does not come out is one unknown */
    ASSERT_IDS(t, "##ing", "2 14 14 1 3");             /* pieces in the text are text */
    ASSERT_IDS(t, "", "2 3");
    ASSERT_IDS(t, " \t\r\n", "2 3");
}

TEST(cleaning_accents_and_case)
{
    struct tokenizer *t = small();
    ASSERT_IDS(t, "\xc3\x89 e\xcc\x81 E\xcc\x81\xcc\xa3", "2 15 15 15 3");  /* E acute, composed and not */
    ASSERT_IDS(t, "pl\x01\x61\xc2\xad\x79", "2 8 3");                       /* control and soft hyphen vanish */
    ASSERT_IDS(t, "play\xe2\x80\x83play\xc2\xa0play", "2 8 8 8 3");         /* em space, no-break space */
    ASSERT_IDS(t, "e\xe4\xb8\xad\x65", "2 15 1 15 3");                      /* an ideograph is a word */
    ASSERT_IDS(t, "pl\xff\x61y \xf0\x9f\x98 p\xef\xbf\xbdlay", "2 8 8 3");  /* ill-formed bytes and U+FFFD vanish */
    struct encoding out = encode_bytes(t, "pl\0ay", 5, NULL, 0, 99);
    assert_string_equal(numbers(out.ids, out.n), "2 8 3");
}

/* U+302E (class 224) and U+1B44 (class 9) are combining, but no nonspacing marks: they stay, in canonical order. */
TEST(canonical_order)
{
    test_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\ne\n##\xe1\xad\x84\xe3\x80\xae\n##e\n");
    struct tokenizer *t = open_ok(test_dir());
    ASSERT_IDS(t, "e\xe3\x80\xae\xcc\x81\xe1\xad\x84", "1 3 4 2");
    ASSERT_IDS(t, "e\xe3\x80\xae\xe1\xad\x84" "e\xe1\xad\x84\xe3\x80\xae", "1 3 4 5 4 2");
}

TEST(words_of_more_than_100_characters_are_unknown)
{
    struct tokenizer *t = small();
    char text[220] = "";
    for (int i = 0; i < 33; i++)
        strcat(text, "ing");
    memcpy(text, "play", 4); /* play g ing ing ...: 99 characters, unknown because of `g` */
    ASSERT_IDS(t, text, "2 1 3");
    strcpy(text, "play");
    for (int i = 0; i < 32; i++)
        strcat(text, "ing"); /* 4 + 96 = 100 */
    struct encoding out = encode_bytes(t, text, strlen(text), NULL, 0, 200);
    assert_int_equal(out.n, 35);
    assert_int_equal(out.ids[33], 9);
    strcat(text, "s");
    ASSERT_IDS(t, text, "2 1 3");
}

TEST(special_tokens_in_the_text)
{
    struct tokenizer *t = small();
    ASSERT_IDS(t, "play[MASK]ing [SEP][CLS] [PAD] [UNK]", "2 8 4 1 3 2 0 1 3");
    ASSERT_IDS(t, "[mask]", "2 1 1 1 3");
    ASSERT_IDS(t, "[MA\xffSK]", "2 1 1 1 3");
}

TEST(pairs_and_their_types)
{
    struct tokenizer *t = small();
    struct encoding out = encode_bytes(t, "play", 4, "un ab", 5, 99);
    assert_string_equal(numbers(out.ids, out.n), "2 8 3 5 11 3");
    assert_string_equal(numbers(out.types, out.n), "0 0 0 1 1 1");
    out = encode_bytes(t, "play", 4, "", 0, 99); /* an empty second text is still one */
    assert_string_equal(numbers(out.ids, out.n), "2 8 3 3");
    assert_string_equal(numbers(out.types, out.n), "0 0 0 1");
    out = encode_bytes(t, "play", 4, NULL, 0, 99);
    assert_string_equal(numbers(out.types, out.n), "0 0 0");
}

/* Pieces kept of n1 and n2 at a limit of `max` pieces: the rule of the Rust library, stated here a second time. */
static void expected_split(int n1, int n2, int max, int keep[2])
{
    bool swap = n1 > n2;
    int small_n = swap ? n2 : n1, large_n = swap ? n1 : n2;
    if (n1 + n2 > max) {
        large_n = small_n <= max && max - small_n > small_n ? max - small_n : small_n;
        if (small_n + large_n > max) {
            small_n = max / 2;
            large_n = max - max / 2;
        }
    }
    keep[0] = swap ? large_n : small_n;
    keep[1] = swap ? small_n : large_n;
}

TEST(longest_first_truncation)
{
    struct tokenizer *t = small();
    const char *many = "e e e e e e e e e e e e", *others = "ab ab ab ab ab ab ab ab ab ab ab ab";
    for (int n1 = 0; n1 <= 9; n1++)
        for (int n2 = 0; n2 <= 9; n2++)
            for (int max = 0; max <= 20; max++) {
                int keep[2], seen[2] = {0};
                expected_split(n1, n2, max, keep);
                struct encoding out =
                    encode_bytes(t, many, 2 * (size_t)n1, others, 3 * (size_t)n2, max + 3);
                for (int i = 0; i < out.n; i++)
                    seen[out.ids[i] == 11] += out.ids[i] == 11 || out.ids[i] == 15;
                assert_int_equal(seen[0], keep[0]);
                assert_int_equal(seen[1], keep[1]);
                assert_true(out.n <= max + 3);
            }
    assert_string_equal(ids_of(t, "e e e e", NULL, 4), "2 15 15 3");
    assert_string_equal(ids_of(t, "e e e e", NULL, 2), "2 3");
}

TEST(limit_below_the_special_tokens)
{
    struct tokenizer *t = small();
    struct encoding out;
    ASSERT_ERR(tokenizer_encode(t, "e", 1, "e", 1, 2, &out, arena, &e), &e,
               "a limit of 2 tokens leaves no room for the 3 special tokens of a pair");
    ASSERT_ERR(tokenizer_encode(t, "e", 1, NULL, 0, -5, &out, arena, &e), &e,
               "a limit of -5 tokens leaves no room for the 2 special tokens of a text");
}

TEST(scratch_is_given_back)
{
    struct tokenizer *t = small();
    struct mem_meter meter = {0};
    struct arena *a = arena_create(&meter);
    struct encoding out;
    for (int i = 0; i < 10; i++)
        ASSERT_OK(tokenizer_encode(t, vocab, sizeof vocab - 1, NULL, 0, 4, &out, a, &e), &e);
    assert_int_equal(meter.live[MEM_DATA], 10 * 2 * mem_round(4 * sizeof(int32_t)));
    assert_int_equal(meter.live[MEM_SCRATCH], 0);
    arena_destroy(a);
}

TEST(configuration_beside_vocab_txt)
{
    test_file("vocab.txt", "[PAD]\n<u>\n<s>\n</s>\nE\ne\n\xc3\xa9\n\xe4\xb8\xad\x65\nfoo\n");
    test_file("tokenizer_config.json",
              "{\"do_lower_case\": false, \"tokenize_chinese_chars\": false, \"cls_token\": \"<s>\","
              " \"tokenizer_class\": \"BertTokenizerFast\", \"unk_token\": \"[UNK]\"}");
    test_file("special_tokens_map.json", "{\"unk_token\": \"<u>\", \"sep_token\": {\"content\": \"</s>\"},"
                                         " \"additional_special_tokens\": [\"<x>\"]}");
    test_file("added_tokens.json", "{\"<y>\": 10, \"<x>\": 9}");
    struct tokenizer *t = open_ok(test_dir());
    ASSERT_IDS(t, "E e \xc3\xa9 e\xcc\x81 \xe4\xb8\xad\x65", "2 4 5 6 1 7 3"); /* nothing folded, nothing composed */
    ASSERT_IDS(t, "foo<x>foo <y> </s>", "2 8 9 8 10 3 3");
    assert_int_equal(tokenizer_size(t), 12); /* nine lines, two added tokens, and [MASK] */
    const char *const *files = tokenizer_files(t);
    assert_string_equal(files[0], "vocab.txt");
    assert_string_equal(files[1], "tokenizer_config.json");
    assert_string_equal(files[2], "special_tokens_map.json");
    assert_string_equal(files[3], "added_tokens.json");
    assert_null(files[4]);
}

TEST(vocabularies_as_the_reference_reads_them)
{
    /* CR LF, trailing blanks, an empty line, a token given twice (the last one counts), no line feed at the end */
    test_file("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP] \r\n\r\na\r\nb\r\na");
    struct tokenizer *t = open_ok(test_dir());
    ASSERT_IDS(t, "a b c", "1 6 5 0 2");
}

/* ---- tokenizer.json ---- */

#define NORMALIZER "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true," \
                   "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
#define MODEL "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
              "\"max_input_chars_per_word\":5,\"vocab\":{\"[UNK]\":7,\"[CLS]\":1,\"[SEP]\":2,\"a\":30,\"##b\":4," \
              "\"new\":5}}"

TEST(tokenizer_json)
{
    test_file("vocab.txt", vocab); /* not looked at */
    test_file("tokenizer.json", "{\"version\":\"1.0\",\"truncation\":{\"max_length\":3},\"padding\":{},"
              "\"added_tokens\":null," NORMALIZER
              "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
              MODEL "}");
    struct tokenizer *t = open_ok(test_dir());
    assert_int_equal(tokenizer_size(t), 31);
    ASSERT_IDS(t, "abb A abbbb abbbbb", "1 30 4 4 30 30 4 4 4 4 7 2"); /* six characters are too many */
    assert_string_equal(ids_of(t, "a", "a", 9), "1 30 2 30 2");
}

TEST(layout_from_a_template)
{
    test_file("tokenizer.json", "{" NORMALIZER "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
              "{\"Sequence\":{\"id\":\"A\",\"type_id\":3}},{\"SpecialToken\":{\"id\":\"X\",\"type_id\":4}}],\"pair\":["
              "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},{\"SpecialToken\":{\"id\":\"X\",\"type_id\":0}},"
              "{\"Sequence\":{\"id\":\"A\",\"type_id\":2}}],"
              "\"special_tokens\":{\"X\":{\"id\":\"X\",\"ids\":[40,41],\"tokens\":[\"x\",\"y\"]}}}," MODEL "}");
    struct tokenizer *t = open_ok(test_dir());
    assert_int_equal(tokenizer_size(t), 42);
    struct encoding out = encode_bytes(t, "a a", 3, NULL, 0, 9);
    assert_string_equal(numbers(out.ids, out.n), "30 30 40 41");
    assert_string_equal(numbers(out.types, out.n), "3 3 4 4");
    out = encode_bytes(t, "a a", 3, "new", 3, 9);
    assert_string_equal(numbers(out.ids, out.n), "5 40 41 30 30");
    assert_string_equal(numbers(out.types, out.n), "1 0 0 2 2");
}

TEST(flags_of_added_tokens)
{
    test_file("tokenizer.json", "{\"added_tokens\":["
              "{\"id\":6,\"content\":\"<L>\",\"lstrip\":true,\"normalized\":false,\"special\":true},"
              "{\"id\":7,\"content\":\"<R>\",\"rstrip\":true,\"normalized\":false,\"special\":true},"
              "{\"id\":8,\"content\":\"N\xc3\xa9w\",\"single_word\":true,\"normalized\":true,\"special\":false},"
              "{\"id\":9,\"content\":\"aab\",\"normalized\":false},"
              "{\"id\":10,\"content\":\"aabaa\",\"normalized\":false}],"
              NORMALIZER "\"post_processor\":null," MODEL "}");
    struct tokenizer *t = open_ok(test_dir());
    ASSERT_IDS(t, "a <L> a", "30 6 30");
    ASSERT_IDS(t, "a <R>   a", "30 7 30");
    ASSERT_IDS(t, "NEW n\xc3\xa9w anew", "8 8 7"); /* found normalized, as a whole word only */
    ASSERT_IDS(t, "aabaab aabaa", "10 7 10");       /* leftmost, then longest; `b` is unknown */
}

TEST(any_allocation_may_fail)
{
    test_file("tokenizer.json", "{\"added_tokens\":[{\"id\":6,\"content\":\"<L>\"}]," NORMALIZER MODEL "}");
    struct model_source s = {.name = "m", .label = "m", .dir = test_dir()};
    for (int n = 0;; n++) {
        struct arena *a = arena_create(NULL);
        struct encoding out;
        arena_fail_at(n);
        struct tokenizer *t = tokenizer_open(&s, a, &e);
        bool ok = t && tokenizer_encode(t, "a <L> a\xff", 8, "new", 3, 9, &out, a, &e);
        arena_fail_at(-1);
        arena_destroy(a);
        if (ok) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(e.code, ERR_ENV);
    }
}
