/* Running gnuplot on a script in a folder. */
#ifndef PLOTS_GNUPLOT_H
#define PLOTS_GNUPLOT_H

#include "base/arena.h"

/* Runs `gnuplot NAME` with `folder` as its working folder. ERR_ENV with gnuplot's own words when it is missing or
 * fails. The program is started by posix_spawn, which is safe in a process that has threads. */
bool gnuplot_run(struct arena *a, const char *folder, const char *name, struct err *e);

#endif
