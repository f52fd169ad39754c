/* Located errors: see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An error is one line: control characters that came from the input are shown as '?'. */
static void one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

static void fill(struct err *e, enum err_code code, const char *file, int line, int col, const char *fmt, va_list ap)
{
    e->code = code;
    e->line = line;
    e->col = col;
    snprintf(e->file, sizeof e->file, "%s", file ? file : "");
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    one_line(e->msg);
}

bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, NULL, 0, 0, fmt, ap);
    va_end(ap);
    return false;
}

bool err_at(struct err *e, enum err_code code, const char *file, int line, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, file, line, col, fmt, ap);
    va_end(ap);
    return false;
}

bool err_errno(struct err *e, enum err_code code, const char *file, const char *what)
{
    const char *why = strerror(errno);
    return err_at(e, code, file, 0, 0, "%s: %s", what, why);
}

void err_format(const struct err *e, char *buf, size_t size)
{
    if (!e->file[0])
        snprintf(buf, size, "%s", e->msg);
    else if (e->line <= 0)
        snprintf(buf, size, "%s: %s", e->file, e->msg);
    else if (e->col <= 0)
        snprintf(buf, size, "%s:%d: %s", e->file, e->line, e->msg);
    else
        snprintf(buf, size, "%s:%d:%d: %s", e->file, e->line, e->col, e->msg);
}

int err_exit_code(enum err_code code)
{
    static const int exits[] = {
        [ERR_NONE] = 0, [ERR_RUN] = 1, [ERR_INPUT] = 2, [ERR_ENV] = 3, [ERR_INTERRUPTED] = 130};
    return exits[code];
}
