/* From runs to a grid of cells: see table_grid.h. */
#include "results/table_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct making {
    struct table_grid *g;
    const struct run_list *l;
    const struct table_options *o;
    struct arena *a;
    int rows[3], columns[3], block[4]; /* keys, ended by -1 */
};

double table_value(const struct run_record *r, const char *metric, enum table_select select)
{
    if (!run_measured(r))
        return NAN;
    return 100 * (select == TABLE_BEST ? run_record_best(r, metric) : run_record_last(r, metric));
}

/* ---- which key goes where ---- */

static bool in(const int *keys, int key)
{
    for (; *keys >= 0; keys++)
        if (*keys == key)
            return true;
    return false;
}

/* Methods stand with their variant, unless variants have an axis of their own. */
static void expand(int *keys, enum table_key key, enum table_key other)
{
    *keys++ = (int)key;
    if (key == TABLE_METHOD && other != TABLE_VARIANT)
        *keys++ = TABLE_VARIANT;
    *keys = -1;
}

static void assign_keys(struct making *m)
{
    static const int rest[] = {TABLE_MODEL, TABLE_TASK, TABLE_METHOD, TABLE_VARIANT};
    int *b = m->block;
    expand(m->rows, m->o->rows, m->o->columns);
    expand(m->columns, m->o->columns, m->o->rows);
    for (size_t i = 0; i < 4; i++)
        if (!in(m->rows, rest[i]) && !in(m->columns, rest[i]))
            *b++ = rest[i]; /* two keys at least have an axis: at most three are left */
    *b = -1;
}

static const char *label_of(struct making *m, const int *keys, const struct run_record *r, struct err *e)
{
    switch (keys[0]) {
    case TABLE_METHOD: return keys[1] == TABLE_VARIANT ? method_label(m->a, r, e) : r->method;
    case TABLE_TASK: return task_title(r->task);
    case TABLE_MODEL: return r->model;
    case TABLE_VARIANT: return r->variant;
    default: return arena_printf(m->a, e, "seed %lld", r->seed);
    }
}

/* ---- notes ---- */

const char *table_marks(const struct table_cell *c)
{
    bool lost = c->status[RUN_FAILED] + c->status[RUN_DIVERGED] + c->status[RUN_INTERRUPTED] > 0;
    bool collapsed = c->status[RUN_COLLAPSED] > 0;
    return lost && collapsed ? "†‡" : lost ? "‡" : collapsed ? "†" : "";
}

const char *table_no_value(const struct table_cell *c)
{
    static const enum run_status worst[] = {RUN_DIVERGED, RUN_FAILED, RUN_INTERRUPTED, RUN_COLLAPSED};
    for (size_t i = 0; i < sizeof worst / sizeof *worst; i++)
        if (c->status[worst[i]])
            return run_status_name(worst[i]);
    return "–";
}

const char *table_value_text(const struct table_cell *c, char *buf)
{
    if (isnan(c->mismatched))
        snprintf(buf, 32, "%.1f", c->value);
    else
        snprintf(buf, 32, "%.1f/%.1f", c->value, c->mismatched);
    return buf;
}

static bool add_note(struct making *m, const char *note, struct err *e)
{
    struct table_grid *g = m->g;
    TRY(note);
    for (size_t i = 0; i < g->notes; i++)
        if (strcmp(g->note[i], note) == 0)
            return true;
    if (g->notes == g->note_cap) {
        size_t cap = g->note_cap ? 2 * g->note_cap : 8;
        const char **more = ARENA_NEW(m->a, MEM_DATA, const char *, cap, e);
        TRY(more);
        if (g->notes)
            memcpy(more, g->note, g->notes * sizeof *more);
        g->note = more;
        g->note_cap = cap;
    }
    g->note[g->notes++] = note;
    return true;
}

static bool note_cell(struct making *m, const char *row, const char *column, const struct table_cell *c, struct err *e)
{
    static const enum run_status lost[] = {RUN_FAILED, RUN_DIVERGED, RUN_INTERRUPTED};
    if (c->status[RUN_COLLAPSED])
        TRY(add_note(m, arena_printf(m->a, e, "† %s, %s: %zu of %zu runs collapsed (one prediction for every row); "
                                              "the value counts.", row, column, c->status[RUN_COLLAPSED], c->runs), e));
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        if (c->status[lost[i]])
            TRY(add_note(m, arena_printf(m->a, e, "‡ %s, %s: %zu of %zu runs %s; without a value.", row, column,
                                         c->status[lost[i]], c->runs, run_status_name(lost[i])), e));
    return true;
}

