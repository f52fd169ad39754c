/* The runner behind tests/test.h: runs the one case named on the command line; an unknown name fails. */
#include "tests/test.h"

#include <ftw.h>
#include <unistd.h>

static struct test_case *cases;
static char directory[256];

void test_register(struct test_case *c)
{
    c->next = cases;
    cases = c;
}

const char *test_data(void)
{
    const char *data = getenv("PEFTLAB_DATA");
    if (!data || !*data) {
        print_message("skipped: PEFTLAB_DATA is not set\n");
        exit(77);
    }
    return data;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static pid_t owner; /* a child that exits leaves the directory to its parent */

static void remove_directory(void)
{
    if (getpid() == owner)
        nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
    if (!directory[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(directory, sizeof directory, "%s/peftlab-test-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(directory));
        owner = getpid();
        atexit(remove_directory);
    }
    return directory;
}

static struct arena *arena;

static void destroy_arena(void) { arena_destroy(arena); }

struct arena *test_arena(void)
{
    if (!arena) {
        assert_non_null(arena = arena_create(NULL));
        atexit(destroy_arena);
    }
    return arena;
}

const char *test_path(const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *p = paths[next++ % 16];
    snprintf(p, sizeof paths[0], "%s/%s", test_dir(), name);
    return p;
}

const char *test_file(const char *name, const char *text)
{
    const char *path = test_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    return path;
}

int main(int argc, char **argv)
{
    for (struct test_case *c = cases; c; c = c->next)
        if (argc == 2 && strcmp(argv[1], c->name) == 0) {
            const struct CMUnitTest one[] = {{c->name, c->run, NULL, NULL, NULL}};
            return cmocka_run_group_tests_name(c->name, one, NULL, NULL) ? 1 : 0;
        }
    fprintf(stderr, "usage: %s TEST; tests:\n", argv[0]);
    for (struct test_case *c = cases; c; c = c->next)
        fprintf(stderr, "  %s\n", c->name);
    return 2;
}
