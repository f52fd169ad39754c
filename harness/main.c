/* The program: everything is in the library, so that tests reach it too. */
#include <signal.h>

#include "harness/cli.h"

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow (`ulimit -f`) is an error of the write, as a full disk is */
    return cli_main(argc, argv, stdout, stderr);
}
