/* Records: what is written comes back bit for bit; damaged, foreign and unwritable files are clean errors. */
#include "tests/results/fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static struct arena *arena;
static struct err e;

static struct run_record made(void)
{
    arena = arena_create(NULL);
    return fixture_run(arena, &fixture_one);
}

static void same_series(const struct series *a, const struct series *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->columns, b->columns);
    for (size_t i = 0; i < a->columns; i++) {
        const struct series_column *c = series_find(b, a->column[i].name);
        assert_non_null(c);
        assert_string_equal(c->units, a->column[i].units);
        assert_string_equal(c->description, a->column[i].description);
        assert_memory_equal(c->v, a->column[i].v, a->rows * sizeof(double));
    }
}

static void same_predictions(const struct predictions *a, const struct predictions *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->labels, b->labels);
    assert_int_equal(a->regression, b->regression);
    assert_memory_equal(a->index, b->index, a->rows * sizeof *a->index);
    assert_memory_equal(a->label, b->label, a->rows * sizeof *a->label);
    assert_memory_equal(a->prediction, b->prediction, a->rows * sizeof *a->prediction);
    assert_memory_equal(a->scores, b->scores, a->rows * a->labels * sizeof *a->scores);
    for (size_t i = 0; i < a->labels; i++)
        assert_string_equal(a->names[i], b->names[i]);
}

static void same_gradients(const struct gradient_log *a, const struct gradient_log *b)
{
    assert_int_equal(a->steps, b->steps);
    assert_int_equal(a->params, b->params);
    assert_memory_equal(a->step, b->step, a->steps * sizeof *a->step);
    assert_memory_equal(a->size, b->size, a->params * sizeof *a->size);
    assert_memory_equal(a->cell, b->cell, a->steps * a->params * sizeof *a->cell);
    for (size_t i = 0; i < a->params; i++)
        assert_string_equal(a->name[i], b->name[i]);
}

static void same_record(const struct run_record *a, const struct run_record *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->variant, b->variant);
    assert_int_equal(a->seed, b->seed);
    assert_int_equal(a->status, b->status);
    same_series(&a->train, &b->train);
    same_series(&a->eval, &b->eval);
    same_series(&a->report, &b->report);
    assert_int_equal(a->metrics, b->metrics);
    for (size_t i = 0; i < a->metrics; i++)
        assert_string_equal(a->metric[i], b->metric[i]);
    assert_int_equal(a->best_row, b->best_row);
    same_predictions(&a->predictions, &b->predictions);
    same_gradients(&a->gradients, &b->gradients);
    assert_memory_equal(a->memory.peak, b->memory.peak, sizeof a->memory.peak);
    assert_memory_equal(a->memory.at_peak, b->memory.at_peak, sizeof a->memory.at_peak);
    assert_int_equal(a->memory.peak_live, b->memory.peak_live);
    assert_int_equal(a->peak_rss, b->peak_rss);
    assert_int_equal(a->phases, b->phases);
    assert_int_equal(a->trainable, b->trainable);
    assert_int_equal(a->export_bytes, b->export_bytes);
    ASSERT_NEAR(a->flops, b->flops, 0);
    ASSERT_NEAR(a->seconds_total, b->seconds_total, 0);
    assert_string_equal(values_get_string(&b->meta, "spec", ""), "name: x\nmodel: zoo:mini\n");
    assert_int_equal(values_find(&b->meta, "spec")->type, VALUE_TEXT);
    assert_int_equal(values_find(&b->config, "method.rslora")->b, true);
    assert_int_equal(values_find(&b->config, "train.batch_size")->i, 32);
    ASSERT_NEAR(values_find(&b->config, "train.learning_rate")->d, 1e-4, 0);
    assert_int_equal(values_find(&b->report_facts, "kept_entries")->i, 1234);
}

TEST(file_gives_back_what_was_written)
{
    struct run_record r = made(), back;
    const char *path = test_path("a.h5");
    ASSERT_OK(run_record_write(&r, path, &e), &e);
    ASSERT_OK(run_record_read(&back, arena, path, RUN_READ_ALL, &e), &e);
    same_record(&r, &back);
    arena_destroy(arena);
}

TEST(image_gives_back_what_was_written_and_can_go_on)
{
    struct run_record r = made(), back;
    struct io_piece image, again;
    ASSERT_OK(run_record_image(&r, arena, &image, &e), &e);
    ASSERT_OK(run_record_read_image(&back, arena, image, "checkpoint", &e), &e);
    same_record(&r, &back);
    ASSERT_OK(run_record_image(&back, arena, &again, &e), &e);
    ASSERT_OK(run_record_read_image(&r, arena, again, "checkpoint", &e), &e);
    same_record(&r, &back);
    ASSERT_OK(series_row(&back.train, &e), &e);
    ASSERT_OK(series_set(&back.train, "loss", .5, &e), &e);
    assert_int_equal(back.train.rows, 121);
    ASSERT_NEAR(series_get(&back.train, "loss", 120), .5, 0);
    assert_non_null(gradient_log_step(&back.gradients, 999, &e));
    ASSERT_OK(run_record_time(&back, "train", 1, &e), &e);
    assert_int_equal(back.phases, 2);
    arena_destroy(arena);
}

