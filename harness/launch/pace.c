/* See pace.h. */
#include "harness/launch/pace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Row of the task, or the number of rows. */
static size_t find(const struct pace *p, const char *task, size_t length)
{
    size_t i = 0;
    while (i < p->n && (strlen(p->task[i]) != length || memcmp(p->task[i], task, length) != 0))
        i++;
    return i;
}

void pace_add(struct pace *p, const char *task, size_t length, double seconds)
{
    if (length >= sizeof p->task[0])
        length = sizeof p->task[0] - 1;
    size_t i = find(p, task, length);
    if (i == p->n && p->n < PACE_TASKS)
        snprintf(p->task[p->n++], sizeof p->task[0], "%.*s", (int)length, task);
    if (i == p->n)
        i = PACE_TASKS - 1;
    p->seconds[i] += seconds;
    p->runs[i]++;
}

double pace_expect(const struct pace *p, const char *task, size_t length)
{
    double seconds = 0;
    size_t runs = 0, i = find(p, task, length);
    if (i < p->n)
        return p->seconds[i] / (double)p->runs[i];
    for (i = 0; i < p->n; i++) {
        seconds += p->seconds[i];
        runs += p->runs[i];
    }
    return runs ? seconds / (double)runs : NAN;
}

double pace_rest(const struct pace *p, const char *task, size_t length, double spent)
{
    double rest = pace_expect(p, task, length) - spent;
    return rest < 0 ? 0 : rest;
}
