/* The program: everything is in the library, so that tests reach it too. */
#include "harness/cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv, stdout, stderr); }
