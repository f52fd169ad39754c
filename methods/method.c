/* The table of methods by name: see method.h. The table itself is made by the build from METHODS in CMakeLists.txt. */
#include "methods/method.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct method *method_find(const char *name)
{
    for (const struct method *const *m = method_table; *m; m++)
        if (strcmp((*m)->name, name) == 0)
            return *m;
    return NULL;
}

const char **method_names(struct arena *a, struct err *e)
{
    size_t n = 0;
    while (method_table[n])
        n++;
    const char **names = ARENA_NEW(a, MEM_DATA, const char *, n + 1, e);
    for (size_t i = 0; names && i < n; i++)
        names[i] = method_table[i]->name;
    return names;
}

bool method_wrong(const struct method_env *env, const char *option, struct err *e, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct yaml *at = yaml_get(env->at, option);
    at = at ? at : env->at;
    return at ? yaml_err(e, at, "%s", text) : err_set(e, ERR_INPUT, "%s", text);
}
