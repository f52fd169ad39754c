/* Where the files of a task are: <data>/glue/<folder>/<file>, or beside the task file. See task.h. */
#include "tasks/task.h"

#include <string.h>

#include "base/text.h"

static char *join(struct arena *a, struct err *e, const char *data, const char *folder, const char *file)
{
    if (!data)
        return arena_printf(a, e, "%s/%s", folder, file);
    return arena_printf(a, e, "%s%sglue/%s/%s", data, text_ends(data, "/") ? "" : "/", folder, file);
}

/* Someone may have named the `glue` folder itself: say so when the file is found that way. */
static bool one_too_deep(const struct task *t, const char *data, const char *file, struct arena *a, struct err *e)
{
    char *path = arena_printf(a, e, "%s/%s/%s", data, t->folder, file);
    return path && io_exists(path);
}

static const char *not_found(const struct task *t, const char *data, const char *path, const char *file,
                             struct arena *a, struct err *e)
{
    struct err unused;
    if (t->placed)
        err_at(e, ERR_INPUT, path, 0, 0, "not found; task %s looks for its data there", t->name);
    else if (one_too_deep(t, data, file, a, &unused))
        err_at(e, ERR_INPUT, path, 0, 0, "not found; give --data or PEFTLAB_DATA the folder that holds `glue/%s`",
               t->folder);
    else
        err_at(e, ERR_INPUT, path, 0, 0,
               "not found; task %s needs its data there: give --data DIR or set PEFTLAB_DATA to the folder that holds "
               "`glue/%s`", t->name, t->folder);
    return NULL;
}

const char *task_file(const struct task *t, const struct task_split *split, const char *data, struct arena *a,
                      struct err *e)
{
    if (!t->placed && (!data || !*data)) {
        err_set(e, ERR_INPUT,
                "task %s needs data: `glue/%s/%s` below the folder given with --data DIR or in PEFTLAB_DATA", t->name,
                t->folder, split->file[0]);
        return NULL;
    }
    const char *first = NULL; /* the one that a message names */
    for (size_t i = 0; i < split->n_files; i++) {
        const char *path = join(a, e, t->placed ? NULL : data, t->folder, split->file[i]);
        TRY(path);
        if (io_exists(path))
            return path;
        first = first ? first : path;
    }
    return not_found(t, data, first, split->file[0], a, e);
}

const char **task_files(const struct task *t, const char *data, struct arena *a, struct err *e)
{
    size_t n = 0;
    const char **path = ARENA_NEW(a, MEM_DATA, const char *, TASK_DEV_MAX + 2, e);
    TRY(path);
    if (t->synth)
        return path;
    const struct task *from = t->train_from ? t->train_from : t;
    TRY(path[n++] = task_file(from, &from->train, data, a, e));
    for (size_t i = 0; i < t->n_dev; i++)
        TRY(path[n++] = task_file(t, &t->dev[i], data, a, e));
    return path;
}
