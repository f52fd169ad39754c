/* The kinds of pictures, one file each. */
#ifndef PLOTS_KINDS_H
#define PLOTS_KINDS_H

#include "plots/page.h"

bool plot_curves(struct plot_job *job, struct err *e);
bool plot_params(struct plot_job *job, struct err *e);
bool plot_memory(struct plot_job *job, struct err *e);
bool plot_gradients(struct plot_job *job, struct err *e);
bool plot_roofline(struct plot_job *job, struct err *e);

#endif
