/* The commands and what they share: internal to cli*.c. */
#ifndef HARNESS_CLI_IMPL_H
#define HARNESS_CLI_IMPL_H

#include <stdio.h>

#include "base/text.h"

enum { CLI_OPTIONS_MAX = 16 };

struct cli_option {
    const char *name;  /* without its dashes; a table ends with NULL                */
    const char *value; /* what its value is called in the help; NULL: it takes none */
    const char *help;  /* NULL: not for people                                      */
};

struct cli_call;

struct cli_command {
    const char *name;
    const char *arguments;             /* positional ones, as in the usage line              */
    const char *summary;               /* one line                                           */
    const char *details;               /* more lines for `COMMAND --help`, or NULL            */
    const struct cli_option *options;
    size_t min_args, max_args;
    const char *const *arg_names;      /* [min_args] of those that must be there             */
    bool (*run)(struct cli_call *c, struct err *e);
    bool (*more_help)(struct text *out, struct err *e); /* tables behind the options, or NULL */
};

/* One command with its arguments. */
struct cli_call {
    const struct cli_command *command;
    struct arena *arena;
    FILE *out;                          /* what was asked for                                */
    const char *const *argv;            /* the whole command line, NULL-terminated           */
    const char **arg;                   /* [n_args] positional arguments, NULL-terminated    */
    size_t n_args;
    const char *given[CLI_OPTIONS_MAX]; /* value of each option, "" for one without; NULL: absent */
    bool help;                          /* --help was among them                             */
};

/* All commands; ends with a row whose name is NULL. */
extern const struct cli_command cli_commands[];

/* ---- cli_args.c ---- */

/* Splits the arguments behind the command's word: options anywhere, `--opt value` and `--opt=value`, `_` as good as
 * `-`; after `--` all is positional. Errors name the argument and the nearest right word. */
bool cli_parse(struct cli_call *c, int argc, char **argv, struct err *e);

/* Value of an option; NULL when absent, "" for one that takes none. */
const char *cli_given(const struct cli_call *c, const char *option);

/* An integer in [min, max]; absent: *value stays. */
bool cli_integer(const struct cli_call *c, const char *option, long long min, long long max, long long *value,
                 struct err *e);

/* One of NULL-terminated words by its index; absent: *index stays. `what` is `--format`, or what an argument is. */
bool cli_choice(const char *what, const char *given, const char *const *words, int *index, struct err *e);

/* --format md|csv. */
bool cli_csv(const struct cli_call *c, bool *csv, struct err *e);

/* The help of one command, and of the program. */
bool cli_command_help(const struct cli_command *command, struct text *out, struct err *e);
bool cli_program_help(struct text *out, struct err *e);

/* ---- cli_table.c: cells, row by row, the first row names the columns ---- */

struct cli_table {
    struct arena *arena;
    size_t columns;    /* both set by the caller */
    const char **cell; /* [n] */
    size_t n, cap;
};

bool cli_cell(struct cli_table *t, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool cli_cells(struct cli_table *t, const char *const *cells, struct err *e); /* NULL-terminated */

/* csv: one header line, no field holds a comma. Markdown: columns of numbers to the right. */
bool cli_table_text(struct cli_table *t, bool csv, struct text *out, struct err *e);

/* Table and text to c->out. */
bool cli_print_table(struct cli_call *c, struct cli_table *t, bool csv, struct err *e);
bool cli_print(struct cli_call *c, const char *text, struct err *e);

/* ---- commands ---- */

bool cli_run(struct cli_call *c, struct err *e);
bool cli_run_help(struct text *out, struct err *e);
bool cli_plan(struct cli_call *c, struct err *e);
bool cli_check(struct cli_call *c, struct err *e);
bool cli_list(struct cli_call *c, struct err *e);
bool cli_describe(struct cli_call *c, struct err *e);
bool cli_status(struct cli_call *c, struct err *e);
bool cli_results_table(struct cli_call *c, struct err *e);
bool cli_plot(struct cli_call *c, struct err *e);
bool cli_eval(struct cli_call *c, struct err *e);
bool cli_export(struct cli_call *c, struct err *e);
bool cli_bench(struct cli_call *c, struct err *e);
bool cli_tokenize(struct cli_call *c, struct err *e);

/* --data, else $PEFTLAB_DATA, else NULL; a folder that is not there is an error. */
bool cli_data(const struct cli_call *c, const char **data, struct err *e);

/* Words of `list` and of `describe`. */
extern const char *const cli_list_words[], *const cli_describe_words[];

/* Rows of an option table as name, type, default, range, meaning, in Markdown. */
struct opt;
bool cli_describe_options(const struct opt *table, struct text *out, struct err *e);

#endif
