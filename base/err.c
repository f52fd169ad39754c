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

/* A text that was cut ends in "..." and not within a UTF-8 character. */
static void end_cut(char *s, size_t size)
{
    size_t n = size - sizeof "...";
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    memcpy(s + n, "...", sizeof "...");
}

/* Formats aside first: the arguments may point into *e, as when an error is wrapped into another. */
static void fill(struct err *e, enum err_code code, const char *file, int line, int col, const char *fmt, va_list ap)
{
    struct err new = {.code = code, .line = line, .col = col};
    if ((size_t)snprintf(new.file, sizeof new.file, "%s", file ? file : "") >= sizeof new.file)
        end_cut(new.file, sizeof new.file);
    int n = vsnprintf(new.msg, sizeof new.msg, fmt, ap);
    if (n < 0 || (size_t)n >= sizeof new.msg)
        end_cut(new.msg, sizeof new.msg);
    one_line(new.file);
    one_line(new.msg);
    *e = new;
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
