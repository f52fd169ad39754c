/* Arenas: what the meter counts, what marks give back, what happens when memory is out. */
#include "tests/test.h"

#include "base/clock.h"

static struct err e;

TEST(blocks_are_aligned_zeroed_and_apart)
{
    struct arena *a = test_arena();
    unsigned char *before = NULL;
    for (size_t bytes = 0; bytes < 200000; bytes = bytes * 3 + 1) {
        unsigned char *p = arena_alloc(a, MEM_DATA, bytes, &e);
        ASSERT_OK(p, &e);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_ptr_not_equal(p, before);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, bytes);
        before = p;
    }
}

TEST(released_memory_is_zeroed_again)
{
    struct arena *a = test_arena();
    struct arena_mark m = arena_mark(a);
    unsigned char *p = arena_alloc(a, MEM_DATA, 1000, &e);
    memset(p, 0xff, 1000);
    arena_release(a, m);
    unsigned char *q = arena_alloc(a, MEM_DATA, 1000, &e);
    assert_ptr_equal(p, q); /* kept, so that what was left there would show */
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(q[i], 0);
}

TEST(the_meter_counts_rounded_bytes_by_tag)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m), *b = arena_create(&m);
    arena_alloc(a, MEM_WEIGHTS, 1, &e);
    arena_alloc(b, MEM_WEIGHTS, 65, &e);
    arena_alloc(b, MEM_SCRATCH, 64, &e);
    arena_alloc(b, MEM_SCRATCH, 0, &e);
    assert_int_equal(m.live[MEM_WEIGHTS], 64 + 128);
    assert_int_equal(m.live[MEM_SCRATCH], 64 + 64);
    assert_int_equal(m.live_sum, 320);
    assert_int_equal(m.live[MEM_WEIGHTS], mem_round(1) + mem_round(65));
    arena_destroy(b);
    assert_int_equal(m.live[MEM_WEIGHTS], 64);
    assert_int_equal(m.live_sum, 64);
    assert_int_equal(m.peak[MEM_WEIGHTS], 192);
    assert_int_equal(m.peak_live, 320);
    arena_destroy(a);
    assert_int_equal(m.live_sum, 0);
    arena_destroy(NULL);
}

/* Two tags that are never large together: the peaks of the tags add up to more than the peak of the sum. */
TEST(peak_live_is_the_peak_of_the_sum)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    struct arena_mark start = arena_mark(a);
    arena_alloc(a, MEM_ACTIVATIONS, 6400, &e);
    arena_release(a, start);
    arena_alloc(a, MEM_GRADIENTS, 3200, &e);
    arena_alloc(a, MEM_ACTIVATIONS, 640, &e);
    arena_release(a, start);
    assert_int_equal(m.peak[MEM_ACTIVATIONS], 6400);
    assert_int_equal(m.peak[MEM_GRADIENTS], 3200);
    assert_int_equal(m.peak_live, 6400);
    assert_int_equal(m.at_peak[MEM_ACTIVATIONS], 6400);
    assert_int_equal(m.at_peak[MEM_GRADIENTS], 0);

    arena_alloc(a, MEM_GRADIENTS, 6400, &e);
    arena_alloc(a, MEM_ACTIVATIONS, 64, &e);
    assert_int_equal(m.peak_live, 6464);
    assert_int_equal(m.at_peak[MEM_ACTIVATIONS], 64);
    assert_int_equal(m.at_peak[MEM_GRADIENTS], 6400);
    assert_int_equal(m.peak[MEM_ACTIVATIONS], 6400);
    arena_destroy(a);
}

