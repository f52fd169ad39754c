/* What is there of a run: its result, its checkpoint, who works on it. */
#ifndef HARNESS_LAUNCH_STANDING_H
#define HARNESS_LAUNCH_STANDING_H

#include "base/arena.h"
#include "harness/launch/claim.h"
#include "results/run_record.h"

enum standing_kind {
    STANDING_NEW,     /* nothing, a failed result, or one that cannot be read */
    STANDING_PARTIAL, /* a checkpoint to go on from                           */
    STANDING_ENDED,   /* finished, collapsed or diverged: `status` says which */
    STANDING_RUNNING  /* a live process has the claim                         */
};

struct standing {
    enum standing_kind kind;
    bool has_result;          /* a readable one, of this status: */
    enum run_status status;
    struct claim_owner owner; /* of STANDING_RUNNING */
};

/* How the run `name` in the folder of runs stands. A result that cannot be read is logged and counts as none. A
 * checkpoint that is newer than the result means that the run was begun once more (--redo) and is not through. ERR_ENV
 * when memory is out. */
bool standing_read(const char *folder, const char *name, struct standing *s, struct arena *a, struct err *e);

/* The same without looking for a claim: for who has it. */
bool standing_read_claimed(const char *folder, const char *name, struct standing *s, struct arena *a, struct err *e);

/* A run that ended so need not be tried again: the same run would end the same way. */
bool standing_is_final(enum run_status status);

#endif
