/* Provenance: see meta.h. The build writes version, commit and flags into build_info.h each time it runs. */
#include "harness/meta.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "build_info.h"
#include "models/blas.h"
#include "models/kernels.h"

static void cpu_model(char *buf, size_t size)
{
    snprintf(buf, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(buf, size, "%s", colon + 2);
        break;
    }
    if (f)
        fclose(f);
}

bool meta_machine(struct values *m, int threads, struct err *e)
{
    char now[32], cpu[256];
    struct utsname os;
    clock_utc(now, sizeof now);
    cpu_model(cpu, sizeof cpu);
    if (uname(&os) != 0)
        memset(&os, 0, sizeof os);
    return values_string(m, "started", now, e) && values_string(m, "program_version", BUILD_VERSION, e) &&
           values_string(m, "git_commit", BUILD_COMMIT, e) && values_bool(m, "git_dirty", BUILD_DIRTY, e) &&
           values_string(m, "compiler", BUILD_COMPILER, e) && values_string(m, "compiler_flags", BUILD_FLAGS, e) &&
           values_string(m, "blas_config", blas_config(), e) && values_string(m, "blas_core", blas_corename(), e) &&
           values_string(m, "products", blas_gemm_name(), e) &&
           values_string(m, "kernels", kernels_isa(), e) && values_string(m, "cpu", cpu, e) &&
           values_string(m, "system", os.sysname, e) && values_string(m, "system_release", os.release, e) &&
           values_int(m, "threads", threads, e);
}

bool meta_fill(struct values *m, const struct run_spec *r, const struct run_env *env, struct err *e)
{
    return meta_machine(m, env->threads, e) && values_int(m, "order", r->order, e) &&
           values_string(m, "command", env->command, e) && values_string(m, "experiment", r->experiment, e) &&
           values_string(m, "data", env->data ? env->data : "", e) && values_text(m, "spec", r->resolved, e) &&
           values_string(m, "task_digest", r->task->digest, e) && values_string(m, "data_digest", r->data_digest, e) &&
           values_string(m, "model_digest", r->model_digest, e) &&
           (!r->init_from || values_string(m, "init_from_digest", r->init_digest, e)) &&
           values_string(m, "tokenizer_digest", r->tokenizer_digest, e);
}
