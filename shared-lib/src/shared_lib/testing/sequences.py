"""How many random sequences the tests of a service play: a few that are the same each time, or as many others as are asked for."""

from __future__ import annotations

import os

_ASKED = os.environ.get("SHOP_SEQUENCES")

#: Whether every run plays the same sequences, as it does unless SHOP_SEQUENCES asks for a number of them.
REPEATABLE = _ASKED is None


def sequences(usual: int) -> int:
    """SHOP_SEQUENCES, else `usual`. Raises ValueError for what is no whole number."""
    return usual if _ASKED is None else int(_ASKED)
