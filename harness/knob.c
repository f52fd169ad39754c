/* Turning a knob by bisection: see knob.h. */
#include "harness/knob.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BILLION = 1000000000 };
#define REFUSED SIZE_MAX /* a count: no such value is taken */

/* Values are integers for OPT_INT. */
struct search {
    const struct knob *knob;
    size_t budget;
    double lo, hi;       /* the largest value known to fit, and the smallest known not to */
    size_t at_lo, at_hi; /* what they count                                               */
    struct err *e;
};

static void set(const struct knob *k, double value)
{
    void *p = (char *)k->options + k->row->offset;
    if (k->row->type == OPT_INT)
        *(long long *)p = (long long)value;
    else
        *(double *)p = value;
}

/* What a value counts, or REFUSED. */
static bool try_value(const struct search *s, double value, size_t *n)
{
    struct err e = {0};
    set(s->knob, value);
    if (s->knob->count(s->knob->self, n, &e))
        return true;
    *n = REFUSED;
    if (e.code != ERR_INPUT)
        *s->e = e;
    return e.code == ERR_INPUT;
}

/* Takes a value for lo or hi. */
static bool narrow(struct search *s, double value)
{
    size_t n;
    TRY(try_value(s, value, &n));
    if (n <= s->budget)
        s->lo = value, s->at_lo = n;
    else
        s->hi = value, s->at_hi = n;
    return true;
}

/* Open ends are approached to a billionth of the range, infinite ones by doubling. */
static double smallest(const struct opt *row)
{
    if (row->type == OPT_INT)
        return ceil(row->min);
    return row->min + (row->open_min ? (isinf(row->max) ? 1 : row->max - row->min) / BILLION : 0);
}

static double largest(const struct opt *row)
{
    if (isinf(row->max))
        return BILLION;
    return row->open_max ? row->max - (row->max - row->min) / BILLION : row->max;
}

static double middle(const struct search *s)
{
    double m = isinf(s->hi) ? 2 * fmax(s->lo, .5) : s->lo + (s->hi - s->lo) / 2;
    return s->knob->row->type == OPT_INT ? floor(m) : m;
}

/* As close as values can matter: the largest tensors have 1e9 entries. */
static bool apart(const struct search *s)
{
    return s->knob->row->type == OPT_INT ? s->hi - s->lo > 1 : s->hi - s->lo > 1e-12 * fmax(1, s->lo);
}

static bool bisect(struct search *s)
{
    const struct opt *row = s->knob->row;
    double top = largest(row);
    s->hi = INFINITY;
    s->at_hi = REFUSED;
    if (!isinf(row->max))
        TRY(narrow(s, top));
    while (s->lo < top && apart(s))
        TRY(narrow(s, middle(s)));
    return true;
}

/* A number cut to so many significant digits. */
static double cut(double value, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", digits - 1, value);
    double rounded = strtod(text, NULL);
    if (rounded <= value)
        return rounded;
    snprintf(text, sizeof text, "%.*e", digits - 1, rounded - pow(10, floor(log10(value)) - digits + 1));
    return strtod(text, NULL);
}

/* lo becomes the shortest decimal not above it that counts as much. */
static bool shorten(struct search *s)
{
    const struct opt *row = s->knob->row;
    for (int digits = 1; row->type == OPT_REAL && s->lo > 0 && digits <= 17; digits++) {
        double value = cut(s->lo, digits);
        size_t n = REFUSED;
        if (value >= smallest(row) && value <= s->lo)
            TRY(try_value(s, value, &n));
        if (n == s->at_lo) {
            s->lo = value;
            break;
        }
    }
    set(s->knob, s->lo);
    return true;
}

bool knob_turn(struct knob *k, enum knob_end *end, struct err *e)
{
    struct search s = {.knob = k, .budget = k->budget, .lo = smallest(k->row), .e = e};
    set(k, s.lo);
    TRY(k->count(k->self, &s.at_lo, e)); /* what is wrong here is wrong for any value */
    size_t least = s.at_lo;
    if (least > k->budget)
        s.budget = least;
    TRY(bisect(&s));
    bool all_the_same = s.lo >= largest(k->row) && s.at_lo == least;
    TRY(shorten(&s));
    k->n = s.at_lo;
    *end = k->n == k->budget || (s.at_hi != REFUSED && least <= k->budget) ? KNOB_FITS
           : all_the_same ? KNOB_IDLE
           : least > k->budget ? KNOB_LEAST
                               : KNOB_MOST;
    return true;
}
