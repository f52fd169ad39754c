/* The reader of task files, for tasks/task.c alone. */
#ifndef TASKS_PARSE_H
#define TASKS_PARSE_H

#include "tasks/task.h"

/* Fills *t (name and origin set by the caller) from the tree of its file; *train_from is the task whose training set it
 * asks for, or NULL. */
bool task_parse(struct task *t, const char **train_from, const struct yaml *y, struct arena *a, struct err *e);

#endif
