/* Patterns for parts of a model: see target.h. */
#include "methods/target.h"

#include <string.h>

#include "base/text.h"

static const char ALL[] = "all", ALL_LINEAR[] = "all-linear";

bool target_matches(const char *pattern, const char *name)
{
    if (!strpbrk(pattern, "*?")) {
        size_t np = strlen(pattern), n = strlen(name);
        return np <= n && strcmp(name + n - np, pattern) == 0 && (np == n || name[n - np - 1] == '.');
    }
    for (const char *suffix = name; suffix; suffix = strchr(suffix, '.'), suffix += suffix != NULL)
        if (text_glob(pattern, suffix))
            return true;
    return false;
}

/* The module a parameter belongs to: its name without `.weight` or `.bias`. Cut at the size of buf. */
static const char *module_name(const struct param *p, char *buf, size_t size)
{
    const char *dot = strrchr(p->name, '.');
    size_t n = dot ? (size_t)(dot - p->name) : strlen(p->name);
    n = n < size ? n : size - 1;
    memcpy(buf, p->name, n);
    buf[n] = 0;
    return buf;
}

static bool in_encoder_linear(const struct param *p)
{
    return !p->head && !p->added && (p->kind == PARAM_LINEAR || p->kind == PARAM_BIAS);
}

bool target_matches_param(const char *pattern, const struct param *p)
{
    char module[512];
    if (strcmp(pattern, ALL) == 0)
        return true;
    if (strcmp(pattern, ALL_LINEAR) == 0)
        return in_encoder_linear(p);
    return target_matches(pattern, module_name(p, module, sizeof module)) || target_matches(pattern, p->name);
}

static bool matches_linear(const char *pattern, const struct linear *l)
{
    return !l->w->head && (strcmp(pattern, ALL_LINEAR) == 0 || target_matches(pattern, l->name));
}

static bool matches_encoder_param(const char *pattern, const struct param *p)
{
    return !p->head && !p->added && target_matches_param(pattern, p);
}

/* -------------------------------------------------------------------------------------------------------------------
 * A pattern that matches nothing */

/* What stands after the number of the layer: `attention.self.query` of `bert.encoder.layer.0.attention.self.query`. */
static const char *after_number(const char *name)
{
    const char *rest = name;
    for (const char *dot = name; (dot = strchr(dot, '.')); dot++)
        if (dot > name && dot[-1] >= '0' && dot[-1] <= '9')
            rest = dot + 1;
    return rest;
}

