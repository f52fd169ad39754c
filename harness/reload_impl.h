/* A session that is opened once more, as it was when training ended: between reload.c and the exports. */
#ifndef HARNESS_RELOAD_IMPL_H
#define HARNESS_RELOAD_IMPL_H

#include "harness/card.h"
#include "harness/session.h"

struct reloaded {
    struct arena *arena;
    struct run_record record; /* of a run: meta, config, curves           */
    struct spec *spec;
    struct run_spec *run;
    const char *data;         /* folder of the run's data, NULL: none     */
    struct run_env env;       /* data: as given, else where the run found it */
    struct session session;
    bool open;
};

/* export_peft.c: the adapter of a session with its trained weights, before any folding. */
bool export_peft(struct reloaded *r, const char *dir, struct err *e);

#endif