TEST(restarted_peaks_begin_at_what_is_alive)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    arena_alloc(a, MEM_WEIGHTS, 640, &e);
    struct arena_mark mark = arena_mark(a);
    arena_alloc(a, MEM_SCRATCH, 6400, &e);
    arena_release(a, mark);
    mem_restart_peaks(&m);
    assert_int_equal(m.peak[MEM_SCRATCH], 0);
    assert_int_equal(m.peak_live, 640);
    assert_int_equal(m.at_peak[MEM_WEIGHTS], 640);
    arena_alloc(a, MEM_SCRATCH, 64, &e);
    assert_int_equal(m.peak_live, 704);
    arena_destroy(a);
}

TEST(memory_of_nobody_is_counted_too)
{
    struct mem_meter m = {0};
    mem_count(&m, MEM_MAPPED, 1000);
    mem_count(&m, MEM_MAPPED, -400);
    assert_int_equal(m.live[MEM_MAPPED], 600);
    assert_int_equal(m.peak[MEM_MAPPED], 1000);
    assert_int_equal(m.live_sum, 600);
}

TEST(marks_nest_and_give_back_every_tag)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    arena_alloc(a, MEM_DATA, 100, &e);
    struct arena_mark outer = arena_mark(a);
    char *kept = arena_strdup(a, "kept by the inner release", &e);
    struct arena_mark inner = arena_mark(a);
    for (int i = 0; i < 50; i++)
        arena_alloc(a, (enum mem_tag)(i % MEM_TAGS), 10000, &e);
    arena_release(a, inner);
    assert_string_equal(kept, "kept by the inner release");
    assert_int_equal(m.live_sum, 128 + 64);
    arena_release(a, outer);
    assert_int_equal(m.live_sum, 128);
    assert_int_equal(m.live[MEM_DATA], 128);
    arena_destroy(a);
}

TEST(a_mark_of_an_empty_arena_releases_all)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    struct arena_mark empty = arena_mark(a);
    arena_release(a, empty);
    for (int i = 0; i < 10; i++)
        arena_alloc(a, MEM_DATA, 50000, &e);
    arena_release(a, empty);
    assert_int_equal(m.live_sum, 0);
    arena_destroy(a);
}

/* Two rounds of a loop get the same blocks: nothing new is taken from the system. */
TEST(a_loop_reuses_its_memory)
{
    struct arena *a = test_arena();
    struct arena_mark m = arena_mark(a);
    void *first[20];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 20; i++) {
            void *p = arena_alloc(a, MEM_SCRATCH, 100 + i * 13000, &e);
            if (round == 0)
                first[i] = p;
            else
                assert_ptr_equal(p, first[i]);
        }
        arena_release(a, m);
    }
}

/* Blocks that grow a little each round must not leave one a round behind: that would be 180 MB here. The sanitizer
 * keeps freed blocks for a while, so only the plain build can tell. */
TEST(growing_rounds_do_not_pile_up)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    size_t before = clock_peak_rss(), grown;
    for (size_t round = 1; round <= 60; round++) {
        struct arena_mark mark = arena_mark(a);
        ASSERT_OK(arena_alloc(a, MEM_SCRATCH, 3000, &e), &e);
        void *p = arena_alloc(a, MEM_ACTIVATIONS, round * 100000, &e);
        ASSERT_OK(p, &e);
        memset(p, 1, round * 100000);
        arena_release(a, mark);
    }
    grown = clock_peak_rss() - before;
    arena_destroy(a);
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    assert_in_range(grown, 1, 3 * m.peak_live);
}

static void expect_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            fail_msg("byte %zu of %zu is %d", i, n, p[i]);
}

/* Memory of the system is not cleared again; what was used since then is. */
TEST(large_blocks_are_zero_each_time)
{
    const size_t sizes[] = {8000000, 100, 5000000, 8000000, 12000000, 3, 9000001};
    struct arena *a = test_arena();
    struct arena_mark mark = arena_mark(a);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *one = arena_alloc(a, MEM_DATA, sizes[i], &e), *two = arena_alloc(a, MEM_DATA, 70000, &e);
        ASSERT_OK(one && two, &e);
        assert_true((uintptr_t)one % 64 == 0 && (uintptr_t)two % 64 == 0);
        expect_zero(one, sizes[i]);
        expect_zero(two, 70000);
        memset(one, 255, sizes[i] / 2 + 1);
        memset(two, 255, 70000);
        arena_release(a, mark);
    }
}