static bool has_word(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

/* The right words: every dotted suffix of a module's name below its layer, and the special words. NULL-terminated. */
static const char **right_words(const struct model *m, bool linear, struct arena *a, struct err *e)
{
    enum { MOST = 256 };
    const char **words = ARENA_NEW(a, MEM_METHOD, const char *, MOST + 1, e);
    TRY(words);
    size_t n = 0;
    words[n++] = ALL_LINEAR;
    if (!linear)
        words[n++] = ALL;
    for (size_t i = 0; i < m->params.n; i++) {
        const struct param *p = m->params.item[i];
        char module[512];
        if ((linear && !in_encoder_linear(p)) || (p->layer > 0 && !p->head && !p->added))
            continue;
        const char *suffix = after_number(module_name(p, module, sizeof module));
        for (; suffix && n < MOST; suffix = strchr(suffix, '.'), suffix += suffix != NULL)
            if (!has_word(words, n, suffix))
                TRY(words[n++] = arena_strdup(a, suffix, e));
    }
    return words;
}

static bool wrong(struct err *e, const struct yaml *at, const char *msg)
{
    return at ? yaml_err(e, at, "%s", msg) : err_set(e, ERR_INPUT, "%s", msg);
}

static bool nothing(const struct model *m, const char *option, const char *pattern, const char *what, bool linear,
                    const struct yaml *at, struct arena *a, struct err *e)
{
    char hint[160];
    const char **words = right_words(m, linear, a, e);
    TRY(words);
    const char *msg = arena_printf(a, e, "`%s` in %s matches no %s%s", pattern, option, what,
                                   text_did_you_mean(pattern, words, hint, sizeof hint));
    TRY(msg);
    return wrong(e, at, msg);
}

bool target_nothing(const struct model *m, const char *option, const char *pattern, const struct yaml *at,
                    struct arena *a, struct err *e)
{
    return nothing(m, option, pattern, "module or parameter", false, at, a, e);
}

/* Place of word number i. */
static const struct yaml *word_place(const struct opt_strings *patterns, size_t i, const struct yaml *at)
{
    if (!patterns->at)
        return at;
    if (patterns->at->kind != YAML_LIST)
        return patterns->at;
    const struct yaml *item = patterns->at->child;
    while (i-- > 0)
        item = item->next;
    return item;
}

static bool names_head(const struct model *m, const char *pattern)
{
    for (size_t i = 0; i < m->params.n; i++)
        if (m->params.item[i]->head && target_matches_param(pattern, m->params.item[i]))
            return true;
    return false;
}

static bool target_wrong(const struct model *m, const struct opt_strings *patterns, size_t i, bool linear,
                         const struct yaml *at, struct arena *a, struct err *e)
{
    const char *pattern = patterns->word[i];
    const struct yaml *place = word_place(patterns, i, at);
    const char *msg = NULL;
    if (linear && strcmp(pattern, ALL) == 0)
        msg = "`all` in target_modules means every parameter; for every linear module write `all-linear`";
    else if (names_head(m, pattern))
        TRY(msg = arena_printf(a, e, "`%s` in target_modules matches only the head, which every method trains",
                               pattern));
    if (msg)
        return wrong(e, place, msg);
    return nothing(m, "target_modules", pattern, linear ? "linear module of the encoder" : "module of the encoder",
                   linear, place, a, e);
}

static bool all_hit(const struct model *m, const struct opt_strings *patterns, const bool *hit, bool linear,
                    const struct yaml *at, struct arena *a, struct err *e)
{
    if (patterns->n == 0)
        return wrong(e, patterns->at ? patterns->at : at, "target_modules is empty; name at least one module");
    for (size_t i = 0; i < patterns->n; i++)
        if (!hit[i])
            return target_wrong(m, patterns, i, linear, at, a, e);
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * Linear modules, parameters */

bool target_linears(const struct model *m, const struct opt_strings *patterns, const struct yaml *at, struct arena *a,
                    struct linear ***found, size_t *n, struct err *e)
{
    bool *hit = ARENA_NEW(a, MEM_METHOD, bool, patterns->n, e);
    TRY(hit);
    TRY(*found = ARENA_NEW(a, MEM_METHOD, struct linear *, (size_t)m->n_sites, e));
    *n = 0;
    for (int s = 0; s < m->n_sites; s++) {
        bool wanted = false;
        for (size_t i = 0; i < patterns->n; i++)
            if (m->site[s]->w && matches_linear(patterns->word[i], m->site[s]))
                hit[i] = wanted = true;
        if (wanted)
            (*found)[(*n)++] = m->site[s];
    }
    return all_hit(m, patterns, hit, true, at, a, e);
}

bool target_params(const struct model *m, const struct opt_strings *patterns, const struct yaml *at, struct arena *a,
                   struct param ***found, size_t *n, struct err *e)
{
    bool *hit = ARENA_NEW(a, MEM_METHOD, bool, patterns->n, e);
    TRY(hit);
    TRY(*found = ARENA_NEW(a, MEM_METHOD, struct param *, m->params.n, e));
    *n = 0;
    for (size_t k = 0; k < m->params.n; k++) {
        bool wanted = false;
        for (size_t i = 0; i < patterns->n; i++)
            if (matches_encoder_param(patterns->word[i], m->params.item[k]))
                hit[i] = wanted = true;
        if (wanted)
            (*found)[(*n)++] = m->params.item[k];
    }
    return all_hit(m, patterns, hit, false, at, a, e);
}

bool target_params_of(const struct model *m, const struct opt_strings *patterns, bool (*is)(const struct param *p),
                      const char *kind, const struct yaml *at, struct arena *a, struct param ***found, size_t *n,
                      struct err *e)
{
    TRY(target_params(m, patterns, at, a, found, n, e));
    size_t all = *n;
    *n = 0;
    for (size_t k = 0; k < all; k++)
        if (is((*found)[k]))
            (*found)[(*n)++] = (*found)[k];
    for (size_t i = 0; i < patterns->n; i++) {
        bool hit = false;
        for (size_t k = 0; k < *n; k++)
            hit |= target_matches_param(patterns->word[i], (*found)[k]);
        if (!hit) {
            const char *msg = arena_printf(a, e, "`%s` in target_modules names no %s", patterns->word[i], kind);
            return msg && wrong(e, word_place(patterns, i, at), msg);
        }
    }
    return true;
}

bool target_is_bias(const struct param *p) { return text_ends(p->name, ".bias"); }
