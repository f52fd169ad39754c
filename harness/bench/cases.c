/* From words to cases: see bench.h. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "harness/bench/bench.h"

enum { LIST_MAX = 64, ROWS_MAX = 1 << 20 };

/* Any other model of the zoo is a shape of its own name. */
static const struct bench_shape shapes[] = {
    {"mini", "mini", 0},
    {"minilm", "minilm", 0},
    {"bert-base", "bert-base", 0},
    {"roberta-large-layer", "roberta-large", 1},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* ---- words of lists ---- */

struct words {
    const char *item[LIST_MAX + 1]; /* NULL-terminated */
    size_t n;
};

static bool add_word(struct words *w, const char *word, const char *option, struct err *e)
{
    if (!*word)
        return err_set(e, ERR_INPUT, "%s has an empty word; it is a list such as a,b,c", option);
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->item[i], word) == 0)
            return err_set(e, ERR_INPUT, "%s names `%s` twice", option, word);
    if (w->n == LIST_MAX)
        return err_set(e, ERR_INPUT, "%s has more than %d words", option, LIST_MAX);
    w->item[w->n++] = word;
    return true;
}

static bool split(struct words *w, const char *list, const char *option, struct arena *a, struct err *e)
{
    *w = (struct words){0};
    for (const char *from = list;; from++) {
        size_t n = strcspn(from, ",");
        const char *word = arena_strndup(a, from, n, e);
        TRY(word && add_word(w, word, option, e));
        from += n;
        if (!*from)
            return true;
    }
}

static bool find_shape(struct bench_shape *shape, const char *word, struct arena *a, struct err *e)
{
    const char *names[LIST_MAX + 1] = {NULL}, **zoo = model_zoo_names(a, e);
    char hint[64];
    size_t n = 0;
    TRY(zoo);
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, word) == 0) {
            *shape = shapes[i];
            return true;
        }
        names[n++] = shapes[i].name;
    }
    for (; *zoo && n < LIST_MAX; zoo++) {
        if (strcmp(*zoo, word) == 0) {
            *shape = (struct bench_shape){*zoo, *zoo, 0};
            return true;
        }
        names[n++] = *zoo;
    }
    return err_set(e, ERR_INPUT, "unknown shape `%s`%s (mini, minilm, bert-base, roberta-large-layer, or a model of "
                   "the zoo)", word, text_did_you_mean(word, names, hint, sizeof hint));
}

struct methods {
    const struct method *item[LIST_MAX];
    size_t n;
};

static bool find_methods(struct methods *m, const char *list, struct arena *a, struct err *e)
{
    struct words w;
    char hint[64];
    m->n = 0;
    if (strcmp(list, "all") == 0) {
        while (method_table[m->n] && m->n < LIST_MAX) {
            m->item[m->n] = method_table[m->n];
            m->n++;
        }
        return true;
    }
    TRY(split(&w, list, "--method", a, e));
    for (size_t i = 0; i < w.n; i++) {
        const char **names = method_names(a, e);
        TRY(names);
        if (!(m->item[m->n++] = method_find(w.item[i])))
            return err_set(e, ERR_INPUT, "unknown method `%s`%s", w.item[i],
                           text_did_you_mean(w.item[i], names, hint, sizeof hint));
    }
    return true;
}

/* ---- overrides ---- */

/* The method whose option an override sets, NULL: it is for all. */
static const struct method *override_method(const char *override)
{
    char word[64];
    size_t n = strcspn(override, ".=");
    snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : 0), override);
    return method_find(word);
}

static bool check_overrides(const struct bench_request *r, const struct methods *m, struct err *e)
{
    for (size_t i = 0; i < r->n_overrides; i++) {
        const char *s = r->override[i];
        const struct method *of = override_method(s);
        bool among = !of;
        for (size_t k = 0; k < m->n; k++)
            among |= m->item[k] == of;
        if (!among)
            return err_set(e, ERR_INPUT, "`%s`: method %s is not among --method", s, of->name);
        for (const char *const *own = (const char *const[]){"model", "tasks", "methods", "seeds", "measure", NULL};
             *own; own++)
            if (text_starts(s, *own) && strchr(".=", s[strlen(*own)]))
                return err_set(e, ERR_INPUT, "`%s`: %s belongs to the benchmark", s, *own);
    }
    return true;
}

