/* Arguments and help: see cli_impl.h. */
#include <limits.h>
#include <string.h>

#include "harness/cli_impl.h"

/* The option of a word such as `dry_run=x`, its dashes taken off; -1: none. */
static int find_option(const struct cli_command *command, const char *word, size_t n)
{
    for (int i = 0; command->options[i].name; i++) {
        const char *name = command->options[i].name;
        bool same = strlen(name) == n;
        for (size_t k = 0; same && k < n; k++)
            same = word[k] == name[k] || (word[k] == '_' && name[k] == '-');
        if (same)
            return i;
    }
    return -1;
}

static bool unknown_option(const struct cli_command *command, const char *word, size_t n, struct err *e)
{
    const char *names[CLI_OPTIONS_MAX + 2] = {NULL};
    char wanted[64], hint[64];
    size_t k = 0;
    for (const struct cli_option *o = command->options; o->name; o++)
        if (o->help)
            names[k++] = o->name;
    names[k] = "help";
    snprintf(wanted, sizeof wanted, "%.*s", (int)(n < sizeof wanted ? n : sizeof wanted - 1), word);
    const char *near = text_nearest(wanted, names);
    hint[0] = 0;
    if (near)
        snprintf(hint, sizeof hint, "; did you mean `--%s`?", near);
    return err_set(e, ERR_INPUT, "unknown option `--%s` for %s%s", wanted, command->name, hint);
}

/* One option; *used says whether the next argument was its value. */
static bool take_option(struct cli_call *c, const char *word, const char *next, bool *used, struct err *e)
{
    size_t n = strcspn(word, "=");
    if (strcmp(word, "help") == 0) {
        c->help = true;
        return true;
    }
    int i = find_option(c->command, word, n);
    if (i < 0)
        return unknown_option(c->command, word, n, e);
    const struct cli_option *o = &c->command->options[i];
    if (!o->value && word[n])
        return err_set(e, ERR_INPUT, "option `--%s` takes no value", o->name);
    if (o->value && !word[n] && !next)
        return err_set(e, ERR_INPUT, "option `--%s` needs a value: --%s %s", o->name, o->name, o->value);
    *used = o->value && !word[n];
    c->given[i] = !o->value ? "" : word[n] ? word + n + 1 : next;
    return true;
}

static bool count_args(const struct cli_call *c, struct err *e)
{
    const struct cli_command *k = c->command;
    if (c->n_args < k->min_args)
        return err_set(e, ERR_INPUT, "%s needs %s: peftlab %s %s", k->name, k->arg_names[c->n_args], k->name,
                       k->arguments);
    if (c->n_args > k->max_args)
        return err_set(e, ERR_INPUT, "unexpected argument `%s`: peftlab %s %s", c->arg[k->max_args], k->name,
                       k->arguments);
    return true;
}

bool cli_parse(struct cli_call *c, int argc, char **argv, struct err *e)
{
    bool plain = false;
    TRY(c->arg = ARENA_NEW(c->arena, MEM_DATA, const char *, (size_t)argc + 1, e));
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        bool used = false;
        if (!plain && strcmp(word, "--") == 0) {
            plain = true;
        } else if (!plain && text_starts(word, "--")) {
            TRY(take_option(c, word + 2, argv[i + 1], &used, e));
            i += used;
        } else if (!plain && strcmp(word, "-h") == 0) {
            c->help = true;
        } else if (!plain && word[0] == '-' && word[1]) {
            return err_set(e, ERR_INPUT, "unknown option `%s` for %s; options are written --name", word,
                           c->command->name);
        } else {
            c->arg[c->n_args++] = word;
        }
    }
    return c->help || count_args(c, e);
}

const char *cli_given(const struct cli_call *c, const char *option)
{
    int i = find_option(c->command, option, strlen(option));
    return i < 0 ? NULL : c->given[i];
}

bool cli_integer(const struct cli_call *c, const char *option, long long min, long long max, long long *value,
                 struct err *e)
{
    long long v;
    const char *given = cli_given(c, option);
    if (!given)
        return true;
    if (!text_to_long(given, &v))
        return err_set(e, ERR_INPUT, "--%s is `%s`; it must be an integer in plain decimal digits", option, given);
    if (v < min || v > max)
        return err_set(e, ERR_INPUT, "range: --%s is %s; it must lie in [%lld, %lld]", option, given, min, max);
    *value = v;
    return true;
}

bool cli_choice(const char *what, const char *given, const char *const *words, int *index, struct err *e)
{
    char all[256] = "", hint[64];
    size_t n = 0;
    if (!given)
        return true;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], given) == 0) {
            *index = i;
            return true;
        }
        if (n < sizeof all)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", words[i]);
    }
    return err_set(e, ERR_INPUT, "%s is `%s`; it must be one of %s%s", what, given, all,
                   text_did_you_mean(given, words, hint, sizeof hint));
}

bool cli_csv(const struct cli_call *c, bool *csv, struct err *e)
{
    static const char *const words[] = {"md", "csv", NULL};
    int format = 0;
    TRY(cli_choice("--format", cli_given(c, "format"), words, &format, e));
    *csv = format == 1;
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Help */

static bool usage(const struct cli_command *k, struct text *out, struct err *e)
{
    TRY(text_add(out, e, "peftlab %s %s", k->name, k->arguments));
    for (const struct cli_option *o = k->options; o->name; o++)
        if (o->help)
            TRY(text_add(out, e, " [--%s%s%s]", o->name, o->value ? " " : "", o->value ? o->value : ""));
    return text_add(out, e, "\n");
}

bool cli_command_help(const struct cli_command *k, struct text *out, struct err *e)
{
    TRY(usage(k, out, e) && text_add(out, e, "\n%s\n", k->summary));
    if (k->details)
        TRY(text_add(out, e, "%s\n", k->details));
    for (const struct cli_option *o = k->options; o->name; o++) {
        char name[64];
        snprintf(name, sizeof name, "--%s %s", o->name, o->value ? o->value : "");
        if (o->help)
            TRY(text_add(out, e, "%s  %-18s  %s\n", o == k->options ? "\n" : "", name, o->help));
    }
    return !k->more_help || k->more_help(out, e);
}

bool cli_program_help(struct text *out, struct err *e)
{
    TRY(text_add(out, e, "peftlab compares fine-tuning methods on GLUE-style tasks.\n\n"));
    for (const struct cli_command *k = cli_commands; k->name; k++)
        TRY(text_add(out, e, "  peftlab %-9s %-28s %s\n", k->name, k->arguments, k->summary));
    return text_add(out, e,
                    "\n  peftlab COMMAND --help     options of a command\n"
                    "  peftlab --version\n\n"
                    "Exit codes: 0 all good; 1 some runs failed or diverged; 2 wrong command line, spec or input\n"
                    "file; 3 the environment (disk, memory, permissions); 130 interrupted, resumable.\n");
}
