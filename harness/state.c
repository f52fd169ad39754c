/*
 * Checkpoints: trained values, optimizer and method state, and the record so far, in one safetensors file beside the
 * result. A run that goes on from it gives the same bits as one that was never stopped: data order and dropout masks
 * depend on step numbers alone.
 */
#include "harness/session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/delta.h"

/* Walks the tensors of optimizer and method, under names of their own. */
struct walk {
    const char *group;
    struct tensor *tensor;          /* save: room for the next; NULL: count only */
    const struct safetensors *file; /* load */
    struct arena *arena;
    struct err *e;
    size_t n;
    bool failed;
};

static void visit(void *u, const char *name, void *data, size_t bytes)
{
    struct walk *w = u;
    char *full = arena_printf(w->arena, w->e, "%s/%s", w->group, name);
    if (w->failed || !full) {
        w->failed = true;
    } else if (w->file) {
        const struct tensor *t = safetensors_need(w->file, full, TENSOR_U8, (long long)bytes, w->e);
        if (t)
            memcpy(data, t->data, bytes);
        else
            w->failed = true;
    } else if (w->tensor) {
        w->tensor[w->n] = tensor_vector(full, TENSOR_U8, bytes, data);
    }
    w->n++;
}

static bool walk_state(struct session *s, struct walk *w)
{
    w->n = 0;
    w->group = "optimizer";
    optim_state(s->optim, visit, w);
    w->group = "method";
    if (s->method->state)
        s->method->state(s->state, &s->menv, visit, w);
    return !w->failed;
}

/* Numbers of the loop, as text that reads back exactly. */
static bool loop_numbers(const struct session *s, struct arena *a, const char **meta, struct err *e)
{
    size_t n = 0;
    while (meta[n])
        n++;
    meta[n++] = "identity";
    meta[n++] = s->spec->identity;
    meta[n++] = "step";
    TRY(meta[n++] = arena_printf(a, e, "%ld", s->step));
    meta[n++] = "best";
    TRY(meta[n++] = arena_printf(a, e, "%a", s->best));
    meta[n++] = "without_progress";
    TRY(meta[n++] = arena_printf(a, e, "%ld", s->without_progress));
    return true;
}

static bool save_in(struct session *s, struct arena *a, struct err *e)
{
    struct walk w = {.arena = a, .e = e};
    struct io_piece image;
    struct tensor *tensor;
    const char **meta;
    size_t n;
    TRY(walk_state(s, &w));
    TRY(delta_tensors(&s->model, w.n + 1, a, &tensor, &n, &meta, e));
    w.tensor = tensor + n;
    TRY(walk_state(s, &w));
    n += w.n;
    TRY(run_record_image(&s->record, a, &image, e));
    tensor[n++] = tensor_vector("record", TENSOR_U8, image.size, image.data);
    TRY(loop_numbers(s, a, meta, e));
    char *path = run_path(s->spec, s->env, ".ckpt", a, e);
    return path && safetensors_write(path, tensor, n, meta, a, e);
}

bool state_save(struct session *s, struct err *e)
{
    double since = clock_seconds();
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    bool ok = save_in(s, a, e);
    arena_destroy(a);
    return ok && session_time(s, "save", &since, e);
}

static bool number(const struct safetensors *f, const char *key, double *value)
{
    const char *text = safetensors_metadata(f, key);
    return text && sscanf(text, "%la", value) == 1;
}

/* What bits hang on, of the machine that took the first steps and of this one. */
static void compare_machines(const struct values *then, const struct values *now)
{
    static const char *const keys[] = {"blas_core", "products", "kernels"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *was = values_get_string(then, keys[i], ""), *is = values_get_string(now, keys[i], "");
        if (strcmp(was, is) != 0)
            log_warn("%s was %s in the steps before and is %s now: the last bits of results may differ", keys[i], was,
                     is);
    }
    const struct value *was = values_find(then, "threads"), *is = values_find(now, "threads");
    if (was && is && was->i != is->i)
        log_warn("threads were %lld in the steps before and are %lld now: the last bits of results may differ", was->i,
                 is->i);
}

static bool load_record(struct session *s, const struct safetensors *f, struct err *e)
{
    const struct tensor *t = safetensors_need(f, "record", TENSOR_U8, -1, e);
    const struct values now = s->record.meta;
    bool ok = t && run_record_read_image(&s->record, s->apart, (struct io_piece){t->data, t->bytes}, f->path, e);
    if (ok)
        compare_machines(&s->record.meta, &now);
    return ok;
}

static bool load_from(struct session *s, const struct safetensors *f, struct arena *a, struct err *e)
{
    const char *identity = safetensors_metadata(f, "identity");
    double step, without;
    if (!identity || strcmp(identity, s->spec->identity) != 0 || !number(f, "step", &step) ||
        !number(f, "best", &s->best) || !number(f, "without_progress", &without))
        return err_at(e, ERR_INPUT, f->path, 0, 0, "is no checkpoint of this run");
    TRY(delta_apply(&s->model, f, a, e));
    TRY(session_start(s, true, e));
    struct walk w = {.arena = a, .e = e, .file = f};
    TRY(walk_state(s, &w) && load_record(s, f, e));
    s->step = (long)step;
    s->without_progress = (long)without;
    return true;
}

/* A file that cannot be read starts the run anew, with a warning: what can be lost is time. */
static bool unusable(struct err *e)
{
    char text[2048];
    if (e->code == ERR_ENV)
        return false;
    err_format(e, text, sizeof text);
    log_warn("starts anew: %s", text);
    *e = (struct err){0};
    return false;
}

bool state_load(struct session *s, struct err *e)
{
    struct arena_mark mark = arena_mark(s->apart);
    char *path = run_path(s->spec, s->env, ".ckpt", s->apart, e);
    TRY(path);
    *e = (struct err){0};
    if (!io_exists(path)) {
        arena_release(s->apart, mark);
        return false;
    }
    struct arena *a = arena_create(NULL);
    if (!a)
        return err_set(e, ERR_ENV, "out of memory");
    struct safetensors f;
    bool ok = safetensors_open(&f, path, a, e) || unusable(e);
    if (ok) {
        ok = load_from(s, &f, a, e);
        safetensors_close(&f);
    }
    arena_destroy(a);
    return ok;
}
