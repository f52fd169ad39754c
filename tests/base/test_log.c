/* The log and the progress line where stderr is a file, and times for people. */
#include "tests/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

static int kept;

/* From here on stderr goes into a file; `captured` ends that and returns what was written. */
static void capture(void)
{
    kept = dup(STDERR_FILENO);
    int fd = open(test_path("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static char *captured(void)
{
    struct err e;
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    char *text = io_read(test_arena(), test_path("stderr"), 0, NULL, &e);
    ASSERT_OK(text, &e);
    return text;
}

TEST(levels_choose_what_is_shown)
{
    static const char *const shown[] = {
        [LOG_QUIET] = "",
        [LOG_WARN] = "warning: w 2\n",
        [LOG_INFO] = "i 1\nwarning: w 2\n",
        [LOG_DEBUG] = "i 1\nwarning: w 2\ndebug: d 3\n",
    };
    for (int level = LOG_QUIET; level <= LOG_DEBUG; level++) {
        capture();
        log_set_level((enum log_level)level);
        log_info("i %d", 1);
        log_warn("w %d", 2);
        log_debug("d %d", 3);
        assert_string_equal(captured(), shown[level]);
    }
}

TEST(info_is_the_default_level)
{
    capture();
    log_info("i");
    log_debug("d");
    assert_string_equal(captured(), "i\n");
}

TEST(a_prefix_stands_before_every_line)
{
    capture();
    log_set_prefix("mrpc--lora--s42");
    log_info("one");
    log_warn("two");
    log_set_prefix(NULL);
    log_info("three");
    log_set_prefix("");
    log_info("four");
    assert_string_equal(captured(), "mrpc--lora--s42: one\nwarning: mrpc--lora--s42: two\nthree\nfour\n");
}

TEST(long_lines_are_cut_not_broken)
{
    static char word[5000];
    memset(word, 'x', sizeof word - 1);
    capture();
    log_set_prefix(word);
    log_info("%s", word);
    char *text = captured();
    assert_in_range(strlen(text), 2000, 2300);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* Ten seconds into a run that began `seconds` ago, as the clock would have it. */
static struct progress begun(double seconds)
{
    struct progress p = {.what = "train", .total = 100};
    progress_step(&p);
    p.started -= seconds;
    p.shown -= seconds;
    return p;
}

TEST(progress_is_a_plain_line_in_a_file)
{
    capture();
    struct progress p = begun(20);
    p.done = 20;
    p.tokens = 2000;
    progress_step(&p);
    progress_end(&p);
    assert_string_equal(captured(), "train 20/100  100 tokens/s  1m20s left\n");
}

TEST(progress_shows_a_value_and_the_prefix)
{
    capture();
    log_set_prefix("run");
    struct progress p = begun(50);
    p.done = 50;
    p.label = "loss";
    p.value = 0.69314;
    progress_step(&p);
    assert_string_equal(captured(), "run: train 50/100  loss 0.6931  50s left\n");
}

TEST(progress_is_silent_in_between)
{
    capture();
    struct progress p = begun(0);
    for (p.done = 1; p.done <= p.total; p.done++)
        progress_step(&p);
    progress_end(&p);
    assert_string_equal(captured(), "");
}

TEST(progress_is_silent_where_the_log_is)
{
    capture();
    log_set_level(LOG_WARN);
    struct progress p = begun(20);
    p.done = 20;
    progress_step(&p);
    assert_string_equal(captured(), "");
}

/* Steps done before this process began took it no time: 50 in 10 s, 40 to go. */
TEST(the_pace_of_a_resumed_run_is_its_own)
{
    capture();
    struct progress p = {.what = "train", .total = 100, .done = 10, .tokens = 1000};
    progress_step(&p);
    p.started -= 10;
    p.shown -= 10;
    p.done = 60;
    p.tokens = 6000;
    progress_step(&p);
    assert_string_equal(captured(), "train 60/100  500 tokens/s  8s left\n");
}

TEST(durations)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{-5, "0s"},       {0, "0s"},        {0.4, "0s"},         {0.6, "1s"},       {59.4, "59s"},
                 {59.6, "1m00s"},  {185, "3m05s"},   {3599.4, "59m59s"},  {3600, "1h00m"},   {3725, "1h02m"},
                 {360000, "100h00m"}, {1e300, "99999h00m"}};
    char buf[16];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(log_duration(cases[i].seconds, buf), cases[i].text);
}

TEST(clocks_and_memory_figures)
{
    char utc[21];
    double before = clock_seconds();
    clock_utc(utc, sizeof utc);
    assert_int_equal(strlen(utc), 20);
    assert_true(utc[4] == '-' && utc[10] == 'T' && utc[19] == 'Z');
    assert_true(clock_seconds() >= before);
    size_t bytes = (size_t)64 << 20;
    struct err e;
    clock_reset_peak_rss();
    size_t low = clock_peak_rss();
    void *p = arena_alloc(test_arena(), MEM_DATA, bytes, &e);
    ASSERT_OK(p, &e);
    memset(p, 1, bytes);
    assert_in_range(clock_peak_rss() - low, bytes / 2, bytes * 2);
    assert_true(clock_memory_available() > 0);
}
