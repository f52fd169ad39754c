/* Scores, rankings and random masks of entries, on a matrix that can be followed by hand:
 *
 *           1 -2  0  4            4  1  2 -1        offsets   0  1  2  3
 *     g =  -3  6  1 -1      w =   1 -1  3  6                  4  5  6  7
 *           2  0 -5  3           -2  5  1  2                  8  9 10 11
 */
#include "tests/test.h"

#include <math.h>

#include "methods/entry_mask.h"
#include "methods/entry_ranking.h"
#include "methods/entry_score.h"
#include "methods/topk.h"

static const real g[12] = {1, -2, 0, 4, -3, 6, 1, -1, 2, 0, -5, 3};
static real w[12] = {4, 1, 2, -1, 1, -1, 3, 6, -2, 5, 1, 2};
static struct param matrix = {.name = "matrix", .rows = 3, .cols = 4, .w = w};
static struct err e;

static void expect_best(enum entry_score what, const uint32_t want[4])
{
    real room[12];
    uint32_t best[4];
    const real *score = entry_score(what, &matrix, g, room, test_arena(), &e);
    ASSERT_OK(score, &e);
    topk(score, 12, 4, best);
    for (int i = 0; i < 4; i++)
        assert_int_equal(best[i], want[i]);
}

/* |g| = 6, 5, 4, and of the two 3s the one at the smaller offset. */
TEST(gradient) { expect_best(ENTRY_GRADIENT, (uint32_t[]){3, 4, 5, 10}); }

/* |w g| = 4 2 0 4 / 3 6 3 6 / 4 0 5 6 */
TEST(snip) { expect_best(ENTRY_SNIP, (uint32_t[]){5, 7, 10, 11}); }

/* Two zeros, then the first two of the three entries of magnitude 1. */
TEST(bottom) { expect_best(ENTRY_BOTTOM, (uint32_t[]){0, 2, 6, 9}); }

/* r² = 21, 47, 38 and c² = 14, 40, 26, 26: r² c² = 1880 at 5, 1520 at 9, 1222 at 6 and 7, 988 at 10 and 11. */
TEST(outer) { expect_best(ENTRY_OUTER, (uint32_t[]){5, 6, 7, 9}); }

/* g = u vᵀ: the norms are |u_i| |v| and |v_j| |u|. */
TEST(outer_is_the_gradient_where_that_has_rank_one)
{
    static const real u[5] = {1, -7, 3, 0.5, 2}, v[6] = {11, 1.7, -13, 0.9, 5.3, -19};
    static struct param p = {.name = "rank-1", .rows = 5, .cols = 6};
    real product[30], room[30];
    uint32_t want[30], got[30];
    for (int i = 0; i < 30; i++)
        product[i] = u[i / 6] * v[i % 6];
    const real *score = entry_score(ENTRY_OUTER, &p, product, room, test_arena(), &e);
    ASSERT_OK(score, &e);
    for (size_t k = 1; k <= 30; k++) {
        topk(product, 30, k, want);
        topk(score, 30, k, got);
        assert_memory_equal(got, want, k * sizeof *want);
    }
}

