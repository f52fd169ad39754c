/*
 * Located errors. A fallible function takes `struct err *e` last, returns false (or NULL) and fills it; `main` prints
 * it once, as `file:line:col: message`, the form editors jump to. Wrong input is an error with a place; wrong code is
 * an assert. The code of an error decides the exit code of the program.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum err_code {
    ERR_NONE,
    ERR_RUN,        /* a run that had started failed or diverged: exit 1      */
    ERR_INPUT,      /* command line, spec, data or checkpoint is wrong: exit 2 */
    ERR_ENV,        /* disk full, permission, out of memory: exit 3            */
    ERR_INTERRUPTED /* SIGINT or SIGTERM, state saved: exit 130                */
};

struct err {
    enum err_code code;
    char file[512]; /* empty: no file                     */
    int line, col;  /* 1-based; 0: not known              */
    char msg[1024]; /* one line, no newline at the end    */
};

/* What follows fills *e; the arguments may point into *e itself, so that `err_set(e, e->code, "run 3: %s", e->msg)`
 * wraps an error. Control characters become '?', what is too long is cut and ends in "...". */

/* Fills *e without a place. Always returns false, so that callers can write `return err_set(...)`. */
bool err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Fills *e with a place; line or col 0 leaves that part out. Always returns false. */
bool err_at(struct err *e, enum err_code code, const char *file, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Like err_set with `: strerror(errno)` appended, code ERR_INPUT for a file that is missing or unreadable as named by
 * the user, ERR_ENV for everything the machine refuses (space, permission to write, memory). Always returns false. */
bool err_errno(struct err *e, enum err_code code, const char *file, const char *what);

/* Writes `file:line:col: msg` (the parts that are known) into buf, always terminated. */
void err_format(const struct err *e, char *buf, size_t size);

/* Exit code of the program for this error: 0, 1, 2, 3 or 130. */
int err_exit_code(enum err_code code);

/* The one control-flow macro of the project: give up with false (or NULL) when a fallible call did. */
#define TRY(expr)          \
    do {                   \
        if (!(expr))       \
            return 0;      \
    } while (0)

#endif
