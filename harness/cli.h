/* The command line: one function per command, each returning the program's exit code. Texts asked for go to stdout, the one
 * line of an error to stderr. */
#ifndef HARNESS_CLI_H
#define HARNESS_CLI_H

/* Runs the program: parses argv, dispatches, prints the error. Returns the exit code. */
int cli_main(int argc, char **argv);

#endif
