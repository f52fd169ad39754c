/*
 * Characters as the reference sees them: see tokenizer_unicode.h. utf8proc decomposes and lower-cases (both are stable
 * from one Unicode version to the next, but for new characters); the categories come from tables of the reference.
 * UTF-8 well-formedness: The Unicode Standard, table 3-7; maximal subparts: section 3.9.
 */
#include "models/tokenizer_unicode.h"

#include <assert.h>
#include <string.h>

#include <utf8proc.h>

#include "models/tokenizer_unicode_tables.h"

#define LENGTH(table) (sizeof(table) / sizeof(table)[0])

/* Binary search in ascending ranges. */
static bool in_ranges(const struct range *r, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > r[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && c >= r[low].first;
}

/* ---- UTF-8 ---- */

/* Bytes of the sequence that `lead` starts (0: none) and the range that its second byte must lie in. */
static int lead_byte(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

int utf8_length(const unsigned char *s, size_t n)
{
    unsigned char low, high;
    int want = lead_byte(s[0], &low, &high);
    if (want == 0)
        return -1;
    for (int i = 1; i < want; i++) {
        if ((size_t)i >= n || s[i] < low || s[i] > high)
            return -i;
        low = 0x80;
        high = 0xBF;
    }
    return want;
}

size_t utf8_valid(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        int k = utf8_length((const unsigned char *)s + i, n - i);
        if (k < 0)
            return i;
        i += (size_t)k;
    }
    return n;
}

bool utf8_lossy(const char **text, size_t *size, struct arena *a, struct err *e)
{
    size_t n = *size, i = utf8_valid(*text, n);
    if (i == n)
        return true;
    char *copy = ARENA_NEW(a, MEM_SCRATCH, char, i + 3 * (n - i), e);
    TRY(copy);
    memcpy(copy, *text, i);
    char *end = copy + i;
    while (i < n) {
        int k = utf8_length((const unsigned char *)*text + i, n - i);
        if (k > 0)
            memcpy(end, *text + i, (size_t)k);
        end = k > 0 ? end + k : utf8_put(end, 0xFFFD);
        i += (size_t)(k > 0 ? k : -k);
    }
    *text = copy;
    *size = (size_t)(end - copy);
    return true;
}

uint32_t utf8_next(const char **s)
{
    const unsigned char *p = (const unsigned char *)*s;
    if (p[0] < 0x80) {
        *s += 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *s += 2;
        return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    }
    if (p[0] < 0xF0) {
        *s += 3;
        return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    }
    *s += 4;
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}

uint32_t utf8_before(const char *s)
{
    do
        s--;
    while (((unsigned char)*s & 0xC0) == 0x80);
    return utf8_next(&s);
}

char *utf8_put(char *s, uint32_t c)
{
    if (c < 0x80) {
        *s++ = (char)c;
        return s;
    }
    if (c < 0x800) {
        *s++ = (char)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *s++ = (char)(0xE0 | c >> 12);
        } else {
            *s++ = (char)(0xF0 | c >> 18);
            *s++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *s++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *s++ = (char)(0x80 | (c & 0x3F));
    return s;
}

/* ---- properties ---- */

bool char_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 0x09 && c <= 0x0D);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool char_is_control(uint32_t c)
{
    if (c < 0x80)
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
    return in_ranges(controls, LENGTH(controls), c);
}

bool char_is_mark(uint32_t c) { return c >= 0x300 && in_ranges(marks, LENGTH(marks), c); }

bool char_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c > 0x20 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
    return in_ranges(punctuation, LENGTH(punctuation), c);
}

bool char_is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

/* UTS 18 annex C: Alphabetic, M, Nd, Pc, Join_Control. Alphabetic adds to the letters and marks the letter numbers and
 * four rows of circled and squared letters. */
bool char_is_word(uint32_t c)
{
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC || c == 0x200C ||
           c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* Capital letters of Unicode 16 and 17, which current releases of the reference know and older utf8proc do not: every
 * `step`-th code point of a range maps to itself plus `delta`. */
static const struct {
    uint32_t first, last, step;
    int32_t delta;
} new_capitals[] = {
    {0x1C89, 0x1C89, 1, 1},      {0xA7CB, 0xA7CB, 1, 0x264 - 0xA7CB}, {0xA7CC, 0xA7CE, 2, 1},
    {0xA7D2, 0xA7D4, 2, 1},      {0xA7DA, 0xA7DA, 1, 1},              {0xA7DC, 0xA7DC, 1, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 1, 0x20}, {0x16EA0, 0x16EB8, 1, 0x1B},
};

static uint32_t lower_new(uint32_t c)
{
    for (size_t i = 0; i < LENGTH(new_capitals); i++) {
        uint32_t first = new_capitals[i].first;
        if (c >= first && c <= new_capitals[i].last && (c - first) % new_capitals[i].step == 0)
            return (uint32_t)((int32_t)c + new_capitals[i].delta);
    }
    return c;
}

int char_lower(uint32_t c, uint32_t out[2])
{
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
    if (c == 0x130) { /* the one full mapping of Unicode that is longer than its simple one */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    if (out[0] == c && c >= 0x1C89)
        out[0] = lower_new(c);
    return 1;
}

/* Characters whose decompositions are younger than the reference's tables (Unicode 13 and 16). */
static const struct range not_decomposed[] = {
    {0x105C9, 0x105C9}, {0x105E4, 0x105E4}, {0x11383, 0x11391}, {0x113C5, 0x113C8},
    {0x11938, 0x11938}, {0x16121, 0x16128}, {0x16D68, 0x16D6A},
};

int char_decompose(uint32_t c, uint32_t out[4])
{
    utf8proc_int32_t cs[4];
    int boundary;
    out[0] = c;
    if (c < 0xC0 || in_ranges(not_decomposed, LENGTH(not_decomposed), c))
        return 1;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, cs, 4, UTF8PROC_DECOMPOSE, &boundary);
    assert(n <= 4); /* the longest canonical decomposition has four code points (U+1F82) */
    for (int i = 0; i < n; i++)
        out[i] = (uint32_t)cs[i];
    return n > 0 ? (int)n : 1;
}

int char_combining(uint32_t c)
{
    if (c < 0x300 || !in_ranges(combining, LENGTH(combining), c))
        return 0;
    return utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}
