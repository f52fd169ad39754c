/*
 * YAML trees from libyaml's events: see yaml.h. libyaml's own document API keeps duplicate keys, follows aliases into
 * cycles and needs unbounded time on deep nesting, which is why the tree is built here, event by event, with limits.
 */
#include "base/yaml.h"

#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "base/io.h"
#include "base/text.h"

/* Beside size and depth: nodes, since a comma makes one of some hundred bytes; keys of one map, since each is compared
 * with those before it. */
enum { MAX_BYTES = 1 << 20, MAX_DEPTH = 64, MAX_NODES = 100000, MAX_KEYS = 4096 };

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    const char *file;
    const char *text; /* [size] */
    size_t size;
    size_t nodes; /* made so far */
    struct err *e;
};

static bool fail(struct reader *r, yaml_mark_t at, const char *what)
{
    return err_at(r->e, ERR_INPUT, r->file, (int)at.line + 1, (int)at.column + 1, "%s", what);
}

/* The place of a byte: its line, and the characters before it in that line, which are the bytes that begin one. */
static yaml_mark_t mark_of_byte(const struct reader *r, size_t offset)
{
    yaml_mark_t at = {0};
    for (size_t i = 0; i < offset && i < r->size; i++) {
        unsigned char c = (unsigned char)r->text[i];
        if (c == '\n') {
            at.line++;
            at.column = 0;
        } else if ((c & 0xc0) != 0x80) {
            at.column++;
        }
    }
    return at;
}

/* libyaml's own complaint; reader errors (bytes that are no UTF-8, control characters) have only an offset. */
static bool fail_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, ERR_ENV, "out of memory while reading %s", r->file);
    const char *problem = p->problem ? p->problem : "not valid YAML";
    if (p->error == YAML_READER_ERROR)
        return fail(r, mark_of_byte(r, p->problem_offset), problem);
    return fail(r, p->problem_mark, problem);
}

static bool next(struct reader *r, yaml_event_t *ev)
{
    return yaml_parser_parse(&r->parser, ev) ? true : fail_parser(r);
}

static bool refuse_marks(struct reader *r, const yaml_event_t *ev)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (ev->type == YAML_ALIAS_EVENT)
        return fail(r, ev->start_mark, "aliases (*name) are not supported");
    if (ev->type == YAML_SCALAR_EVENT)
        anchor = ev->data.scalar.anchor, tag = ev->data.scalar.tag;
    else if (ev->type == YAML_SEQUENCE_START_EVENT)
        anchor = ev->data.sequence_start.anchor, tag = ev->data.sequence_start.tag;
    else if (ev->type == YAML_MAPPING_START_EVENT)
        anchor = ev->data.mapping_start.anchor, tag = ev->data.mapping_start.tag;
    if (anchor)
        return fail(r, ev->start_mark, "anchors (&name) are not supported");
    if (tag)
        return fail(r, ev->start_mark, "tags (!name) are not supported");
    return true;
}

static struct yaml *new_node(struct reader *r, enum yaml_kind kind, yaml_mark_t at)
{
    if (++r->nodes > MAX_NODES) {
        fail(r, at, "more values than a spec can need (100000)");
        return NULL;
    }
    struct yaml *y = ARENA_NEW(r->arena, MEM_DATA, struct yaml, 1, r->e);
    TRY(y);
    *y = (struct yaml){.kind = kind, .file = r->file, .line = (int)at.line + 1, .col = (int)at.column + 1, .value = ""};
    return y;
}

static struct yaml *build(struct reader *r, yaml_event_t *ev, int depth);

static struct yaml *build_next(struct reader *r, int depth, yaml_event_type_t end, bool *ended)
{
    yaml_event_t ev;
    *ended = false;
    TRY(next(r, &ev));
    struct yaml *y = NULL;
    if (ev.type == end)
        *ended = true;
    else
        y = build(r, &ev, depth);
    yaml_event_delete(&ev);
    return y;
}

static bool build_list(struct reader *r, struct yaml *list, int depth)
{
    for (struct yaml **tail = &list->child;; tail = &(*tail)->next) {
        bool ended;
        *tail = build_next(r, depth, YAML_SEQUENCE_END_EVENT, &ended);
        if (ended)
            return true;
        TRY(*tail);
    }
}

static bool check_key(struct reader *r, const struct yaml *map, const struct yaml *key)
{
    if (key->kind != YAML_SCALAR)
        return err_at(r->e, ERR_INPUT, r->file, key->line, key->col, "a key must be a word");
    if (strcmp(key->value, "<<") == 0 && !key->quoted)
        return err_at(r->e, ERR_INPUT, r->file, key->line, key->col, "merge keys (<<) are not supported");
    const struct yaml *twin = yaml_get(map, key->value);
    if (twin)
        return err_at(r->e, ERR_INPUT, r->file, key->line, key->col, "key `%s` is given twice; first in line %d",
                      key->value, twin->key_line);
    return true;
}

static bool build_map(struct reader *r, struct yaml *map, int depth)
{
    int keys = 0;
    for (struct yaml **tail = &map->child;; tail = &(*tail)->next) {
        bool ended;
        struct yaml *key = build_next(r, depth, YAML_MAPPING_END_EVENT, &ended);
        if (ended)
            return true;
        TRY(key && check_key(r, map, key));
        if (++keys > MAX_KEYS)
            return err_at(r->e, ERR_INPUT, r->file, key->line, key->col, "more than 4096 keys in one map");
        struct yaml *y = build_next(r, depth, YAML_NO_EVENT, &ended);
        TRY(y);
        y->key = key->value;
        y->key_line = key->line;
        y->key_col = key->col;
        *tail = y;
    }
}

