#!/bin/sh
# Makes the images that the Dockerfiles and docker-compose.yml start from, out of the distribution's packages, and gives them
# the tags of the official ones. For machines that reach a package mirror but no image registry; where `docker pull` works you
# do not need it. As root, since debootstrap is: `deploy/docker/bases.sh`. Images that exist already are left alone;
# `deploy/docker/bases.sh --again` makes all of them new.
#
# The mirror is the one that the machine's own apt names (or MIRROR=). What the machine needs to reach it and the package
# index goes into these images alone: its extra CA certificates, its settings of pip. So do not push them anywhere.
set -eu
cd "$(dirname "$0")/bases"
suite=trixie

die() {
    echo "$*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || die "debootstrap needs root: run it with sudo."
for tool in docker debootstrap; do
    command -v $tool >/dev/null 2>&1 || die "$tool is missing: apt-get install docker.io debootstrap"
done
docker info >/dev/null 2>&1 || die "No Docker engine answers: start one (or set DOCKER_HOST), then run this again."

# The first mirror of the distribution in apt's sources, in either of their formats.
mirror=${MIRROR:-$(
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        awk '$1 == "URIs:" {print $2} $1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; next}}' |
        grep -E '/debian/?$' | head -n 1
)}
[ -n "$mirror" ] || die "apt's sources name no mirror of Debian: MIRROR=http://HOST/debian $0"

wanted() { # TAG
    [ "${again:-}" ] || ! docker image inspect "$1" >/dev/null 2>&1
}
case ${1:-} in
    --again) again=yes ;;
    '') ;;
    *) die "usage: deploy/docker/bases.sh [--again]" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What this machine needs beyond the distribution.
localise() { # ROOT
    if [ -n "$(find /usr/local/share/ca-certificates -name '*.crt' 2>/dev/null)" ]; then
        cp -R /usr/local/share/ca-certificates "$1/usr/local/share/"
        chroot "$1" update-ca-certificates >/dev/null 2>&1
    fi
    if [ -f /etc/pip.conf ]; then
        # Folders of this machine are not there inside.
        grep -v 'file:\|find-links' /etc/pip.conf >"$1/etc/pip.conf" || true
    fi
    printf 'deb %s %s main\ndeb %s %s-updates main\n' "$mirror" $suite "$mirror" $suite >"$1/etc/apt/sources.list"
}

# Removes what no program reads, as Debian's own slim images do.
slim() { # ROOT
    rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/* "$1"/usr/share/man/* "$1"/usr/share/info/* \
        "$1"/usr/share/locale/* "$1"/usr/share/lintian "$1"/usr/share/linda "$1"/var/cache/debconf/*-old
    find "$1/usr/share/doc" -type f ! -name copyright -delete
    find "$1/usr/share/doc" -type d -empty -delete
    # dpkg leaves the same out of every package installed later.
    printf 'path-exclude /usr/share/%s/*\n' doc man info locale lintian >"$1/etc/dpkg/dpkg.cfg.d/slim"
    printf 'path-include /usr/share/doc/*/copyright\n' >>"$1/etc/dpkg/dpkg.cfg.d/slim"
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
}

bootstrap() { # TAG PACKAGES
    began=$(date +%s)
    debootstrap --variant=minbase --include="$2" $suite "$work/tree" "$mirror" >"$work/log" 2>&1 ||
        die "debootstrap failed: $(tail -n 3 "$work/log")"
    localise "$work/tree"
    case $1 in
        python:*)
            # Where the official image has it. pip comes with each `python -m venv`.
            ln -s /usr/bin/python3 "$work/tree/usr/local/bin/python"
            ln -s /usr/bin/python3 "$work/tree/usr/local/bin/python3"
            # Python brings its own codecs, and nothing here converts by the C library's.
            rm -rf "$work"/tree/usr/lib/*/gconv "$work"/tree/usr/lib/python3*/test "$work"/tree/usr/lib/python3*/pydoc_data
            ;;
    esac
    slim "$work/tree"
    tar -C "$work/tree" -c . | docker import --change 'CMD ["bash"]' --change 'ENV LANG=C.UTF-8' - "$1" >/dev/null
    rm -rf "$work/tree"
    say "$1" "$began"
}

say() { # TAG BEGAN
    docker image inspect --format "$1: {{.Size}}" "$1" |
        awk -v s=$(($(date +%s) - $2)) '{printf "%-28s %4d MB  %3d s\n", substr($1, 1, length($1) - 1), $2 / 1000000, s}'
}

build() { # TAG DOCKERFILE
    began=$(date +%s)
    docker build --quiet --pull=false --tag "$1" --file "$2" . >/dev/null || die "$1 could not be built: see above."
    say "$1" "$began"
}

echo "Base images from $suite"
wanted debian:trixie-slim && bootstrap debian:trixie-slim ca-certificates
wanted python:3.13-slim-trixie && bootstrap python:3.13-slim-trixie ca-certificates,python3,python3-venv
wanted postgres:17 && build postgres:17 postgres.Dockerfile
wanted redis:8 && build redis:8 redis.Dockerfile
wanted rabbitmq:4 && build rabbitmq:4 rabbitmq.Dockerfile
echo "They are there."
