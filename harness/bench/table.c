/* See table.h. */
#include "harness/bench/table.h"

#include <math.h>

#include "harness/session.h"

static const char *const csv_names[] = {
    "shape", "method", "threads", "batch", "seq", "tokens_per_s", "gflops", "sgemm_gflops", "share", "step_ms",
    "peak_rss_bytes", "layers", "eval", "tokens_per_s_min", "tokens_per_s_max", "flops", "tokens", "trained", "total",
    "select_s", "select_steps", "setup_s", "peak_bytes", "planned_bytes", "planned_ratio", "step_peak_rss_bytes",
    "select_peak_bytes", NULL};
static const char *const speed_names[] = {
    "shape", "method", "seq", "batch", "tokens/s", "min", "max", "GFLOP/s", "SGEMM", "share", "step ms", "forward",
    "backward", "optimizer", "other", "select s", "in steps", NULL};
static const char *const memory_names[] = {
    "shape", "method", "seq", "batch", "MB", "planned", "ratio", "weights", "gradients", "state", "activations",
    "scratch", "peak RSS", NULL};
static const char *const *const names[] = {csv_names, speed_names, memory_names};

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    return n;
}

bool bench_table_begin(struct cli_table *t, enum bench_table kind, struct arena *a, struct err *e)
{
    *t = (struct cli_table){.arena = a, .columns = count(names[kind])};
    TRY(cli_cells(t, names[kind], e));
    if (kind != BENCH_CSV)
        return true;
    t->columns += STEP_PHASES + MEM_TAGS;
    for (int i = 0; i < STEP_PHASES; i++)
        TRY(cli_cell(t, e, "%s_ms", step_phase_names[i]));
    for (int i = 0; i < MEM_TAGS; i++)
        TRY(cli_cell(t, e, "bytes_%s", mem_tag_name((enum mem_tag)i)));
    return true;
}

/* Selection in steps of full fine-tuning; NaN: there was none to compare with. */
static double select_steps(const struct bench_record *r, const struct bench_record *full, struct arena *a,
                           struct err *e)
{
    return full && r->select_seconds > 0 ? r->select_seconds / bench_summarize(full, a, e).step_seconds : NAN;
}

static bool number(struct cli_table *t, const char *fmt, double v, struct err *e)
{
    char text[64] = "";
    if (!isnan(v))
        snprintf(text, sizeof text, fmt, v);
    return cli_cell(t, e, "%s", text);
}

static double ratio(const struct bench_record *r)
{
    return r->planned_total ? (double)r->peak_live / (double)r->planned_total : NAN;
}

static bool csv_row(struct cli_table *t, const struct bench_record *r, const struct bench_summary *s, double steps,
                    struct err *e)
{
    TRY(cli_cell(t, e, "%s", r->shape) && cli_cell(t, e, "%s", r->method) && cli_cell(t, e, "%lld", r->threads) &&
        cli_cell(t, e, "%lld", r->batch) && cli_cell(t, e, "%s", r->lengths));
    const double rates[] = {s->tokens_per_second, s->gflops, s->sgemm_gflops, s->share, s->step_seconds * 1e3};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        TRY(number(t, "%.9g", rates[i], e));
    TRY(cli_cell(t, e, "%zu", r->peak_rss) && cli_cell(t, e, "%lld", r->layers) && cli_cell(t, e, "%d", r->eval));
    const double rest[] = {s->slowest, s->fastest, r->flops, r->tokens, (double)r->trained, (double)r->total,
                           r->select_seconds, steps, r->setup_seconds, (double)r->peak_live,
                           (double)r->planned_total, ratio(r), (double)r->step_peak_rss, (double)r->select_peak};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        TRY(number(t, "%.12g", rest[i], e));
    for (int i = 0; i < STEP_PHASES; i++)
        TRY(number(t, "%.9g", bench_phase_seconds(r, step_phase_names[i]) * 1e3, e));
    for (int i = 0; i < MEM_TAGS; i++)
        TRY(cli_cell(t, e, "%zu", r->at_peak[i]));
    return true;
}

static bool phase_cells(struct cli_table *t, const struct bench_record *r, struct err *e)
{
    static const enum step_phase shown[] = {STEP_FORWARD, STEP_BACKWARD, STEP_OPTIMIZER};
    double rest = bench_phase_seconds(r, "seconds");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        double seconds = bench_phase_seconds(r, step_phase_names[shown[i]]);
        rest -= seconds;
        TRY(number(t, "%.1f", seconds * 1e3, e));
    }
    return number(t, "%.1f", rest * 1e3, e);
}

static bool case_cells(struct cli_table *t, const struct bench_record *r, struct err *e)
{
    return cli_cell(t, e, "%s", r->shape) && cli_cell(t, e, "%s%s", r->method, r->eval ? " (eval)" : "") &&
           cli_cell(t, e, "%s", r->lengths) && cli_cell(t, e, "%lld", r->batch);
}

static bool speed_row(struct cli_table *t, const struct bench_record *r, const struct bench_summary *s, double steps,
                      struct err *e)
{
    return case_cells(t, r, e) && number(t, "%.0f", s->tokens_per_second, e) && number(t, "%.0f", s->slowest, e) &&
           number(t, "%.0f", s->fastest, e) && number(t, "%.1f", s->gflops, e) &&
           number(t, "%.1f", s->sgemm_gflops, e) && number(t, "%.3f", s->share, e) &&
           number(t, "%.1f", s->step_seconds * 1e3, e) && phase_cells(t, r, e) &&
           number(t, "%.2f", r->select_seconds > 0 ? r->select_seconds : NAN, e) && number(t, "%.2f", steps, e);
}

/* In 1e6 bytes; mapped weights are weights, data are scratch, and what methods keep is state. */
static bool memory_row(struct cli_table *t, const struct bench_record *r, struct err *e)
{
    const size_t *at = r->at_peak;
    const size_t bytes[] = {at[MEM_WEIGHTS] + at[MEM_MAPPED],  at[MEM_GRADIENTS],
                            at[MEM_OPTIMIZER] + at[MEM_METHOD], at[MEM_ACTIVATIONS],
                            at[MEM_SCRATCH] + at[MEM_DATA],     r->peak_rss};
    TRY(case_cells(t, r, e) && number(t, "%.1f", (double)r->peak_live / 1e6, e) &&
        number(t, "%.1f", (double)r->planned_total / 1e6, e) && number(t, "%.3f", ratio(r), e));
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        TRY(number(t, "%.1f", (double)bytes[i] / 1e6, e));
    return true;
}

bool bench_table_row(struct cli_table *t, enum bench_table kind, const struct bench_record *r,
                     const struct bench_record *full, struct err *e)
{
    const struct bench_summary s = bench_summarize(r, t->arena, e);
    double steps = select_steps(r, full, t->arena, e);
    return kind == BENCH_CSV     ? csv_row(t, r, &s, steps, e)
           : kind == BENCH_SPEED ? speed_row(t, r, &s, steps, e)
                                 : memory_row(t, r, e);
}
