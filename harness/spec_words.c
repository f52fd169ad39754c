/*
 * Wrong keys. There are no aliases: a name from another program is an unknown key, but the message says what it is
 * called here, or where it stands.
 */
#include <stdio.h>
#include <string.h>

#include "harness/spec_impl.h"

const char *const spec_keys[] = {"name", "model", "tasks", "methods", "seeds", "train", "head",
                                 "pooling", "keep", "measure", "include", "grid", "zip", NULL};
const char *const method_keys[] = {"train", "grid", "zip", "budget", "init_from", NULL};

/* Names people bring along, and what to do about each. */
struct habit {
    const char *word, *advice;
};
static const struct habit habits[] = {
    {"per_device_train_batch_size", "`batch_size` of `train` is the batch of a whole step"},
    {"per_device_eval_batch_size", "the batch of an evaluation changes no result and has no key"},
    {"train_batch_size", "its name is `batch_size` in `train`"},
    {"lr", "its name is `learning_rate` in `train`"},
    {"epochs", "its name is `num_train_epochs` in `train`"},
    {"num_epochs", "its name is `num_train_epochs` in `train`"},
    {"max_length", "its name is `max_seq_length` in `train`"},
    {"cutoff_len", "its name is `max_seq_length` in `train`"},
    {"evaluation_strategy", "its name is `eval_strategy` in `train`"},
    {"optimizer", "its name is `optim` in `train`"},
    {"scheduler", "its name is `lr_scheduler_type` in `train`"},
    {"max_train_samples", "its name is `train_samples` in `train`"},
    {"seed", "its name is `seeds`, beside `train`"},
    {"data_seed", "`seeds`, beside `train`, decides the data order too"},
    {"fp16", "weights and gradients are in single precision"},
    {"bf16", "weights and gradients are in single precision"},
    {"load_best_model_at_end", "the best and the last evaluation are both kept"},
    {"metric_for_best_model", "a task file names its headline metric"},
    {"greater_is_better", "a task file names its headline metric"},
    {"logging_steps", "every step is recorded"},
    {"output_dir", "results go where `--out` says"},
    {"overwrite_output_dir", "`--redo` repeats finished runs"},
    {"task_name", "its name is `tasks`, at the top of a spec"},
    {"task", "its name is `tasks`, at the top of a spec"},
    {"method", "its name is `methods`, at the top of a spec"},
    {"model_name_or_path", "its name is `model`, at the top of a spec"},
    {"lora_r", "its name is `r`"},
    {"lora_rank", "its name is `r`"},
    {"rank", "its name is `r`"},
    {"lora_target", "its name is `target_modules`"},
    {"sparse_module", "its name is `target_modules`"},
    {"sparse_rate", "its name is `density`"},
    {"sparsity", "its name is `density`: the share that is trained"},
    {NULL, NULL},
};

bool spec_has_word(const char *const *words, const char *word)
{
    for (; words && *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

/* "; it is an option of a, b", the methods that have it; of more than four only that there are several. */
static bool methods_with(const char *option, char *buf, size_t size)
{
    const char *before = "; it is an option of ";
    size_t used = 0;
    int n = 0;
    for (const struct method *const *m = method_table; *m; m++) {
        if (!opt_find((*m)->options, option))
            continue;
        if (n++ < 4)
            used += (size_t)snprintf(buf + used, size - used, "%s%s", before, (*m)->name);
        before = ", ";
    }
    if (n > 4)
        snprintf(buf, size, "; it is an option of several methods");
    return n > 0;
}

/* "; ..." about a key that is right elsewhere; "" when it is not. */
static void advise(const char *key, const char *const *known, char *buf, size_t size)
{
    buf[0] = 0;
    for (const struct habit *h = habits; h->word; h++)
        if (strcmp(h->word, key) == 0) {
            snprintf(buf, size, "; %s", h->advice);
            return;
        }
    if (opt_find(train_options, key) || strcmp(key, "param_groups") == 0)
        snprintf(buf, size, "; it belongs to `train`");
    else if (spec_has_word(spec_keys, key) && !spec_has_word(method_keys, key))
        snprintf(buf, size, "; it stands at the top of a spec");
    else if (spec_has_word(method_keys, key) && !spec_has_word(spec_keys, key))
        snprintf(buf, size, "; it belongs to an entry of `methods`");
    else if (!methods_with(key, buf, size))
        text_did_you_mean(key, known, buf, size);
}

bool spec_unknown_key(const struct yaml *y, const char *what, const char *const *known, struct err *e)
{
    char advice[160];
    advise(y->key, known, advice, sizeof advice);
    return yaml_err_key(e, y, "unknown key `%s` for %s%s", y->key, what, advice);
}

const char **spec_option_names(const struct opt *table, const char *prefix, const char *const *also, struct arena *a,
                               struct err *e)
{
    size_t n = 0, m = 0;
    while (table[n].name)
        n++;
    while (also && also[m])
        m++;
    const char **names = ARENA_NEW(a, MEM_DATA, const char *, n + m + 1, e);
    TRY(names);
    for (size_t i = 0; i < n; i++)
        TRY(names[i] = arena_printf(a, e, "%s%s", prefix, table[i].name));
    for (size_t i = 0; i < m; i++)
        names[n + i] = also[i];
    return names;
}

bool spec_only_options(const struct yaml *map, const struct opt *table, const char *const *also, const char *what,
                       struct arena *a, struct err *e)
{
    if (!map || yaml_is_null(map))
        return true;
    if (map->kind != YAML_MAP)
        return yaml_err(e, map, "the options of %s are %s; they must be a map", what, yaml_kind_name(map));
    for (const struct yaml *y = map->child; y; y = y->next)
        if (!opt_find(table, y->key) && !spec_has_word(also, y->key)) {
            const char **known = spec_option_names(table, "", also, a, e);
            return known && spec_unknown_key(y, what, known, e);
        }
    return true;
}
