/* See signals.h. */
#include "harness/launch/signals.h"

#include <sys/select.h>
#include <time.h>

#include "harness/run.h"

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
enum { WATCHED = sizeof watched / sizeof *watched };

static void on_signal(int number)
{
    if (number != SIGCHLD) /* that one only ends signals_wait */
        run_interrupted = run_interrupted + 1;
}

static sigset_t watched_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < WATCHED; i++)
        sigaddset(&set, watched[i]);
    return set;
}

void signals_install(struct signals *s)
{
    struct sigaction on = {.sa_handler = on_signal, .sa_flags = SA_RESTART, .sa_mask = watched_set()};
    for (int i = 0; i < WATCHED; i++) {
        sigaction(watched[i], NULL, &s->old[i]);
        if (watched[i] != SIGHUP || s->old[i].sa_handler != SIG_IGN)
            sigaction(watched[i], &on, NULL);
    }
    sigprocmask(SIG_SETMASK, NULL, &s->mask);
}

void signals_hold(struct signals *s)
{
    sigset_t set = watched_set();
    sigprocmask(SIG_BLOCK, &set, &s->mask);
}

void signals_wait(const struct signals *s, int seconds)
{
    struct timespec longest = {.tv_sec = seconds};
    sigset_t open = s->mask;
    for (int i = 0; i < WATCHED; i++) /* even if they were blocked when the program started */
        sigdelset(&open, watched[i]);
    pselect(0, NULL, NULL, NULL, &longest, &open);
}

void signals_restore(const struct signals *s)
{
    for (int i = 0; i < WATCHED; i++)
        sigaction(watched[i], &s->old[i], NULL);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
}
