"""`python -m faults [SCENARIO ...]` on a running stack; see docs/faults.md. Exit code 1 if anything was wrong.

Environment: SEED, CHECKOUTS; SHOP_STATE_DIR, SHOP_ENV_FILE, SHOP_PROXY_CONTROL,
SHOP_FAILPOINTS and SHOP_FAULT_REPORTS, as `make test-faults` gives them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from faults.backlog import backlog
from faults.journal import Journal
from faults.report import print_report
from faults.rush import rush
from faults.site import Site
from faults.storm import LONG, Storm, Weather
from shop import stack
from shop.envfile import load
from shop.layout import find_layout
from shop.report import Progress


def find_site() -> Site:
    """The stack that the environment names."""
    layout = find_layout()
    env = load(layout.env_file, stack.tenants(layout.root, testing=True))
    if env is None:
        raise SystemExit("There is no stack here: run `make test-faults`.")
    shop = stack.Stack(layout, env, Progress(), testing=True)
    # Without the proxy there is no storm, but the other scenarios.
    proxy = int(os.environ.get("SHOP_PROXY_CONTROL", "0"))
    return Site(shop, proxy=proxy, failpoints=Path(os.environ["SHOP_FAILPOINTS"]))


def run_storm(site: Site, seed: int, weather: Weather) -> Journal:
    journal = Journal()
    window = float(site.shop.env["SVC_ORDERS__ORDER_PAYMENT_WINDOW_SECONDS"])
    storm = Storm(site, journal, seed=seed, weather=weather, window=window)
    try:
        storm.go()
    finally:
        finish(
            "storm",
            seed,
            journal,
            checkouts=weather.checkouts,
            seconds_of_faults=storm.plan.seconds,
            slowness=round(storm.slowness, 2),
        )
    return journal


def run_backlog(site: Site, seed: int) -> Journal:
    journal = Journal()
    facts = backlog(site, journal, seed=seed)
    finish("backlog", seed, journal, **facts)
    return journal


def run_rush(site: Site, seed: int) -> Journal:
    journal = Journal()
    facts = rush(site, journal)
    finish("rush", seed, journal, **facts)
    return journal


def finish(scenario: str, seed: int, journal: Journal, **facts: object) -> None:
    """Prints what came of it and writes the report."""
    path = Path(os.environ["SHOP_FAULT_REPORTS"], f"faults-{scenario}-{seed}.json")
    verdict = "FAILED" if journal.findings else "passed"
    journal.write(path, scenario=scenario, seed=seed, verdict=verdict, **facts)
    print_report(scenario, seed, journal, path, facts)


def main(arguments: list[str]) -> int:
    seed = int(os.environ["SEED"])
    weather = replace(LONG, checkouts=int(os.environ.get("CHECKOUTS") or LONG.checkouts))
    site = find_site()
    scenarios: dict[str, Callable[[], Journal]] = {
        "backlog": lambda: run_backlog(site, seed),
        "rush": lambda: run_rush(site, seed),
        "storm": lambda: run_storm(site, seed, weather),
    }
    failed = [name for name in arguments or scenarios if scenarios[name]().findings]
    if failed:
        print(f"\nFAILED: {', '.join(failed)} with SEED={seed}. The same again: make test-faults SEED={seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
