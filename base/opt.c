/* Option tables: see opt.h. */
#include "base/opt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void *field(const struct opt *row, void *object) { return (char *)object + row->offset; }
static const void *const_field(const struct opt *row, const void *object)
{
    return (const char *)object + row->offset;
}

const char *opt_word(const struct opt *row, int i, char *buf, size_t size)
{
    const char *s = row->words;
    for (; i > 0; i--)
        s = strchr(s, '|') + 1;
    snprintf(buf, size, "%.*s", (int)strcspn(s, "|"), s);
    return buf;
}

/* Index of a word in "a|b|c", -1 when it is not there. */
static int word_index(const struct opt *row, const char *word)
{
    size_t n = strlen(word);
    int i = 0;
    for (const char *s = row->words; s; s = strchr(s, '|'), s += s != NULL, i++)
        if (strcspn(s, "|") == n && strncmp(s, word, n) == 0)
            return i;
    return -1;
}

/* "a,b,c" as a list. */
static bool split_words(struct opt_strings *out, const char *words, struct arena *a, struct err *e)
{
    *out = (struct opt_strings){0};
    if (!words || !*words)
        return true;
    size_t n = 1;
    for (const char *s = words; *s; s++)
        n += *s == ',';
    TRY(out->word = ARENA_NEW(a, MEM_DATA, const char *, n, e));
    for (const char *s = words; out->n < n; s += strcspn(s, ",") + 1)
        TRY(out->word[out->n++] = arena_strndup(a, s, strcspn(s, ","), e));
    return true;
}

static bool set_default(const struct opt *row, void *object, struct arena *a, struct err *e)
{
    void *p = field(row, object);
    switch (row->type) {
    case OPT_BOOL: *(bool *)p = row->dflt != 0; return true;
    case OPT_INT: *(long long *)p = (long long)row->dflt; return true;
    case OPT_REAL: *(double *)p = row->dflt; return true;
    case OPT_ENUM: *(int *)p = (int)row->dflt; return true;
    case OPT_STRING: *(const char **)p = row->words; return true;
    case OPT_STRINGS: return split_words(p, row->words, a, e);
    }
    return true;
}

bool opt_defaults(const struct opt *table, void *object, struct arena *a, struct err *e)
{
    for (const struct opt *row = table; row->name; row++)
        TRY(set_default(row, object, a, e));
    return true;
}