/* bottom at k is what gradient leaves at n - k, as long as nothing is tied; a gradient that is no number comes last. */
TEST(bottom_is_the_rest)
{
    static struct param p = {.name = "row", .rows = 1, .cols = 8};
    static const real v[8] = {3, -1e-20f, 0, 1e20f, -2, 1, -4, (real)NAN};
    real room[8];
    uint32_t best[5];
    const real *score = entry_score(ENTRY_BOTTOM, &p, v, room, test_arena(), &e);
    ASSERT_OK(score, &e);
    topk(score, 8, 5, best);
    assert_memory_equal(best, ((uint32_t[]){0, 1, 2, 4, 5}), sizeof best);
    topk(score, 8, 1, best);
    assert_int_equal(best[0], 2);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void expect_kept(const struct entry_ranking *r, size_t tensor, size_t n, const uint32_t *want)
{
    struct entries_kept kept = entry_ranking_kept(r, tensor);
    assert_int_equal(kept.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(kept.offset[i], want[i]);
}

/* Beside g a bias (7, .5, 3): 7, 6, 5, 4 are in, and of three 3s the one of the first tensor at the smallest offset. */
TEST(one_ranking_over_two_tensors)
{
    static const real bias[3] = {7, 0.5, 3};
    for (size_t first = 0; first < 2; first++) {
        struct entry_ranking *r = entry_ranking_open(2, 5, test_arena(), &e);
        ASSERT_OK(r, &e);
        for (size_t i = 0; i < 2; i++) {
            bool is_bias = (i ^ first) == 1;
            entry_ranking_add(r, is_bias, is_bias ? bias : g, is_bias ? 3 : 12);
        }
        expect_kept(r, 0, 4, (uint32_t[]){3, 4, 5, 10});
        expect_kept(r, 1, 1, (uint32_t[]){0});
        assert_true(entry_ranking_kept(r, 0).score[3] == -5);
    }
}

enum { TENSORS = 5, MOST = 40 };

/* Small integers, so that ties are everywhere; tensors of 1 to 40 entries in any order, any k. */
TEST(a_ranking_is_a_top_k_of_all_tensors_joined)
{
    struct rng rng = rng_stream(3, "test");
    for (int round = 0; round < 300; round++) {
        real all[TENSORS * MOST];
        size_t from[TENSORS + 1] = {0};
        int32_t order[TENSORS];
        uint32_t want[TENSORS * MOST];
        for (int t = 0; t < TENSORS; t++) {
            from[t + 1] = from[t] + 1 + rng_below(&rng, MOST);
            order[t] = t;
        }
        for (size_t i = 0; i < from[TENSORS]; i++)
            all[i] = (real)rng_below(&rng, 7) - 3;
        rng_shuffle(&rng, order, TENSORS);
        size_t k = rng_below(&rng, (uint32_t)from[TENSORS] + 1), at = 0;
        struct entry_ranking *r = entry_ranking_open(TENSORS, k, test_arena(), &e);
        ASSERT_OK(r, &e);
        for (int i = 0; i < TENSORS; i++)
            entry_ranking_add(r, (size_t)order[i], all + from[order[i]], from[order[i] + 1] - from[order[i]]);
        topk(all, from[TENSORS], k, want);
        for (size_t t = 0; t < TENSORS; t++) {
            struct entries_kept kept = entry_ranking_kept(r, t);
            for (size_t i = 0; i < kept.n; i++, at++) {
                assert_int_equal(from[t] + kept.offset[i], want[at]);
                assert_true(kept.score[i] == all[want[at]]);
            }
        }
        assert_int_equal(at, k);
    }
}

/* Two of eight entries in tensors of three and five: each is drawn in a quarter of 4000 draws, 4 sigma. */
TEST(random_scores_favour_nobody)
{
    int hits[8] = {0};
    struct rng rng = rng_stream(4, "test");
    for (int round = 0; round < 4000; round++) {
        real score[8];
        struct arena_mark mark = arena_mark(test_arena());
        struct entry_ranking *r = entry_ranking_open(2, 2, test_arena(), &e);
        ASSERT_OK(r, &e);
        entry_score_random(&rng, 8, score);
        entry_ranking_add(r, 0, score, 3);
        entry_ranking_add(r, 1, score + 3, 5);
        for (size_t t = 0; t < 2; t++) {
            struct entries_kept kept = entry_ranking_kept(r, t);
            for (size_t i = 0; i < kept.n; i++)
                hits[3 * t + kept.offset[i]]++;
        }
        arena_release(test_arena(), mark);
    }
    for (int i = 0; i < 8; i++)
        ASSERT_NEAR(hits[i], 1000, 4 * sqrt(4000 * 0.25 * 0.75));
}

/* ------------------------------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Entries in each row and column, sorted. */
static void marginals(const uint32_t *idx, size_t n, int rows, int cols, int *row, int *column)
{
    memset(row, 0, (size_t)rows * sizeof *row);
    memset(column, 0, (size_t)cols * sizeof *column);
    for (size_t i = 0; i < n; i++) {
        assert_true(idx[i] < (uint32_t)(rows * cols) && (i == 0 || idx[i] > idx[i - 1]));
        row[idx[i] / (uint32_t)cols]++;
        column[idx[i] % (uint32_t)cols]++;
    }
    qsort(row, (size_t)rows, sizeof *row, compare);
    qsort(column, (size_t)cols, sizeof *column, compare);
}

/* Three entries in row 1, one in row 2; columns hold two, one and one. So it stays, elsewhere. */
TEST(a_permuted_mask_keeps_its_marginals)
{
    static const uint32_t mask[4] = {4, 5, 7, 8};
    int row[3], column[4], new_row[3], new_column[4], other_row = 0, other_column = 0;
    marginals(mask, 4, 3, 4, row, column);
    assert_memory_equal(row, ((int[]){0, 1, 3}), sizeof row);
    assert_memory_equal(column, ((int[]){0, 1, 1, 2}), sizeof column);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rng rng = rng_stream(seed, "test");
        uint32_t idx[4];
        memcpy(idx, mask, sizeof idx);
        ASSERT_OK(entry_mask_permute(&rng, 3, 4, idx, 4, test_arena(), &e), &e);
        int in_first_row = 0, in_first_column = 0;
        for (int i = 0; i < 4; i++) {
            in_first_row += idx[i] / 4 == 0;
            in_first_column += idx[i] % 4 == 0;
        }
        other_row += in_first_row != 0;
        other_column += in_first_column != 2;
        marginals(idx, 4, 3, 4, new_row, new_column);
        assert_memory_equal(new_row, row, sizeof row);
        assert_memory_equal(new_column, column, sizeof column);
    }
    ASSERT_NEAR(other_row, 50 * 2. / 3, 4 * sqrt(50 * 2. / 9)); /* the empty row goes to each of three places */
    ASSERT_NEAR(other_column, 50 * 3. / 4, 4 * sqrt(50 * 3. / 16));
}

TEST(a_random_mask_is_ascending_and_complete)
{
    struct rng rng = rng_stream(5, "test");
    uint32_t idx[12];
    for (size_t k = 0; k <= 12; k++) {
        entry_mask_random(&rng, 12, k, idx);
        for (size_t i = 0; i < k; i++)
            assert_true(idx[i] < 12 && (i == 0 || idx[i] > idx[i - 1]));
    }
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(idx[i], i);
}
