"""A short storm on the stack of `make test`; the long one is `make test-faults`. SEED repeats a run."""

from __future__ import annotations

import os
import random

import pytest


@pytest.mark.timeout(600)
def test_while_everything_breaks_nothing_is_lost_and_nothing_happens_twice() -> None:
    from faults.__main__ import find_site, run_storm
    from faults.storm import SHORT

    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 1_000_000))
    journal = run_storm(find_site(), seed, SHORT)
    assert not journal.findings, f"SEED={seed} repeats this\n" + "\n".join(journal.findings)
