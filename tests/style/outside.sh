# ./quickstart and ./run-tests on machines that are not right, and the order of what they do: run in a copy of their
# files with programs of our own in front that write down how they were called.
set -u
cd "$1" || exit 2
[ -e /etc/debian_version ] || { echo "skipped: this is not Debian"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
copy=$dir/copy bin=$dir/bin calls=$dir/calls
mkdir -p "$copy/tools" "$bin"
cp quickstart run-tests packages.txt "$copy"
cp tools/setup.sh "$copy/tools"
for tool in bash sed grep dirname env mkdir tail cat chmod nproc cut; do
    ln -s "$(command -v $tool)" "$bin/$tool"
done

failed=0
fake() { # NAME COMMANDS
    printf '#!%s\necho "%s $*" >>"%s"\n%s\n' "$bin/bash" "$1" "$calls" "$2" >"$bin/$1"
    chmod +x "$bin/$1"
}
run() { # COMMAND...: its exit status in $status, its output in $output, the calls it made in $made
    : >"$calls"
    output=$(cd "$dir" && env -i PATH="$bin" HOME="$dir" "$@" 2>&1 </dev/null)
    status=$?
    made=$(cat "$calls")
}
expect() { # WHAT ACTUAL EXPECTED
    [ "$2" = "$3" ] && return
    printf '%s:\n--- is\n%s\n--- should be\n%s\n' "$1" "$2" "$3"
    failed=1
}
holds() { case $2 in *"$3"*) ;; *) printf '%s: no "%s" in:\n%s\n' "$1" "$3" "$2"; failed=1 ;; esac; }

# Help needs nothing.
run "$copy/run-tests" --help
expect "help" "$status" 0
holds "help" "$output" "usage: ./run-tests"
run "$copy/quickstart" --help
expect "help" "$status" 0

# Another distribution: every package is named, on one line.
all=$(xargs <packages.txt)
for command in run-tests quickstart; do
    run "$copy/$command"
    expect "$command elsewhere: exit status" "$status" 3
    expect "$command elsewhere" "$output" \
        "$command: this is not Debian; please install what these Debian packages hold: $all"
done

# Neither root nor sudo: only what is missing is named.
fake apt-get 'exit 99'
fake dpkg-query 'case $4 in libyaml-dev) exit 1 ;; libhdf5-dev) echo config-files ;; *) echo installed ;; esac'
fake id 'echo 1000'
run "$copy/run-tests"
expect "no sudo: exit status" "$status" 3
expect "no sudo" "$output" \
    "run-tests: neither root nor sudo; please have these packages installed: libhdf5-dev libyaml-dev "

# sudo without a terminal does not wait for a password; the lists are fetched only when they are needed.
fake sudo 'shift; "$@"'
fake cmake 'case $1 in --preset) ;; *) exit 1 ;; esac'
fake apt-get 'exit 0'
run "$copy/run-tests"
holds "sudo" "$made" "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -q -y"
holds "sudo" "$made" "install --no-install-recommends libhdf5-dev libyaml-dev"
case $made in *update*) echo "apt-get update was not needed"; failed=1 ;; esac
expect "a failed build: exit status" "$status" 1
holds "a failed build" "$output" "build/dev could not be built"
fake apt-get '[ -e '"$dir"'/updated ] && exit; case "$*" in *update) : >'"$dir"'/updated ;; *) exit 100 ;; esac'
run "$copy/run-tests"
expect "lists: install, update, install" "$(echo "$made" | grep ^apt-get | grep -oE 'install |update$' | xargs)" \
    "install update install"
fake apt-get 'exit 100'
run "$copy/quickstart"
expect "apt-get fails: exit status" "$status" 3
holds "apt-get fails" "$output" "please have these packages installed: libhdf5-dev libyaml-dev"

# Nothing missing: nothing is installed. Tests run in both presets, and the first failure is the end.
fake dpkg-query 'echo installed'
fake cmake 'exit 0'
fake ctest 'echo threads=$OMP_NUM_THREADS; exit ${CTEST_STATUS:-0}'
run "$copy/run-tests" -R base
expect "run-tests" "$status" 0
expect "run-tests: ctest" "$(echo "$made" | grep ^ctest)" \
    "ctest --test-dir build/dev --output-on-failure --no-tests=error -j 2 -LE slow -R base
ctest --test-dir build/asan --output-on-failure --no-tests=error -j 2 -LE slow|style -R base"
holds "run-tests: one thread" "$output" "threads=1"
case $made in *apt-get* | *sudo*) echo "nothing was missing: $made"; failed=1 ;; esac
run "$copy/run-tests" -L slow
expect "run-tests -L: the labels are the caller's" "$(echo "$made" | grep -c -- -LE)" 0
run CTEST_STATUS=8 "$copy/run-tests"
expect "run-tests: a failed test" "$status, $(echo "$made" | grep -c ^ctest) preset" "8, 1 preset"

# quickstart: run, table, plot; a run that failed does not hide the others, a wrong spec ends it.
mkdir -p "$copy/build/release"
mv "$bin/ctest" "$dir/ctest"
fake peftlab 'case $1 in run) exit ${RUN_STATUS:-0} ;; esac'
mv "$bin/peftlab" "$copy/build/release/peftlab"
run "$copy/quickstart" seeds=7
expect "quickstart" "$status" 0
expect "quickstart: the program" "$(echo "$made" | grep ^peftlab)" \
    "peftlab run $copy/specs/quickstart.yaml --out $copy/out/quickstart seeds=7
peftlab table $copy/out/quickstart
peftlab plot $copy/out/quickstart"
run RUN_STATUS=1 "$copy/quickstart" --out there
expect "quickstart, one run failed" "$status $(echo "$made" | grep ^peftlab | cut -d' ' -f1,2,3,4,5 | tail -n 2)" \
    "1 peftlab table there
peftlab plot there"
run RUN_STATUS=2 "$copy/quickstart" wrong=1
expect "quickstart, wrong spec" "$status $(echo "$made" | grep -c ^peftlab)" "2 1"
run RUN_STATUS=130 "$copy/quickstart"
expect "quickstart, interrupted" "$status" 130
holds "quickstart, interrupted" "$output" "./quickstart goes on from here"
exit $failed
