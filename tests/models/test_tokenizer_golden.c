/* Ids equal to Hugging Face's `tokenizers`: nasty strings, invalid UTF-8, truncated pairs, code points, all of GLUE.
 * labels: golden */
#include "tests/models/tokenizer_helper.h"

#include "base/io.h"
#include "base/text.h"

#define GOLDEN PEFTLAB_SOURCE_DIR "/tests/golden/tokenizer/"

/* A text file split at line feeds; each line is terminated in place. */
struct lines {
    char **line;
    size_t n;
};

static struct lines read_lines(const char *path)
{
    size_t size;
    if (!arena)
        arena = arena_create(NULL);
    char *text = io_read(arena, path, 0, &size, &e);
    ASSERT_OK(text, &e);
    struct lines l = {0};
    for (size_t i = 0; i < size; i++)
        l.n += text[i] == '\n' || i == size - 1; /* the last line may lack its line feed */
    l.line = ARENA_NEW(arena, MEM_DATA, char *, l.n + 1, &e);
    for (size_t i = 0; i < l.n; i++) {
        l.line[i] = text;
        text += strcspn(text, "\n");
        *text++ = 0;
    }
    return l;
}

/* Column k of a tab-separated line, in the arena. */
static char *column(const char *line, int k)
{
    for (; k > 0; k--) {
        line = strchr(line, '\t');
        assert_non_null(line);
        line++;
    }
    return arena_strndup(arena, line, strcspn(line, "\t"), &e);
}

static struct tokenizer *bert_base(bool lower)
{
    arena = arena_create(NULL);
    char *vocab = arena_printf(arena, &e, "%s/tokenizers/bert-base-uncased/vocab.txt", test_data());
    ASSERT_OK(io_copy(arena, vocab, test_path("vocab.txt"), &e), &e);
    if (!lower)
        test_file("tokenizer_config.json", "{\"do_lower_case\": false}");
    return open_ok(test_dir());
}

static void compare(const struct tokenizer *t, const char *texts, const char *ids)
{
    struct lines text = read_lines(texts), expected = read_lines(ids);
    assert_int_equal(text.n, expected.n);
    assert_true(text.n > 10);
    for (size_t i = 0; i < text.n; i++) {
        char *got = ids_of(t, text.line[i], NULL, 1 << 20);
        if (strcmp(got, expected.line[i]) != 0)
            fail_msg("%s:%zu: ids are\n%s, not\n%s", texts, i + 1, got, expected.line[i]);
    }
}

TEST(nasty_strings)
{
    struct tokenizer *t = bert_base(true);
    compare(t, GOLDEN "nasty.txt", GOLDEN "nasty.ids");
}

TEST(nasty_strings_cased)
{
    struct tokenizer *t = bert_base(false);
    compare(t, GOLDEN "nasty.txt", GOLDEN "nasty.cased.ids");
}

TEST(invalid_utf8)
{
    struct tokenizer *t = bert_base(true);
    compare(t, GOLDEN "invalid.txt", GOLDEN "invalid.ids");
}

TEST(truncated_pairs)
{
    struct tokenizer *t = bert_base(true);
    struct lines pairs = read_lines(GOLDEN "pairs.tsv"), ids = read_lines(GOLDEN "pairs.ids"),
                 types = read_lines(GOLDEN "pairs.types");
    assert_true(pairs.n > 100);
    for (size_t i = 0; i < pairs.n; i++) {
        char *a = column(pairs.line[i], 0), *b = column(pairs.line[i], 1);
        struct encoding out = encode_bytes(t, a, strlen(a), b, strlen(b), atoi(column(pairs.line[i], 2)));
        assert_string_equal(numbers(out.ids, out.n), ids.line[i]);
        assert_string_equal(numbers(out.types, out.n), types.line[i]);
    }
}

/* ---- code points, through vocabularies that tell what became of each ---- */

