#!/bin/sh
# Pins every library with its hashes: requirements.lock for the one local environment, then each service's own lock, held to
# the same versions. No index address and no path gets into a lock, so that it installs from whatever index a machine uses.
set -eu
cd "$(dirname "$0")/../.."
uv=.local/venv/bin/uv
[ -x $uv ] || deploy/native/bootstrap.sh

# shared-lib comes from this tree: its own libraries are pinned, it is not.
mkdir -p .local
ours=.local/lock-override.$$
trap 'rm -f "$ours"' EXIT
echo 'shared-lib @ ./shared-lib' >"$ours"

compile() {
    $uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --no-emit-package shared-lib --override "$ours" "$@"
}

echo "requirements.lock"
compile --group pyproject.toml:dev shared-lib/pyproject.toml svc-*/pyproject.toml --output-file requirements.lock
for service in svc-*/; do
    if [ -f "${service}pyproject.toml" ]; then
        echo "${service}requirements.lock"
        compile "${service}pyproject.toml" shared-lib/pyproject.toml --constraint requirements.lock \
            --output-file "${service}requirements.lock"
    fi
done
if grep -lE '://|^ *-e|file:' requirements.lock svc-*/requirements.lock; then
    echo "These locks hold an address or a path: remove it from the pyproject.toml it comes from." >&2
    exit 1
fi
