"""Whether a migration may run while the release before still serves: `make lint` asks it of every service.

    cd svc-orders && python -m migrationlint                     its own migrations
    cd svc-orders && python -m migrationlint outbox inbox        those of other apps that it has installed

No database is needed: the statements are what Django would send (`offline`). docs/deploying.md tells the rules and the way
around each; `allowed.toml` names the migrations that may break one, and why.
"""
