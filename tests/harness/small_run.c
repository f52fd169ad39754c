/* See small_run.h. */
#include "tests/harness/small_run.h"

#include "base/text.h"
#include "tests/test.h"

const char *small_vocabulary(void)
{
    struct err e = {0};
    struct text t = {.arena = test_arena()};
    ASSERT_OK(text_add(&t, &e, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"), &e);
    for (char c = 'a'; c <= 'z'; c++)
        ASSERT_OK(text_add(&t, &e, "%c\n##%c\n", c, c), &e);
    return t.s;
}

struct run_spec *small_prepared(const char *text, const struct run_env *env)
{
    struct err e = {0};
    test_file("spec.yaml", text);
    struct spec *s = spec_read("spec.yaml", NULL, 0, 60, test_arena(), &e);
    ASSERT_OK(s, &e);
    ASSERT_OK(run_prepare(&s->run[0], env, test_arena(), &e), &e);
    return &s->run[0];
}

const char *small_file(const struct run_spec *r, const struct run_env *env, const char *ending)
{
    struct err e = {0};
    const char *path = run_path(r, env, ending, test_arena(), &e);
    ASSERT_OK(path, &e);
    return path;
}

struct run_record small_record(const struct run_spec *r, const struct run_env *env)
{
    struct err e = {0};
    struct run_record record;
    ASSERT_OK(run_record_read(&record, test_arena(), small_file(r, env, ".h5"), RUN_READ_ALL, &e), &e);
    return record;
}
