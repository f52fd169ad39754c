/*
 * Model sources: see source.h. A hub cache keeps a snapshot of NAME in
 * $HF_HOME/hub/models--ORG--NAME/snapshots/<commit>, the commit of a branch in refs/main.
 */
#include "models/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/io.h"
#include "base/text.h"

extern const struct embed models_zoo_embedded[];

static bool fail(const struct yaml *at, struct err *e, const char *msg)
{
    return at ? yaml_err(e, at, "%s", msg) : err_set(e, ERR_INPUT, "%s", msg);
}

const char **model_zoo_names(struct arena *a, struct err *e)
{
    size_t n = 0;
    while (models_zoo_embedded[n].name)
        n++;
    const char **names = ARENA_NEW(a, MEM_DATA, const char *, n + 1, e);
    TRY(names);
    n = 0;
    for (const struct embed *f = models_zoo_embedded; f->name; f++)
        if (text_ends(f->name, "/config.json"))
            TRY(names[n++] = arena_strndup(a, f->name, strcspn(f->name, "/"), e));
    return names;
}

static bool open_zoo(struct model_source *s, const struct yaml *at, struct arena *a, struct err *e)
{
    s->zoo = s->label = s->name + strlen("zoo:");
    if (model_source_has(s, "config.json"))
        return true;
    const char **names = model_zoo_names(a, e);
    TRY(names);
    char hint[128], msg[512];
    snprintf(msg, sizeof msg, "unknown model `%s`%s", s->name, text_did_you_mean(s->zoo, names, hint, sizeof hint));
    return fail(at, e, msg);
}

/* The snapshot folder of a model in the hub cache, or NULL. */
static const char *hub_snapshot(const char *name, struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    const char *home = getenv("HF_HOME"), *user = getenv("HOME");
    if (home && *home)
        TRY(text_add(&t, e, "%s", home));
    else
        TRY(text_add(&t, e, "%s/.cache/huggingface", user ? user : ""));
    TRY(text_add(&t, e, "/hub/models--"));
    for (; *name; name++)
        TRY(text_add_bytes(&t, *name == '/' ? "--" : name, *name == '/' ? 2 : 1, e));
    char *ref = arena_printf(a, e, "%s/refs/main", t.s);
    TRY(ref);
    if (!io_exists(ref))
        return arena_strdup(a, t.s, e);
    char *commit = io_read(a, ref, 4096, NULL, e);
    TRY(commit);
    commit[strcspn(commit, "\r\n")] = 0;
    return arena_printf(a, e, "%s/snapshots/%s", t.s, commit);
}

static bool open_directory(struct model_source *s, const struct yaml *at, struct arena *a, struct err *e)
{
    size_t n = strlen(s->dir);
    while (n > 1 && s->dir[n - 1] == '/')
        n--;
    char *trimmed = arena_strndup(a, s->dir, n, e);
    TRY(trimmed);
    s->dir = trimmed;
    char msg[1024];
    if (!io_is_dir(s->dir)) {
        snprintf(msg, sizeof msg, "model `%s`: there is no directory %s", s->name, s->dir);
        return fail(at, e, msg);
    }
    if (!model_source_has(s, "config.json")) {
        snprintf(msg, sizeof msg, "model `%s`: %s has no config.json", s->name, s->dir);
        return fail(at, e, msg);
    }
    if (!s->label) {
        const char *slash = strrchr(s->dir, '/');
        s->label = slash && slash[1] ? slash + 1 : s->dir;
    }
    return true;
}

bool model_source_open(struct model_source *s, const char *name, const struct yaml *at, struct arena *a,
                       struct err *e)
{
    *s = (struct model_source){.name = name};
    if (!*name)
        return fail(at, e, "model is empty; it must be a directory, zoo:NAME or hf:NAME");
    if (text_starts(name, "zoo:"))
        return open_zoo(s, at, a, e);
    if (text_starts(name, "hf:")) {
        const char *slash = strrchr(name, '/');
        s->label = slash ? slash + 1 : name + 3;
        TRY(s->dir = hub_snapshot(name + 3, a, e));
    } else {
        s->dir = name;
    }
    return open_directory(s, at, a, e);
}

static const struct embed *zoo_file(const struct model_source *s, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", s->zoo, file);
    return embed_find(models_zoo_embedded, path);
}

bool model_source_has(const struct model_source *s, const char *file)
{
    char path[4096];
    if (s->zoo)
        return zoo_file(s, file) != NULL;
    snprintf(path, sizeof path, "%s/%s", s->dir, file);
    return io_exists(path);
}

const char *model_source_path(const struct model_source *s, const char *file, struct arena *a, struct err *e)
{
    return s->zoo ? arena_printf(a, e, "zoo:%s/%s", s->zoo, file) : text_path(a, s->dir, file, e);
}

const char *model_source_read(const struct model_source *s, const char *file, struct arena *a, size_t *size,
                              struct err *e)
{
    const char *path = model_source_path(s, file, a, e);
    TRY(path);
    if (!s->zoo)
        return io_read(a, path, 0, size, e);
    const struct embed *f = zoo_file(s, file);
    if (!f) {
        err_at(e, ERR_INPUT, path, 0, 0, "is not part of the zoo");
        return NULL;
    }
    if (size)
        *size = f->size;
    return (const char *)f->data;
}
