/* The search for a knob's value, against counts that are known in closed form and against all values of a grid. */
#include "tests/test.h"

#include <math.h>

#include "harness/knob.h"

struct options {
    long long r;
    double density;
};

static const struct opt rank = {.name = "r", .type = OPT_INT, .offset = offsetof(struct options, r), .min = 1,
                                .max = 65536};
static const struct opt endless = {.name = "r", .type = OPT_INT, .offset = offsetof(struct options, r), .min = 1,
                                   .max = INFINITY};
static const struct opt density = {.name = "density", .type = OPT_REAL, .offset = offsetof(struct options, density),
                                   .min = 0, .max = 1, .open_min = true};

/* Ranks above `most` are refused; a rank costs `each`. */
struct ranks {
    struct options o;
    long long most;
    size_t each;
    int counted;
};

static bool count_ranks(void *self, size_t *n, struct err *e)
{
    struct ranks *m = self;
    m->counted++;
    *n = (size_t)m->o.r * m->each;
    return m->o.r <= m->most || err_set(e, ERR_INPUT, "the rank is at most %lld", m->most);
}

/* As SIFT counts: of each of three tensors. */
static const size_t sizes[] = {1000, 777, 64};

static size_t kept(double share)
{
    size_t n = 0;
    for (int i = 0; i < 3; i++)
        n += (size_t)fmin(floor(share * (double)sizes[i]) + 1, (double)sizes[i]);
    return n;
}

static bool count_kept(void *self, size_t *n, struct err *e)
{
    (void)e;
    *n = kept(((struct options *)self)->density);
    return true;
}

static enum knob_end turn(struct knob *k)
{
    struct err e = {0};
    enum knob_end end;
    ASSERT_OK(knob_turn(k, &end, &e), &e);
    return end;
}

static enum knob_end turn_rank(struct ranks *m, const struct opt *row, size_t budget, size_t *n)
{
    struct knob k = {.row = row, .options = &m->o, .count = count_ranks, .self = m, .budget = budget};
    enum knob_end end = turn(&k);
    *n = k.n;
    return end;
}

TEST(ranks_within_a_budget)
{
    struct ranks m = {.most = 256, .each = 10};
    size_t n;
    for (size_t budget = 10; budget < 2570; budget += 7) {
        enum knob_end end = turn_rank(&m, &rank, budget, &n);
        assert_int_equal(m.o.r, budget / 10 < 256 ? budget / 10 : 256);
        assert_int_equal(n, m.o.r * 10);
        assert_int_equal(end, budget <= 2560 ? KNOB_FITS : KNOB_MOST);
    }
    assert_int_equal(turn_rank(&m, &rank, 9, &n), KNOB_LEAST);
    assert_true(m.o.r == 1 && n == 10);
}

/* Without an upper end the value doubles until it is too much, and no further. */
TEST(an_endless_range)
{
    struct ranks m = {.most = 1 << 30, .each = 3};
    size_t n;
    assert_int_equal(turn_rank(&m, &endless, 1000, &n), KNOB_FITS);
    assert_true(m.o.r == 333 && n == 999);
    assert_true(m.counted < 30);
}

TEST(a_knob_that_turns_nothing)
{
    struct ranks m = {.most = 1 << 30, .each = 0};
    size_t n;
    assert_int_equal(turn_rank(&m, &rank, 5, &n), KNOB_IDLE);
    assert_int_equal(turn_rank(&m, &rank, 0, &n), KNOB_FITS);
}

/* What is refused from the first value on is an error with its reason. */
TEST(nothing_is_taken)
{
    struct ranks m = {.most = 0, .each = 1};
    struct err e = {0};
    enum knob_end end;
    struct knob k = {.row = &rank, .options = &m.o, .count = count_ranks, .self = &m, .budget = 5};
    ASSERT_ERR(knob_turn(&k, &end, &e), &e, "the rank is at most 0");
}

static int digits_of(double v)
{
    char text[40];
    for (int digits = 1; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, v);
        if (strtod(text, NULL) == v)
            return digits;
    }
    return 17;
}

/* The next number of so many digits. */
static double next_decimal(double v, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.12f", v + pow(10, floor(log10(v)) - digits + 1));
    return strtod(text, NULL);
}

/* Of a fine grid no density trains more within the budget, none with fewer digits as much; the next does not fit. */
TEST(densities_within_every_budget)
{
    struct options o;
    struct knob k = {.row = &density, .options = &o, .count = count_kept, .self = &o};
    for (k.budget = 3; k.budget <= 1841; k.budget += 13) {
        assert_int_equal(turn(&k), KNOB_FITS);
        size_t most = 0;
        int shortest = 17;
        for (int i = 1; i <= 20000; i++)
            if (kept(i / 20000.) <= k.budget && kept(i / 20000.) > most)
                most = kept(i / 20000.);
        assert_true(k.n >= most && k.n <= k.budget);
        assert_int_equal(kept(o.density), k.n);
        for (int i = 1; i <= 9999; i++)
            if (kept(i / 1e4) == k.n && digits_of(i / 1e4) < shortest)
                shortest = digits_of(i / 1e4);
        int digits = digits_of(o.density);
        assert_true(digits <= shortest);
        double next = next_decimal(o.density, digits);
        assert_true(next > 1 || kept(next) > k.n);
    }
    k.budget = 2;
    assert_int_equal(turn(&k), KNOB_LEAST);
    assert_true(k.n == 3 && o.density == .001 - 1e-4); /* the widest step below 1 / 1000, in one digit */
    k.budget = 1842;
    assert_int_equal(turn(&k), KNOB_MOST);
    assert_true(k.n == 1841 && kept(o.density) == 1841);
}
