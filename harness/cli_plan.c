/* plan, check: what a spec asks for, before anything is run. */
#include "harness/cli_impl.h"
#include "harness/run.h"

static const struct spec *read_spec(struct cli_call *c, struct err *e)
{
    return spec_read(c->arg[0], c->arg + 1, c->n_args - 1, 0, c->arena, e);
}

bool cli_check(struct cli_call *c, struct err *e) { return read_spec(c, e) != NULL; }

/* Tags in the order of the columns; weights are those in memory and those in a mapped file. */
static const enum mem_tag tags[] = {MEM_WEIGHTS,     MEM_GRADIENTS, MEM_OPTIMIZER, MEM_METHOD,
                                    MEM_ACTIVATIONS, MEM_SCRATCH,   MEM_DATA};
enum { N_TAGS = sizeof tags / sizeof *tags };

static bool header(struct cli_table *t, bool csv, struct err *e)
{
    static const char *const csv_names[] = {"run", "task", "model", "method", "variant", "seed", "trainable",
                                            "trainable_with_head", "total", "steps", NULL};
    static const char *const names[] = {"task", "model", "method", "variant", "seed", "trainable",
                                        "with head", "total", "steps", NULL};
    TRY(cli_cells(t, csv ? csv_names : names, e));
    for (size_t i = 0; i < N_TAGS; i++)
        TRY(cli_cell(t, e, csv ? "bytes_%s" : "%s MB", mem_tag_name(tags[i])));
    return cli_cell(t, e, csv ? "bytes_total" : "total MB") && (csv || cli_cell(t, e, "select MB"));
}

static bool bytes_cell(struct cli_table *t, bool csv, size_t bytes, struct err *e)
{
    return csv ? cli_cell(t, e, "%zu", bytes) : cli_cell(t, e, "%.1f", (double)bytes / 1e6);
}

static bool row(struct cli_table *t, bool csv, const struct run_spec *r, const struct run_plan *p, struct err *e)
{
    unsigned long long seed = (unsigned long long)r->seed;
    if (csv)
        TRY(cli_cell(t, e, "%s--%s--%s--%s--s%llu", r->task->name, r->model.label, r->method->name, r->variant, seed));
    TRY(cli_cell(t, e, "%s", r->task->name) && cli_cell(t, e, "%s", r->model.label) &&
        cli_cell(t, e, "%s", r->method->name) && cli_cell(t, e, "%s", r->variant) && cli_cell(t, e, "%llu", seed) &&
        cli_cell(t, e, "%zu", p->trainable) && cli_cell(t, e, "%zu", p->trainable_with_head) &&
        cli_cell(t, e, "%zu", p->total));
    TRY(p->steps < 0 ? cli_cell(t, e, "%s", "") : cli_cell(t, e, "%lld", p->steps));
    for (size_t i = 0; i < N_TAGS; i++)
        TRY(bytes_cell(t, csv, p->bytes[tags[i]] + (tags[i] == MEM_WEIGHTS ? p->bytes[MEM_MAPPED] : 0), e));
    return bytes_cell(t, csv, p->bytes_total, e) && (csv || bytes_cell(t, csv, p->bytes_select, e));
}

bool cli_plan(struct cli_call *c, struct err *e)
{
    bool csv;
    TRY(cli_csv(c, &csv, e));
    const struct spec *spec = read_spec(c, e);
    struct cli_table t = {.arena = c->arena, .columns = 10 + N_TAGS + 1};
    TRY(spec && header(&t, csv, e));
    for (size_t i = 0; i < spec->n_runs; i++) {
        struct run_plan plan;
        TRY(run_plan(&spec->run[i], &plan, e) && row(&t, csv, &spec->run[i], &plan, e));
    }
    return cli_print_table(c, &t, csv, e);
}
