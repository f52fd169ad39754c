/*
 * Before a run starts: opens and checks all that it names, and gives it its identity, the SHA-256 of its resolved
 * configuration, the task's definition and the digests of checkpoint, tokenizer and data.
 */
#include "harness/run.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/text.h"
#include "harness/init_from.h"
#include "models/checkpoint.h"
#include "models/tokenizer.h"

/* Digest of a list of lines. */
static bool digest_text(const struct text *t, char hex[IO_DIGEST], struct err *e)
{
    return io_sha256(t->s ? t->s : "", t->len, hex, e);
}

static bool prepare_data(struct run_spec *r, const struct run_env *env, struct arena *a, struct err *e)
{
    TRY(task_check(r->task, env->data, e));
    const char **files = task_files(r->task, env->data, a, e);
    TRY(files);
    struct text t = {.arena = a};
    for (; *files; files++) {
        char hex[IO_DIGEST];
        TRY(digest_file(*files, hex, e) && text_add(&t, e, "%s\n", hex));
    }
    return digest_text(&t, r->data_digest, e);
}

static bool check_weights(const struct checkpoint *c, struct run_spec *r, struct arena *a, struct err *e)
{
    struct model_config config;
    struct model m;
    return run_model_config(r, &config, a, e) && model_build(&m, &config, a, e) && checkpoint_check(c, &m, false, e) &&
           checkpoint_digest(c, r->model_digest, e);
}

static bool prepare_model(struct run_spec *r, struct arena *a, struct err *e)
{
    struct checkpoint *c = checkpoint_open(&r->model, a, e);
    TRY(c);
    bool ok = check_weights(c, r, a, e);
    checkpoint_close(c);
    return ok;
}

/* The vocabulary must not be larger than the embedding table. */
static bool check_vocabulary(const struct tokenizer *t, const struct run_spec *r, struct arena *a, struct err *e)
{
    struct model_config c;
    TRY(model_config_read(&c, &r->model, a, e));
    if (tokenizer_size(t) <= c.vocab_size)
        return true;
    return err_set(e, ERR_INPUT, "%s: the tokenizer has %d ids, the model's vocab_size is %d", r->model.name,
                   tokenizer_size(t), c.vocab_size);
}

static bool prepare_tokenizer(struct run_spec *r, struct arena *a, struct err *e)
{
    const struct tokenizer *t = tokenizer_open(&r->model, a, e);
    TRY(t && check_vocabulary(t, r, a, e));
    struct text lines = {.arena = a};
    for (const char *const *file = tokenizer_files(t); *file; file++) {
        char hex[IO_DIGEST];
        size_t size;
        const char *data = model_source_read(&r->model, *file, a, &size, e);
        TRY(data && io_sha256(data, size, hex, e) && text_add(&lines, e, "%s  %s\n", hex, *file));
    }
    return digest_text(&lines, r->tokenizer_digest, e);
}

static bool check_memory(const struct run_spec *r, struct err *e)
{
    struct run_plan plan;
    size_t have = clock_memory_available();
    TRY(run_plan(r, &plan, e));
    size_t need = plan.bytes_select > plan.bytes_total ? plan.bytes_select : plan.bytes_total;
    if (have == 0 || need <= have)
        return true;
    return err_set(e, ERR_ENV, "%s with %s needs %.1f GB; %.1f GB of memory are available", r->task->name,
                   r->method->name, (double)need / 1e9, (double)have / 1e9);
}

static bool identify(struct run_spec *r, struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    TRY(text_add(&t, e, "config %s\ntask %s %lld %s\nmodel %s\ntokenizer %s\ndata %s\n", r->config_digest,
                 r->task->name, r->task->version, r->task->digest, r->model_digest, r->tokenizer_digest,
                 r->data_digest));
    TRY(!r->init_from || text_add(&t, e, "init_from %s\n", r->init_digest));
    return digest_text(&t, r->identity, e);
}

static bool prepare_in(struct run_spec *r, const struct run_env *env, struct arena *scratch, struct err *e)
{
    return prepare_data(r, env, scratch, e) && prepare_model(r, scratch, e) && prepare_tokenizer(r, scratch, e) &&
           (!r->init_from || init_from_check(r, scratch, e)) && check_memory(r, e) && identify(r, scratch, e);
}

bool run_prepare(struct run_spec *r, const struct run_env *env, struct arena *a, struct err *e)
{
    struct arena *scratch = arena_create(NULL);
    if (!scratch)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = prepare_in(r, env, scratch, e);
    arena_destroy(scratch);
    TRY(ok);
    r->name = arena_printf(a, e, "%s--%s--%s--%s--s%llu--%.8s", r->task->name, r->model.label, r->method->name,
                           r->variant, (unsigned long long)r->seed, r->identity);
    return r->name != NULL;
}