/* ---- cells ---- */

static bool is_cell(const struct making *m, const struct run_record *block, const struct run_record *row,
                    const struct run_record *column, const struct run_record *r)
{
    return group_match(m->block, block, r) && group_match(m->rows, row, r) &&
           (!column || group_match(m->columns, column, r));
}

/* Headline metrics belong to tasks; a run that failed before it had one takes no part. */
static double run_value(const struct making *m, const struct run_record *r)
{
    return r->metrics ? table_value(r, r->metric[0], m->o->select) : NAN;
}

static bool make_cell(struct making *m, struct table_cell *c, const struct run_record *block,
                      const struct run_record *row, const struct run_record *column, struct err *e)
{
    double *v = ARENA_NEW(m->a, MEM_DATA, double, 2 * m->l->n, e), *mm = v ? v + m->l->n : NULL;
    TRY(v);
    for (size_t i = 0; i < m->l->n; i++) {
        const struct run_record *r = &m->l->run[i];
        if (!is_cell(m, block, row, column, r))
            continue;
        c->status[r->status]++;
        v[c->runs] = run_value(m, r);
        mm[c->runs++] = table_value(r, "accuracy_mm", m->o->select);
    }
    bool median = m->o->aggregate == TABLE_MEDIAN;
    struct summary s = summarize(mm, c->runs);
    c->mismatched = median ? s.median : s.mean;
    c->s = summarize(v, c->runs);
    c->value = median ? c->s.median : c->s.mean;
    return true;
}

/* Mean of the cells' unrounded values, where there is one in every column. */
static void make_average(const struct table_grid *g, struct table_row *row)
{
    double sum = 0;
    for (size_t i = 0; i < g->columns; i++)
        sum += row->cell[i].value;
    row->average.value = sum / (double)g->columns;
    row->average.mismatched = NAN;
}

/* ---- costs ---- */

/* What a run costs by one measure. */
enum cost { COST_STEP, COST_TOKENS, COST_MEMORY };

static double run_cost(const struct run_record *r, enum cost cost)
{
    switch (cost) {
    case COST_STEP: return 1e3 * run_step_seconds(r);
    case COST_TOKENS: return run_tokens_per_second(r);
    default: return r->memory.peak_live ? (double)r->memory.peak_live / 1048576 : NAN;
    }
}

/* Over the columns: mean of the columns' means, or the largest value; NaN when a column has none. */
static double row_cost(const struct making *m, const struct run_pick *columns, const struct run_record *block,
                       const struct run_record *row, enum cost cost)
{
    double total = 0, most = 0;
    for (size_t c = 0; c < columns->n; c++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = 0; i < m->l->n; i++) {
            const struct run_record *r = &m->l->run[i];
            double v = run_measured(r) ? run_cost(r, cost) : NAN;
            if (isnan(v) || !is_cell(m, block, row, columns->run[c], r))
                continue;
            sum += v;
            n++;
            most = v > most ? v : most;
        }
        total += sum / (double)n;
    }
    if (isnan(total))
        return NAN;
    return cost == COST_MEMORY ? most : total / (double)columns->n;
}

/* Head parameters are those that the count with the head has more: the head is trained whole. */
static double trained_per_cent(const struct run_record *r)
{
    long long body = r->total - (r->trainable_with_head - r->trainable);
    if (r->trainable < 0 || r->trainable_with_head < 0 || r->total < 0 || body <= 0)
        return NAN;
    return 100 * (double)r->trainable / (double)body;
}

static void make_costs(const struct making *m, const struct run_pick *columns, const struct run_record *block,
                       const struct run_record *of, struct table_row *row)
{
    row->trainable[0] = row->trainable[1] = -1;
    row->per_cent = NAN;
    for (size_t i = 0; i < m->l->n; i++) {
        const struct run_record *r = &m->l->run[i];
        if (r->trainable < 0 || !is_cell(m, block, of, NULL, r))
            continue;
        if (row->trainable[0] < 0 || r->trainable < row->trainable[0])
            row->trainable[0] = r->trainable;
        if (r->trainable > row->trainable[1])
            row->trainable[1] = r->trainable;
        row->per_cent = trained_per_cent(r);
    }
    row->step_ms = row_cost(m, columns, block, of, COST_STEP);
    row->tokens = row_cost(m, columns, block, of, COST_TOKENS);
    row->peak_mib = row_cost(m, columns, block, of, COST_MEMORY);
}

