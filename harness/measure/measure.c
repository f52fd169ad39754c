/* The list of measurements. */
#include "harness/measure/measure.h"

#include <string.h>

extern const struct measure measure_gradients;

const struct measure *const measure_table[] = {&measure_gradients, NULL};

const struct measure *measure_find(const char *name)
{
    for (const struct measure *const *m = measure_table; *m; m++)
        if (strcmp((*m)->name, name) == 0)
            return *m;
    return NULL;
}
