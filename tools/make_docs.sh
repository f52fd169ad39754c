#!/bin/bash
# Writes what docs/methods.md says of each method, between its two marks, from the program's own table. With --check it
# only compares. usage: tools/make_docs.sh [--check] PEFTLAB
set -eu
check=
if [ "${1:-}" = --check ]; then check=1; shift; fi
peftlab=$1
doc=$(dirname "$0")/../docs/methods.md
new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
    sed '/^<!-- methods:/q' "$doc"
    echo
    for method in $("$peftlab" list methods --format csv | sed '1d; s/,.*//'); do
        "$peftlab" describe method "$method"
        echo
    done
    sed -n '/^<!-- end of methods -->/,$p' "$doc"
} >"$new"
if [ -n "$check" ]; then
    cmp -s "$doc" "$new" || { echo "docs/methods.md is behind the methods: run tools/make_docs.sh $peftlab"; exit 1; }
else
    cat "$new" >"$doc"
fi