/* ---- rows, blocks ---- */

/* Best and second by the value as it is printed, so that equal numbers are marked alike. */
static double shown(const struct table_cell *c) { return round(10 * c->value); }

static struct table_cell *column_cell(struct table_row *row, size_t column, size_t columns)
{
    return column < columns ? &row->cell[column] : &row->average;
}

static void rank_column(struct table_block *b, size_t column, size_t columns)
{
    double best = -INFINITY, second = -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < b->rows; i++) {
        double v = shown(column_cell(&b->row[i], column, columns));
        if (isnan(v))
            continue;
        n++;
        if (v > best) {
            second = best;
            best = v;
        } else if (v < best && v > second) {
            second = v;
        }
    }
    for (size_t i = 0; n > 1 && i < b->rows; i++) {
        struct table_cell *c = column_cell(&b->row[i], column, columns);
        c->rank = shown(c) == best ? RANK_BEST : shown(c) == second ? RANK_SECOND : RANK_NONE;
    }
}

static bool make_row(struct making *m, struct table_row *row, const struct run_pick *columns,
                     const struct run_record *block, const struct run_record *of, struct err *e)
{
    TRY(row->label = label_of(m, m->rows, of, e));
    TRY(row->cell = ARENA_NEW(m->a, MEM_DATA, struct table_cell, columns->n, e));
    for (size_t i = 0; i < columns->n; i++) {
        TRY(make_cell(m, &row->cell[i], block, of, columns->run[i], e));
        TRY(note_cell(m, row->label, m->g->column[i], &row->cell[i], e));
    }
    make_average(m->g, row);
    make_costs(m, columns, block, of, row);
    return true;
}

static const char *block_title(struct making *m, const struct run_record *of, struct err *e)
{
    struct text t = {.arena = m->a};
    for (const int *k = m->block; *k >= 0; k++) {
        const int one[] = {*k, -1};
        const char *label = label_of(m, one, of, e);
        TRY(label && text_add(&t, e, "%s%s", t.len ? ", " : "", label));
    }
    return t.s ? t.s : "";
}

static bool make_block(struct making *m, struct table_block *b, const struct run_pick *columns,
                       const struct run_record *of, struct err *e)
{
    struct run_pick rows;
    TRY(b->title = block_title(m, of, e));
    TRY(group_distinct(&rows, m->l, m->rows, m->a, e));
    TRY(b->row = ARENA_NEW(m->a, MEM_DATA, struct table_row, rows.n, e));
    for (size_t i = 0; i < rows.n; i++) {
        struct table_row *row = &b->row[b->rows];
        bool any = false;
        for (size_t r = 0; r < m->l->n; r++)
            any = any || is_cell(m, of, rows.run[i], NULL, &m->l->run[r]);
        if (!any)
            continue;
        TRY(make_row(m, row, columns, of, rows.run[i], e));
        b->rows++;
    }
    for (size_t i = 0; i <= columns->n; i++)
        if (m->o->columns == TABLE_TASK && m->o->rows != TABLE_SEED) /* neither tasks nor seeds compete */
            rank_column(b, i, columns->n);
    return true;
}

/* ---- caption ---- */

/* The number of measured runs that most cells have, of two equally frequent ones the larger. */
static size_t common_n(const struct table_grid *g)
{
    size_t best = 0, votes = 0;
    for (size_t n = 1; n <= 1000; n++) {
        size_t count = 0;
        for (size_t b = 0; b < g->blocks; b++)
            for (size_t r = 0; r < g->block[b].rows; r++)
                for (size_t c = 0; c < g->columns; c++)
                    count += g->block[b].row[r].cell[c].s.n == n;
        if (count && count >= votes) {
            votes = count;
            best = n;
        }
    }
    return best;
}

static bool caption_metrics(struct making *m, struct text *t, struct err *e)
{
    const int task[] = {TABLE_TASK, -1};
    struct run_pick tasks;
    const char *before = " Metrics: ";
    TRY(group_distinct(&tasks, m->l, task, m->a, e));
    for (size_t i = 0; i < tasks.n; i++)
        for (size_t r = 0; r < m->l->n; r++)
            if (m->l->run[r].metrics && group_same(TABLE_TASK, tasks.run[i], &m->l->run[r])) {
                TRY(text_add(t, e, "%s%s %s", before, task_title(tasks.run[i]->task),
                             metric_title(m->l->run[r].metric[0])));
                before = ", ";
                break;
            }
    return text_add(t, e, ".");
}

