/*
 * Where a model comes from: a Hugging Face directory, a hub cache (`hf:NAME`), or the zoo compiled into the program
 * (`zoo:NAME`). Everything that reads config.json, tokenizer files or weights asks here for the file.
 */
#ifndef MODELS_SOURCE_H
#define MODELS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/yaml.h"

struct model_source {
    const char *name; /* as the user wrote it: `zoo:mini`, a path, `hf:roberta-base`     */
    const char *label; /* short name for tables and file names: `mini`, last path part   */
    const char *dir;  /* directory on disk, NULL for the zoo                             */
    const char *zoo;  /* folder of the zoo, NULL for a directory                         */
};

/* Resolves `name`. A model that is not there is an error at `at` (NULL: without a place) that says what was looked for;
 * an unknown zoo name lists the nearest one. */
bool model_source_open(struct model_source *s, const char *name, const struct yaml *at, struct arena *a,
                       struct err *e);

/* True when the source has the file (`config.json`, `vocab.txt`, ...). */
bool model_source_has(const struct model_source *s, const char *file);

/* Contents of a file, NUL-terminated, in the arena or in the program. NULL with an error when it is not there. */
const char *model_source_read(const struct model_source *s, const char *file, struct arena *a, size_t *size,
                              struct err *e);

/* How the file is called in messages: `dir/file` or `zoo:mini/file`. */
const char *model_source_path(const struct model_source *s, const char *file, struct arena *a, struct err *e);

/* Names of the zoo (NULL-terminated), in alphabetical order. */
const char **model_zoo_names(struct arena *a, struct err *e);

#endif
