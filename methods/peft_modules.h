/* Lists of modules as Hugging Face's PEFT reads them in adapter_config.json: for the `peft` hooks of methods. */
#ifndef METHODS_PEFT_MODULES_H
#define METHODS_PEFT_MODULES_H

#include "base/opt.h"
#include "models/model.h"

/* Do these patterns mean the same to PEFT, which knows dotted suffixes alone and looks into the head too? */
bool peft_reads(const struct opt_strings *patterns, const struct model *m);

/* JSON text: ["query", "value"], the patterns' words, or where patterns is NULL the full names of l [n]. In the arena;
 * NULL when memory is out. */
const char *peft_modules(const struct opt_strings *patterns, struct linear *const *l, size_t n, struct arena *a,
                         struct err *e);

#endif
