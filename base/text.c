/* Text tools: see text.h. */
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_room(struct text *t, size_t more, struct err *e)
{
    if (t->s && t->cap - t->len > more)
        return true;
    size_t cap = t->cap ? t->cap : 128;
    while (cap - t->len <= more)
        cap *= 2;
    char *s = arena_alloc(t->arena, MEM_DATA, cap, e);
    TRY(s);
    if (t->len)
        memcpy(s, t->s, t->len);
    t->s = s;
    t->cap = cap;
    return true;
}

bool text_add_bytes(struct text *t, const char *s, size_t n, struct err *e)
{
    TRY(text_room(t, n, e));
    if (n)
        memcpy(t->s + t->len, s, n);
    t->len += n;
    t->s[t->len] = 0;
    return true;
}

bool text_add(struct text *t, struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    TRY(text_room(t, (size_t)n, e));
    va_start(ap, fmt);
    vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
    return true;
}

static int min2(int a, int b) { return a < b ? a : b; }

enum { MAX = 64 }; /* words are compared up to here */

static int same(char c) { return c; }
static int lower(char c) { return tolower((unsigned char)c); }

/* Optimal string alignment by dynamic programming over three rows, on fold(character). */
static int distance(const char *a, const char *b, int (*fold)(char))
{
    int n = (int)strnlen(a, MAX - 1), m = (int)strnlen(b, MAX - 1);
    int row[3][MAX];
    for (int j = 0; j <= m; j++)
        row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int differ = fold(a[i - 1]) != fold(b[j - 1]);
            now[j] = min2(min2(last[j] + 1, now[j - 1] + 1), last[j - 1] + differ);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = min2(now[j], before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

int text_distance(const char *a, const char *b) { return distance(a, b, same); }

/* About a third of the word may differ, at least one letter, but never all of it. Case counts only between equals. */
const char *text_nearest(const char *word, const char *const *words)
{
    const char *best = NULL;
    int n = (int)strnlen(word, MAX - 1), limit = min2(n < 5 ? 1 : (n + 1) / 3, n - 1);
    int least = (limit + 1) * MAX;
    for (; *words; words++) {
        int d = distance(word, *words, lower) * MAX + (distance(word, *words, same) > 0);
        if (d < least) {
            least = d;
            best = *words;
        }
    }
    return best;
}

const char *text_did_you_mean(const char *word, const char *const *words, char *buf, size_t size)
{
    const char *near = text_nearest(word, words);
    buf[0] = 0;
    if (near)
        snprintf(buf, size, "; did you mean `%s`?", near);
    return buf;
}

/* Greedy matching that goes back to the last star: linear in practice, no recursion. */
bool text_glob(const char *pattern, const char *s)
{
    const char *star = NULL, *retry = NULL;
    while (*s) {
        if (*pattern == '*') {
            star = pattern++;
            retry = s;
        } else if (*pattern == '?' || *pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star + 1;
            s = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

bool text_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

bool text_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

char *text_path(struct arena *a, const char *dir, const char *name, struct err *e)
{
    if (name[0] == '/' || !dir || !dir[0])
        return arena_strdup(a, name, e);
    return arena_printf(a, e, text_ends(dir, "/") ? "%s%s" : "%s/%s", dir, name);
}

char *text_dirname(struct arena *a, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return arena_strdup(a, ".", e);
    return arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path), e);
}

bool text_to_long(const char *s, long long *value)
{
    const char *digits = s + (*s == '-');
    if (!*digits)
        return false;
    for (const char *p = digits; *p; p++)
        if (!isdigit((unsigned char)*p))
            return false;
    errno = 0;
    *value = strtoll(s, NULL, 10);
    return errno == 0;
}

bool text_to_double(const char *s, double *value)
{
    if (!*s || s[strspn(s, "+-.0123456789eE")])
        return false;
    char *end;
    *value = strtod(s, &end);
    return *end == 0 && end != s && isfinite(*value);
}

/* Characters of n bytes of UTF-8. */
static size_t characters(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

static bool is_item(const char *line) { return text_starts(line, "- ") || text_starts(line, "* "); }

/* Begins a line of its own, whatever stands before it. */
static bool stands_alone(const char *line)
{
    return is_item(line) || line[0] == '|' || line[0] == '\n' || line[0] == 0 || text_starts(line, "    ");
}

/* Words up to the next line that stands alone; *s moves there. */
static bool wrap_flow(struct text *t, const char **s, size_t columns, struct err *e)
{
    const char *indent = is_item(*s) ? "  " : "", *at = *s;
    size_t used = 0;
    do {
        while (*at == ' ' || (*at == '\n' && at != *s))
            at++;
        size_t n = strcspn(at, " \n"), width = characters(at, n);
        if (used && used + 1 + width > columns) {
            TRY(text_add(t, e, "\n%s", indent));
            used = strlen(indent);
        } else if (used) {
            TRY(text_add(t, e, " "));
            used++;
        }
        TRY(text_add_bytes(t, at, n, e));
        used += width;
        at += n;
    } while (*at == ' ' || (*at == '\n' && !stands_alone(at + 1)));
    *s = at;
    return text_add(t, e, "\n");
}

bool text_wrap(struct text *t, const char *markdown, size_t columns, struct err *e)
{
    size_t length = strlen(markdown);
    while (length && markdown[length - 1] == '\n')
        length--;
    for (const char *s = markdown; s < markdown + length; s += *s == '\n') {
        size_t n = strcspn(s, "\n");
        if (n && (is_item(s) || !stands_alone(s))) {
            TRY(wrap_flow(t, &s, columns, e));
        } else {
            TRY(text_add_bytes(t, s, n, e) && text_add(t, e, "\n"));
            s += n;
        }
    }
    return true;
}
