/* Provenance: what /meta of a result says about program, machine and inputs. */
#ifndef HARNESS_META_H
#define HARNESS_META_H

#include "harness/run.h"

/* Program version, commit and dirty flag, compiler and flags, BLAS, CPU, threads, start date, spec text, digests. */
bool meta_fill(struct values *meta, const struct run_spec *r, const struct run_env *env, struct err *e);

/* The first of them: start date, program, compiler, BLAS, instruction set, CPU, system, threads. */
bool meta_machine(struct values *meta, int threads, struct err *e);

#endif