static struct yaml *build_scalar(struct reader *r, const yaml_event_t *ev)
{
    struct yaml *y = new_node(r, YAML_SCALAR, ev->start_mark);
    TRY(y);
    const char *value = (const char *)ev->data.scalar.value;
    if (strlen(value) != ev->data.scalar.length) {
        fail(r, ev->start_mark, "a NUL character is not allowed");
        return NULL;
    }
    y->value = arena_strdup(r->arena, value, r->e);
    y->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return y->value ? y : NULL;
}

static struct yaml *build(struct reader *r, yaml_event_t *ev, int depth)
{
    TRY(refuse_marks(r, ev));
    if (ev->type == YAML_SCALAR_EVENT)
        return build_scalar(r, ev);
    if (depth >= MAX_DEPTH) {
        fail(r, ev->start_mark, "nested more than 64 levels deep");
        return NULL;
    }
    bool is_map = ev->type == YAML_MAPPING_START_EVENT;
    struct yaml *y = new_node(r, is_map ? YAML_MAP : YAML_LIST, ev->start_mark);
    TRY(y);
    TRY(is_map ? build_map(r, y, depth + 1) : build_list(r, y, depth + 1));
    return y;
}

/* Stream start, at most one document, stream end. */
static struct yaml *build_document(struct reader *r)
{
    struct yaml *root = NULL;
    for (;;) {
        yaml_event_t ev;
        TRY(next(r, &ev));
        yaml_event_type_t type = ev.type;
        bool ok = true;
        if (type == YAML_DOCUMENT_START_EVENT && root)
            ok = fail(r, ev.start_mark, "a second document (---) is not supported");
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                 type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
            ok = (root = build(r, &ev, 0)) != NULL;
        yaml_mark_t at = ev.start_mark;
        yaml_event_delete(&ev);
        TRY(ok);
        if (type == YAML_STREAM_END_EVENT) {
            at.line = at.column = 0;
            return root ? root : new_node(r, YAML_MAP, at);
        }
    }
}

struct yaml *yaml_parse(struct arena *a, const char *name, const char *text, size_t size, struct err *e)
{
    if (size > MAX_BYTES) {
        err_at(e, ERR_INPUT, name, 0, 0, "is %zu bytes long; the limit is %d", size, MAX_BYTES);
        return NULL;
    }
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark is no column */
        text += 3;
        size -= 3;
    }
    struct reader r = {.arena = a, .e = e, .text = text, .size = size, .file = arena_strdup(a, name, e)};
    TRY(r.file);
    if (!yaml_parser_initialize(&r.parser)) {
        err_set(e, ERR_ENV, "out of memory while reading %s", name);
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    struct yaml *root = build_document(&r);
    yaml_parser_delete(&r.parser);
    if (root && root->kind == YAML_SCALAR && yaml_is_null(root))
        root->kind = YAML_MAP; /* a file of comments alone */
    return root;
}

struct yaml *yaml_read(struct arena *a, const char *path, struct err *e)
{
    size_t size;
    char *text = io_read(a, path, MAX_BYTES, &size, e);
    TRY(text);
    return yaml_parse(a, path, text, size, e);
}

struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (struct yaml *y = map->child; y; y = y->next)
        if (strcmp(y->key, key) == 0)
            return y;
    return NULL;
}

size_t yaml_count(const struct yaml *y)
{
    size_t n = 0;
    for (const struct yaml *c = y->child; c; c = c->next)
        n++;
    return n;
}

bool yaml_is_null(const struct yaml *y)
{
    return y->kind == YAML_SCALAR && !y->quoted &&
           (!*y->value || strcmp(y->value, "~") == 0 || strcmp(y->value, "null") == 0);
}

const char *yaml_kind_name(const struct yaml *y)
{
    static const char *const kinds[] = {[YAML_SCALAR] = "a scalar", [YAML_LIST] = "a list", [YAML_MAP] = "a map"};
    return kinds[y->kind];
}

bool yaml_err(struct err *e, const struct yaml *y, const char *fmt, ...)
{
    char msg[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return err_at(e, ERR_INPUT, y->file, y->line, y->col, "%s", msg);
}

bool yaml_err_key(struct err *e, const struct yaml *y, const char *fmt, ...)
{
    char msg[sizeof e->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    bool has_key = y->key && y->key_line > 0;
    return err_at(e, ERR_INPUT, y->file, has_key ? y->key_line : y->line, has_key ? y->key_col : y->col, "%s", msg);
}

bool yaml_only_keys(const struct yaml *map, const char *const *known, const char *what, struct err *e)
{
    if (map->kind != YAML_MAP && !yaml_is_null(map))
        return yaml_err(e, map, "%s is %s; it must be a map", what, yaml_kind_name(map));
    for (const struct yaml *y = map->child; y; y = y->next) {
        bool found = false;
        for (const char *const *k = known; *k && !found; k++)
            found = strcmp(*k, y->key) == 0;
        char hint[128];
        if (!found)
            return yaml_err_key(e, y, "unknown key `%s` for %s%s", y->key, what,
                                text_did_you_mean(y->key, known, hint, sizeof hint));
    }
    return true;
}