TEST(impossible_sizes_are_errors)
{
    struct arena *a = test_arena();
    ASSERT_ERR(arena_alloc(a, MEM_WEIGHTS, SIZE_MAX, &e), &e,
               "out of memory: 18446744073709551615 bytes for weights");
    assert_int_equal(e.code, ERR_ENV);
    ASSERT_ERR(arena_alloc(a, MEM_WEIGHTS, SIZE_MAX / 2, &e), &e,
               "out of memory: 9223372036854775807 bytes for weights");
    ASSERT_ERR(arena_array(a, MEM_DATA, SIZE_MAX / 4, 8, &e), &e,
               "out of memory: 4611686018427387903 objects of 8 bytes for data");
    ASSERT_ERR(arena_array(a, MEM_DATA, (size_t)1 << 60, sizeof(double), &e), &e,
               "out of memory: 1152921504606846976 objects of 8 bytes for data");
    ASSERT_OK(arena_array(a, MEM_DATA, 0, 8, &e), &e);
    ASSERT_OK(arena_array(a, MEM_DATA, 8, 0, &e), &e);
}

/* The hook: allocation n fails, and all that follow, until it is switched off. */
TEST(failure_is_injected_at_n)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    arena_fail_at(2);
    assert_non_null(arena_alloc(a, MEM_DATA, 1, &e));
    assert_non_null(arena_alloc(a, MEM_DATA, 1, &e));
    ASSERT_ERR(arena_alloc(a, MEM_SCRATCH, 7, &e), &e, "out of memory: 7 bytes for scratch");
    assert_null(arena_strdup(a, "text", &e));
    assert_null(arena_printf(a, &e, "%d", 3));
    assert_int_equal(m.live_sum, 128);
    arena_fail_at(-1);
    assert_non_null(arena_alloc(a, MEM_DATA, 1, &e));
    arena_fail_at(0);
    assert_null(arena_alloc(a, MEM_DATA, 1, &e));
    arena_fail_at(-1);
    arena_destroy(a);
}

TEST(strings_are_copied)
{
    struct arena *a = test_arena();
    char source[] = "query";
    char *whole = arena_strdup(a, source, &e), *part = arena_strndup(a, source, 3, &e);
    char *longer = arena_strndup(a, source, 100, &e);
    source[0] = 'x';
    assert_string_equal(whole, "query");
    assert_string_equal(part, "que");
    assert_string_equal(longer, "query");
    assert_string_equal(arena_printf(a, &e, "%s.%d", part, 7), "que.7");
}

TEST(every_tag_has_a_name_and_a_meaning)
{
    for (int t = 0; t < MEM_TAGS; t++) {
        assert_true(strlen(mem_tag_name((enum mem_tag)t)) > 0);
        assert_true(strlen(mem_tag_meaning((enum mem_tag)t)) > 0);
    }
    assert_string_equal(mem_tag_name(MEM_MAPPED), "mapped");
}

/* Counted memory goes the way of the arena's own, from an arena without a block of its own too. */
TEST(counted_memory_is_given_back_with_the_arena)
{
    struct mem_meter m = {0};
    struct arena *a = arena_create(&m);
    struct arena_mark mark = arena_mark(a);
    arena_count(a, MEM_MAPPED, 1000);
    assert_int_equal(m.live[MEM_MAPPED], 1000);
    arena_release(a, mark);
    assert_int_equal(m.live_sum, 0);
    arena_count(a, MEM_MAPPED, 500);
    arena_destroy(a);
    assert_int_equal(m.live_sum, 0);
    assert_int_equal(m.peak[MEM_MAPPED], 1000);
}
