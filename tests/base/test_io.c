/* Files: what is read, that writing is all or nothing, folders, digests. */
#include "tests/test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "base/io.h"

static struct err e;

static const char *expect(const char *path, const char *message)
{
    static char buf[1024];
    snprintf(buf, sizeof buf, "%s: %s", path, message);
    return buf;
}

TEST(reads_a_whole_file)
{
    size_t size;
    char *s = io_read(test_arena(), test_file("a", "two\nlines"), 0, &size, &e);
    ASSERT_OK(s, &e);
    assert_string_equal(s, "two\nlines");
    assert_int_equal(size, 9);
    s = io_read(test_arena(), test_file("empty", ""), 0, &size, &e);
    assert_string_equal(s, "");
    assert_int_equal(size, 0);
    ASSERT_OK(io_read(test_arena(), test_file("a", "x"), 1, NULL, &e), &e);
}

TEST(bytes_of_any_value_are_read)
{
    unsigned char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    const char *path = test_path("bytes");
    ASSERT_OK(io_write(path, bytes, sizeof bytes, &e), &e);
    size_t size;
    char *s = io_read(test_arena(), path, 0, &size, &e);
    assert_int_equal(size, sizeof bytes);
    assert_memory_equal(s, bytes, sizeof bytes);
}

TEST(what_cannot_be_read_is_told)
{
    struct arena *a = test_arena();
    const char *missing = test_path("none"), *pipe = test_path("pipe"), *large = test_file("large", "12345");
    ASSERT_ERR(io_read(a, missing, 0, NULL, &e), &e, expect(missing, "cannot be read: No such file or directory"));
    assert_int_equal(e.code, ERR_INPUT);
    ASSERT_ERR(io_read(a, test_dir(), 0, NULL, &e), &e, expect(test_dir(), "cannot be read: it is a folder"));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    ASSERT_ERR(io_read(a, pipe, 0, NULL, &e), &e, expect(pipe, "cannot be read: it is not an ordinary file"));
    ASSERT_ERR(io_read(a, large, 4, NULL, &e), &e, expect(large, "is 5 bytes long; the limit is 4"));
    arena_fail_at(0);
    assert_null(io_read(a, large, 0, NULL, &e));
    arena_fail_at(-1);
    assert_int_equal(e.code, ERR_ENV);
}

TEST(an_unreadable_file_is_told)
{
    const char *path = test_file("secret", "x");
    if (geteuid() == 0)
        skip(); /* root reads everything */
    assert_int_equal(chmod(path, 0), 0);
    ASSERT_ERR(io_read(test_arena(), path, 0, NULL, &e), &e, expect(path, "cannot be read: Permission denied"));
}

TEST(writing_replaces_and_leaves_no_part)
{
    const char *path = test_file("x", "old");
    ASSERT_OK(io_write(path, "new text", 8, &e), &e);
    assert_string_equal(io_read(test_arena(), path, 0, NULL, &e), "new text");
    assert_false(io_exists(test_path("x.part")));
    struct io_piece pieces[] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    ASSERT_OK(io_write_pieces(path, pieces, 3, &e), &e);
    assert_string_equal(io_read(test_arena(), path, 0, NULL, &e), "abc");
}

TEST(a_name_without_a_folder_is_written_where_one_stands)
{
    assert_int_equal(chdir(test_dir()), 0);
    ASSERT_OK(io_write("plain", "x", 1, &e), &e);
    assert_true(io_exists(test_path("plain")));
}

