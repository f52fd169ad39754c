# Who may include whom. Floors: base; models and results; methods, tasks and plots; harness. A folder sees its own files
# and what is below, the tests of a folder what the folder's library links. Includes are written from the root, and no
# file includes itself on a way around. Files that the build makes are free.
set -u
cd "$1" || exit 2
generated=$2/generated

# Prefixes of paths that files of a folder may include.
allowed() {
    case $1 in
    base) echo base/ ;;
    models) echo base/ models/ ;;
    results) echo base/ results/ ;;
    methods) echo base/ models/ methods/ ;;
    tasks) echo base/ models/batch.h models/tokenizer.h tasks/ ;;
    plots) echo base/ results/ plots/ ;;
    harness) echo base/ models/ results/ methods/ tasks/ plots/ harness/ ;;
    tests/tasks) echo base/ models/ tasks/ tests/ ;;
    tests/*) echo tests/ "$(allowed "${1#tests/}")" ;;
    tests) echo base/ tests/ ;;
    esac
}

# The folder that decides: tests/models for tests/models/x.c, models for models/zoo/x.h.
folder() {
    case $1 in
    tests/*/*) echo "$1" | cut -d/ -f1-2 ;;
    *) echo "${1%%/*}" ;;
    esac
}

check() { # FILE:LINE FILE INCLUDED
    [ -f "$generated/$3" ] && return
    [ -f "$3" ] || {
        echo "$1: \"$3\" is not a path from the root"
        return
    }
    local prefix
    for prefix in $(allowed "$(folder "$2")"); do
        case $3 in "$prefix"*) return ;; esac
    done
    echo "$1: $(folder "$2") may not include $3"
}

files=$(find base models results methods tasks plots harness tests -name '*.[ch]' 2>/dev/null)
# file:line: #include "path"  ->  file line path
includes=$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $files /dev/null |
    sed -E 's/^([^:]*):([0-9]*):[^"]*"([^"]*)".*/\1 \2 \3/')
[ -n "$includes" ] || { echo "no includes found in $1"; exit 1; }

wrong=$(
    echo "$includes" | while read -r file line included; do
        check "$file:$line" "$file" "$included"
    done
    # Ours in angle brackets would slip through.
    grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<(base|models|results|methods|tasks|plots|harness|tests)/' \
        $files /dev/null | sed 's/$/: write it in quotes/'
    # tsort names the files of a circle.
    echo "$includes" | awk '{ print $1, $3 }' | tsort 2>&1 >/dev/null | sed -E 's/^tsort: (-: )?/circle: /'
)
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
