/* Files compiled into the program (task files, model configurations), listed by the build. */
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#include <stddef.h>

struct embed {
    const char *name; /* path inside its folder, such as `cola.yaml` or `mini/config.json` */
    const unsigned char *data;
    size_t size;
};

/* A table ends with a row whose name is NULL. Returns the row of that name, or NULL. */
const struct embed *embed_find(const struct embed *table, const char *name);

#endif
