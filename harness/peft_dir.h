/*
 * Adapter directories of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors, as PEFT, this program
 * and others write them. Keys of tensors may have PEFT's prefix `base_model.model.` and the name `default` of the
 * adapter, or lack them. Patterns of ranks or alphas, biases and regular expressions over modules that no tensor
 * confirms are errors: nothing is loaded in part.
 */
#ifndef HARNESS_PEFT_DIR_H
#define HARNESS_PEFT_DIR_H

#include "base/io.h"
#include "base/json.h"
#include "models/model.h"
#include "models/safetensors.h"

struct peft_dir {
    const char *dir, *config_path;
    json_t *config;
    const char *type;         /* LORA, IA3 or SHIRA */
    struct safetensors file;
    const char **name;        /* [file.n] parameter of each tensor: its key without prefix and adapter name */
};

/* Is there an adapter_config.json? */
bool peft_dir_is(const char *dir);

/* Opens both files and checks all that needs no model. Close it also when this has failed. */
bool peft_dir_open(struct peft_dir *d, const char *dir, struct arena *a, struct err *e);
void peft_dir_close(struct peft_dir *d);

/* A member of the configuration, or what PEFT takes where there is none; NULL for what PEFT has no default for. A new
 * reference. */
json_t *peft_dir_option(const struct peft_dir *d, const char *key);

/* The first tensor beside the head that no parameter of the model takes, and the first added parameter of the model
 * without a tensor; NULL: there is none. */
const char *peft_dir_stray(const struct peft_dir *d, const struct model *m);
const char *peft_dir_missing(const struct peft_dir *d, const struct model *m);

/* Checks type and shape of each tensor that the model takes, and with `values` copies it; the head's tensors too if
 * *heads is not NULL, which counts them. SHiRA's deltas are added to the weights. */
bool peft_dir_load(const struct peft_dir *d, struct model *m, bool values, size_t *heads, struct err *e);

/* An entry of `methods` that computes what the adapter computes: its options from the configuration, its modules from
 * the tensors. NULL on error. */
char *peft_dir_method(const struct peft_dir *d, struct arena *a, struct err *e);

/* SHA-256 of both files. */
bool peft_dir_digest(const struct peft_dir *d, char hex[IO_DIGEST], struct err *e);

#endif
