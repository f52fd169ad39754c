/* docs/schema.md and written files agree: nothing is written that is not listed, nothing listed as present is
 * missing. */
#include "tests/results/fixture.h"

#include <hdf5.h>

#include "base/text.h"
#include "results/bench_record.h"

enum { LISTED = 300 };

static struct arena *arena;
static struct err e;

/* One row of a table: path, is it optional, was it seen; for datasets type and units. */
struct listed {
    char path[128], type[64], units[32];
    bool optional, seen;
};
static struct listed rows[LISTED];
static size_t listed;

static void cut(const char **s, char *out, size_t size)
{
    const char *end = strstr(*s, " |");
    assert_non_null(end);
    snprintf(out, size, "%.*s", (int)(end - *s), *s);
    *s = end + 3 < end + strlen(end) ? end + 3 : end + strlen(end);
}

#define BENCHMARKS "\n# Benchmarks"

/* The part on runs, or that on benchmarks. Rows look like: | `/path`? | type | units | meaning | */
static void read_schema(bool benchmarks)
{
    const char *text = io_read(arena, PEFTLAB_SOURCE_DIR "/docs/schema.md", 0, NULL, &e);
    ASSERT_OK(text, &e);
    const char *second = strstr(text, BENCHMARKS);
    assert_non_null(second);
    for (const char *line = benchmarks ? second : text; line; line = strchr(line, '\n')) {
        if (!benchmarks && line >= second)
            break;
        line += *line == '\n';
        if (strncmp(line, "| `/", 4) != 0)
            continue;
        struct listed *l = &rows[listed++];
        char name[128];
        const char *s = line + 2;
        assert_true(listed < LISTED);
        cut(&s, name, sizeof name);
        cut(&s, l->type, sizeof l->type);
        cut(&s, l->units, sizeof l->units);
        l->optional = text_ends(name, "?") || strchr(name, '<');
        snprintf(l->path, sizeof l->path, "%.*s", (int)(strrchr(name, '`') - name - 1), name + 1);
    }
}

/* `<name>` stands for one name. */
static bool fits(const char *pattern, const char *path)
{
    for (; *pattern && *pattern != '<'; pattern++, path++)
        if (*pattern != *path)
            return false;
    if (!*pattern)
        return !*path;
    const char *rest = strchr(pattern, '>') + 1;
    size_t n = *rest == '@' ? strcspn(path, "/@") : strcspn(path, "/");
    return n > 0 && strcmp(rest, path + n) == 0;
}

/* A name of its own goes before a placeholder. */
static struct listed *find(const char *path)
{
    struct listed *found = NULL;
    for (size_t i = 0; i < listed; i++)
        if (fits(rows[i].path, path) && (!found || !strchr(rows[i].path, '<')))
            found = &rows[i];
    return found;
}

static struct listed *see(const char *path)
{
    struct listed *l = find(path);
    if (!l)
        fail_msg("%s is written, but docs/schema.md does not list it", path);
    l->seen = true;
    return l;
}

/* ---- the file ---- */

static const char *const own[] = {"units", "description", "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST",
                                  "DIMENSION_LABELS", NULL};

static herr_t see_attribute(hid_t id, const char *name, const H5A_info_t *info, void *data)
{
    char path[512];
    (void)info;
    if (H5Iget_type(id) == H5I_DATASET)
        for (const char *const *o = own; *o; o++)
            if (strcmp(*o, name) == 0)
                return 0;
    snprintf(path, sizeof path, "%s@%s", (const char *)data, name);
    see(path);
    return 0;
}

static void type_word(hid_t id, char *out, size_t size)
{
    hid_t type = H5Dget_type(id), space = H5Dget_space(id);
    int bits = 8 * (int)H5Tget_size(type), rank = H5Sget_simple_extent_ndims(space);
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_STRING)
        snprintf(out, size, "string");
    else if (class == H5T_FLOAT)
        snprintf(out, size, "float%d", bits);
    else
        snprintf(out, size, "%sint%d", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
    snprintf(out + strlen(out), size - strlen(out), " rank %d", rank);
    H5Sclose(space);
    H5Tclose(type);
}

/* `float64 [E, P]` -> `float64 rank 2` */
static void listed_word(const char *type, char *out, size_t size)
{
    int rank = strchr(type, '[') ? 1 : 0;
    for (const char *s = type; *s; s++)
        rank += *s == ',';
    snprintf(out, size, "%.*s rank %d", (int)strcspn(type, " "), type, rank);
}

