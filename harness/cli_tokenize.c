/* tokenize: one line of ids for each line of text. Lines end at \n alone; what else is in them is text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli_impl.h"
#include "models/config.h"
#include "models/tokenizer.h"

static bool print_ids(struct cli_call *c, const struct encoding *x, struct err *e)
{
    for (int i = 0; i < x->n; i++)
        if (fprintf(c->out, i ? " %d" : "%d", (int)x->ids[i]) < 0)
            return err_errno(e, ERR_ENV, "standard output", "cannot be written");
    return cli_print(c, "\n", e);
}

static bool each_line(struct cli_call *c, FILE *in, const struct tokenizer *t, int max_length, struct arena *scratch,
                      struct err *e)
{
    char *line = NULL;
    size_t cap = 0;
    bool ok = true;
    for (ssize_t n; ok && (n = getdelim(&line, &cap, '\n', in)) > 0;) {
        struct arena_mark mark = arena_mark(scratch);
        struct encoding x;
        n -= line[n - 1] == '\n';
        ok = tokenizer_encode(t, line, (size_t)n, NULL, 0, max_length, &x, scratch, e) && print_ids(c, &x, e);
        arena_release(scratch, mark);
    }
    free(line);
    if (ok && ferror(in))
        return err_errno(e, ERR_INPUT, c->n_args > 1 ? c->arg[1] : "standard input", "cannot be read");
    return ok;
}

bool cli_tokenize(struct cli_call *c, struct err *e)
{
    struct model_source source;
    struct model_config config;
    const char *path = c->n_args > 1 && strcmp(c->arg[1], "-") != 0 ? c->arg[1] : "/dev/stdin";
    TRY(model_source_open(&source, c->arg[0], NULL, c->arena, e) && model_config_read(&config, &source, c->arena, e));
    const struct tokenizer *t = tokenizer_open(&source, c->arena, e);
    struct arena *scratch = t ? arena_create(NULL) : NULL;
    FILE *in = scratch ? fopen(path, "rb") : NULL;
    bool ok = in && each_line(c, in, t, model_config_max_tokens(&config), scratch, e);
    if (t && !scratch)
        err_set(e, ERR_ENV, "out of memory");
    else if (scratch && !in)
        err_errno(e, ERR_INPUT, path, "cannot be opened");
    if (in)
        fclose(in);
    arena_destroy(scratch);
    return ok;
}
