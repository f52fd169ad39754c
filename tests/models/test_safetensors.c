/* The safetensors format: every way in which a file can be wrong, and that what is written can be read. */
#include "tests/test.h"

#include <math.h>

#include "base/io.h"
#include "models/safetensors.h"

static struct err e;

/* A file from a length field, a header and `data` bytes of zeros. */
static const char *raw_file(uint64_t length, const char *header, size_t data)
{
    static const unsigned char zeros[256];
    const char *path = test_path("x.safetensors");
    assert_true(data <= sizeof zeros);
    struct io_piece pieces[] = {{&length, 8}, {header, strlen(header)}, {zeros, data}};
    ASSERT_OK(io_write_pieces(path, pieces, 3, &e), &e);
    return path;
}

static void refused(const char *path, const char *message)
{
    struct safetensors s;
    char expected[1024];
    snprintf(expected, sizeof expected, "%s: %s", path, message);
    ASSERT_ERR(safetensors_open(&s, path, test_arena(), &e), &e, expected);
    assert_int_equal(e.code, ERR_INPUT);
    assert_null(s.map);
}

#define T(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

TEST(wrong_headers_are_refused)
{
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } cases[] = {
        {" {}", 0, "its header does not start with `{`"},
        {"", 0, "its header does not start with `{`"},
        {"{\"a\":", 0, "its header is not valid: byte 5: unexpected token near end of file"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("a", "F32", "[1]", "4", "8") "}", 8,
         "its header is not valid: byte 57: duplicate object key near '\"a\"'"},
        {"{\"a\":[]}", 0, "tensor `a`: is not described by an object"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor `a`: dtype is missing or not a string"},
        {"{" T("a", "F12", "[1]", "0", "4") "}", 4, "tensor `a`: dtype `F12` is not known"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor `a`: shape is missing or not a list"},
        {"{" T("a", "F32", "[-1]", "0", "4") "}", 4, "tensor `a`: shape holds something else than a size"},
        {"{" T("a", "F32", "[1.5]", "0", "4") "}", 4, "tensor `a`: shape holds something else than a size"},
        {"{" T("a", "F32", "[4611686018427387904,4]", "0", "4") "}", 4, "tensor `a`: shape is too large"},
        {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4,
         "tensor `a`: shape has 9 dimensions; the limit is 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
         "tensor `a`: data_offsets is not a list of two integers"},
        {"{" T("a", "F32", "[1]", "-4", "0") "}", 4, "tensor `a`: data_offsets [-4, 0] is not a range"},
        {"{" T("a", "F32", "[1]", "4", "0") "}", 4, "tensor `a`: data_offsets [4, 0] is not a range"},
        {"{" T("a", "F32", "[2]", "0", "8") "}", 7,
         "tensor `a`: data_offsets [0, 8] reach beyond the 7 bytes of data in the file"},
        {"{" T("a", "F32", "[2,3]", "0", "20") "}", 20, "tensor `a`: data_offsets hold 20 bytes; F32 [2, 3] takes 24"},
        {"{" T("a", "F16", "[3]", "0", "8") "}", 8, "tensor `a`: data_offsets hold 8 bytes; F16 [3] takes 6"},
        {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4", "12") "}", 12,
         "tensor `b`: shares bytes with tensor `a`"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "0", "4") "}", 4,
         "tensor `b`: shares bytes with tensor `a`"},
        {"{" T("a", "F32", "[1]", "0", "4") "," T("b", "F32", "[1]", "8", "12") "}", 12,
         "tensor `b`: 4 bytes before it belong to no tensor"},
        {"{" T("a", "F32", "[1]", "4", "8") "}", 8, "tensor `a`: 4 bytes before it belong to no tensor"},
        {"{" T("a", "F32", "[1]", "0", "4") "}", 7, "3 bytes at its end belong to no tensor"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ `a` is not a string"},
        {"{\"__metadata__\":{}} x", 0, "its header is not valid: byte 21: end of file expected near 'x'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(raw_file(strlen(cases[i].header), cases[i].header, cases[i].data), cases[i].message);
}

TEST(wrong_lengths_are_refused)
{
    refused(test_file("empty.safetensors", ""), "is 0 bytes long: too short for a safetensors file");
    refused(test_file("short.safetensors", "1234567"), "is 7 bytes long: too short for a safetensors file");
    refused(raw_file(3, "{}", 0), "is truncated: of its header of 3 bytes only 2 are there");
    refused(raw_file(100000000, "{}", 0), "is truncated: of its header of 100000000 bytes only 2 are there");
    refused(raw_file(100000001, "{}", 0),
            "its header is 100000001 bytes long; the limit is 100000000 (is it a safetensors file?)");
    refused(raw_file(UINT64_MAX, "{}", 0),
            "its header is 18446744073709551615 bytes long; the limit is 100000000 (is it a safetensors file?)");
    refused(test_path("nothing.safetensors"), "cannot be read: No such file or directory");
    refused(test_dir(), "is not a regular file");
}

/* Hostile headers: deep nesting, numbers beyond 64 bits, names that are not text. What is said comes from the
 * parser. */
TEST(hostile_headers_do_no_harm)
{
    static char deep[40000];
    struct safetensors s;
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', sizeof deep - 6);
    assert_false(safetensors_open(&s, raw_file(strlen(deep), deep, 0), test_arena(), &e));
    const char *big = "{" T("a", "F32", "[99999999999999999999]", "0", "4") "}";
    assert_false(safetensors_open(&s, raw_file(strlen(big), big, 4), test_arena(), &e));
    const char *nul = "{" T("a\\u0000b", "F32", "[1]", "0", "4") "}";
    assert_false(safetensors_open(&s, raw_file(strlen(nul), nul, 4), test_arena(), &e));
    const char *latin = "{" T("\xe9", "F32", "[1]", "0", "4") "}";
    assert_false(safetensors_open(&s, raw_file(strlen(latin), latin, 4), test_arena(), &e));
}

/* Every prefix of a good file is an error, never a crash. */
TEST(every_truncation_is_refused)
{
    const float v[] = {1, 2, 3};
    struct tensor t = tensor_vector("weight", TENSOR_F32, 3, v);
    size_t size;
    struct safetensors s;
    ASSERT_OK(safetensors_write(test_path("good"), &t, 1, NULL, test_arena(), &e), &e);
    char *good = io_read(test_arena(), test_path("good"), 0, &size, &e);
    for (size_t n = 0; n < size; n++) {
        char *cut = malloc(n ? n : 1); /* of just this size: a sanitizer sees every byte read beyond it */
        assert_non_null(cut);
        memcpy(cut, good, n);
        assert_false(safetensors_parse(&s, "cut", cut, n, test_arena(), &e));
        free(cut);
    }
}

TEST(empty_and_padded_files_are_read)
{
    struct safetensors s;
    ASSERT_OK(safetensors_open(&s, raw_file(2, "{}", 0), test_arena(), &e), &e);
    assert_int_equal(s.n, 0);
    assert_null(safetensors_find(&s, "a"));
    safetensors_close(&s);
    const char *header = "{" T("none", "F32", "[0,3]", "0", "0") "," T("one", "I64", "[]", "0", "8") "}   ";
    ASSERT_OK(safetensors_open(&s, raw_file(strlen(header), header, 8), test_arena(), &e), &e);
    assert_int_equal(tensor_count(safetensors_find(&s, "none")), 0);
    assert_int_equal(tensor_count(safetensors_find(&s, "one")), 1);
    assert_int_equal(safetensors_find(&s, "one")->ndim, 0);
    safetensors_close(&s);
}

TEST(what_is_written_is_read)
{
    const uint8_t bytes[] = {1, 2, 3};
    const float f[] = {1.5f, -2, 3, 4, 5, 6};
    const double d = 0.1;
    const int32_t i[] = {-7, 8};
    const uint64_t u = UINT64_MAX;
    const struct tensor t[] = {
        tensor_vector("bytes", TENSOR_U8, 3, bytes), tensor_matrix("a/f", TENSOR_F32, 2, 3, f),
        tensor_scalar("d", TENSOR_F64, &d), tensor_vector("i", TENSOR_I32, 2, i), tensor_scalar("u", TENSOR_U64, &u),
    };
    const char *const metadata[] = {"step", "17", "name", "r\xc3\xa9sum\xc3\xa9", NULL};
    const char *path = test_path("w.safetensors");
    ASSERT_OK(safetensors_write(path, t, 5, metadata, test_arena(), &e), &e);

    struct safetensors s;
    ASSERT_OK(safetensors_open(&s, path, test_arena(), &e), &e);
    assert_int_equal(s.n, 5);
    for (size_t k = 0; k < 5; k++) {
        const struct tensor *r = safetensors_find(&s, t[k].name);
        assert_non_null(r);
        assert_int_equal(r->type, t[k].type);
        assert_int_equal(r->ndim, t[k].ndim);
        assert_memory_equal(r->shape, t[k].shape, sizeof r->shape);
        assert_int_equal(r->bytes, t[k].bytes);
        assert_memory_equal(r->data, t[k].data, r->bytes);
        assert_int_equal((uintptr_t)r->data % tensor_type_size(r->type), 0);
    }
    /* wider elements first, otherwise as given */
    const char *const order[] = {"d", "u", "a/f", "i", "bytes"};
    for (size_t k = 0; k < 5; k++)
        assert_string_equal(s.tensor[k].name, order[k]);
    assert_string_equal(safetensors_metadata(&s, "format"), "pt");
    assert_string_equal(safetensors_metadata(&s, "step"), "17");
    assert_string_equal(safetensors_metadata(&s, "name"), "r\xc3\xa9sum\xc3\xa9");
    assert_null(safetensors_metadata(&s, "nothing"));
    safetensors_close(&s);
    safetensors_close(&s); /* harmless */
}

TEST(need_says_what_is_wrong)
{
    const int32_t v[] = {1, 2};
    const struct tensor t = tensor_vector("ids", TENSOR_I32, 2, v);
    const char *path = test_path("n.safetensors");
    char expected[1024];
    struct safetensors s;
    ASSERT_OK(safetensors_write(path, &t, 1, NULL, test_arena(), &e), &e);
    ASSERT_OK(safetensors_open(&s, path, test_arena(), &e), &e);
    ASSERT_OK(safetensors_need(&s, "ids", TENSOR_I32, 2, &e), &e);
    ASSERT_OK(safetensors_need(&s, "ids", TENSOR_I32, -1, &e), &e);
    snprintf(expected, sizeof expected, "%s: tensor `labels` is missing", path);
    ASSERT_ERR(safetensors_need(&s, "labels", TENSOR_I32, 2, &e), &e, expected);
    snprintf(expected, sizeof expected, "%s: tensor `ids`: dtype is I32; it must be F32", path);
    ASSERT_ERR(safetensors_need(&s, "ids", TENSOR_F32, 2, &e), &e, expected);
    snprintf(expected, sizeof expected, "%s: tensor `ids` has 2 elements; it must have 3", path);
    ASSERT_ERR(safetensors_need(&s, "ids", TENSOR_I32, 3, &e), &e, expected);
    safetensors_close(&s);
}

TEST(writing_into_the_mapping_leaves_the_file)
{
    const float v[] = {1, 2};
    const struct tensor t = tensor_vector("w", TENSOR_F32, 2, v);
    const char *path = test_path("p.safetensors");
    char before[IO_DIGEST], after[IO_DIGEST];
    struct safetensors s;
    ASSERT_OK(safetensors_write(path, &t, 1, NULL, test_arena(), &e), &e);
    ASSERT_OK(io_sha256_file(path, before, &e), &e);
    ASSERT_OK(safetensors_open(&s, path, test_arena(), &e), &e);
    float *w = (float *)(uintptr_t)safetensors_find(&s, "w")->data;
    w[0] = 42;
    safetensors_close(&s);
    ASSERT_OK(io_sha256_file(path, after, &e), &e);
    assert_string_equal(before, after);
}

TEST(a_failed_write_leaves_the_old_file)
{
    const float v[] = {1, 2};
    const struct tensor t = tensor_vector("w", TENSOR_F32, 2, v);
    const char *path = test_path("no/such/folder/w.safetensors");
    assert_false(safetensors_write(path, &t, 1, NULL, test_arena(), &e));
    assert_int_equal(e.code, ERR_ENV);
    const struct tensor latin = tensor_vector("\xe9", TENSOR_F32, 2, v);
    assert_false(safetensors_write(test_path("latin"), &latin, 1, NULL, test_arena(), &e));
    assert_false(io_exists(test_path("latin")));
}

TEST(allocation_failures_end_cleanly)
{
    const float v[] = {1, 2};
    const struct tensor t = tensor_vector("w", TENSOR_F32, 2, v);
    const char *const metadata[] = {"k", "v", NULL};
    const char *path = test_path("m.safetensors");
    struct safetensors s;
    ASSERT_OK(safetensors_write(path, &t, 1, metadata, test_arena(), &e), &e);
    bool ok = false;
    for (long n = 0; !ok; n++) {
        arena_fail_at(n);
        ok = safetensors_open(&s, path, test_arena(), &e);
        arena_fail_at(-1);
        assert_true(ok || e.code == ERR_ENV);
    }
    safetensors_close(&s);
}

/* Half and bfloat16 bit patterns with their values, from the definition of the formats. */
TEST(numbers_are_converted_exactly)
{
    const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x0000, 0x3555, 0x7c00};
    const double value[] = {1, -2, 65504, 6.103515625e-05, 5.9604644775390625e-08, -6.097555160522461e-05, 0,
                            0.333251953125, INFINITY};
    const struct tensor h = tensor_vector("h", TENSOR_F16, 9, half);
    double out[9];
    real r[9];
    tensor_to_double(&h, out);
    tensor_to_real(&h, r);
    for (int i = 0; i < 9; i++) {
        assert_true(out[i] == value[i]);
        assert_true((double)r[i] == value[i]);
    }
    const uint16_t brain[] = {0x3f80, 0xc049, 0x0001, 0x7f7f};
    const double bvalue[] = {1, -3.140625, 9.183549615799121e-41, 3.3895313892515355e+38};
    const struct tensor b = tensor_vector("b", TENSOR_BF16, 4, brain);
    tensor_to_double(&b, out);
    for (int i = 0; i < 4; i++)
        assert_true(out[i] == bvalue[i]);
}
