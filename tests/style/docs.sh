# What docs/methods.md says of the methods is what the program says.
set -u
cd "$1" || exit 2
[ -x "$2/peftlab" ] || { echo "skipped: the program is not built"; exit 77; }
bash tools/make_docs.sh --check "$2/peftlab"
