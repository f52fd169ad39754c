# What ./quickstart and ./run-tests share, to be sourced by them: `install_packages` brings in what is missing of
# packages.txt, `build_preset` configures and builds quietly. Both end the script with one line that says what to do:
# exit 3 when the machine is not right, 1 when the build fails. The caller sets `root` to the project's folder.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    local status=$1
    shift
    say "$*"
    exit "$status"
}

# shellcheck disable=SC2154  # root
package_list() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$root/packages.txt"; }

is_debian() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || return 1
    [ -e /etc/debian_version ] || grep -qsE '^ID(_LIKE)?=.*debian' /etc/os-release
}

missing_packages() {
    local name
    for name in $(package_list); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
    done
}

# Runs a command as root. Where sudo would have to ask for a password it may do so on a terminal, and fails elsewhere.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }

# The lists are fetched again only when installing from those at hand fails (there are none yet, or they are stale).
apt_install() {
    apt_get install --no-install-recommends "$@" && return
    apt_get update && apt_get install --no-install-recommends "$@"
}

install_packages() {
    local all missing log
    all=$(package_list)
    is_debian || die 3 "this is not Debian; please install what these Debian packages hold: ${all//$'\n'/ }"
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        die 3 "neither root nor sudo; please have these packages installed: $missing"
    say "installing Debian packages: $missing"
    mkdir -p "$root/build"
    log=$root/build/packages.log
    # shellcheck disable=SC2086  # a list of words
    apt_install $missing >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        die 3 "apt-get failed (all of it: $log); please have these packages installed: $missing"
    }
}

# build_preset NAME: build/NAME is up to date afterwards; what the tools say is shown only when they fail.
build_preset() {
    local log=$root/build/$1.log
    mkdir -p "$root/build"
    say "building build/$1"
    if ! (cd "$root" && cmake --preset "$1" && cmake --build --preset "$1" --parallel "$(nproc)") >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        die 1 "build/$1 could not be built (all of it: $log)"
    fi
}
