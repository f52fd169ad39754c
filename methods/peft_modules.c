/* Lists of modules for PEFT: see peft_modules.h. */
#include "methods/peft_modules.h"

#include <string.h>

#include "methods/target.h"

static bool reaches_head(const char *word, const struct model *m)
{
    for (int i = 0; i < m->n_sites; i++)
        if (m->site[i]->w && m->site[i]->w->head && target_matches(word, m->site[i]->name))
            return true;
    return false;
}

bool peft_reads(const struct opt_strings *patterns, const struct model *m)
{
    for (size_t i = 0; i < patterns->n; i++)
        if (strpbrk(patterns->word[i], "*?") || strcmp(patterns->word[i], "all-linear") == 0 ||
            reaches_head(patterns->word[i], m))
            return false;
    return true;
}

const char *peft_modules(const struct opt_strings *patterns, struct linear *const *l, size_t n, struct arena *a,
                         struct err *e)
{
    const char *list = "[";
    size_t words = patterns ? patterns->n : n;
    for (size_t i = 0; i < words; i++)
        TRY(list = arena_printf(a, e, "%s%s\"%s\"", list, i ? ", " : "", patterns ? patterns->word[i] : l[i]->name));
    return arena_printf(a, e, "%s]", list);
}