/* Those that concern the method. */
static bool own_overrides(const struct bench_request *r, struct bench_case *c, const char ***list, size_t *n,
                          struct arena *a, struct err *e)
{
    struct text t = {.arena = a};
    TRY(*list = ARENA_NEW(a, MEM_DATA, const char *, r->n_overrides + 1, e));
    TRY(text_add(&t, e, "%s", ""));
    *n = 0;
    for (size_t i = 0; i < r->n_overrides; i++) {
        const struct method *of = override_method(r->override[i]);
        if (of && of != c->method)
            continue;
        (*list)[(*n)++] = r->override[i];
        TRY(text_add(&t, e, "%s%s", t.len ? "\n" : "", r->override[i]));
    }
    c->overrides = t.s;
    return true;
}

/* ---- one case ---- */

char *bench_case_name(const struct bench_case *c, const struct method *m, struct arena *a, struct err *e)
{
    char layers[32] = "", hash[IO_DIGEST], tail[16] = "";
    TRY(io_sha256(c->overrides, strlen(c->overrides), hash, e));
    if (c->layers)
        snprintf(layers, sizeof layers, "--l%d", c->layers);
    if (*c->overrides)
        snprintf(tail, sizeof tail, "--%.8s", hash);
    return arena_printf(a, e, "%s--%s--%s--b%d%s--t%d%s%s", c->shape.name, m->name, c->lengths.word, c->batch, layers,
                        c->threads, c->eval ? "--eval" : "", tail);
}

static bool fill_lengths(struct bench_case *c, struct arena *a, struct err *e)
{
    struct run_data *d = &c->data;
    d->rows = lengths_cycle(&c->lengths, (size_t)c->batch) * (size_t)c->batch;
    TRY(c->length = ARENA_NEW(a, MEM_DATA, int32_t, d->rows, e));
    lengths_fill(&c->lengths, c->length, d->rows);
    d->shortest = d->longest = c->length[0];
    for (size_t i = 0; i < d->rows; i++) {
        d->tokens += (size_t)c->length[i];
        d->longest = c->length[i] > d->longest ? c->length[i] : d->longest;
        d->shortest = c->length[i] < d->shortest ? c->length[i] : d->shortest;
    }
    return true;
}

static bool check_length(const struct bench_case *c, struct arena *a, struct err *e)
{
    struct model_source source;
    struct model_config config;
    char *name = arena_printf(a, e, "zoo:%s", c->shape.model);
    TRY(name && model_source_open(&source, name, NULL, a, e) && model_config_read(&config, &source, a, e));
    int most = model_config_max_tokens(&config);
    return c->data.longest <= most ||
           err_set(e, ERR_INPUT, "--seq %s: %d tokens are more than the %d of %s (max_position_embeddings)",
                   c->lengths.word, c->data.longest, most, c->shape.name);
}

/* The run that the case is a part of; the schedule and the end of training are far away. */
static bool make_run(const struct bench_request *r, struct bench_case *c, struct arena *a, struct err *e)
{
    const char **overrides;
    size_t n;
    TRY(own_overrides(r, c, &overrides, &n, a, e));
    const char *text = arena_printf(a, e,
                                    "name: bench\nmodel: zoo:%s\ntasks: mrpc\nmethods: [%s]\n"
                                    "train: {batch_size: %d, max_seq_length: %d, max_steps: 1000000}\n",
                                    c->shape.model, c->method->name, c->batch, c->data.longest);
    TRY(text && (c->name = bench_case_name(c, c->method, a, e)));
    struct spec *spec = spec_parse("bench", text, overrides, n, 0, a, &c->why);
    if (!spec && text_starts(c->why.file, "command line")) {
        *e = c->why;
        return false;
    }
    if (!spec)
        return true;
    c->run = &spec->run[0];
    c->run->layers = c->layers;
    if (spec->n_runs > 1)
        return err_set(e, ERR_INPUT, "%s: an override makes several variants; give one value", c->method->name);
    if (c->run->train.batch_size != c->batch || c->run->train.max_seq_length != c->data.longest)
        return err_set(e, ERR_INPUT, "train.batch_size and train.max_seq_length are --batch and --lengths here");
    return true;
}

