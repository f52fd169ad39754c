/*
 * How special tokens and texts follow each other, from the `post_processor` of a tokenizer.json: TemplateProcessing
 * (pieces SpecialToken and Sequence, each with a type id) or BertProcessing. Without one, the texts stand alone.
 */
#include <string.h>

#include "models/tokenizer_impl.h"

static bool layout_create(struct layout *l, size_t n, struct arena *a, struct err *e)
{
    *l = (struct layout){0};
    return (l->pieces = ARENA_NEW(a, MEM_DATA, struct layout_piece, n, e)) != NULL;
}

static void add_id(struct layout *l, int32_t id, int32_t type)
{
    l->pieces[l->n++] = (struct layout_piece){LAYOUT_ID, id, type};
    l->n_special++;
}

static void add_text(struct layout *l, bool is_a, int32_t type)
{
    l->pieces[l->n++] = (struct layout_piece){.what = is_a ? LAYOUT_A : LAYOUT_B, .type = type};
}

bool layout_bert(struct tokenizer *t, int32_t cls, int32_t sep, struct arena *a, struct err *e)
{
    TRY(layout_create(&t->single, 3, a, e) && layout_create(&t->pair, 5, a, e));
    for (int i = 0; i < 2; i++) {
        struct layout *l = i ? &t->pair : &t->single;
        add_id(l, cls, 0);
        add_text(l, true, 0);
        add_id(l, sep, 0);
    }
    add_text(&t->pair, false, 1);
    add_id(&t->pair, sep, 1);
    return true;
}

/* A, and A B with type 1 for B: what the reference does without a post_processor. */
static bool open_none(struct tokenizer *t, struct arena *a, struct err *e)
{
    TRY(layout_create(&t->single, 1, a, e) && layout_create(&t->pair, 2, a, e));
    add_text(&t->single, true, 0);
    add_text(&t->pair, true, 0);
    add_text(&t->pair, false, 1);
    return true;
}

/* ["[CLS]", 101] */
static bool bert_token(const struct json_at *post, const char *key, long long *id, struct err *e)
{
    struct json_at token = json_at_key(post, key);
    TRY(json_at_array(&token, false, e));
    struct json_at number = json_at_index(&token, 1);
    return json_at_integer(&number, INT32_MAX - 1, id, e);
}

static bool open_bert(struct tokenizer *t, const struct json_at *post, struct arena *a, struct err *e)
{
    long long cls, sep;
    TRY(bert_token(post, "cls", &cls, e) && bert_token(post, "sep", &sep, e));
    return layout_bert(t, (int32_t)cls, (int32_t)sep, a, e);
}

/* The ids behind {"id": "[CLS]", "type_id": 0}, as `special_tokens` defines them. */
static bool special_ids(const struct json_at *post, const struct json_at *piece, struct json_at *ids, struct err *e)
{
    const char *name;
    TRY(json_at_string(piece, "id", &name, NULL, e));
    struct json_at all = json_at_key(post, "special_tokens"), one = json_at_key(&all, name);
    if (!one.value) {
        struct json_at id = json_at_key(piece, "id");
        return json_at_err(&id, e, "is `%.64s`, which `%s` does not define", name, all.path);
    }
    *ids = json_at_key(&one, "ids");
    return json_at_array(ids, true, e);
}

/* A piece of special tokens: all its ids, each with the type of the piece. */
static bool open_special(struct layout *l, const struct json_at *post, const struct json_at *piece, int32_t type,
                         struct err *e)
{
    struct json_at ids;
    TRY(special_ids(post, piece, &ids, e));
    for (size_t i = 0; i < json_array_size(ids.value); i++) {
        struct json_at number = json_at_index(&ids, i);
        long long id;
        TRY(json_at_integer(&number, INT32_MAX - 1, &id, e));
        add_id(l, (int32_t)id, type);
    }
    return true;
}

/* A piece that stands for a text; count[0] and count[1] tell how often A and B came. */
static bool open_sequence(struct layout *l, const struct json_at *piece, int32_t type, int count[2], struct err *e)
{
    const char *name;
    TRY(json_at_string(piece, "id", &name, NULL, e));
    if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0) {
        struct json_at id = json_at_key(piece, "id");
        return json_at_err(&id, e, "is `%.64s`; it must be `A` or `B`", name);
    }
    count[name[0] == 'B']++;
    add_text(l, name[0] == 'A', type);
    return true;
}

/* Pieces that the array `template` needs at most: one for each element and id. */
static size_t layout_bound(const struct json_at *post, const struct json_at *template)
{
    struct json_at all = json_at_key(post, "special_tokens");
    size_t most = 1;
    const char *key;
    json_t *one;
    json_object_foreach((json_t *)all.value, key, one)
        if (json_array_size(json_object_get(one, "ids")) > most)
            most = json_array_size(json_object_get(one, "ids"));
    return most * json_array_size(template->value);
}

/* One of the templates `single` and `pair`: A once, and B once in a pair and never else. */
static bool open_template(struct layout *l, const struct json_at *post, const char *key, struct arena *a, struct err *e)
{
    struct json_at template = json_at_key(post, key);
    int count[2] = {0}, pair = key[0] == 'p';
    TRY(json_at_array(&template, false, e));
    TRY(layout_create(l, layout_bound(post, &template), a, e));
    for (size_t i = 0; i < json_array_size(template.value); i++) {
        struct json_at element = json_at_index(&template, i);
        struct json_at special = json_at_key(&element, "SpecialToken"), text = json_at_key(&element, "Sequence");
        const struct json_at *piece = special.value ? &special : &text;
        long long type;
        if (!piece->value)
            return json_at_err(&element, e, "must hold `SpecialToken` or `Sequence`");
        TRY(json_at_int(piece, "type_id", INT32_MAX, &type, e));
        TRY(special.value ? open_special(l, post, piece, (int32_t)type, e)
                          : open_sequence(l, piece, (int32_t)type, count, e));
    }
    if (count[0] != 1 || count[1] != pair)
        return json_at_err(&template, e, pair ? "must hold the sequences A and B once each"
                                              : "must hold the sequence A once and no other");
    return true;
}

bool layout_open(struct tokenizer *t, const struct json_at *root, struct arena *a, struct err *e)
{
    struct json_at post = json_at_key(root, "post_processor");
    const char *type;
    if (!json_at_given(&post))
        return open_none(t, a, e);
    TRY(json_at_object(&post, true, e));
    TRY(json_at_string(&post, "type", &type, NULL, e));
    if (strcmp(type, "BertProcessing") == 0)
        return open_bert(t, &post, a, e);
    if (strcmp(type, "TemplateProcessing") == 0)
        return open_template(&t->single, &post, "single", a, e) && open_template(&t->pair, &post, "pair", a, e);
    struct json_at at = json_at_key(&post, "type");
    return json_at_err(&at, e, "is `%.64s`; supported: TemplateProcessing, BertProcessing", type);
}