TEST(equal_records_give_equal_bytes)
{
    struct run_record r = made();
    struct io_piece a, b;
    ASSERT_OK(run_record_image(&r, arena, &a, &e), &e);
    ASSERT_OK(run_record_image(&r, arena, &b, &e), &e);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    arena_destroy(arena);
}

TEST(empty_record_is_a_valid_file)
{
    struct run_record r, back;
    arena = arena_create(NULL);
    ASSERT_OK(run_record_init(&r, arena, &e), &e);
    r.status = RUN_FAILED;
    r.error = "no such file";
    ASSERT_OK(run_record_write(&r, test_path("a.h5"), &e), &e);
    ASSERT_OK(run_record_read(&back, arena, test_path("a.h5"), RUN_READ_ALL, &e), &e);
    assert_string_equal(back.error, "no such file");
    assert_int_equal(back.train.rows, 0);
    assert_int_equal(back.trainable, -1);
    assert_true(isnan(back.flops));
    assert_true(isnan(run_record_best(&back, "accuracy")));
    enum run_status status;
    ASSERT_OK(run_record_read_status(test_path("a.h5"), &status, &e), &e);
    assert_int_equal(status, RUN_FAILED);
    arena_destroy(arena);
}

TEST(long_texts_and_a_part_of_the_file)
{
    struct run_record r = made(), back;
    char *text = arena_alloc(arena, MEM_DATA, 200001, &e);
    memset(text, 'x', 200000);
    ASSERT_OK(values_text(&r.meta, "spec", text, &e), &e);
    ASSERT_OK(values_string(&r.config, "long", text, &e), &e);
    ASSERT_OK(run_record_write(&r, test_path("a.h5"), &e), &e);
    ASSERT_OK(run_record_read(&back, arena, test_path("a.h5"), 0, &e), &e);
    assert_string_equal(values_get_string(&back.meta, "spec", ""), text);
    assert_string_equal(values_get_string(&back.config, "long", ""), text);
    assert_int_equal(back.predictions.rows, 0);
    assert_int_equal(back.gradients.steps, 0);
    arena_destroy(arena);
}

/* ---- damage ---- */

static bool read_bytes(const char *bytes, size_t size)
{
    struct run_record r;
    struct arena *a = arena_create(NULL);
    FILE *f = fopen(test_path("damaged.h5"), "wb");
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
    bool ok = run_record_read(&r, a, test_path("damaged.h5"), RUN_READ_ALL, &e);
    if (!ok) {
        assert_int_equal(e.code, ERR_INPUT);
        assert_string_equal(e.file, test_path("damaged.h5"));
    }
    arena_destroy(a);
    return ok;
}

TEST(truncated_files_are_refused)
{
    struct run_record r = made();
    struct io_piece image;
    ASSERT_OK(run_record_image(&r, arena, &image, &e), &e);
    for (size_t size = 0; size < image.size; size += 1 + image.size / 60)
        assert_false(read_bytes(image.data, size));
    assert_false(read_bytes(image.data, image.size - 1));
    arena_destroy(arena);
}

TEST(a_damaged_byte_is_noticed)
{
    struct run_record r = made();
    size_t size;
    char expected[700];
    snprintf(expected, sizeof expected, "%s: is damaged: its bytes do not match its checksum", test_path("damaged.h5"));
    ASSERT_OK(run_record_write(&r, test_path("a.h5"), &e), &e);
    char *bytes = io_read(arena, test_path("a.h5"), 0, &size, &e);
    assert_true(read_bytes(bytes, size));
    for (size_t at = 0; at < size - 200; at += 1 + size / 50) {
        bytes[at] ^= 0x10;
        ASSERT_ERR(read_bytes(bytes, size), &e, expected);
        bytes[at] ^= 0x10;
    }
    arena_destroy(arena);
}

TEST(file_edited_by_another_program_has_no_checksum_and_is_read)
{
    struct run_record r = made();
    struct io_piece image;
    ASSERT_OK(run_record_image(&r, arena, &image, &e), &e);
    assert_true(read_bytes(image.data, image.size));
    arena_destroy(arena);
}

TEST(parts_that_are_missing_are_named)
{
    struct run_record r = made();
    struct io_piece image;
    char expected[700];
    ASSERT_OK(run_record_image(&r, arena, &image, &e), &e);
    snprintf(expected, sizeof expected,
             "%s: is not a run file of peftlab, or is damaged: `/meta@schema_version` is missing",
             test_path("damaged.h5"));
    char *bytes = (char *)(uintptr_t)image.data; /* the arena's own copy */
    for (size_t i = 0; i + 14 < image.size; i++)
        if (memcmp(bytes + i, "schema_version", 14) == 0)
            bytes[i] = 'x';
    ASSERT_ERR(read_bytes(bytes, image.size), &e, expected);
    arena_destroy(arena);
}

