/*
 * Claims: who works on a run. A claim is a small file made with O_EXCL beside the result; it names host, process and
 * the time when that process started, so that a dead owner loses it even after its number was given to another process.
 * On another host a process cannot be looked up: there an owner is alive as long as it refreshes the file's date.
 */
#ifndef HARNESS_LAUNCH_CLAIM_H
#define HARNESS_LAUNCH_CLAIM_H

#include <stdbool.h>

#include "base/err.h"

/* Seconds between two refreshes, and how old an unrefreshed claim of another host must be to be lost: more than clocks
 * of machines that share a file system differ. */
enum { CLAIM_REFRESH = 30, CLAIM_LOST = 600 };

struct claim_owner {
    char host[65];
    long pid;
    unsigned long long start; /* clock ticks from boot to the start of the process; 0: the system does not tell */
    long long since;          /* seconds since 1970 when the claim was taken                                     */
};

/* Takes the claim for this process, from a dead owner if need be. *mine is false when a live one has it; *owner is who
 * has it now. ERR_ENV when the file cannot be written; nothing is left then. */
bool claim_take(const char *path, bool *mine, struct claim_owner *owner, struct err *e);

/* Whether a live process has the claim, and which (when it can be told: pid 0 else). */
bool claim_is_held(const char *path, struct claim_owner *owner);

/* Renews the date of the claim if process `pid` of this host has it. */
void claim_refresh(const char *path, long pid);

/* Removes the claim if this process has it. */
void claim_drop(const char *path);

#endif