const struct opt *opt_find(const struct opt *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

/* The shortest text that reads back as the same number: 0.008, 1e-08, 3. Two values never look alike. */
static void number_text(double v, char *buf, size_t size)
{
    if (isnan(v)) {
        snprintf(buf, size, "none");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, size, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
}

static void range_text(const struct opt *row, char *buf, size_t size)
{
    char lo[32], hi[32];
    number_text(row->min, lo, sizeof lo);
    number_text(row->max, hi, sizeof hi);
    bool no_lo = isinf(row->min), no_hi = isinf(row->max);
    if (no_lo && no_hi)
        snprintf(buf, size, "any");
    else if (no_hi)
        snprintf(buf, size, "%s %s", row->open_min ? ">" : ">=", lo);
    else if (no_lo)
        snprintf(buf, size, "%s %s", row->open_max ? "<" : "<=", hi);
    else
        snprintf(buf, size, "%c%s, %s%c", row->open_min ? '(' : '[', lo, hi, row->open_max ? ')' : ']');
}

static bool in_range(const struct opt *row, double v)
{
    bool above = row->open_min ? v > row->min : v >= row->min;
    bool below = row->open_max ? v < row->max : v <= row->max;
    return above && below;
}

static bool check_range(const struct opt *row, const struct yaml *y, double v, struct err *e)
{
    if (in_range(row, v))
        return true;
    char range[96];
    range_text(row, range, sizeof range);
    if (isinf(row->min) || isinf(row->max))
        return yaml_err(e, y, "range: %s is %s; it must be %s", row->name, y->value, range);
    return yaml_err(e, y, "range: %s is %s; it must lie in %s", row->name, y->value, range);
}

static bool set_number(const struct opt *row, void *p, const struct yaml *y, struct err *e)
{
    if (row->type == OPT_INT) {
        long long v;
        if (row->nullable && yaml_is_null(y)) {
            *(long long *)p = (long long)row->dflt;
            return true;
        }
        if (y->quoted || !text_to_long(y->value, &v))
            return yaml_err(e, y, "%s is `%s`; it must be an integer in plain decimal digits", row->name, y->value);
        TRY(check_range(row, y, (double)v, e));
        *(long long *)p = v;
        return true;
    }
    double v;
    if (isnan(row->dflt) && yaml_is_null(y)) {
        *(double *)p = NAN;
        return true;
    }
    if (y->quoted || !text_to_double(y->value, &v))
        return yaml_err(e, y, "%s is `%s`; it must be a number", row->name, y->value);
    TRY(check_range(row, y, v, e));
    *(double *)p = v;
    return true;
}

static bool set_word(const struct opt *row, void *p, const struct yaml *y, struct arena *a, struct err *e)
{
    int i = word_index(row, y->value);
    if (i >= 0) {
        *(int *)p = i;
        return true;
    }
    char *choices = opt_range_text(row, a, e);
    TRY(choices);
    return yaml_err(e, y, "%s is `%s`; it must be one of %s", row->name, y->value, choices);
}

static bool set_words(void *p, const struct opt *row, const struct yaml *y, struct arena *a, struct err *e)
{
    struct opt_strings *out = p;
    size_t n = y->kind == YAML_LIST ? yaml_count(y) : 1;
    *out = (struct opt_strings){.at = y};
    TRY(out->word = ARENA_NEW(a, MEM_DATA, const char *, n ? n : 1, e));
    for (const struct yaml *item = y->kind == YAML_LIST ? y->child : y; item; item = item->next) {
        if (item->kind != YAML_SCALAR || yaml_is_null(item))
            return yaml_err(e, item, "%s must be a list of words", row->name);
        out->word[out->n++] = item->value;
        if (item == y)
            break;
    }
    return true;
}

static bool set_bool(const struct opt *row, void *p, const struct yaml *y, struct err *e)
{
    bool yes = strcmp(y->value, "true") == 0, no = strcmp(y->value, "false") == 0;
    if (y->quoted || (!yes && !no))
        return yaml_err(e, y, "%s is `%s`; it must be true or false", row->name, y->value);
    *(bool *)p = yes;
    return true;
}

bool opt_set(const struct opt *row, void *object, const struct yaml *y, struct arena *a, struct err *e)
{
    void *p = field(row, object);
    if (row->type == OPT_STRINGS && y->kind != YAML_MAP)
        return set_words(p, row, y, a, e);
    if (y->kind != YAML_SCALAR)
        return yaml_err(e, y, "%s is %s; it must be %s", row->name, yaml_kind_name(y), opt_type_name(row));
    switch (row->type) {
    case OPT_BOOL: return set_bool(row, p, y, e);
    case OPT_INT:
    case OPT_REAL: return set_number(row, p, y, e);
    case OPT_ENUM: return set_word(row, p, y, a, e);
    default: break;
    }
    if (yaml_is_null(y) && !row->nullable)
        return yaml_err(e, y, "%s is empty; it must be %s", row->name, opt_type_name(row));
    *(const char **)p = yaml_is_null(y) ? NULL : y->value;
    return true;
}

static bool listed(const char *const *words, const char *word)
{
    for (; words && *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

/* The table's names, and the caller's own, for "did you mean". */
static const char **all_names(const struct opt *table, const char *const *skip, struct arena *a, struct err *e)
{
    size_t n = 0, m = 0;
    while (table[n].name)
        n++;
    while (skip && skip[m])
        m++;
    const char **names = ARENA_NEW(a, MEM_DATA, const char *, n + m + 1, e);
    for (size_t i = 0; names && i < n; i++)
        names[i] = table[i].name;
    for (size_t i = 0; names && i < m; i++)
        names[n + i] = skip[i];
    return names;
}

bool opt_bind(const struct opt *table, void *object, const struct yaml *map, const char *what,
              const char *const *skip, struct arena *a, struct err *e)
{
    if (!map || yaml_is_null(map))
        return true;
    if (map->kind != YAML_MAP)
        return yaml_err(e, map, "the options of %s are %s; they must be a map", what, yaml_kind_name(map));
    for (const struct yaml *y = map->child; y; y = y->next) {
        if (listed(skip, y->key))
            continue;
        const struct opt *row = opt_find(table, y->key);
        if (!row) {
            char hint[128];
            const char **names = all_names(table, skip, a, e);
            TRY(names);
            return yaml_err_key(e, y, "unknown key `%s` for %s%s", y->key, what,
                                text_did_you_mean(y->key, names, hint, sizeof hint));
        }
        TRY(opt_set(row, object, y, a, e));
    }
    return true;
}

static char *int_text(const struct opt *row, long long v, struct arena *a, struct err *e)
{
    if (row->nullable && v == (long long)row->dflt)
        return arena_strdup(a, "none", e);
    return arena_printf(a, e, "%lld", v);
}

static char *words_text(const struct opt_strings *w, struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    TRY(text_add(&t, e, "%s", ""));
    for (size_t i = 0; i < w->n; i++)
        TRY(text_add(&t, e, "%s%s", i ? "," : "", w->word[i]));
    return t.s;
}

char *opt_value_text(const struct opt *row, const void *object, struct arena *a, struct err *e)
{
    const void *p = const_field(row, object);
    char buf[64];
    switch (row->type) {
    case OPT_BOOL: return arena_strdup(a, *(const bool *)p ? "true" : "false", e);
    case OPT_INT: return int_text(row, *(const long long *)p, a, e);
    case OPT_REAL: number_text(*(const double *)p, buf, sizeof buf); return arena_strdup(a, buf, e);
    case OPT_ENUM: return arena_strdup(a, opt_word(row, *(const int *)p, buf, sizeof buf), e);
    case OPT_STRINGS: return words_text(p, a, e);
    case OPT_STRING: break;
    }
    const char *s = *(const char *const *)p;
    return arena_strdup(a, s ? s : "none", e);
}

char *opt_default_text(const struct opt *row, struct arena *a, struct err *e)
{
    char buf[64];
    switch (row->type) {
    case OPT_BOOL: return arena_strdup(a, row->dflt != 0 ? "true" : "false", e);
    case OPT_INT: return int_text(row, (long long)row->dflt, a, e);
    case OPT_REAL: number_text(row->dflt, buf, sizeof buf); return arena_strdup(a, buf, e);
    case OPT_ENUM: return arena_strdup(a, opt_word(row, (int)row->dflt, buf, sizeof buf), e);
    default: return arena_strdup(a, row->words ? row->words : "none", e);
    }
}

char *opt_range_text(const struct opt *row, struct arena *a, struct err *e)
{
    char buf[96];
    switch (row->type) {
    case OPT_BOOL: return arena_strdup(a, "true | false", e);
    case OPT_INT:
    case OPT_REAL: range_text(row, buf, sizeof buf); return arena_strdup(a, buf, e);
    case OPT_STRING: return arena_strdup(a, "a word", e);
    case OPT_STRINGS: return arena_strdup(a, "a list of words", e);
    case OPT_ENUM: break;
    }
    struct text t = {.arena = a};
    for (const char *s = row->words; *s; s += strcspn(s, "|") + (s[strcspn(s, "|")] == '|'))
        TRY(text_add(&t, e, "%s%.*s", s == row->words ? "" : " | ", (int)strcspn(s, "|"), s));
    return t.s;
}

const char *opt_type_name(const struct opt *row)
{
    static const char *const types[] = {[OPT_BOOL] = "true or false", [OPT_INT] = "an integer",
                                        [OPT_REAL] = "a number",      [OPT_STRING] = "a word",
                                        [OPT_ENUM] = "a word",        [OPT_STRINGS] = "a list of words"};
    return types[row->type];
}
