# packages.txt is complete: what the program and its tests link, and the headers they include, belong to packages that
# those of the list bring along. A package that is on this machine by chance shows here and not on somebody else's.
set -u
cd "$1" || exit 2
if ! command -v dpkg-query >/dev/null || ! command -v apt-cache >/dev/null; then
    echo "skipped: this is not Debian"
    exit 77
fi
packages=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' packages.txt)

# Everything that is installed because of the list, and what Debian itself cannot be without.
closure=$(
    {
        apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
            --no-enhances $packages | grep -E '^[a-z0-9]' | sed 's/:.*//'
        dpkg-query -W -f '${Package} ${Essential} ${Priority}\n' | awk '$2 == "yes" || $3 == "required" { print $1 }'
    } | sort -u
)
programs=$(find "$2/peftlab" "$2/tests" -maxdepth 1 -type f -executable)
libraries=$(ldd $programs | sed -nE 's/^[[:space:]].*(=> |^\t)(\/[^ ]+) \(.*/\2/p' | sort -u)
[ -n "$libraries" ] || { echo "ldd names no library"; exit 1; }
# One header of each folder speaks for its package; those in /usr/include itself each for its own.
headers=$(ninja -C "$2" -t deps | grep -oE '/usr/include/.*' | sort -u | awk -F/ '
    { dir = $0; sub("/[^/]*$", "", dir) }
    dir == "/usr/include" || !seen[dir]++')
[ -n "$headers" ] || { echo "the build knows no headers"; exit 1; }
tools=$(for program in cmake ninja h5dump; do command -v $program || echo "/no/$program"; done)

# The package of each file. Where /lib is /usr/lib, a file is recorded under one of the two names.
needed=$(echo "$libraries"; echo "$headers"; echo "$tools")
names=$(echo "$needed" | sed -E 'p; s|^/usr||; p; s|^|/usr|')
owners=$(dpkg-query -S $names 2>/dev/null | sed -nE 's/^([^:, ]+)[^ ]*( [^ ]+)*: (.*)/\3 \1/p')

wrong=$(
    echo "$packages" | sort | uniq -d | sed 's/^/packages.txt: twice: /'
    for package in $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "packages.txt: $package is not installed, or not the name of a package"
    done
    awk 'FILENAME == ARGV[1] { brought[$1] = 1; next }
         FILENAME == ARGV[2] { sub("^/usr", "", $1); owner[$1] = $2; next }
         { name = $1; sub("^/usr", "", name) }
         !(owner[name] in brought) {
             print $1 " of package " (owner[name] ? owner[name] : "(none)") " is used; packages.txt does not bring it"
         }' <(echo "$closure") <(echo "$owners") <(echo "$needed")
)
[ -z "$wrong" ] || { echo "$wrong"; exit 1; }
