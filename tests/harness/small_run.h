/* Small whole runs inside a test's directory. What fails fails the test. */
#ifndef TESTS_HARNESS_SMALL_RUN_H
#define TESTS_HARNESS_SMALL_RUN_H

#include "harness/run.h"
#include "results/run_record.h"

/* vocab.txt of letters, at the beginning of a word and inside one. */
const char *small_vocabulary(void);

/* The first run of this text of a spec, 60 rows of each set, prepared. */
struct run_spec *small_prepared(const char *text, const struct run_env *env);

const char *small_file(const struct run_spec *r, const struct run_env *env, const char *ending);
struct run_record small_record(const struct run_spec *r, const struct run_env *env);

#endif
