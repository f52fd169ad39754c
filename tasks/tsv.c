/* Lines and fields of TSV files: see tsv.h. */
#include "tasks/tsv.h"

#include <assert.h>
#include <string.h>

#include "base/io.h"

bool tsv_open(struct tsv *f, const char *path, struct arena *a, struct err *e)
{
    size_t size;
    const char *data = io_read(a, path, 0, &size, e);
    TRY(data);
    *f = (struct tsv){.path = path, .next = data, .end = data + size};
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        f->next += 3;
    return f->next < f->end || err_at(e, ERR_INPUT, path, 0, 0, "the file is empty");
}

/* True when nothing but line ends is left. */
static bool blank_rest(const struct tsv *f)
{
    for (const char *s = f->next; s < f->end; s++)
        if (*s != '\n' && *s != '\r')
            return false;
    return true;
}

int tsv_column(const struct tsv *f, const char *place)
{
    int column = 1;
    for (const char *s = f->text; s < place; s++)
        column += ((unsigned char)*s & 0xc0) != 0x80; /* continuation bytes of UTF-8 are not characters */
    return column;
}

bool tsv_next(struct tsv *f, bool *more, struct err *e)
{
    *more = false;
    if (f->next == f->end || ((*f->next == '\n' || *f->next == '\r') && blank_rest(f)))
        return true;
    f->line++;
    f->text = f->next;
    const char *stop = memchr(f->next, '\n', (size_t)(f->end - f->next));
    f->next = stop ? stop + 1 : f->end;
    f->size = (size_t)((stop ? stop : f->end) - f->text);
    if (f->size && f->text[f->size - 1] == '\r')
        f->size--;
    if (f->size > TSV_LINE_MAX)
        return err_at(e, ERR_INPUT, f->path, f->line, 1, "the line is %zu bytes long; the limit is %d", f->size,
                      TSV_LINE_MAX);
    const char *nul = memchr(f->text, 0, f->size);
    if (nul)
        return err_at(e, ERR_INPUT, f->path, f->line, tsv_column(f, nul), "a NUL byte; the file is not text");
    return *more = true;
}

long long tsv_fields(const struct tsv *f)
{
    long long n = 1;
    for (size_t i = 0; i < f->size; i++)
        n += f->text[i] == '\t';
    return n;
}

const char *tsv_field(const struct tsv *f, long long i, size_t *size)
{
    const char *s = f->text, *end = f->text + f->size;
    for (; i > 0; i--) {
        s = memchr(s, '\t', (size_t)(end - s));
        assert(s);
        s++;
    }
    const char *tab = memchr(s, '\t', (size_t)(end - s));
    *size = (size_t)((tab ? tab : end) - s);
    return s;
}
