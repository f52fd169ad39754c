/* Log and progress: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static enum log_level level = LOG_INFO;
static char prefix[128];
static bool line_is_drawn;

void log_set_level(enum log_level l) { level = l; }
void log_set_prefix(const char *p) { snprintf(prefix, sizeof prefix, "%.120s%s", p ? p : "", p && *p ? ": " : ""); }

static void clear_line(void)
{
    if (line_is_drawn)
        fputs("\r\033[K", stderr);
    line_is_drawn = false;
}

/* One write per line, so that lines of several processes do not mix. */
static void put(enum log_level at, const char *kind, const char *fmt, va_list ap)
{
    if (at > level)
        return;
    char text[2048];
    vsnprintf(text, sizeof text, fmt, ap);
    clear_line();
    fprintf(stderr, "%s%s%s\n", kind, prefix, text);
}

#define LOG_FUNCTION(name, at, kind)       \
    void name(const char *fmt, ...)        \
    {                                      \
        va_list ap;                        \
        va_start(ap, fmt);                 \
        put((at), (kind), fmt, ap);        \
        va_end(ap);                        \
    }
LOG_FUNCTION(log_info, LOG_INFO, "")
LOG_FUNCTION(log_warn, LOG_WARN, "warning: ")
LOG_FUNCTION(log_debug, LOG_DEBUG, "debug: ")

const char *log_duration(double seconds, char *buf)
{
    const double longest = 99999.0 * 3600;
    unsigned s = (unsigned)(seconds < 0 ? 0 : seconds > longest ? longest : seconds + 0.5);
    if (s >= 3600)
        snprintf(buf, 16, "%uh%02um", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        snprintf(buf, 16, "%um%02us", s / 60, s % 60);
    else
        snprintf(buf, 16, "%us", s);
    return buf;
}

/* What is left at the pace since the first call: a resumed activity begins with steps that took no time here. */
static double remaining(const struct progress *p, double spent)
{
    long steps = p->done - p->first_done;
    return steps > 0 ? spent * (double)(p->total - p->done) / (double)steps : 0;
}

static void format(const struct progress *p, double spent, char *buf, size_t size)
{
    char left[16], rate[48] = "", value[64] = "";
    if (p->tokens > p->first_tokens && spent > 0)
        snprintf(rate, sizeof rate, "  %.0f tokens/s", (p->tokens - p->first_tokens) / spent);
    if (p->label)
        snprintf(value, sizeof value, "  %s %.4f", p->label, p->value);
    snprintf(buf, size, "%s%s %ld/%ld%s%s  %s left", prefix, p->what, p->done, p->total, value, rate,
             log_duration(remaining(p, spent), left));
}

/* On a terminal the line must not wrap: only its last row could be cleared. */
static void draw(const char *line, bool terminal)
{
    clear_line();
    fprintf(stderr, terminal ? "\033[?7l%s\033[?7h" : "%s\n", line);
    fflush(stderr);
    line_is_drawn = terminal;
}

void progress_step(struct progress *p)
{
    double now = clock_seconds();
    if (p->started <= 0) {
        p->started = p->shown = now;
        p->first_done = p->done;
        p->first_tokens = p->tokens;
    }
    bool terminal = isatty(STDERR_FILENO) && !*prefix;
    if (level < LOG_INFO || now - p->shown < (terminal ? 0.1 : 10.0))
        return;
    char line[512];
    p->shown = now;
    format(p, now - p->started, line, sizeof line);
    draw(line, terminal);
}

void progress_end(struct progress *p)
{
    (void)p;
    clear_line();
}
