#!/bin/sh
# Makes a bare machine ready: the distribution's packages of packages.txt, then the Python libraries of requirements.lock in
# .local/venv. Run it as often as you like: when nothing is missing it takes milliseconds and prints nothing. Called with
# `libraries`, it wants no more of the distribution than Python: the shop in containers needs no servers here. With `tests` it
# wants what only tests need as well.
set -eu
cd "$(dirname "$0")/../.."
here=deploy/native
venv=.local/venv
wishes=" $* "
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# The distribution's own Python, where it is new enough, before the first in PATH, which may be a version manager's, compiled
# without optimizations and so a good deal slower. By its name, since to ask it would cost more than all the rest.
python=${SHOP_PYTHON:-}
if [ -z "$python" ]; then
    case $(readlink /usr/bin/python3) in
        python3.1[1-9]) python=/usr/bin/python3 ;;
        *) python=python3 ;;
    esac
fi

die() {
    echo "$*" >&2
    exit 1
}

present() { # KIND WHAT
    case $1 in
        command) command -v "$2" >/dev/null 2>&1 ;;
        python) [ -x "$venv/bin/python" ] || "$python" -c "import $2" 2>/dev/null ;;
        # The pattern is meant to expand.
        file) for match in $2; do [ -e "$match" ] && return 0; done; return 1 ;;
        *) die "$here/packages.txt: $1 is not a way to look for a package." ;;
    esac
}

# Fills $missing with package names and $reasons with a line for each.
find_missing() {
    missing='' reasons=''
    while IFS='|' read -r package test reason who; do
        case $package in '#'* | '') continue ;; esac
        case $wishes:$who:$package in
            *' tests '*:*tests*:*) ;;
            *:*tests*:*) continue ;;
            *' libraries '*::python3*) ;;
            *' libraries '*) continue ;;
        esac
        # Both hold several words on purpose.
        # shellcheck disable=SC2086
        set -- $package $test
        if ! present "$2" "$3"; then
            missing="$missing $1"
            reasons="$reasons
  $1:$reason"
        fi
    done <$here/packages.txt
}

find_missing
if [ -n "$missing" ]; then
    echo "These packages of the distribution are missing:$reasons"
    command -v apt-get >/dev/null 2>&1 ||
        die "There is no apt here to install them with: install$missing with your system's own tool, then run this again."
    if [ "$(id -u)" = 0 ]; then
        as_root=''
    elif command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        die "Only root can install them and there is no sudo: have root run 'apt-get install$missing', then run this again."
    fi
    echo "Installing them with apt; none of their own daemons is started."
    # shellcheck disable=SC2086
    $as_root sh $here/install-packages.sh $missing ||
        die "apt could not install them (its own words are above): install$missing, then run this again."
    find_missing
    [ -z "$missing" ] || die "apt installed the packages, but$missing cannot be found:$reasons"
fi

# What the folder of libraries depends on: the lock, the interpreter, and where this tree is.
interpreter=$(command -v "$python") ||
    die "SHOP_PYTHON is \"$python\", which is no program here; give the path of a Python, or leave it out."
wanted="$(sha256sum requirements.lock | cut -c 1-64) $interpreter $PWD"
if [ -x $venv/bin/python ] && [ "$(cat $venv/shop-stamp 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

"$interpreter" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$interpreter is no Python 3.11 or newer, which the shop needs: put one first in PATH, or name it in SHOP_PYTHON."

echo "Installing the Python libraries of requirements.lock into $venv"
mkdir -p .local
# One that another interpreter has made is that other's.
if [ "$(cut -d ' ' -f 2 $venv/shop-stamp 2>/dev/null)" != "$interpreter" ] || ! $venv/bin/python -c 'import pip' 2>/dev/null; then
    rm -rf $venv
    "$interpreter" -m venv $venv || die "$interpreter cannot make $venv: see above."
fi
lock=$PWD/requirements.lock
uv_lock=.local/uv.lock.$$
trap 'rm -f "$uv_lock"' EXIT
# uv's own pin and hashes, from the same lock.
awk '/^[a-z0-9]/ {found = /^uv==/} found' "$lock" >"$uv_lock"
$venv/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --no-deps -r "$uv_lock" ||
    die "The Python package index cannot be reached or refused: see above."
# uv does not read pip's settings; where an index is named only there, pip itself installs.
if ! $venv/bin/python -m uv --quiet pip sync --python $venv/bin/python --require-hashes "$lock" 2>.local/uv.log; then
    $venv/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --no-deps -r "$lock" || {
        cat .local/uv.log >&2
        die "The Python libraries could not be installed: see above."
    }
fi
rm -f .local/uv.log
# shared-lib as it stands in the tree: a change is there at once.
site=$($venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD/shared-lib/src" >"$site/shared_lib_source.pth"
printf '%s' "$wanted" >$venv/shop-stamp
