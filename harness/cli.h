/*
 * The command line: one function per command (cli_*.c), called through a table. Texts that were asked for go to `out`,
 * the one line of an error to `err`; progress and log go through base/log.h.
 */
#ifndef HARNESS_CLI_H
#define HARNESS_CLI_H

#include <stdio.h>

/* Runs the program: parses argv, calls the command, prints its error. Returns the exit code. */
int cli_main(int argc, char **argv, FILE *out, FILE *err);

#endif
