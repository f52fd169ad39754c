/* How long runs take, by task: for telling what is left. Tasks differ far more in size than methods in speed. */
#ifndef HARNESS_LAUNCH_PACE_H
#define HARNESS_LAUNCH_PACE_H

#include <stddef.h>

enum { PACE_TASKS = 64 };

struct pace {
    char task[PACE_TASKS][64];
    double seconds[PACE_TASKS];
    size_t runs[PACE_TASKS], n;
};

/* A run of the task `task[0..length)` took so many seconds. Tasks beyond PACE_TASKS are not told apart. */
void pace_add(struct pace *p, const char *task, size_t length, double seconds);

/* What a run of this task takes: the mean of its runs, or of all when it has none; NAN when there are none at all. */
double pace_expect(const struct pace *p, const char *task, size_t length);

/* What is left of it after `spent` seconds, at least 0; NAN as above. */
double pace_rest(const struct pace *p, const char *task, size_t length, double spent);

#endif
