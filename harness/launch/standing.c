/* See standing.h. */
#include "harness/launch/standing.h"

#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"

bool standing_is_final(enum run_status s) { return s == RUN_FINISHED || s == RUN_COLLAPSED || s == RUN_DIVERGED; }

static bool is_newer(const char *path, const char *than)
{
    struct stat a, b;
    if (stat(path, &a) != 0 || stat(than, &b) != 0)
        return false;
    return a.st_mtim.tv_sec != b.st_mtim.tv_sec ? a.st_mtim.tv_sec > b.st_mtim.tv_sec
                                                : a.st_mtim.tv_nsec > b.st_mtim.tv_nsec;
}

static void read_result(const char *result, struct standing *s)
{
    struct err e;
    char text[2048];
    s->has_result = io_exists(result) && run_record_read_status(result, &s->status, &e);
    if (s->has_result || !io_exists(result))
        return;
    err_format(&e, text, sizeof text);
    log_warn("counts as not run: %s", text);
}

bool standing_read_claimed(const char *folder, const char *name, struct standing *s, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    const char *base = text_path(a, folder, name, e);
    TRY(base);
    const char *result = arena_printf(a, e, "%s.h5", base), *checkpoint = arena_printf(a, e, "%s.ckpt", base);
    TRY(result && checkpoint);
    *s = (struct standing){.kind = STANDING_NEW};
    read_result(result, s);
    if (s->has_result && standing_is_final(s->status) && !is_newer(checkpoint, result))
        s->kind = STANDING_ENDED;
    else if (io_exists(checkpoint))
        s->kind = STANDING_PARTIAL;
    arena_release(a, mark);
    return true;
}

bool standing_read(const char *folder, const char *name, struct standing *s, struct arena *a, struct err *e)
{
    TRY(standing_read_claimed(folder, name, s, a, e));
    const char *claim = arena_printf(a, e, "%s/%s.claim", folder, name);
    TRY(claim);
    if (claim_is_held(claim, &s->owner))
        s->kind = STANDING_RUNNING;
    return true;
}