/* ---- all of them ---- */

static bool parse_batches(int batch[LIST_MAX], size_t *n, const char *list, struct arena *a, struct err *e)
{
    struct words w;
    TRY(split(&w, list, "--batch", a, e));
    for (*n = 0; *n < w.n; (*n)++) {
        long long v;
        if (!text_to_long(w.item[*n], &v) || v < 1 || v > ROWS_MAX)
            return err_set(e, ERR_INPUT, "range: --batch is `%s`; it must lie in [1, %d]", w.item[*n], ROWS_MAX);
        batch[*n] = (int)v;
    }
    return true;
}

/* The axes that cases are made from. */
struct axes {
    struct bench_shape shape[LIST_MAX];
    struct lengths lengths[LIST_MAX];
    int batch[LIST_MAX];
    struct methods methods;
    size_t shapes, n_lengths, batches;
};

static bool parse_axes(struct axes *x, const struct bench_request *r, struct arena *a, struct err *e)
{
    struct words w;
    TRY(split(&w, r->shapes ? r->shapes : "bert-base", "--shape", a, e));
    for (; x->shapes < w.n; x->shapes++)
        TRY(find_shape(&x->shape[x->shapes], w.item[x->shapes], a, e));
    TRY(find_methods(&x->methods, r->methods ? r->methods : "full", a, e) && check_overrides(r, &x->methods, e));
    TRY(split(&w, r->lengths ? r->lengths : "128", "--seq", a, e));
    for (; x->n_lengths < w.n; x->n_lengths++)
        TRY(lengths_parse(&x->lengths[x->n_lengths], w.item[x->n_lengths], e));
    return parse_batches(x->batch, &x->batches, r->batches ? r->batches : "32", a, e);
}

static bool add_methods(struct bench_cases *l, const struct bench_request *r, const struct axes *x,
                        struct bench_case same, struct arena *a, struct err *e)
{
    TRY(fill_lengths(&same, a, e) && check_length(&same, a, e));
    for (size_t m = 0; m < x->methods.n; m++) {
        struct bench_case *c = &l->item[l->n++];
        *c = same;
        c->method = x->methods.item[m];
        TRY(make_run(r, c, a, e));
        c->operations = m == 0 && !c->eval && !r->paced;
    }
    return true;
}

bool bench_cases(struct bench_cases *l, const struct bench_request *r, struct arena *a, struct err *e)
{
    struct axes x = {0};
    TRY(parse_axes(&x, r, a, e));
    size_t all = x.shapes * x.n_lengths * x.batches * x.methods.n;
    if (r->paced && all > 1)
        return err_set(e, ERR_INPUT, "--paced drives one case; this makes %zu", all);
    *l = (struct bench_cases){0};
    TRY(l->item = ARENA_NEW(a, MEM_DATA, struct bench_case, all, e));
    for (size_t s = 0; s < x.shapes; s++)
        for (size_t k = 0; k < x.n_lengths; k++)
            for (size_t b = 0; b < x.batches; b++) {
                int layers = r->layers ? r->layers : x.shape[s].layers;
                struct bench_case c = {.shape = x.shape[s], .lengths = x.lengths[k], .batch = x.batch[b],
                                       .layers = layers, .threads = r->threads, .repeats = r->repeats,
                                       .slice = r->slice, .eval = r->eval};
                TRY(add_methods(l, r, &x, c, a, e));
            }
    return true;
}
