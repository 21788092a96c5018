#!/bin/sh
# Becomes the gateway. WATCH_HOSTS names hosts whose addresses may move, as those of
# containers do: Nginx reads an address once, so that a new one makes it read its configuration again.
set -eu
addresses() {
    for host in $WATCH_HOSTS; do
        # A host that is away for a moment is no reason: Nginx would not take a configuration that names it.
        getent ahostsv4 "$host" | awk -v host="$host" 'NR == 1 {print host, $1; found = 1} END {exit !found}' || return 1
    done
}

if [ -n "${WATCH_HOSTS:-}" ]; then
    (
        known=$(addresses || true)
        while sleep 2; do
            if now=$(addresses) && [ "$now" != "$known" ]; then
                [ -z "$known" ] || echo "gateway: an address moved, reading the configuration again" >&2
                kill -HUP 1 || exit 0
                known=$now
            fi
        done
    ) &
fi
exec /gateway/bin/run