/* A limit on the size of files stands for a full disk: the write fails half way. */
TEST(a_failed_write_keeps_the_old_file)
{
    const char *path = test_file("x", "old");
    char *big = arena_alloc(test_arena(), MEM_DATA, 100000, &e);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 50000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    bool ok = io_write(path, big, 100000, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_ERR(ok, &e, expect(path, "cannot be written: File too large"));
    assert_int_equal(e.code, ERR_ENV);
    assert_string_equal(io_read(test_arena(), path, 0, NULL, &e), "old");
    assert_false(io_exists(test_path("x.part")));
}

TEST(a_place_that_cannot_be_written_is_told)
{
    char path[512], part[600];
    snprintf(path, sizeof path, "%s", test_path("no/such/folder"));
    snprintf(part, sizeof part, "%s.part", path);
    ASSERT_ERR(io_write(path, "x", 1, &e), &e, expect(part, "cannot be written: No such file or directory"));
    assert_int_equal(e.code, ERR_ENV);
    ASSERT_ERR(io_write(test_dir(), "x", 1, &e), &e, expect(test_dir(), "cannot be written: Is a directory"));
    char *endless = arena_alloc(test_arena(), MEM_DATA, 5001, &e);
    memset(endless, 'x', 5000);
    assert_false(io_write(endless, "x", 1, &e));
    assert_string_equal(e.msg, "path is too long");
    assert_false(io_mkdirs(endless, &e));
    assert_string_equal(e.msg, "path is too long");
}

TEST(folders_are_made_with_their_parents)
{
    char deep[512];
    snprintf(deep, sizeof deep, "%s", test_path("a//b/c/"));
    ASSERT_OK(io_mkdirs(deep, &e), &e);
    ASSERT_OK(io_mkdirs(deep, &e), &e);
    assert_true(io_is_dir(test_path("a/b/c")));
    ASSERT_OK(io_mkdirs("", &e), &e);
    ASSERT_OK(io_mkdirs("/", &e), &e);
    assert_int_equal(chdir(test_dir()), 0);
    ASSERT_OK(io_mkdirs("relative/x", &e), &e);
    assert_true(io_is_dir(test_path("relative/x")));
    const char *file = test_file("file", "");
    ASSERT_ERR(io_mkdirs(file, &e), &e, expect(file, "cannot be made a folder: File exists"));
    assert_int_equal(e.code, ERR_ENV);
    assert_false(io_mkdirs(test_path("file/x"), &e));
    assert_true(io_exists(file) && !io_is_dir(file) && !io_is_dir(test_path("none")) && !io_exists(test_path("none")));
}

TEST(no_descriptor_is_left_open)
{
    const char *path = test_file("x", "x");
    int fd = open(path, O_RDONLY);
    close(fd); /* the number the next open gets */
    ASSERT_OK(io_write(path, "y", 1, &e), &e);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

TEST(a_copy_is_equal)
{
    const char *from = test_file("from", "text"), *to = test_path("to");
    ASSERT_OK(io_copy(test_arena(), from, to, &e), &e);
    assert_string_equal(io_read(test_arena(), to, 0, NULL, &e), "text");
    assert_false(io_copy(test_arena(), test_path("none"), to, &e));
}

/* FIPS 180-2, appendix B: one block, two blocks, a million letters; and the empty message. */
TEST(digests_are_sha_256)
{
    static const char million_a[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    char hex[IO_DIGEST];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ASSERT_OK(io_sha256(known[i].text, strlen(known[i].text), hex, &e), &e);
        assert_string_equal(hex, known[i].hex);
        ASSERT_OK(io_sha256_file(test_file("x", known[i].text), hex, &e), &e);
        assert_string_equal(hex, known[i].hex);
    }
    char *a = arena_alloc(test_arena(), MEM_DATA, 1000001, &e);
    memset(a, 'a', 1000000);
    ASSERT_OK(io_sha256(a, 1000000, hex, &e), &e);
    assert_string_equal(hex, million_a);
    ASSERT_OK(io_sha256_file(test_file("x", a), hex, &e), &e);
    assert_string_equal(hex, million_a);
    const char *none = test_path("none");
    ASSERT_ERR(io_sha256_file(none, hex, &e), &e, expect(none, "cannot be read: No such file or directory"));
    ASSERT_ERR(io_sha256_file(test_dir(), hex, &e), &e, expect(test_dir(), "cannot be read: it is a folder"));
}
