/* Located errors: their text, their exit codes, what long and hostile messages become. */
#include "tests/test.h"

#include <errno.h>

static struct err e;

static const char *text_of(const struct err *x)
{
    static char buf[2048];
    err_format(x, buf, sizeof buf);
    return buf;
}

TEST(text_shows_the_known_parts_of_the_place)
{
    assert_false(err_at(&e, ERR_INPUT, "a.yaml", 3, 7, "no `%s`", "x"));
    assert_string_equal(text_of(&e), "a.yaml:3:7: no `x`");
    assert_int_equal(e.code, ERR_INPUT);
    assert_false(err_at(&e, ERR_INPUT, "a.yaml", 3, 0, "bad"));
    assert_string_equal(text_of(&e), "a.yaml:3: bad");
    assert_false(err_at(&e, ERR_INPUT, "a.yaml", 0, 0, "bad"));
    assert_string_equal(text_of(&e), "a.yaml: bad");
    assert_false(err_set(&e, ERR_RUN, "bad"));
    assert_string_equal(text_of(&e), "bad");
    assert_int_equal(e.line, 0);
}

TEST(errno_is_told_in_words)
{
    errno = ENOENT;
    assert_false(err_errno(&e, ERR_INPUT, "dev.tsv", "cannot be read"));
    assert_string_equal(text_of(&e), "dev.tsv: cannot be read: No such file or directory");
}

TEST(an_error_is_one_line)
{
    err_at(&e, ERR_INPUT, "a\nb", 1, 2, "unknown `%s`", "x\ny\tz\x1b[31m\x7f");
    assert_string_equal(text_of(&e), "a?b:1:2: unknown `x?y?z?[31m?`");
}

/* Every é is two bytes: whatever the limit's parity, one of the two strings would be cut within a character. */
TEST(long_messages_are_cut_between_characters)
{
    for (int shift = 0; shift < 2; shift++) {
        char word[4096];
        memset(word, 'x', 2);
        for (size_t i = (size_t)shift; i + 1 < sizeof word - 2; i += 2)
            memcpy(word + i, "\xc3\xa9", 2);
        word[sizeof word - 4] = 0;
        err_set(&e, ERR_INPUT, "%s", word);
        size_t n = strlen(e.msg);
        assert_in_range(n, sizeof e.msg - 6, sizeof e.msg - 1);
        assert_string_equal(e.msg + n - 3, "...");
        assert_int_equal((unsigned char)e.msg[n - 4], 0xa9);
    }
}

TEST(an_error_wraps_itself)
{
    err_at(&e, ERR_ENV, "x.h5", 4, 5, "disk full");
    err_at(&e, e.code, e.file, e.line, e.col, "run 3: %s", e.msg);
    assert_string_equal(text_of(&e), "x.h5:4:5: run 3: disk full");
    assert_int_equal(e.code, ERR_ENV);
}

TEST(a_short_buffer_is_terminated)
{
    char buf[8];
    err_at(&e, ERR_INPUT, "file.yaml", 1, 1, "message");
    err_format(&e, buf, sizeof buf);
    assert_string_equal(buf, "file.ya");
}

TEST(exit_codes_are_those_of_the_contract)
{
    assert_int_equal(err_exit_code(ERR_NONE), 0);
    assert_int_equal(err_exit_code(ERR_RUN), 1);
    assert_int_equal(err_exit_code(ERR_INPUT), 2);
    assert_int_equal(err_exit_code(ERR_ENV), 3);
    assert_int_equal(err_exit_code(ERR_INTERRUPTED), 130);
}

static bool third(int *calls)
{
    TRY(++*calls < 3);
    TRY(++*calls < 3);
    TRY(++*calls < 3);
    TRY(++*calls < 99);
    return true;
}

TEST(try_gives_up_at_the_first_failure)
{
    int calls = 0;
    assert_false(third(&calls));
    assert_int_equal(calls, 3);
}
