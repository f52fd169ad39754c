/*
 * The log and the progress line, both on stderr: stdout carries only what was asked for. On a terminal the progress
 * line is redrawn in place; elsewhere a plain line is written now and then. The sink is one of the two pieces of global
 * state.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_QUIET, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* What is shown from now on; default LOG_INFO. */
void log_set_level(enum log_level level);

/* A prefix such as a run's name for every line (copied, cut at 120 bytes); NULL or "" for none. Where there
 * is one, several processes share the terminal, and nothing is redrawn. */
void log_set_prefix(const char *prefix);

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Progress of one activity. Zero it, set `what` and `total`, call progress_step before the first
 * step and after each, progress_end once. */
struct progress {
    const char *what; /* "train", "evaluate"                              */
    long total;       /* steps in all                                     */
    long done;        /* steps done                                       */
    double tokens;    /* tokens done, for tokens/s; 0: rate is not shown  */
    double value;     /* shown as `label value` when label is not NULL    */
    const char *label;
    double started, shown, first_tokens; /* kept by the functions */
    long first_done;
};

/* Draws the line if the last one is old enough (0.1 s on a terminal, 10 s elsewhere). */
void progress_step(struct progress *p);

/* Clears the line on a terminal. */
void progress_end(struct progress *p);

/* `1h02m`, `3m05s`, `12s`: seconds for people, into buf (at least 16 bytes). */
const char *log_duration(double seconds, char *buf);

#endif
