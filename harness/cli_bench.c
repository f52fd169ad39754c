/* bench: see bench/bench.h. This process reads the command line, starts a process for each case and prints what they
 * left in their files. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/log.h"
#include "harness/bench/process.h"
#include "harness/bench/table.h"
#include "harness/bench/bench.h"
#include "harness/cli_impl.h"
#include "harness/launch/spawn.h"
#include "harness/meta.h"
#include "models/blas.h"

/* One invocation. */
struct bench {
    struct bench_cases cases;
    const char *folder;            /* of the files                       */
    struct launch_options launch;
    struct bench_record *record;   /* [cases.n]                          */
    bool *measured;                /* [cases.n]                          */
    bool csv;
};

/* ---- the command line ---- */

/* Arguments with `=` are overrides; others name further methods, behind --method. */
static bool sort_arguments(struct cli_call *c, struct bench_request *r, struct err *e)
{
    const char **override = ARENA_NEW(c->arena, MEM_DATA, const char *, c->n_args + 1, e);
    TRY(override);
    for (size_t i = 0; i < c->n_args; i++)
        if (strchr(c->arg[i], '='))
            override[r->n_overrides++] = c->arg[i];
        else if (r->methods)
            TRY(r->methods = arena_printf(c->arena, e, "%s,%s", r->methods, c->arg[i]));
        else
            return err_set(e, ERR_INPUT, "`%s` is no key=value; shapes follow --shape, methods --method", c->arg[i]);
    r->override = override;
    return true;
}

static bool parse(struct cli_call *c, struct bench *b, struct bench_request *r, struct err *e)
{
    long long threads = 0, layers = 0, repeats = 5;
    TRY(cli_csv(c, &b->csv, e) && cli_integer(c, "threads", 1, 4096, &threads, e) &&
        cli_integer(c, "layers", 1, 1000, &layers, e) && cli_integer(c, "steps", 1, 100000, &repeats, e));
    *r = (struct bench_request){.shapes = cli_given(c, "shape"), .methods = cli_given(c, "method"),
                                .lengths = cli_given(c, "seq"), .batches = cli_given(c, "batch"),
                                .layers = (int)layers, .repeats = (int)repeats, .slice = BENCH_SLICE,
                                .eval = cli_given(c, "eval"), .paced = cli_given(c, "paced")};
    b->launch = (struct launch_options){.jobs = 1, .threads = (int)threads, .argv = c->argv, .word = "bench"};
    r->threads = spawn_threads(&b->launch);
    const char *out = cli_given(c, "out");
    if (out && !*out)
        return err_set(e, ERR_INPUT, "--out is empty; it must be a folder");
    TRY(b->folder = text_path(c->arena, out ? out : "out/bench", "bench", e));
    return sort_arguments(c, r, e) && bench_cases(&b->cases, r, c->arena, e);
}

static char *file_of(const struct bench *b, const char *name, struct arena *a, struct err *e)
{
    return arena_printf(a, e, "%s/%s.h5", b->folder, name);
}

/* ---- in the process of a case ---- */

static const struct bench_case *find_case(const struct bench_cases *l, const char *name, struct err *e)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->item[i].name, name) == 0)
            return &l->item[i];
    err_set(e, ERR_INPUT, "no case is named `%s`", name);
    return NULL;
}

static bool work(struct cli_call *c, const struct bench *b, const char *name, bool paced, struct err *e)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* it must not outlive who reads its result */
#endif
    log_set_level(LOG_WARN);
    const struct bench_case *k = find_case(&b->cases, name, e);
    char *path = k ? file_of(b, name, c->arena, e) : NULL;
    bool ok = path && (paced ? bench_paced(k, stdin, c->out, e) : bench_run(k, path, e));
    if (!ok && spawn_tell(e))
        *e = (struct err){.code = e->code}; /* who started it prints the line */
    return ok;
}

/* ---- in the process that was started ---- */

/* Programs that run beside the benchmark take their part of every number. */
static void warn_of_load(void)
{
    double load;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    FILE *f = fopen("/proc/loadavg", "r");
    if (f && fscanf(f, "%lf", &load) == 1 && load > .25 * (double)processors)
        log_warn("the machine is not quiet (load average %.2f on %ld processors): numbers are lower than they could be",
                 load, processors);
    if (f)
        fclose(f);
}

static bool run_case(struct cli_call *c, struct bench *b, size_t i, struct err *e)
{
    const struct bench_case *k = &b->cases.item[i];
    char *path = file_of(b, k->name, c->arena, e);
    if (!k->run) {
        *e = k->why;
        return false;
    }
    TRY(path && process_run(&b->launch, k->name, c->arena, e));
    return b->measured[i] = bench_record_read(&b->record[i], path, c->arena, e);
}

