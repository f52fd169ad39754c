# The look of the files: 120 columns, spaces, a comment at the top that says what the file is for, nothing left open.
set -u
cd "$1" || exit 2

sources=$(find base models results methods tasks plots harness tests -name '*.[ch]')
scripts=$(find quickstart run-tests .ci tools cmake tests CMakeLists.txt packages.txt -type f \
    \( -name '*.sh' -o -name '*.awk' -o -name '*.cmake' -o -name '*.txt' -o -name '*.py' -o ! -name '*.*' \) \
    ! -path 'tests/*/golden/*' ! -path 'tests/golden/*' ! -path 'tests/data/*')

wrong=$(
    # Columns are characters: bytes that continue a UTF-8 character are none.
    for file in $sources; do
        LC_ALL=C awk -v file="$file" '
            { line = $0; gsub(/[\200-\277]/, "", line) }
            length(line) > 120 { print file ":" FNR ": " length(line) " columns; the limit is 120" }
            /\t/ { print file ":" FNR ": a tab" }
            /\r/ { print file ":" FNR ": a carriage return" }
            / $/ { print file ":" FNR ": a space at the end of the line" }
            FNR == 1 && !/^\/\*/ { print file ":1: does not begin with a comment that says what the file is for" }
            END { if (FNR == 0) print file ": is empty" }' "$file"
    done
    grep -nE '(^|[^:])//' $sources | grep -vE '"[^"]*//' | sed 's|$|: comments are written /* so */|'
    grep -nE '\btypedef .*_t;' $sources | sed 's/$/: no _t typedefs/'
    open='TO''DO|FIX''ME|XX''X|HA''CK'
    grep -nE "\\b($open)\\b" $sources $scripts | grep -v 'XXXXXX' | sed 's/$/: left open/'
    for file in $(echo "$scripts" | grep -v '\.py$'); do
        LC_ALL=C awk -v file="$file" 'length($0) > 120 { print file ":" FNR ": more than 120 columns" }' "$file"
    done
)
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