TEST(foreign_files_are_refused)
{
    struct run_record r;
    arena = arena_create(NULL);
    const char *path = test_file("x.h5", "this is not HDF5\n");
    char expected[700];
    snprintf(expected, sizeof expected, "%s: is not a complete HDF5 file", path);
    ASSERT_ERR(run_record_read(&r, arena, path, 0, &e), &e, expected);
    path = test_path("none.h5");
    snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory", path);
    ASSERT_ERR(run_record_read(&r, arena, path, 0, &e), &e, expected);
    snprintf(expected, sizeof expected, "%s: cannot be read: it is a folder", test_dir());
    ASSERT_ERR(run_record_read(&r, arena, test_dir(), 0, &e), &e, expected);
    arena_destroy(arena);
}

/* ---- the environment refuses ---- */

TEST(folder_that_does_not_exist)
{
    struct run_record r = made();
    assert_false(run_record_write(&r, test_path("none/a.h5"), &e));
    assert_int_equal(e.code, ERR_ENV);
    assert_non_null(strstr(e.file, "none/a.h5"));
    arena_destroy(arena);
}

TEST(device_without_space)
{
    struct run_record r = made();
    char *part = arena_printf(arena, &e, "%s.part", test_path("a.h5"));
    assert_int_equal(symlink("/dev/full", part), 0);
    assert_false(run_record_write(&r, test_path("a.h5"), &e));
    assert_int_equal(e.code, ERR_ENV);
    assert_false(io_exists(test_path("a.h5")));
    struct stat st;
    assert_int_not_equal(lstat(part, &st), 0); /* nothing is left behind */
    arena_destroy(arena);
}

TEST(folder_in_the_way_keeps_nothing)
{
    struct run_record r = made();
    ASSERT_OK(io_mkdirs(test_path("a.h5/b"), &e), &e);
    assert_false(run_record_write(&r, test_path("a.h5"), &e));
    assert_int_equal(e.code, ERR_ENV);
    assert_false(io_exists(test_path("a.h5.part")));
    arena_destroy(arena);
}

TEST(memory_that_runs_out_is_an_error_at_every_allocation)
{
    struct run_record r = made(), back;
    ASSERT_OK(run_record_write(&r, test_path("a.h5"), &e), &e);
    for (long n = 0;; n++) {
        struct arena *a = arena_create(NULL);
        struct io_piece image;
        arena_fail_at(n);
        bool wrote = run_record_image(&r, a, &image, &e);
        bool wrote_code = wrote || e.code == ERR_ENV;
        bool read = run_record_read(&back, a, test_path("a.h5"), RUN_READ_ALL, &e);
        arena_fail_at(-1);
        arena_destroy(a);
        assert_true(wrote_code);
        if (wrote && read)
            break;
        assert_true(read || e.code == ERR_ENV);
        assert_in_range(n, 0, 2000);
    }
    arena_destroy(arena);
}

/* ---- scanning ---- */

TEST(scan_orders_runs_and_leaves_out_what_is_no_run)
{
    struct run_list l;
    struct fixture f = fixture_one;
    arena = arena_create(NULL);
    fixture_write(arena, &f);
    f.seed = 41;
    fixture_write(arena, &f);
    test_file("runs/broken.h5", "nothing");
    test_file("runs/x.h5.part", "nothing");
    test_file("runs/x.safetensors", "nothing");
    ASSERT_OK(results_scan(&l, arena, test_dir(), 0, &e), &e);
    assert_int_equal(l.n, 2);
    assert_int_equal(l.unreadable, 1);
    assert_int_equal(l.run[0].seed, 41);
    assert_int_equal(l.run[1].seed, 42);
    arena_destroy(arena);
}

TEST(scan_keeps_the_newer_of_two_runs_that_look_alike)
{
    struct run_list l;
    arena = arena_create(NULL);
    struct run_record r = fixture_run(arena, &fixture_one);
    ASSERT_OK(io_mkdirs(test_path("runs"), &e), &e);
    r.hash = "new";
    ASSERT_OK(values_string(&r.meta, "finished", "2026-02-01T00:00:00Z", &e), &e);
    ASSERT_OK(run_record_write(&r, test_path("runs/a.h5"), &e), &e);
    r.hash = "old";
    ASSERT_OK(values_string(&r.meta, "finished", "2026-01-01T00:00:00Z", &e), &e);
    ASSERT_OK(run_record_write(&r, test_path("runs/b.h5"), &e), &e);
    ASSERT_OK(results_scan(&l, arena, test_dir(), 0, &e), &e);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.older, 1);
    assert_string_equal(l.run[0].hash, "new");
    arena_destroy(arena);
}

TEST(scan_of_nothing_is_an_error)
{
    struct run_list l;
    char expected[700];
    arena = arena_create(NULL);
    snprintf(expected, sizeof expected, "%s/runs: holds no results: No such file or directory", test_dir());
    ASSERT_ERR(results_scan(&l, arena, test_dir(), 0, &e), &e, expected);
    ASSERT_OK(io_mkdirs(test_path("runs"), &e), &e);
    snprintf(expected, sizeof expected, "%s/runs: holds no readable run", test_dir());
    ASSERT_ERR(results_scan(&l, arena, test_dir(), 0, &e), &e, expected);
    arena_destroy(arena);
}
