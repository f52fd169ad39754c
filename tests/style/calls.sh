# What code below `main` leaves alone: it neither ends the process nor prints, and gets memory from arenas.
# Exceptions: the log writes to stderr; a worker that could not become the program ends with _exit, in harness/launch.
set -u
cd "$1" || exit 2
here=tests/style

code=$(find base models results methods tasks plots harness -name '*.[ch]' -exec awk -f $here/code.awk {} +)
find_calls() { # NAMES EXCEPT-FILES MESSAGE
    echo "$code" | grep -E "(^|[^A-Za-z0-9_>.])($1)[[:space:]]*\\(" | grep -vE "^($2):" | sed "s|\$|   <- $3|"
}
find_words() {
    echo "$code" | grep -E "(^|[^A-Za-z0-9_])($1)([^A-Za-z0-9_]|\$)" | grep -vE "^($2):" | sed "s|\$|   <- $3|"
}
allocate='malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup|strndup|asprintf'
forbidden='rand|srand|random|drand48|gets|strcpy|strcat|sprintf|system|popen|tmpnam|atoi|atof|setlocale'

wrong=$(
    find_calls 'exit|quick_exit|abort' 'harness/main\.c' 'only main ends the process'
    find_calls '_exit|_Exit' 'harness/launch/[^:]*' 'only main ends the process'
    find_calls 'printf|vprintf|puts|putchar|perror' 'harness/main\.c' 'write to a FILE that the caller names'
    find_words stdout 'harness/main\.c' 'only main knows stdout'
    find_words stderr 'harness/main\.c|base/log\.c' 'use base/log.h'
    find_calls "$allocate" 'base/arena\.c' 'use base/arena.h'
    find_calls "$forbidden" '' 'not here'
)
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
