/* Malformed tokenizer files: each gives one line with its place. */
#include "tests/models/tokenizer_helper.h"

#include "base/io.h"

/* Opens the test's directory and compares the error, its path cut off, with the expected text. */
static void refuses(const char *expected)
{
    char text[2048];
    assert_null(open_dir(test_dir()));
    err_format(&e, text, sizeof text);
    size_t n = strlen(test_dir());
    const char *tail = strncmp(text, test_dir(), n) == 0 ? text + n + 1 : text;
    assert_string_equal(tail, expected);
    assert_int_equal(e.code, ERR_INPUT);
}

static void refuses_json(const char *json, const char *expected)
{
    test_file("tokenizer.json", json);
    refuses(expected);
}

TEST(no_tokenizer_at_all)
{
    refuses("model `m` has no tokenizer: neither tokenizer.json nor vocab.txt is there");
}

TEST(vocab_txt)
{
    test_file("vocab.txt", "");
    refuses("vocab.txt: is empty");
    test_file("vocab.txt", "[CLS]\n[SEP]\n");
    refuses("vocab.txt: has no line `[UNK]` (unk_token)");
    test_file("vocab.txt", "[UNK]\n[SEP]\n");
    refuses("vocab.txt: has no line `[CLS]` (cls_token)");
    test_file("vocab.txt", "[UNK]\n[CLS]\n");
    refuses("vocab.txt: has no line `[SEP]` (sep_token)");
    test_file("vocab.txt", "[UNK]\n[CLS]\ncaf\xe9\n[SEP]\n");
    refuses("vocab.txt:3: is not UTF-8");
}

TEST(files_beside_vocab_txt)
{
    test_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    test_file("tokenizer_config.json", "{\"do_lower_case\": \"yes\"}");
    refuses("tokenizer_config.json: `do_lower_case` must be true or false");
    test_file("tokenizer_config.json", "{\"unk_token\": 100}");
    refuses("tokenizer_config.json: `unk_token` must be a string, or an object with `content`");
    test_file("tokenizer_config.json", "{\"cls_token\": \"<s>\"}");
    refuses("vocab.txt: has no line `<s>` (cls_token)");
    test_file("tokenizer_config.json", "{\"tokenizer_class\": \"MPNetTokenizer\"}");
    refuses("tokenizer_config.json: `tokenizer_class` is `MPNetTokenizer`; supported: BertTokenizer and others that "
            "are the same");
    test_file("tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"[UNK]\"}}}");
    refuses("tokenizer_config.json: `added_tokens_decoder.x` must have an id as its key");
    test_file("tokenizer_config.json", "[]");
    refuses("tokenizer_config.json:1:1: must be a JSON object");
    test_file("tokenizer_config.json", "{}");
    test_file("added_tokens.json", "{\"x\": -1}");
    refuses("added_tokens.json: `x` must be an integer in [0, 2147483646]");
}

TEST(json_syntax)
{
    refuses_json("{\"model\": \n {,", "tokenizer.json:2:3: string or '}' expected near ','");
    refuses_json("", "tokenizer.json:1: '[' or '{' expected near end of file");
}

TEST(byte_level_bpe)
{
    test_file("vocab.json", "{}");
    test_file("merges.txt", "");
    refuses("vocab.json: is the vocabulary of a byte-level BPE tokenizer; supported: WordPiece (tokenizer.json or "
            "vocab.txt)");
    refuses_json("{\"model\": {\"type\": \"BPE\", \"vocab\": {}}}",
                 "tokenizer.json: `model.type` is `BPE`; supported: WordPiece");
    refuses_json("{\"model\": {\"merges\": [], \"vocab\": {}}}",
                 "tokenizer.json: `model.type` is `BPE`; supported: WordPiece");
}

#define BERT "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true," \
             "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define MODEL "\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
              "\"max_input_chars_per_word\":100"

TEST(sections_of_tokenizer_json)
{
    refuses_json("{\"version\":\"2.0\"}", "tokenizer.json: `version` is `2.0`; supported: 1.0");
    refuses_json("{}", "tokenizer.json: `model` must be an object");
    refuses_json("{\"model\":{" MODEL "}}", "tokenizer.json: `normalizer` is missing; supported: BertNormalizer");
    refuses_json("{\"model\":{" MODEL "},\"normalizer\":{\"type\":\"NFC\"}}",
                 "tokenizer.json: `normalizer.type` is `NFC`; supported: BertNormalizer");
    refuses_json("{\"model\":{" MODEL "},\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":1}}",
                 "tokenizer.json: `normalizer.clean_text` must be true or false");
    refuses_json("{\"model\":{" MODEL "},\"pre_tokenizer\":{\"type\":\"Metaspace\"},\"normalizer\":{\"type\":"
                 "\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"lowercase\":true}}",
                 "tokenizer.json: `pre_tokenizer.type` is `Metaspace`; supported: BertPreTokenizer");
}

