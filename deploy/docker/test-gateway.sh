#!/bin/sh
# The gateway's own tests on the Nginx of its image (1.26 and newer Lua than the host's): deploy/docker/test-gateway.sh [PYTEST ARGUMENTS]
# The image gets, in a throwaway layer, what the tests need beside it: Python, Redis, the pinned test libraries and the tests.
set -eu
cd "$(dirname "$0")/../.."
image=${GATEWAY_IMAGE:-shop/gateway:dev}
docker info >/dev/null 2>&1 || {
    echo "No Docker engine answers: start one, or run the tests on this machine's Nginx: make test SERVICE=gateway" >&2
    exit 1
}
docker image inspect "$image" >/dev/null 2>&1 || DOCKER_BUILDKIT=1 docker build --quiet --tag "$image" --file deploy/docker/gateway.Dockerfile .

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$work/gateway"
cp -R gateway/. "$work/gateway/"
cp requirements.lock "$work/"
find "$work" -name __pycache__ -prune -exec rm -rf {} +
cat >"$work/Dockerfile" <<'END'
ARG BASE
FROM ${BASE}
USER root
# What the tests take from the tree's lock, with all that these need. The image has no Python and no HTTP client of its own.
RUN apt-get -q update >/dev/null \
    && apt-get -q install --yes --no-install-recommends python3 python3-venv redis-server procps >/dev/null \
    && python3 -m venv /venv
COPY requirements.lock /
RUN awk '/^[a-z0-9]/ {found = /^(anyio|attrs|certifi|cffi|cryptography|h11|httpcore|httpx|idna|iniconfig|packaging|pluggy|pycparser|pygments|pyjwt|pytest|pytest-timeout|redis)==/} found' /requirements.lock > /tests.lock \
    && /venv/bin/pip --disable-pip-version-check install --quiet --no-cache-dir --require-hashes --no-deps -r /tests.lock
COPY gateway /gateway
WORKDIR /gateway
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT ["/venv/bin/python", "-m", "pytest", "-q"]
END
DOCKER_BUILDKIT=1 docker build --quiet --pull=false --build-arg "BASE=$image" --tag shop/gateway-tests "$work"
docker run --rm --entrypoint nginx shop/gateway-tests -v
docker run --rm --tmpfs /tmp:exec shop/gateway-tests "$@"
