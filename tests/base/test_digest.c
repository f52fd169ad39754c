/* Digests remembered between runs: found again, never stale, never in the way. */
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/digest.h"

static struct err e;

static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; /* FIPS 180-2 */

/* A file that was last changed an hour ago. */
static const char *old_file(const char *name, const char *text)
{
    const char *path = test_file(name, text);
    struct timespec hour_ago[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    assert_int_equal(utimensat(AT_FDCWD, path, hour_ago, 0), 0);
    return path;
}

/* Path of the n-th entry of the cache, or NULL. */
static const char *cached(int n)
{
    static char path[1024];
    DIR *d = opendir(test_path("cache/peftlab/digests"));
    struct dirent *entry;
    path[0] = 0;
    while (d && (entry = readdir(d)))
        if (entry->d_name[0] != '.' && n-- == 0)
            snprintf(path, sizeof path, "%s/%s", test_path("cache/peftlab/digests"), entry->d_name);
    if (d)
        closedir(d);
    return *path ? path : NULL;
}

static void overwrite(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

TEST(a_known_file_is_not_read_again)
{
    char hex[IO_DIGEST], lie[IO_DIGEST];
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    const char *path = old_file("f", "abc");
    ASSERT_OK(digest_file(path, hex, &e), &e);
    assert_string_equal(hex, abc);
    assert_non_null(cached(0));
    assert_null(cached(1));
    memset(lie, 'a', sizeof lie - 1);
    lie[IO_DIGEST - 1] = 0;
    overwrite(cached(0), lie);
    ASSERT_OK(digest_file(path, hex, &e), &e);
    assert_string_equal(hex, lie);
}

TEST(nonsense_in_the_cache_is_ignored_and_mended)
{
    const char *const nonsense[] = {"", "abc", "Z",
                                    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015adx"};
    char hex[IO_DIGEST];
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    const char *path = old_file("f", "abc");
    ASSERT_OK(digest_file(path, hex, &e), &e);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        overwrite(cached(0), nonsense[i]);
        ASSERT_OK(digest_file(path, hex, &e), &e);
        assert_string_equal(hex, abc);
        size_t size;
        char *now = io_read(test_arena(), cached(0), 0, &size, &e);
        assert_string_equal(now, abc);
    }
}

TEST(a_changed_file_has_another_digest)
{
    char hex[IO_DIGEST];
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    ASSERT_OK(digest_file(old_file("f", "abd"), hex, &e), &e);
    assert_string_not_equal(hex, abc);
    ASSERT_OK(digest_file(old_file("f", "abc"), hex, &e), &e);
    assert_string_equal(hex, abc);
}

TEST(a_file_just_written_is_not_remembered)
{
    char hex[IO_DIGEST];
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    ASSERT_OK(digest_file(test_file("f", "abc"), hex, &e), &e);
    assert_string_equal(hex, abc);
    assert_null(cached(0));
}

TEST(without_a_place_to_remember_it_works_all_the_same)
{
    char hex[IO_DIGEST];
    const char *path = old_file("f", "abc");
    setenv("XDG_CACHE_HOME", test_file("not-a-folder", ""), 1);
    ASSERT_OK(digest_file(path, hex, &e), &e);
    assert_string_equal(hex, abc);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ASSERT_OK(digest_file(path, hex, &e), &e);
    assert_string_equal(hex, abc);
    assert_false(digest_file(test_path("nothing"), hex, &e));
    assert_int_equal(e.code, ERR_INPUT);
}