/* By what the best evaluation was chosen, when all runs say the same in /config. */
static bool caption_selection(struct making *m, struct text *t, struct err *e)
{
    const char *on = values_get_string(&m->l->run[0].config, "select_on", NULL);
    for (size_t i = 1; on && i < m->l->n; i++)
        if (strcmp(on, values_get_string(&m->l->run[i].config, "select_on", "")) != 0)
            on = NULL;
    return !on || text_add(t, e, " (chosen on %s)", on);
}

static bool has_mismatched(const struct table_grid *g)
{
    for (size_t b = 0; b < g->blocks; b++)
        for (size_t r = 0; r < g->block[b].rows; r++)
            for (size_t c = 0; c < g->columns; c++)
                if (!isnan(g->block[b].row[r].cell[c].mismatched))
                    return true;
    return false;
}

static bool make_caption(struct making *m, struct err *e)
{
    struct table_grid *g = m->g;
    struct text *t = &g->caption;
    bool seeds = in(m->rows, TABLE_SEED) || in(m->columns, TABLE_SEED);
    t->arena = m->a;
    TRY(text_add(t, e, "Headline metric ×100, %s evaluation of each run", table_select_words[m->o->select]));
    TRY(m->o->select == TABLE_LAST || caption_selection(m, t, e));
    if (seeds)
        TRY(text_add(t, e, "."));
    else if (g->n == 1)
        TRY(text_add(t, e, ", one run (n = 1) unless stated."));
    else if (m->o->aggregate == TABLE_MEDIAN)
        TRY(text_add(t, e, "; median [least, most] over n = %zu seeds unless stated.", g->n));
    else
        TRY(text_add(t, e, "; mean ± standard deviation (ddof 1) over n = %zu seeds unless stated.", g->n));
    TRY(caption_metrics(m, t, e));
    if (has_mismatched(g))
        TRY(text_add(t, e, " MNLI: matched/mismatched; spread, rank and average are those of matched."));
    if (g->average)
        TRY(text_add(t, e, " Avg: mean of the unrounded values of the %zu tasks shown.", g->columns));
    if (g->cost)
        TRY(text_add(t, e, " Trainable parameters without the head, per cent of all parameters without the head; time "
                           "and tokens of training steps; peak: largest sum of live bytes."));
    return true;
}

/* What runs say about themselves that every reader must know (`note` in /meta: a random initialisation, a limit). */
static bool run_notes(struct making *m, struct err *e)
{
    for (size_t i = 0; i < m->l->n; i++) {
        const char *note = values_get_string(&m->l->run[i].meta, "note", "");
        if (*note)
            TRY(add_note(m, arena_strdup(m->a, note, e), e));
    }
    if (m->l->older)
        TRY(add_note(m, arena_printf(m->a, e, "%zu older runs of the same settings were left out.", m->l->older), e));
    if (m->l->unreadable)
        TRY(add_note(m, arena_printf(m->a, e, "%zu files could not be read.", m->l->unreadable), e));
    return true;
}

static bool make_columns(struct making *m, struct run_pick *columns, struct err *e)
{
    struct table_grid *g = m->g;
    TRY(group_distinct(columns, m->l, m->columns, m->a, e));
    TRY(g->column = ARENA_NEW(m->a, MEM_DATA, const char *, columns->n, e));
    for (size_t i = 0; i < columns->n; i++)
        TRY(g->column[i] = label_of(m, m->columns, columns->run[i], e));
    g->columns = columns->n;
    g->cost = m->o->columns == TABLE_TASK;
    g->average = g->cost && g->columns > 1;
    return true;
}

bool table_grid_make(struct table_grid *g, const struct run_list *l, const struct table_options *o, struct arena *a,
                     struct err *e)
{
    struct making m = {.g = g, .l = l, .o = o, .a = a};
    struct run_pick columns, blocks;
    *g = (struct table_grid){0};
    assign_keys(&m);
    TRY(make_columns(&m, &columns, e));
    TRY(group_distinct(&blocks, l, m.block, a, e));
    TRY(g->block = ARENA_NEW(a, MEM_DATA, struct table_block, blocks.n, e));
    for (g->blocks = 0; g->blocks < blocks.n; g->blocks++)
        TRY(make_block(&m, &g->block[g->blocks], &columns, blocks.run[g->blocks], e));
    g->n = common_n(g);
    return make_caption(&m, e) && run_notes(&m, e);
}
