/* SIGINT, SIGTERM and SIGHUP become counts in run_interrupted: the trainer looks at it between steps, the launcher
 * between workers. */
#ifndef HARNESS_LAUNCH_SIGNALS_H
#define HARNESS_LAUNCH_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct signals {
    struct sigaction old[4];
    sigset_t mask; /* before signals_hold */
};

/* Installs the handlers; SIGHUP stays ignored where it is (nohup). */
void signals_install(struct signals *s);

/* From here on these signals and the end of a child are only noticed inside signals_wait, so that none is missed
 * between looking and waiting. s->mask is the mask that a child must start with. */
void signals_hold(struct signals *s);

/* Sleeps until a signal or the end of a child, `seconds` at most. */
void signals_wait(const struct signals *s, int seconds);

/* Everything as it was before signals_install and signals_hold. */
void signals_restore(const struct signals *s);

#endif
