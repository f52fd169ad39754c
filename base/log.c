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

static void draw(const struct progress *p, double now)
{
    char left[16], rate[48] = "", value[64] = "";
    double spent = now - p->started;
    double remaining = p->done ? spent * (double)(p->total - p->done) / (double)p->done : 0;
    if (p->tokens > 0 && spent > 0)
        snprintf(rate, sizeof rate, "  %.0f tokens/s", p->tokens / spent);
    if (p->label)
        snprintf(value, sizeof value, "  %s %.4f", p->label, p->value);
    fprintf(stderr, "%s%s %ld/%ld%s%s  %s left", prefix, p->what, p->done, p->total, value, rate,
            log_duration(remaining, left));
}

void progress_step(struct progress *p)
{
    double now = clock_seconds();
    if (p->started <= 0)
        p->started = p->shown = now;
    if (level < LOG_INFO)
        return;
    bool terminal = isatty(STDERR_FILENO);
    if (now - p->shown < (terminal ? 0.1 : 10.0))
        return;
    p->shown = now;
    clear_line();
    draw(p, now);
    if (terminal)
        line_is_drawn = true;
    else
        fputc('\n', stderr);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    (void)p;
    clear_line();
}
