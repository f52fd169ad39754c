/* Monotonic seconds, process CPU and memory figures, UTC timestamps. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>

/* Seconds of a clock that only runs forward. */
double clock_seconds(void);

/* `2026-01-31T12:00:00Z` into buf (at least 21 bytes). */
void clock_utc(char *buf, size_t size);

/* Highest resident set of this process in bytes (VmHWM), 0 when the system does not tell. */
size_t clock_peak_rss(void);

/* Resets that high-water mark to the present resident set where the system allows it. */
void clock_reset_peak_rss(void);

/* Memory that this process could still use without swapping, in bytes: what the machine, the control group of a
 * container and `ulimit -v` leave. 0 when the system does not tell. */
size_t clock_memory_available(void);

#endif