static size_t utf8(uint32_t c, char *s)
{
    size_t n = 0;
    if (c < 0x80) {
        s[n++] = (char)c;
    } else if (c < 0x800) {
        s[n++] = (char)(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        s[n++] = (char)(0xE0 | c >> 12);
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    } else {
        s[n++] = (char)(0xF0 | c >> 18);
        s[n++] = (char)(0x80 | (c >> 12 & 0x3F));
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    }
    if (c >= 0x80)
        s[n++] = (char)(0x80 | (c & 0x3F));
    return n;
}

static bool is_character(uint32_t c) { return c > 0 && c != '\n' && (c < 0xD800 || c > 0xDFFF); }

enum { CODES = 0x110000 };

/* Class of each code point: a line of codepoints.tsv without its range, NULL for an ordinary letter. */
static char **classes(void)
{
    struct lines l = read_lines(GOLDEN "codepoints.tsv");
    char **class = ARENA_NEW(arena, MEM_DATA, char *, CODES, &e);
    for (size_t i = 0; i < l.n; i++) {
        unsigned long first = strtoul(column(l.line[i], 0), NULL, 16), last = strtoul(column(l.line[i], 1), NULL, 16);
        char *what = column(l.line[i], 2);
        for (unsigned long c = first; c <= last; c++)
            class[c] = what;
    }
    return class;
}

/* What becomes of "1" c "2": 1 ##2 joined (5 6), 1 2 apart (5 7), 1 ? 2 (5 1 7), or one unknown word. */
static const char *fate(const char *class)
{
    if (!class)
        return "2 1 3";
    if (text_starts(class, "drop"))
        return "2 5 6 3";
    if (text_starts(class, "space"))
        return "2 5 7 3";
    return strstr(class, " cjk ") || text_ends(class, " punct") ? "2 5 1 7 3" : "2 1 3";
}

static struct tokenizer *digits(const char *config)
{
    test_file("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n1\n##2\n2\n");
    test_file("tokenizer_config.json", config);
    return open_ok(test_dir());
}

TEST(classes_of_code_points)
{
    struct tokenizer *plain = digits("{\"do_lower_case\": false}");
    struct tokenizer *strip = digits("{\"do_lower_case\": false, \"strip_accents\": true}");
    char **class = classes();
    for (uint32_t c = 1; c < CODES; c++) {
        struct arena_mark m = arena_mark(arena);
        char text[8] = "1";
        text[1 + utf8(c, text + 1)] = '2';
        if (is_character(c) && c != '2') {
            const char *expected = fate(class[c]), *got = ids_of(plain, text, NULL, 64);
            if (strcmp(got, expected) != 0)
                fail_msg("U+%04X (%s): %s, not %s", (unsigned)c, class[c] ? class[c] : "word", got, expected);
            bool gone = class[c] && (text_starts(class[c], "drop") || strstr(class[c], " mark "));
            if (gone != (strcmp(ids_of(strip, text, NULL, 64), "2 5 6 3") == 0))
                fail_msg("U+%04X (%s): is it a mark?", (unsigned)c, class[c] ? class[c] : "word");
        }
        arena_release(arena, m);
    }
}

/* Ids in the vocabulary of fold_vocab: alone[c] as the first character of a word, alone[c] + 1 inside one. */
static int32_t *alone;

/* A vocabulary of all characters that fold.tsv names on its right side. */
static void fold_vocab(const struct lines *fold)
{
    struct text v = {.arena = arena};
    int32_t id = 3;
    alone = ARENA_NEW(arena, MEM_DATA, int32_t, CODES, &e);
    ASSERT_OK(text_add(&v, &e, "[UNK]\n[CLS]\n[SEP]\n"), &e);
    for (size_t i = 0; i < fold->n; i++)
        for (char *s = strchr(fold->line[i], '\t') + 1; *s;) {
            char c[8] = "";
            unsigned long code = strtoul(s, &s, 16);
            utf8((uint32_t)code, c);
            if (!alone[code]) {
                ASSERT_OK(text_add(&v, &e, "%s\n##%s\n", c, c), &e);
                alone[code] = id;
                id += 2;
            }
        }
    test_file("vocab.txt", v.s);
}

/* Capitals of Unicode 16 and 17: the release that made the files does not know them, later ones do. */
static bool newer(uint32_t c)
{
    return c == 0x1C89 || (c >= 0xA7CB && c <= 0xA7DC) || (c >= 0x10D50 && c <= 0x10D65) ||
           (c >= 0x16EA0 && c <= 0x16EB8);
}

/* Expected ids of a word made of these code points (hexadecimal, spaces between). */
static char *word_ids(const char *codes)
{
    int32_t ids[8] = {1};
    int n = 1;
    bool known = true;
    while (*codes) {
        char *end;
        unsigned long c = strtoul(codes, &end, 16);
        known = known && alone[c];
        ids[n] = alone[c] + (n > 1);
        n++;
        codes = end;
    }
    if (!known) {
        n = 2;
        ids[1] = 0;
    }
    ids[n++] = 2;
    return numbers(ids, n);
}

TEST(folding_of_code_points)
{
    struct lines fold = read_lines(GOLDEN "fold.tsv");
    char **class = classes(), **image = ARENA_NEW(arena, MEM_DATA, char *, CODES, &e);
    for (size_t i = 0; i < fold.n; i++)
        image[strtoul(fold.line[i], NULL, 16)] = strchr(fold.line[i], '\t') + 1;
    fold_vocab(&fold);
    struct tokenizer *t = open_ok(test_dir());
    int folded = 0;
    for (uint32_t c = 1; c < CODES; c++) {
        struct arena_mark m = arena_mark(arena);
        char text[8] = "", self[16];
        utf8(c, text);
        snprintf(self, sizeof self, "%X", (unsigned)c);
        if (is_character(c) && !class[c] && !(c >= 0xAC00 && c <= 0xD7A3) && !newer(c)) {
            char *got = ids_of(t, text, NULL, 64), *expected = word_ids(image[c] ? image[c] : self);
            if (strcmp(got, expected) != 0)
                fail_msg("U+%04X: %s, not %s", (unsigned)c, got, expected);
            folded += image[c] != NULL;
        }
        arena_release(arena, m);
    }
    assert_true(folded > 2000);
}

/* ---- GLUE ---- */

/* Digest of the ids of one column of a GLUE file (`pairs`: of its two text columns, cut to 128), as glue.sha256 has
 * it. */
static char *glue_digest(const struct tokenizer *t, const char *name, const char *which, size_t *rows)
{
    struct lines l = read_lines(arena_printf(arena, &e, "%s/glue/%s", test_data(), name));
    bool cola = text_starts(name, "CoLA"), pairs = strcmp(which, "pairs") == 0;
    int first = text_starts(name, "STS-B") ? 7 : 3, k = pairs ? first : atoi(which);
    struct text all = {.arena = arena_create(NULL)};
    *rows = l.n - !cola;
    for (size_t i = !cola; i < l.n; i++) {
        struct arena_mark m = arena_mark(arena);
        char *a = column(l.line[i], k), *b = pairs ? column(l.line[i], first + 1) : NULL;
        if (text_starts(a, "\xef\xbb\xbf"))
            a += 3;
        ASSERT_OK(text_add(&all, &e, "%s\n", ids_of(t, a, b, pairs ? 128 : 1 << 20)), &e);
        arena_release(arena, m);
    }
    char *hex = arena_alloc(arena, MEM_DATA, IO_DIGEST, &e);
    ASSERT_OK(io_sha256(all.s, all.len, hex, &e), &e);
    arena_destroy(all.arena);
    return hex;
}

TEST(glue)
{
    struct tokenizer *t = bert_base(true);
    struct lines l = read_lines(GOLDEN "glue.sha256");
    int compared = 0;
    for (size_t i = 0; i < l.n; i++) {
        char hex[IO_DIGEST], name[64], which[16];
        unsigned long expected_rows;
        size_t rows;
        if (l.line[i][0] == '#')
            continue;
        assert_int_equal(sscanf(l.line[i], "%64s %63s %15s %lu", hex, name, which, &expected_rows), 4);
        char *got = glue_digest(t, name, which, &rows);
        assert_int_equal(rows, expected_rows);
        if (strcmp(got, hex) != 0)
            fail_msg("%s, column %s: other ids", name, which);
        compared++;
    }
    assert_int_equal(compared, 16);
}