TEST(model_of_tokenizer_json)
{
    refuses_json("{" BERT ",\"model\":{" MODEL "}}", "tokenizer.json: `model.vocab` must be an object");
    refuses_json("{" BERT ",\"model\":{" MODEL ",\"vocab\":{}}}", "tokenizer.json: `model.vocab` is empty");
    refuses_json("{" BERT ",\"model\":{" MODEL ",\"vocab\":{\"a\":0}}}",
                 "tokenizer.json: `model.unk_token` is `[UNK]`, which `model.vocab` does not have");
    refuses_json("{" BERT ",\"model\":{" MODEL ",\"vocab\":{\"a\":\"0\"}}}",
                 "tokenizer.json: `model.vocab` gives `a` no integer id in [0, 2147483646]");
    refuses_json("{" BERT ",\"model\":{" MODEL ",\"vocab\":{\"a\":2147483647}}}",
                 "tokenizer.json: `model.vocab` gives `a` no integer id in [0, 2147483646]");
    refuses_json("{" BERT ",\"model\":{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                 "\"max_input_chars_per_word\":-1,\"vocab\":{\"[UNK]\":0}}}",
                 "tokenizer.json: `model.max_input_chars_per_word` must be an integer in [0, 9223372036854775807]");
}

#define GOOD BERT ",\"model\":{" MODEL ",\"vocab\":{\"[UNK]\":0}}"

TEST(added_tokens_of_tokenizer_json)
{
    refuses_json("{" GOOD ",\"added_tokens\":{}}", "tokenizer.json: `added_tokens` must be an array");
    refuses_json("{" GOOD ",\"added_tokens\":[{\"content\":\"x\"}]}",
                 "tokenizer.json: `added_tokens[0].id` must be an integer in [0, 2147483646]");
    refuses_json("{" GOOD ",\"added_tokens\":[{\"id\":1,\"content\":\"x\"},{\"id\":2}]}",
                 "tokenizer.json: `added_tokens[1].content` must be a string");
}

#define POST(text) "{" GOOD ",\"post_processor\":{" text "}}"

TEST(post_processor_of_tokenizer_json)
{
    refuses_json(POST("\"type\":\"RobertaProcessing\""),
                 "tokenizer.json: `post_processor.type` is `RobertaProcessing`; supported: TemplateProcessing, "
                 "BertProcessing");
    refuses_json(POST("\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\"]"),
                 "tokenizer.json: `post_processor.cls[1]` must be an integer in [0, 2147483646]");
    refuses_json(POST("\"type\":\"TemplateProcessing\",\"single\":[]"),
                 "tokenizer.json: `post_processor.single` is empty");
    refuses_json(POST("\"type\":\"TemplateProcessing\",\"single\":["
                      "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}}]"),
                 "tokenizer.json: `post_processor.single[0].SpecialToken.id` is `[CLS]`, which "
                 "`post_processor.special_tokens` does not define");
    refuses_json(POST("\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"C\",\"type_id\":0}}]"),
                 "tokenizer.json: `post_processor.single[0].Sequence.id` is `C`; it must be `A` or `B`");
    refuses_json(POST("\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}]"),
                 "tokenizer.json: `post_processor.single` must hold the sequence A once and no other");
}

/* Every prefix of a good file and every one of its bytes changed: an error or a tokenizer, nothing worse. */
TEST(damaged_tokenizer_json)
{
    static const char good[] =
        "{" GOOD ",\"added_tokens\":[{\"id\":1,\"content\":\"x\",\"lstrip\":true}],\"post_processor\":{"
        "\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":["
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
        "\"special_tokens\":{}}}";
    static const char other[] = "0\"{}[],:x\xff";
    char text[sizeof good];
    struct encoding out;
    test_file("tokenizer.json", good);
    open_ok(test_dir());
    for (size_t i = 0; i < 3 * strlen(good); i++) { /* at each place three of the ten bytes, NUL among them */
        strcpy(text, good);
        text[i / 3] = other[i * 7 % sizeof other];
        test_file("tokenizer.json", text);
        struct tokenizer *t = open_dir(test_dir());
        if (t)
            ASSERT_OK(tokenizer_encode(t, "a x", 3, "b", 1, 64, &out, arena, &e), &e);
        else
            assert_int_equal(e.code, ERR_INPUT);
    }
}
