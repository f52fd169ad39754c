/* Order of batches and pieces: permutations, resuming anywhere, cuts at sequence ends, exact capacity. */
#include "tests/test.h"

#include "tasks/batching.h"

static struct err e;

static struct dataset made(const int *length, size_t n, bool regression)
{
    struct arena *a = test_arena();
    struct dataset d = {.n = n};
    d.start = ARENA_NEW(a, MEM_DATA, size_t, n + 1, &e);
    d.row = ARENA_NEW(a, MEM_DATA, int32_t, n, &e);
    d.label = regression ? NULL : ARENA_NEW(a, MEM_DATA, int32_t, n, &e);
    d.score = regression ? ARENA_NEW(a, MEM_DATA, float, n, &e) : NULL;
    d.shortest = d.longest = length[0];
    for (size_t i = 0; i < n; i++) {
        d.start[i + 1] = d.start[i] + (size_t)length[i];
        d.row[i] = (int32_t)(100 + i);
        if (regression)
            d.score[i] = (float)i / 2;
        else
            d.label[i] = (int32_t)i % 3;
        d.shortest = length[i] < d.shortest ? length[i] : d.shortest;
        d.longest = length[i] > d.longest ? length[i] : d.longest;
    }
    d.ids = ARENA_NEW(a, MEM_DATA, int32_t, d.start[n], &e);
    d.types = ARENA_NEW(a, MEM_DATA, int32_t, d.start[n], &e);
    for (size_t t = 0; t < d.start[n]; t++) {
        d.ids[t] = (int32_t)t;
        d.types[t] = (int32_t)t % 2;
    }
    return d;
}

TEST(every_epoch_is_a_permutation)
{
    struct order o;
    ASSERT_OK(order_init(&o, 10, 4, 42, test_arena(), &e), &e);
    assert_int_equal(o.steps_per_epoch, 3);
    int32_t first[2][10];
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[10] = {0}, at = 0;
        for (int step = 0; step < 3; step++) {
            size_t n;
            const int32_t *rows = order_batch(&o, epoch * 3 + step, &n);
            assert_int_equal(n, step < 2 ? 4 : 2); /* the last, smaller batch is kept */
            for (size_t i = 0; i < n; i++) {
                first[epoch][at++] = rows[i];
                seen[rows[i]]++;
            }
        }
        for (int i = 0; i < 10; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_memory_not_equal(first[0], first[1], sizeof first[0]);
}

TEST(any_step_without_those_before)
{
    struct order all, jump;
    ASSERT_OK(order_init(&all, 1000, 32, 7, test_arena(), &e), &e);
    ASSERT_OK(order_init(&jump, 1000, 32, 7, test_arena(), &e), &e);
    int32_t wanted[32];
    size_t n = 0, m;
    for (long long step = 0; step <= 75; step++) {
        const int32_t *rows = order_batch(&all, step, &n);
        memcpy(wanted, rows, n * sizeof(int32_t));
    }
    const int32_t *found = order_batch(&jump, 75, &m);
    assert_int_equal(n, m);
    assert_memory_equal(found, wanted, n * sizeof(int32_t));
    ASSERT_OK(order_init(&jump, 1000, 32, 8, test_arena(), &e), &e);
    assert_memory_not_equal(order_batch(&jump, 75, &m), wanted, 32 * sizeof(int32_t));
}

TEST(steps_round_up)
{
    assert_int_equal(order_steps(3668, 32, 3), 345);
    assert_int_equal(order_steps(64, 32, 1.5), 3);
    assert_int_equal(order_steps(65, 32, 0.5), 2);
    assert_int_equal(order_steps(5, 32, 1), 1);
}

TEST(pieces_end_at_sequence_ends)
{
    const int length[] = {5, 3, 12, 2, 2, 2, 7};
    const int32_t rows[] = {6, 0, 2, 1, 3, 4, 5};
    struct dataset d = made(length, 7, false);
    struct packer p;
    ASSERT_OK(packer_init(&p, &d, 10, 7, test_arena(), &e), &e);
    static const int n_seq[] = {1, 1, 1, 4}, n_tok[] = {7, 5, 12, 9}; /* 12 > 10: a piece of its own */
    size_t at = 0;
    struct batch b;
    int piece = 0, list = 0;
    for (; packer_next(&p, &d, rows, 7, 10, &at, &b); piece++) {
        assert_int_equal(b.n_seq, n_seq[piece]);
        assert_int_equal(b.n_tok, n_tok[piece]);
        assert_int_equal(b.start[b.n_seq], b.n_tok);
        assert_null(b.score);
        for (int s = 0; s < b.n_seq; s++, list++) {
            int i = rows[list];
            assert_int_equal(b.row[s], 100 + i);
            assert_int_equal(b.label[s], i % 3);
            assert_int_equal(b.start[s + 1] - b.start[s], length[i]);
            for (int t = b.start[s]; t < b.start[s + 1]; t++) {
                int id = (int)d.start[i] + t - b.start[s];
                assert_int_equal(b.ids[t], id);
                assert_int_equal(b.types[t], id % 2);
            }
        }
    }
    assert_int_equal(piece, 4);
    assert_int_equal(list, 7);
    at = 0;
    ASSERT_OK(packer_init(&p, &d, 12, 7, test_arena(), &e), &e);
    assert_true(packer_next(&p, &d, rows, 7, 12, &at, &b));
    assert_int_equal(b.n_tok, 12); /* filled to the last token: 7 + 5 */
    assert_int_equal(packer_tokens(&d, rows, 7), 33);
    assert_int_equal(packer_tokens(&d, rows, 2), 12);
}

TEST(files_in_order_and_one_piece)
{
    const int length[] = {5, 3, 12, 2};
    struct dataset d = made(length, 4, true);
    struct packer p;
    ASSERT_OK(packer_init(&p, &d, 0, 4, test_arena(), &e), &e);
    size_t at = 0;
    struct batch b;
    assert_true(packer_next(&p, &d, NULL, 4, 0, &at, &b));
    assert_int_equal(b.n_seq, 4);
    assert_int_equal(b.n_tok, 22);
    assert_null(b.label);
    for (int i = 0; i < 4; i++)
        assert_true(b.score[i] == (float)i / 2 && b.row[i] == 100 + i);
    assert_false(packer_next(&p, &d, NULL, 4, 0, &at, &b));
}

/* Any list of rows fits the capacity that was asked for, to the byte that was declared. */
TEST(capacity)
{
    const int length[] = {2, 9, 2, 2, 2, 9, 2, 2};
    struct dataset d = made(length, 8, false);
    struct mem_meter meter = {0};
    struct arena *a = arena_create(&meter);
    struct packer p;
    ASSERT_OK(packer_init(&p, &d, 16, 8, a, &e), &e);
    assert_int_equal(meter.live[MEM_DATA], packer_bytes(p.max_seq, p.max_tok));
    for (int32_t first = 0; first < 8; first++) {
        int32_t rows[8];
        for (int32_t i = 0; i < 8; i++)
            rows[i] = (first + i * 3) % 8;
        size_t at = 0;
        struct batch b;
        while (packer_next(&p, &d, rows, 8, 16, &at, &b))
            assert_true(b.n_seq <= p.max_seq && b.n_tok <= p.max_tok && b.n_tok <= 16);
        assert_int_equal(at, 8);
    }
    size_t before = meter.live_sum;
    assert_int_equal(before, meter.peak_live); /* nothing is allocated on the way */
    arena_destroy(a);
}
