/*
 * What an exported directory says of itself, in peftlab.json: the run it came from, its base model with the digest of
 * the weights, method, options, metrics, and the resolved spec, from which a delta is opened again.
 */
#ifndef HARNESS_CARD_H
#define HARNESS_CARD_H

#include "harness/spec.h"
#include "results/run_record.h"

struct card {
    const char *to;                          /* hf, peft or delta */
    const char *run, *model, *model_digest, *task, *method;
    const char *spec;                        /* text */
    long long max_seq_length;
};

/* Writes the card of a run's export. */
bool card_write(const struct run_record *record, const struct run_spec *run, const char *to, const char *dir,
                struct arena *a, struct err *e);

/* Reads it; a directory without one leaves *c zeroed. */
bool card_read(struct card *c, const char *dir, struct arena *a, struct err *e);

#endif