/* All cases; *failed of them could not be measured, for reasons that were logged; the gravest is *why. */
static bool run_cases(struct cli_call *c, struct bench *b, size_t *failed, enum err_code *why, struct err *e)
{
    char text[2048];
    *failed = 0;
    *why = ERR_RUN;
    for (size_t i = 0; i < b->cases.n; i++) {
        log_info("%s (%zu of %zu)", b->cases.item[i].name, i + 1, b->cases.n);
        if (run_case(c, b, i, e))
            continue;
        if (e->code == ERR_INTERRUPTED || b->cases.n == 1)
            return false;
        err_format(e, text, sizeof text);
        log_warn("%s: %s", b->cases.item[i].name, text);
        ++*failed;
        *why = e->code == ERR_ENV ? ERR_ENV : *why;
    }
    return true;
}

/* Full fine-tuning at the same shape, of this invocation or an earlier one; NULL: there is none. */
static const struct bench_record *full_of(struct cli_call *c, const struct bench *b, size_t i)
{
    struct err ignored;
    const struct bench_case *k = &b->cases.item[i];
    const struct method *full = method_find("full");
    char *name = full ? bench_case_name(k, full, c->arena, &ignored) : NULL;
    for (size_t j = 0; name && j < b->cases.n; j++)
        if (b->measured[j] && strcmp(b->cases.item[j].name, name) == 0)
            return &b->record[j];
    struct bench_record *r = name ? ARENA_NEW(c->arena, MEM_DATA, struct bench_record, 1, &ignored) : NULL;
    char *path = r ? file_of(b, name, c->arena, &ignored) : NULL;
    return path && io_exists(path) && bench_record_read(r, path, c->arena, &ignored) ? r : NULL;
}

static bool print_machine(struct cli_call *c, const struct bench_record *r, struct err *e)
{
    const struct values *m = &r->meta;
    char *line = arena_printf(c->arena, e,
                              "%s, %lld thread%s; products by %s; OpenBLAS kernel %s; kernels %s; peftlab %s (%.8s)\n",
                              values_get_string(m, "cpu", "?"), r->threads, r->threads == 1 ? "" : "s",
                              values_get_string(m, "products", "?"),
                              values_get_string(m, "blas_core", "?"), values_get_string(m, "kernels", "?"),
                              values_get_string(m, "program_version", "?"), values_get_string(m, "git_commit", "?"));
    TRY(line && cli_print(c, line, e));
    for (size_t i = 0; i < c->n_args; i++)
        if (strchr(c->arg[i], '='))
            TRY(cli_print(c, c->arg[i], e) && cli_print(c, "\n", e));
    return cli_print(c, "\n", e);
}

static bool print_one(struct cli_call *c, struct bench *b, enum bench_table kind, struct err *e)
{
    struct cli_table t;
    TRY(bench_table_begin(&t, kind, c->arena, e));
    for (size_t i = 0; i < b->cases.n; i++)
        if (b->measured[i])
            TRY(bench_table_row(&t, kind, &b->record[i], full_of(c, b, i), e));
    return cli_print_table(c, &t, kind == BENCH_CSV, e);
}

static bool print(struct cli_call *c, struct bench *b, struct err *e)
{
    size_t first = 0;
    if (b->csv)
        return print_one(c, b, BENCH_CSV, e);
    while (first < b->cases.n && !b->measured[first])
        first++;
    if (first == b->cases.n)
        return true;
    return print_machine(c, &b->record[first], e) && print_one(c, b, BENCH_SPEED, e) && cli_print(c, "\n", e) &&
           print_one(c, b, BENCH_MEMORY, e);
}

static bool run_all(struct cli_call *c, struct bench *b, struct err *e)
{
    size_t failed;
    enum err_code why;
    TRY(b->record = ARENA_NEW(c->arena, MEM_DATA, struct bench_record, b->cases.n, e));
    TRY(b->measured = ARENA_NEW(c->arena, MEM_DATA, bool, b->cases.n, e));
    TRY(io_mkdirs(b->folder, e));
    warn_of_load();
    TRY(run_cases(c, b, &failed, &why, e) && print(c, b, e));
    return failed == 0 || err_set(e, why, "%zu of %zu cases could not be measured", failed, b->cases.n);
}

bool cli_bench(struct cli_call *c, struct err *e)
{
    struct bench b = {0};
    struct bench_request r;
    TRY(parse(c, &b, &r, e));
    const char *worker = cli_given(c, "worker");
    if (worker)
        return work(c, &b, worker, r.paced, e);
    if (r.paced && !b.cases.item[0].run) {
        *e = b.cases.item[0].why;
        return false;
    }
    return r.paced ? process_run(&b.launch, b.cases.item[0].name, c->arena, e) : run_all(c, &b, e);
}