static void check_dataset(hid_t id, const char *path)
{
    char is[64], should[64], *units = NULL;
    struct listed *l = see(path);
    type_word(id, is, sizeof is);
    listed_word(l->type, should, sizeof should);
    if (strcmp(is, should) != 0 && !text_ends(l->path, "<text>") && strcmp(is, "string rank 0") != 0)
        fail_msg("%s is %s; docs/schema.md says %s", path, is, l->type);
    hid_t at = H5Aopen(id, "units", H5P_DEFAULT), type = H5Aget_type(at);
    assert_true(at >= 0 && H5Aread(at, type, &units) >= 0);
    if (strcmp(l->units, "its own") != 0 && strcmp(units, l->units) != 0 && strcmp(units, "text") != 0)
        fail_msg("%s has units %s; docs/schema.md says %s", path, units, l->units);
    H5free_memory(units);
    H5Tclose(type);
    H5Aclose(at);
    assert_true(H5Aexists(id, "description") > 0);
}

static herr_t see_object(hid_t file, const char *name, const H5O_info_t *info, void *data)
{
    char path[512];
    (void)data;
    snprintf(path, sizeof path, "/%s", strcmp(name, ".") == 0 ? "" : name);
    hid_t id = H5Oopen(file, path, H5P_DEFAULT);
    if (info->type == H5O_TYPE_DATASET)
        check_dataset(id, path);
    H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, NULL, see_attribute, path);
    H5Oclose(id);
    return 0;
}

static void compare_file(const char *path, bool everything)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    assert_true(H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, see_object, NULL) >= 0);
    H5Fclose(file);
    for (size_t i = 0; i < listed; i++)
        if (!rows[i].seen && (everything ? !strchr(rows[i].path, '<') : !rows[i].optional))
            fail_msg("docs/schema.md lists %s, but it is not written", rows[i].path);
}

static void compare(const struct run_record *r, bool everything)
{
    const char *path = test_path("a.h5");
    ASSERT_OK(run_record_write(r, path, &e), &e);
    compare_file(path, everything);
}

TEST(a_full_file_has_everything_that_is_listed_and_nothing_else)
{
    arena = arena_create(NULL);
    struct run_record r = fixture_run(arena, &fixture_one);
    r.predictions_mm = r.predictions;
    ASSERT_OK(values_text(&r.config, "long", "text", &e) && values_text(&r.report_facts, "long", "text", &e), &e);
    ASSERT_OK(series_set(&r.train, "extra", 1, &e), &e);
    read_schema(false);
    compare(&r, true);
    arena_destroy(arena);
}

TEST(an_empty_run_has_all_that_is_not_optional)
{
    struct run_record r;
    arena = arena_create(NULL);
    ASSERT_OK(run_record_init(&r, arena, &e), &e);
    read_schema(false);
    compare(&r, false);
    arena_destroy(arena);
}

TEST(a_benchmark_has_what_is_listed)
{
    static struct bench_operation operation = {"GELU", 1e-3, 10, 20};
    arena = arena_create(NULL);
    struct bench_record r = {.name = "n", .shape = "mini", .method = "full", .lengths = "128", .meta.arena = arena,
                             .samples.arena = arena, .operation = &operation, .operations = 1, .bandwidth = 1e10};
    ASSERT_OK(values_string(&r.meta, "cpu", "x", &e) && values_text(&r.meta, "spec", "model: x", &e), &e);
    ASSERT_OK(series_column(&r.samples, "steps", "step", "", &e), &e);
    ASSERT_OK(series_column(&r.samples, "seconds", "s", "", &e), &e);
    ASSERT_OK(series_column(&r.samples, "tokens", "token", "", &e), &e);
    ASSERT_OK(series_column(&r.samples, "flops", "flop", "", &e), &e);
    ASSERT_OK(series_column(&r.samples, "sgemm_gflops", "Gflop/s", "", &e), &e);
    ASSERT_OK(series_column(&r.samples, "forward", "s", "", &e) && series_row(&r.samples, &e), &e);
    ASSERT_OK(bench_record_write(&r, test_path("b.h5"), &e), &e);
    read_schema(true);
    compare_file(test_path("b.h5"), true);
    arena_destroy(arena);
}
