/* Cards of exported directories: see card.h. */
#include "harness/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "build_info.h"

static json_t *json_value(const struct value *v)
{
    switch (v->type) {
    case VALUE_INT: return json_integer(v->i);
    case VALUE_REAL: return isfinite(v->d) ? json_real(v->d) : json_null();
    case VALUE_BOOL: return json_boolean(v->b);
    default: return json_string(v->text);
    }
}

/* The method's options, under their own names. */
static json_t *options(const struct run_record *record)
{
    json_t *out = json_object();
    for (size_t i = 0; i < record->config.n; i++) {
        const struct value *v = &record->config.v[i];
        if (text_starts(v->key, "method."))
            json_object_set_new(out, v->key + strlen("method."), json_value(v));
    }
    return out;
}

static json_t *metrics(const struct run_record *record)
{
    json_t *out = json_object();
    for (size_t i = 0; i < record->metrics; i++) {
        double last = run_record_last(record, record->metric[i]);
        json_object_set_new(out, record->metric[i], isfinite(last) ? json_real(last) : json_null());
    }
    return out;
}

static json_t *make(const struct run_record *record, const struct run_spec *run, const char *to)
{
    const struct values *meta = &record->meta;
    return json_pack("{ss ss ss ss ss ss ss ss sI sI so so ss}", "format", "peftlab-export-1", "program", BUILD_VERSION,
                     "to", to, "run", record->name, "task", run->task->name, "model", run->model.name, "model_digest",
                     values_get_string(meta, "model_digest", ""), "method", run->method->name, "seed",
                     (json_int_t)run->seed, "max_seq_length", (json_int_t)run->train.max_seq_length, "options",
                     options(record), "last_metrics", metrics(record), "spec", values_get_string(meta, "spec", ""));
}

bool card_write(const struct run_record *record, const struct run_spec *run, const char *to, const char *dir,
                struct arena *a, struct err *e)
{
    const char *path = text_path(a, dir, "peftlab.json", e);
    TRY(path);
    json_t *card = make(record, run, to);
    char *text = card ? json_dumps(card, JSON_INDENT(2)) : NULL;
    json_decref(card);
    if (!text)
        return err_at(e, ERR_INPUT, path, 0, 0, "cannot be made: a name is not UTF-8, or memory is out");
    bool ok = io_write_pieces(path, (const struct io_piece[]){{text, strlen(text)}, {"\n", 1}}, 2, e);
    free(text);
    return ok;
}

static bool copy_string(const json_t *card, const char *path, const char *key, const char **to, struct arena *a,
                        struct err *e)
{
    const char *text = NULL;
    TRY(json_get_string(card, path, key, &text, e));
    if (!text)
        return err_at(e, ERR_INPUT, path, 0, 0, "`%s` is missing", key);
    return (*to = arena_strdup(a, text, e)) != NULL;
}

static bool read_card(struct card *c, const json_t *card, const char *path, struct arena *a, struct err *e)
{
    return copy_string(card, path, "to", &c->to, a, e) && copy_string(card, path, "run", &c->run, a, e) &&
           copy_string(card, path, "model", &c->model, a, e) && copy_string(card, path, "task", &c->task, a, e) &&
           copy_string(card, path, "model_digest", &c->model_digest, a, e) &&
           copy_string(card, path, "method", &c->method, a, e) && copy_string(card, path, "spec", &c->spec, a, e) &&
           json_get_int(card, path, "max_seq_length", 4, 1 << 20, &c->max_seq_length, e);
}

bool card_read(struct card *c, const char *dir, struct arena *a, struct err *e)
{
    *c = (struct card){0};
    const char *path = text_path(a, dir, "peftlab.json", e);
    TRY(path);
    if (!io_exists(path))
        return true;
    json_t *card = json_read(path, e);
    TRY(card);
    bool ok = read_card(c, card, path, a, e);
    json_decref(card);
    return ok;
}
