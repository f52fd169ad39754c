/* Pictures: every kind leaves script, data and picture; wrong words and a missing gnuplot are clean errors. */
#include "plots/plot.h"
#include "results/bench_record.h"
#include "tests/results/fixture.h"

#include <sys/stat.h>

static struct arena *arena;
static struct err e;
static struct plot_made made;

static void write_runs(const char *model)
{
    static const char *const tasks[] = {"mrpc", "synth_entailment"}, *const methods[] = {"full", "sift", "head"};
    static const long long trainable[] = {1000000, 3000, 0};
    struct fixture f = fixture_one;
    f.model = model;
    for (int t = 0; t < 2; t++)
        for (int m = 0; m < 3; m++)
            for (f.seed = 42; f.seed < 44; f.seed++) {
                f.task = tasks[t], f.method = methods[m], f.trainable = trainable[m];
                f.variant = m == 1 ? "density=0.008" : "default";
                f.memory = 300 - 80 * m;
                f.score = .8 - .1 * m;
                f.status = m == 2 && f.seed == 43 ? RUN_COLLAPSED : RUN_FINISHED;
                fixture_write(arena, &f);
            }
}

static bool draw(const char *const *kinds, enum plot_format format)
{
    return plot_all(&made, arena, test_dir(), kinds, format, &e);
}

static const char *read_plot(const char *name)
{
    const char *text = io_read(arena, test_path(arena_printf(arena, &e, "plots/%s", name)), 0, NULL, &e);
    ASSERT_OK(text, &e);
    return text;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("`%s` is not in:\n%s", part, text);
}

static void lists(const char *name)
{
    for (size_t i = 0; i < made.n; i++)
        if (strstr(made.path[i], name))
            return;
    fail_msg("%s was not made", name);
}

TEST(every_kind_leaves_picture_script_and_data)
{
    static const char *const names[] = {"curves-mrpc", "curves-synth_entailment", "params", "memory", "gradients-mrpc",
                                        "gradients-synth_entailment"};
    arena = arena_create(NULL);
    write_runs("mini");
    ASSERT_OK(draw(NULL, PLOT_PNG), &e);
    assert_int_equal(made.n, 6);
    for (int i = 0; i < 6; i++) {
        lists(arena_printf(arena, &e, "plots/%s.png", names[i]));
        assert_memory_equal(read_plot(arena_printf(arena, &e, "%s.png", names[i])), "\x89PNG", 4);
        has(read_plot(arena_printf(arena, &e, "%s.gp", names[i])), arena_printf(arena, &e, "'%s.dat'", names[i]));
        has(read_plot(arena_printf(arena, &e, "%s.dat", names[i])), "\n");
    }
    arena_destroy(arena);
}

TEST(data_are_means_and_spreads)
{
    static const char *const kinds[] = {"params", "memory", NULL};
    arena = arena_create(NULL);
    write_runs("mini");
    ASSERT_OK(draw(kinds, PLOT_PNG), &e);
    assert_int_equal(made.n, 2);
    has(read_plot("params.dat"), "# sift: trainable parameters without the head, mean, standard deviation, variant\n"
                                 "3000 70 0 'density=0.008'\n");
    has(read_plot("params.dat"), "# head (no place on the axis)");
    has(read_plot("params.gp"), "title 'has collapsed runs'");
    has(read_plot("memory.dat"), "# Pareto front: cost, mean\n140 60\n220 70\n300 80\n");
    arena_destroy(arena);
}

TEST(svg_and_pdf)
{
    static const char *const kinds[] = {"params", NULL};
    arena = arena_create(NULL);
    write_runs("mini");
    ASSERT_OK(draw(kinds, PLOT_SVG), &e);
    has(read_plot("params.svg"), "<svg");
    ASSERT_OK(draw(kinds, PLOT_PDF), &e);
    assert_memory_equal(read_plot("params.pdf"), "%PDF", 4);
    arena_destroy(arena);
}

TEST(several_models_have_pictures_of_their_own)
{
    static const char *const kinds[] = {"params", NULL};
    arena = arena_create(NULL);
    write_runs("mini");
    write_runs("odd model's");
    ASSERT_OK(draw(kinds, PLOT_PNG), &e);
    assert_int_equal(made.n, 2);
    lists("plots/params-mini.png");
    lists("plots/params-odd_model_s.png");
    has(read_plot("params-odd_model_s.gp"), "'odd model''s (mean");
    arena_destroy(arena);
}

TEST(one_run_is_enough)
{
    arena = arena_create(NULL);
    fixture_write(arena, &fixture_one);
    ASSERT_OK(draw(NULL, PLOT_PNG), &e);
    assert_int_equal(made.n, 4);
    arena_destroy(arena);
}

TEST(runs_without_numbers_make_no_pictures)
{
    struct fixture f = fixture_one;
    arena = arena_create(NULL);
    f.status = RUN_FAILED;
    fixture_write(arena, &f);
    ASSERT_OK(draw(NULL, PLOT_PNG), &e);
    assert_int_equal(made.n, 0);
    arena_destroy(arena);
}

TEST(losses_that_are_not_finite_are_left_out)
{
    arena = arena_create(NULL);
    struct run_record r = fixture_run(arena, &fixture_one);
    ASSERT_OK(io_mkdirs(test_path("runs"), &e), &e);
    r.status = RUN_DIVERGED;
    for (size_t i = 30; i < r.train.rows; i++) {
        ASSERT_OK(strcmp(r.train.column[2].name, "loss") == 0, &e);
        r.train.column[2].v[i] = i % 2 ? NAN : INFINITY;
    }
    ASSERT_OK(run_record_write(&r, test_path("runs/a.h5"), &e), &e);
    ASSERT_OK(draw((const char *const[]){"curves", "params", NULL}, PLOT_PNG), &e);
    assert_int_equal(made.n, 1); /* curves up to there; a run that diverged has no point */
    arena_destroy(arena);
}

