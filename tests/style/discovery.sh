# Every test that is written runs: each TEST(name) of each tests/**/test_*.c is a CTest case of this build.
set -u
cd "$1" || exit 2
known=$(ctest --test-dir "$2" -N | sed -nE 's/^ *Test +#[0-9]+: //p' | sort)

wrong=$(
    written=$(find tests -name 'test_*.c' | while read -r file; do
        name=${file#tests/}
        # Also those that the build would overlook: indented, in capitals, in a folder of their own.
        awk -f tests/style/code.awk "$file" | grep -oE '(^|[^A-Za-z0-9_])TEST *\( *[A-Za-z0-9_]+' |
            sed -E "s|.*TEST *\\( *|${name%.c}/|" || echo "$file: holds no TEST" >&2
    done | sort)
    echo "$written" | uniq -d | sed 's/$/: written twice/'
    echo "$written" | sort -u | comm -23 - <(echo "$known") | sed 's/$/: written, but CTest does not know it/'
    find tests -name '*.c' ! -name 'test_*.c' ! -path tests/test.c ! -path 'tests/data/*' |
        while read -r file; do
            grep -lE '^ *TEST\(' "$file" | sed 's/$/: holds tests, but is not called test_*.c/'
        done
    for script in tests/style/*.sh; do
        name=style/$(basename "$script" .sh)
        echo "$known" | grep -qxF "$name" || echo "$name: written, but CTest does not know it"
    done
)
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