TEST(folder_with_quotes_and_spaces)
{
    struct plot_made m;
    arena = arena_create(NULL);
    struct run_record r = fixture_run(arena, &fixture_one);
    ASSERT_OK(io_mkdirs(test_path("it's a \"folder\"/runs"), &e), &e);
    ASSERT_OK(run_record_write(&r, test_path("it's a \"folder\"/runs/a.h5"), &e), &e);
    ASSERT_OK(plot_all(&m, arena, test_path("it's a \"folder\""), NULL, PLOT_PNG, &e), &e);
    assert_int_equal(m.n, 4);
    arena_destroy(arena);
}

TEST(unknown_kind)
{
    arena = arena_create(NULL);
    static const char *const kinds[] = {"curve", NULL};
    ASSERT_ERR(draw(kinds, PLOT_PNG), &e, "unknown plot `curve`; did you mean `curves`?");
    arena_destroy(arena);
}

TEST(gnuplot_that_is_missing)
{
    arena = arena_create(NULL);
    fixture_write(arena, &fixture_one);
    setenv("PATH", test_dir(), 1);
    ASSERT_ERR(draw(NULL, PLOT_PNG), &e, "gnuplot was not found on PATH: install the package gnuplot-nox");
    assert_int_equal(e.code, ERR_ENV);
    arena_destroy(arena);
}

TEST(gnuplot_that_fails_is_quoted)
{
    arena = arena_create(NULL);
    fixture_write(arena, &fixture_one);
    const char *fake = test_file("gnuplot", "#!/bin/sh\necho 'line 1: no such terminal' >&2\nexit 1\n");
    assert_int_equal(chmod(fake, 0755), 0);
    setenv("PATH", arena_printf(arena, &e, "%s:/usr/bin:/bin", test_dir()), 1);
    assert_false(draw(NULL, PLOT_PNG));
    assert_int_equal(e.code, ERR_ENV);
    assert_string_equal(e.msg, "gnuplot failed: line 1: no such terminal");
    arena_destroy(arena);
}

/* A case of a benchmark, with the operations that its group's picture needs or without. */
static void write_bench(const char *method, bool operations)
{
    static struct bench_operation all[] = {{"query y", 1e-3, 1e9, 1e7}, {"query dx", 1e-3, 9e8, 1e7},
                                           {"GELU", 1e-3, 1e7, 1e8}};
    struct bench_record r = {.name = method, .shape = "mini", .method = method, .lengths = "mrpc", .layers = 4,
                             .batch = 8, .threads = 2, .meta.arena = arena, .samples.arena = arena, .flops = 1e10,
                             .bytes = 1e9, .operation = all, .operations = operations ? 3 : 0, .bandwidth = 2e10};
    const char *const names[] = {"steps", "seconds", "tokens", "flops", "sgemm_gflops"};
    const double values[] = {1, .1, 100, 1e10, 300};
    ASSERT_OK(series_row(&r.samples, &e), &e);
    for (size_t i = 0; i < 5; i++)
        ASSERT_OK(series_set(&r.samples, names[i], values[i], &e), &e);
    ASSERT_OK(values_string(&r.meta, "overrides", operations ? "" : "sift.density=0.02", &e), &e);
    ASSERT_OK(io_mkdirs(test_path("bench"), &e), &e);
    ASSERT_OK(bench_record_write(&r, test_path(arena_printf(arena, &e, "bench/%s.h5", method)), &e), &e);
}

TEST(a_roofline_has_operations_and_steps_below_both_roofs)
{
    static const char *const kinds[] = {"roofline", NULL};
    arena = arena_create(NULL);
    write_bench("full", true);
    write_bench("sift", false);
    ASSERT_OK(draw(kinds, PLOT_SVG), &e);
    assert_int_equal(made.n, 1);
    lists("roofline-mini-mrpc-b8-l4-t2.svg");
    const char *gp = read_plot("roofline-mini-mrpc-b8-l4-t2.gp"), *dat = read_plot("roofline-mini-mrpc-b8-l4-t2.dat");
    has(gp, "peak = 300\nbandwidth = 20\n");
    has(gp, "title 'step: full'");
    has(gp, "title 'step: sift sift.density=0.02'");
    has(dat, "\n100 1000 'query y'\n");  /* 1e9 / 1e7 flop/byte, 1e9 / 1 ms */
    has(dat, "\n10 100 'step: full'\n"); /* 1e10 / 1e9 flop/byte, 1e10 / .1 s */
    arena_destroy(arena);
}

/* Without names a folder of benchmarks alone is drawn, and one that has none of what was named is an error. */
TEST(folders_with_benchmarks_alone)
{
    static const char *const curves[] = {"curves", NULL}, *const roofline[] = {"roofline", NULL};
    arena = arena_create(NULL);
    assert_false(draw(roofline, PLOT_SVG));
    has(e.msg, "holds no benchmark");
    write_bench("full", true);
    ASSERT_OK(draw(NULL, PLOT_SVG), &e);
    assert_int_equal(made.n, 1);
    assert_false(draw(curves, PLOT_SVG));
    has(e.msg, "holds no results");
    arena_destroy(arena);
}
